"""Missing values drawn from the model's own conditional, for mechanisms that need a complete x."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Normal

from pyro_gnr.model.conditionals import noise_site
from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.transport import transport

__all__ = ["complete", "missing_noise"]


def missing_noise(like: Tensor) -> Tensor:
    """Write the site `x_noise`, (..., N, D), of which and of u missing values are functions.

    Args:
        like: (N, D) values, for shape, dtype and device.
    """
    return noise_site("x_noise", torch.zeros_like(like[0]))


def complete(columns: Columnwise, x: Tensor, visible: Tensor) -> Tensor:
    """Put draws from p(x | u) where x is not visible; records them as `x_missing`.

    A normal column's draw is differentiable in its parameters. Any other draw is a constant, and
    the log-density of the draw, less its own value, is added to the particle's weight: it leaves
    the weight as it is and gives the gradient of the bound whose proposal of these draws is held
    fixed where it is (that of reweighted wake-sleep). That the proposal moves on with p(x | u) is
    left out, which costs efficiency but changes no bound.

    Args:
        columns: p(x | u), batch (K, N, D).
        x: (N, D).
        visible: (N, D) bool.

    Source: Ipsen, Mattei & Frellsen 2021 (arXiv 2006.12871), eq. 8; Bornschein & Bengio 2015
        (arXiv 1406.2751).
    """
    noise = missing_noise(x)
    parts, scores = [], []
    for block in columns.blocks:
        own = noise[..., block.columns]
        p = block.distribution
        if isinstance(p, Normal):
            parts.append(p.loc + p.scale * own)
            scores.append(torch.zeros_like(parts[-1]))
        else:
            with torch.no_grad():
                drawn = transport(p, torch.special.ndtr(own.double()))
            log_density = p.log_prob(drawn)
            parts.append(drawn.to(own.dtype))
            scores.append(log_density - log_density.detach())
    score = torch.where(visible, 0.0, columns.side_by_side(scores)).sum(-1)
    if score.requires_grad:
        with poutine.infer_config(config_fn=_score):
            pyro.factor("x_missing_score", score)
    completed = torch.where(visible, x, columns.side_by_side(parts))
    return pyro.deterministic("x_missing", completed, event_dim=1)


def _score(site: Any) -> Any:
    """How `IWELBO` knows the score of a draw."""
    return {"is_score": True}
