"""Log-normal likelihood of positive columns."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor

from pyro_gnr.data import Kind
from pyro_gnr.model.likelihoods.natural_scale import NaturalScale

__all__ = ["LogNormal"]


class LogNormal(NaturalScale):
    r"""log x_j | u ~ N(eta_j(u), s_j(u)^2): a Gaussian on the scale of logarithms.

    Eta and s are in units of the observed log x_j, see `NaturalScale`. The mean of x_j is
    exp(eta_j + s_j^2 / 2).

    Args:
        floor: smallest s_j in observed standard deviations of log x_j, in (0, 1).
        ceiling: largest s_j, likewise; bounds what is said about people of a kind never observed.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Example:
        >>> import torch
        >>> from pyro_gnr.data import Column
        >>> likelihood = LogNormal()
        >>> likelihood.build([Column("income", Kind.POSITIVE, "float64", scale=3e4)], u_dim=4)
        >>> bool((likelihood(torch.zeros(7, 4)).sample() > 0).all())
        True
    """

    kinds = frozenset({Kind.POSITIVE})
    filler = 1.0

    def __init__(
        self, *, floor: float = 0.1, ceiling: float = 1.0, heteroscedastic: bool = True
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)

    def distribution(self, parameters: Tensor) -> dist.LogNormal:
        """Give LogNormal(eta, s), batch (..., C), from parameters (..., 2C)."""
        eta, spread = self._location_spread(parameters)
        return dist.LogNormal(eta, spread, validate_args=False)
