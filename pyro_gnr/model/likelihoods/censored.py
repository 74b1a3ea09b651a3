"""Likelihood of numbers of which some are known only to lie in an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.features import interval_limits
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.subsets import subset
from pyro_gnr.model.transport import cdf, restrict, shows_value, transport
from pyro_gnr.model.truncation import NO_LIMIT, TruncatedNormal, log_mass

__all__ = ["Censored", "CensoredNormal"]


class CensoredNormal(TorchDistribution):
    r"""N(loc, scale^2), observed as a number or as the code of an interval it lies in.

    log p(x) is the density's where x is a number, and log P(lower_i < X < upper_i) where x is
    `CODE_BASE` + i. Draws are numbers.

    Args:
        loc: mean, (..., C).
        scale: standard deviation, (..., C).
        limits: (2, n, C) lower and upper limits of each column's intervals.

    Example:
        >>> limits = torch.tensor([[[-NO_LIMIT]], [[0.0]]])
        >>> d = CensoredNormal(torch.zeros(3, 1), torch.ones(3, 1), limits=limits)
        >>> d.log_prob(torch.tensor([[0.0], [CODE_BASE], [1.0]])).exp().squeeze()
        tensor([0.3989, 0.5000, 0.2420])
    """

    arg_constraints = {}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Tensor, scale: Tensor, *, limits: Tensor) -> None:
        self.normal = dist.Normal(loc, scale, validate_args=False)
        self.limits = limits
        super().__init__(self.normal.batch_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Mean of the number itself."""
        return self.normal.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the number itself."""
        return self.normal.scale

    def expand(
        self, batch_shape: Shape, _instance: CensoredNormal | None = None
    ) -> CensoredNormal:
        """Broadcast to a larger batch shape (..., C)."""
        shape = torch.Size(batch_shape)
        return CensoredNormal(
            self.mean.expand(shape), self.scale.expand(shape), limits=self.limits
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log density of numbers and the log probability of intervals."""
        coded = value >= CODE_BASE
        density = self.normal.log_prob(torch.where(coded, 0.0, value))
        if not coded.any():
            return density
        # Only where there are intervals: their probability costs much more than a density.
        at = coded.expand(density.shape)
        loc, scale = (p.expand(density.shape)[at] for p in (self.mean, self.scale))
        lower, upper = (limit.expand(density.shape)[at] for limit in self._limits(value))
        mass = log_mass(loc, scale, lower, upper).to(density.dtype)
        return density.masked_scatter(at, mass)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw numbers, (*sample_shape, ..., C)."""
        return self.normal.sample(torch.Size(sample_shape))

    def restricted(self, value: Tensor) -> TruncatedNormal:
        """Give what is known of the number: the normal within the interval where there is one."""
        lower, upper = self._limits(value)
        return TruncatedNormal(self.mean, self.scale, lower=lower, upper=upper)

    def _limits(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Limits (..., C) of the intervals in `value`; none where it is a number."""
        coded = value >= CODE_BASE
        place = torch.where(coded, value - CODE_BASE, 0.0).long()
        column = torch.arange(value.shape[-1], device=value.device)
        lower, upper = self.limits[:, place, column]
        return torch.where(coded, lower, -NO_LIMIT), torch.where(coded, upper, NO_LIMIT)


@transport.register
def _(distribution: CensoredNormal, uniforms: Tensor) -> Tensor:
    return transport(distribution.normal, uniforms)


@cdf.register
def _(distribution: CensoredNormal, value: Tensor) -> Tensor:
    return distribution.normal.cdf(value)


@shows_value.register
def _(distribution: CensoredNormal, value: Tensor) -> Tensor:
    return value < CODE_BASE


@subset.register
def _(distribution: CensoredNormal, index: tuple[Any, ...]) -> Distribution | None:
    return subset(distribution.normal, index)


@restrict.register
def _(distribution: CensoredNormal, value: Tensor) -> TruncatedNormal:
    return distribution.restricted(value)


class Censored(LocationScale):
    r"""x_j | u ~ N(mu_j(u), s_j(u)^2), some cells known only to lie in an interval.

    log p is log N(x_j) where the number is known, log(F(upper) - F(lower)) where an interval is:
    a cell "<0.5" says all that it knows, and nothing is put in its place. For a column of kind
    "censored_log" x_j is the logarithm of the quantity, which is then log-normal. For kind
    "censored" it is the quantity itself: what is imputed for "<0.5" is below 0.5, and can be
    negative. For a concentration say kinds={"crp": "censored_log"}, the default where all numbers
    and limits are positive; where some are 0, write the cell as what is known ("0-0.5").

    Columns are standardised by the normal under which all their cells are likeliest, so scales
    are in standard deviations of that normal.

    Args:
        floor: smallest scale, in (0, 1).
        ceiling: largest scale.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Source: Tobin 1958, Econometrica 26; Helsel 2012, Statistics for Censored Environmental Data,
    on why half the limit of detection is no value.

    Example:
        >>> likelihood = Censored()
        >>> column = Column("crp", Kind.CENSORED, "str", intervals=((-float("inf"), 0.5),))
        >>> likelihood.build([column], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).log_prob(torch.full((7, 1), CODE_BASE)).shape
        torch.Size([7, 1])
    """

    kinds = frozenset({Kind.CENSORED, Kind.CENSORED_LOG})
    natural_kind = Kind.CENSORED
    limits: Tensor

    def __init__(
        self, *, floor: float = 0.1, ceiling: float = 1.0, heteroscedastic: bool = True
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and the intervals in each column's standardised units."""
        super().build(columns, u_dim)
        self.register_buffer("limits", interval_limits(columns), persistent=False)

    def learn_intervals(self, columns: Sequence[Column]) -> None:
        """Know the intervals of the same columns in another table."""
        self.limits = interval_limits(columns).to(self.limits)

    def distribution(self, parameters: Tensor) -> CensoredNormal:
        """Give the distribution of numbers and intervals, batch (..., C), from (..., 2C)."""
        location, scale = self._location_scale(parameters)
        return CensoredNormal(location, scale, limits=self.limits)
