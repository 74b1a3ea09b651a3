"""Bernoulli likelihood of binary columns."""

from __future__ import annotations

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
        """Start where the log-odds, linearised at the mean, agree with the linear model."""
        p = scale.mean.clamp(1e-3, 1 - 1e-3)
        slope = scale.scale / (p * (1 - p))
        loadings = (slope[:, None] * linear.loadings).clamp(-STEEPEST, STEEPEST)
        self._start_head(slice(None), loadings, torch.logit(p))
