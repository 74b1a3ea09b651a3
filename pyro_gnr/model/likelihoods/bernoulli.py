"""Bernoulli likelihood of binary columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.linear import LinearModel

__all__ = ["STEEPEST", "Bernoulli", "steepened"]

# A linear model of a rare level says little about its log-odds: bounds the slopes at the start.
STEEPEST = 2.0
FLATTEST = 0.25
PROBIT = math.pi / 8


class Bernoulli(Likelihood):
    r"""x_j | u ~ Bernoulli(logit^-1(eta_j(u))); 1 is the second level.

    Example:
        >>> likelihood = Bernoulli()
        >>> likelihood.build([Column("a", Kind.BINARY, "bool", levels=(False, True))], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).batch_shape
        torch.Size([7, 1])
    """

    kinds = frozenset({Kind.BINARY})

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """One a column: the log-odds."""
        return len(columns)

    def distribution(self, parameters: Tensor) -> dist.Bernoulli:
        """Give Bernoulli(logits), batch (..., C), from parameters (..., C)."""
        return dist.Bernoulli(logits=parameters, validate_args=False)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where column and latents covary as in the linear model, z being N(0, I)."""
        p = scale.mean.clamp(1e-3, 1 - 1e-3)
        slope = scale.scale / (p * (1 - p))
        loadings, spread = steepened(slope[:, None] * linear.loadings)
        self._start_head(slice(None), loadings, spread * torch.logit(p))


def steepened(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Give log-odds b'z under which p covaries with z ~ N(0, I) as in a linear model.

    Cov(p, z) = b E[p (1 - p)] falls as b rises. With logit^-1(t) taken as Phi(t sqrt(pi / 8)),
    b = c / sqrt(1 - pi / 8 |c|^2) for the slopes c that suit the mean alone.

    Args:
        flat: (C, L) c.

    Returns:
        b (C, L), bounded, and what the log-odds of the mean are multiplied by, (C,).

    Example:
        >>> b, spread = steepened(torch.tensor([[0.8]]))
        >>> z = torch.linspace(-6, 6, 1001)
        >>> weights = torch.exp(-z.square() / 2)
        >>> p = torch.sigmoid(b[0] * z)
        >>> round(((weights * z * p).sum() / weights.sum() / 0.25).item(), 1)
        0.8
    """
    size = flat.square().sum(1, keepdim=True)
    loadings = (1.0 - PROBIT * size).clamp(min=FLATTEST).rsqrt() * flat
    loadings = loadings.clamp(-STEEPEST, STEEPEST)
    return loadings, (1.0 + PROBIT * loadings.square().sum(1)).sqrt()
