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

__all__ = ["Bernoulli", "STEEPEST"]

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
        flat = slope[:, None] * linear.loadings
        # Cov(x, z) = b E[p (1 - p)] falls as b rises; with logit^-1(t) as Phi(t sqrt(pi / 8)).
        size = flat.square().sum(1, keepdim=True)
        steeper = (1.0 - PROBIT * size).clamp(min=FLATTEST).rsqrt()
        loadings = (steeper * flat).clamp(-STEEPEST, STEEPEST)
        spread = (1.0 + PROBIT * loadings.square().sum(1)).sqrt()
        self._start_head(slice(None), loadings, spread * torch.logit(p))
