"""Negative binomial likelihood of counts."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.overdispersed import Overdispersed
from pyro_gnr.model.linear import LinearModel

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Overdispersed):
    r"""x_j | u ~ NB with mean lambda_j(u) and variance lambda_j + (s_j(u) lambda_j)^2.

    A Poisson whose rate is Gamma distributed with mean lambda_j, log-linear in u (see `Counts`),
    and coefficient of variation s_j, floor < s_j < ceiling: 1 / s_j^2 is the number of failures.

    Args:
        floor: smallest s_j, in (0, 1); near 0 it is a Poisson distribution.
        ceiling: largest s_j; bounds what is said about people of a kind never observed.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Example:
        >>> import torch
        >>> from pyro_gnr.data import Kind
        >>> likelihood = NegativeBinomial()
        >>> likelihood.build([Column("visits", Kind.COUNT, "int64", whole=True)], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).batch_shape
        torch.Size([7, 1])
    """

    def __init__(self, *, floor: float = 0.1, ceiling: float = 3.0) -> None:
        super().__init__(floor=floor, ceiling=ceiling)

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """Two a column: log-mean and raw spread."""
        return 2 * len(columns)

    def distribution(self, parameters: Tensor) -> dist.NegativeBinomial:
        """Give the negative binomial, batch (..., C), from parameters (..., 2C)."""
        h, raw = parameters.chunk(2, -1)
        failures, logits = self._failures_logits(h, raw)
        return dist.NegativeBinomial(failures, logits=logits, validate_args=False)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start as `Counts`, with the noise of the linear model as spread."""
        super().start(linear, scale)
        self._start_spread(linear, scale)
