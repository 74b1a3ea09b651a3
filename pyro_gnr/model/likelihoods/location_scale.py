"""What the likelihoods of real numbers with a location and a scale share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.part import check_scales

__all__ = ["LocationScale"]


class LocationScale(Likelihood):
    r"""Location and scale of each column from u; abstract.

    s_j(u) = floor + (ceiling - floor) logit^-1(.), in observed standard deviations of the column
    (the ceiling in those of the complete column, where a mechanism says that a tail is missing).
    After training it may be inflated: a fit to few rows lies too close to them.

    Args:
        floor: smallest scale, in (0, 1). Without one the bound is unbounded: a scale can shrink
            onto a single value.
        ceiling: largest scale, above the floor. Where a column was never observed, as for people
            who gave no blood at all, nothing else keeps a scale that depends on u from growing.
        heteroscedastic: whether the scale depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), `ceiling` is not above it, or `heteroscedastic` is
            neither True nor False.
        TypeError: `floor` or `ceiling` is no number.
    """

    kinds = frozenset({Kind.CONTINUOUS})
    width: Tensor
    inflation: Tensor

    def __init__(self, *, floor: float, ceiling: float, heteroscedastic: bool) -> None:
        super().__init__()
        check_scales(floor=floor, ceiling=ceiling)
        if not isinstance(heteroscedastic, (bool, np.bool_)):  # the text "false" would be true
            raise ValueError(f"got heteroscedastic={heteroscedastic!r}, expected True or False.")
        self.floor = floor
        self.ceiling = ceiling
        self.heteroscedastic = heteroscedastic

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and what ceiling and scale of each column are multiplied by."""
        super().build(columns, u_dim)
        self.register_buffer("width", torch.ones(len(columns)))
        self.register_buffer("inflation", torch.ones(len(columns)))

    def widen(self, width: Tensor) -> None:
        """Multiply ceilings by (C,) standard deviations of the complete columns, if above 1."""
        self.width.copy_(width.clamp(min=1.0))

    def inflate(self, factor: Tensor) -> None:
        """Multiply scales by (C,), beyond floor and ceiling."""
        self.inflation.mul_(factor)

    @torch.enable_grad()
    def scale_score(self, u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give d log p(x_j | u) / d log s_j and minus its derivative, each (..., C).

        Of a normal these are r^2 - 1 and 2 r^2, with r = (x - mu) / s.

        Both are 0 where `distribution` takes its scales from elsewhere than `_location_scale`, so
        that nothing here is widened.

        Args:
            u: (..., H).
            x: (..., C) values with finite density.
        """
        log_s = self.inflation.log().expand(*u.shape[:-1], -1).clone().requires_grad_()
        given = functional_call(self, {"inflation": log_s.exp()}, (u.detach(),))
        (score,) = torch.autograd.grad(
            given.log_prob(x).sum(), log_s, create_graph=True, materialize_grads=True
        )
        (slope,) = torch.autograd.grad(score.sum(), log_s, materialize_grads=True)
        return score.detach(), -slope

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """Two a column from u: location and raw scale."""
        return 2 * len(columns)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start at the linear model itself, with constant scales."""
        c = len(linear.intercept)
        location = scale.mean + scale.scale * linear.intercept
        self._start_head(slice(0, c), scale.scale[:, None] * linear.loadings, location)
        room = self.ceiling * self.width - self.floor
        share = (scale.scale * linear.noise.sqrt() - self.floor) / room
        nothing = torch.zeros_like(linear.loadings)
        self._start_head(slice(c, 2 * c), nothing, torch.logit(share.clamp(1e-3, 1 - 1e-3)))

    def _location_scale(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Split parameters (..., 2C) into locations and scales, each (..., C)."""
        location, raw = parameters.chunk(2, -1)
        if not self.heteroscedastic:
            # One number a column: only the head's bias counts, whatever u is.
            raw = self.head.bias.chunk(2, -1)[1].expand_as(location)
        room = self.ceiling * self.width - self.floor
        return location, self.inflation * (self.floor + room * torch.sigmoid(raw))
