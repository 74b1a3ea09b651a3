"""Gaussian likelihood of continuous columns."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor

from pyro_gnr.model.likelihoods.location_scale import LocationScale

__all__ = ["Gaussian"]


class Gaussian(LocationScale):
    r"""x_j | u ~ N(mu_j(u), s_j(u)^2), with floor < s_j(u) < ceiling.

    Columns are standardised, so scales are in observed standard deviations.

    Args:
        floor: smallest scale, in (0, 1); 0.05 to 0.2 works.
        ceiling: largest scale; bounds what is said about people of a kind never observed.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Example:
        >>> import torch
        >>> from pyro_gnr.data import Column, Kind
        >>> likelihood = Gaussian(floor=0.2)
        >>> likelihood.build([Column("a", Kind.CONTINUOUS, "float64")], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).batch_shape
        torch.Size([7, 1])
    """

    def __init__(
        self, *, floor: float = 0.05, ceiling: float = 1.0, heteroscedastic: bool = True
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)

    def distribution(self, parameters: Tensor) -> dist.Normal:
        """Give N(location, scale^2), batch (..., C), from parameters (..., 2C)."""
        location, scale = self._location_scale(parameters)
        return dist.Normal(location, scale, validate_args=False)
