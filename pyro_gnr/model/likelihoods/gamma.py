"""Gamma likelihood of positive columns."""

from __future__ import annotations

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.natural_scale import NaturalScale
from pyro_gnr.model.linear import LinearModel

__all__ = ["Gamma"]

# In standard deviations of log x, twice the smallest s_j: what others explain has to go off it.
LEAST_VARIED = 0.02


class Gamma(NaturalScale):
    r"""x_j | u ~ Gamma with mean exp(eta_j(u)) and coefficient of variation s_j(u).

    Shape 1 / s_j^2, rate 1 / (s_j^2 exp(eta_j)). For small s_j the standard deviation of log x_j
    is s_j, hence the units: those of the observed log x_j, see `NaturalScale`. Its lower tail is
    heavier than that of `LogNormal`, its upper tail lighter. s_j is never below 0.01, where
    single precision would lose the density: numbers that vary less are refused, `LogNormal`
    serves them.

    Args:
        floor: smallest s_j in observed standard deviations of log x_j, in (0, 1).
        ceiling: largest s_j, likewise.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it; observed values vary by
            less than a fiftieth of their mean.

    Example:
        >>> from pyro_gnr.data import Column
        >>> likelihood = Gamma()
        >>> likelihood.build([Column("income", Kind.POSITIVE, "float64", scale=3e4)], u_dim=4)
        >>> bool((likelihood(torch.zeros(7, 4)).sample() > 0).all())
        True
    """

    kinds = frozenset({Kind.POSITIVE})
    filler = 1.0
    power = 1 / 3
    smallest_spread = 0.01

    def __init__(
        self, *, floor: float = 0.1, ceiling: float = 1.0, heteroscedastic: bool = True
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)

    def check_spread(self, column: Column, values: NDArray[np.float64]) -> None:
        """Refuse values that vary less than the smallest s_j lets them."""
        spread = float(np.log(values).std())
        if len(values) > 1 and spread < LEAST_VARIED:
            raise ValueError(
                f"column {column.name!r}: its observed values vary by {spread:.2g} of their size, "
                f"and a gamma likelihood follows no less than {LEAST_VARIED:g}. Give 'log_normal' "
                "for it or, for the kind 'continuous', 'gaussian'."
            )

    def distribution(self, parameters: Tensor) -> dist.Gamma:
        """Give the Gamma distribution, batch (..., C), from parameters (..., 2C)."""
        eta, spread = self._location_spread(parameters)
        shape = spread.clamp(min=self.smallest_spread).pow(-2)
        return dist.Gamma(shape, shape * (-eta).exp(), validate_args=False)

    @torch.no_grad()
    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where mean and standard deviation of log x_j agree with the linear model."""
        # var(log x) = trigamma(shape), about 1/shape + 1/(2 shape^2): solved for 1/shape.
        variance = scale.scale.square() * linear.noise
        spread = (torch.sqrt(1.0 + 2.0 * variance) - 1.0).sqrt()
        super().start(linear._replace(noise=(spread / scale.scale).square()), scale)
        c = len(linear.intercept)
        shape = self.distribution(self.head.bias).concentration
        # E[log x] = log E[x] + digamma(shape) - log(shape).
        self.head.bias[:c] += (shape.log() - torch.digamma(shape)) / self.unit
