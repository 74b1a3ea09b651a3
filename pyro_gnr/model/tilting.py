r"""A column's distribution against the chance that its own value makes a hole: sums and integrals.

For p(x | u) and the log-chance f(eta(x)) of an event, `log_chances` gives log E[exp f(eta(x))]
and that of the opposite event, `tilted` the distribution of x given the event. Where these have a
closed form (a normal column with a probit, on whatever scale it is normal) it is used; levels and
counts are summed over; anything else is integrated at nodes that are dense where f rises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from pyro_gnr.data.table import Kind
from pyro_gnr.model.features import Units
from pyro_gnr.model.grids import Atoms, Tilted
from pyro_gnr.model.normal_cdf import log_ndtr
from pyro_gnr.model.quadrature import line, nodes
from pyro_gnr.model.skew_normal import ExtendedSkewNormal, LogSkewNormal

__all__ = [
    "LINKS",
    "OwnTerm",
    "log_chance",
    "log_chances",
    "log_odds",
    "tilted",
]

# log P(event) as a function of eta; both are symmetric, so that log P(no event) is f(-eta).
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "probit": log_ndtr,
    "logit": logsigmoid,
}

# Counts are summed over one by one up to this many, else over this many evenly spaced ones and,
# from 0 on, so many evenly spaced logarithms.
MOST_COUNTS = 256
MOST_GRADED = 128
# Log of the reciprocal of the probability that a count lies beyond those summed over, at least.
UNSEEN = 18.0
# A slope below is none: nowhere does eta pass a threshold.
FLATTEST = 1e-6


class OwnTerm(NamedTuple):
    r"""What a column's own value adds to the chance of an event, on the scale of the link.

    eta(x) = sign * (slope * g(x) - offset), or sign * (effects[x] - offset) for levels without an
    order.

    Attributes:
        slope: (C,).
        offset: (..., C).
        effects: (C, S), one for each level; None where no column has levels like that.
        sign: 1 or -1, one or (..., C): -1 turns the event into its opposite.
        natural: g, the scale on which a slope counts; None for values as they are.
    """

    slope: Tensor
    offset: Tensor
    effects: Tensor | None = None
    sign: Tensor | float = 1.0
    natural: Units | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Give eta (..., C) of values (..., C)."""
        eta = self.slope * (x if self.natural is None else self.natural(x)) - self.offset
        if self.effects is not None:
            level = x.clamp(0, self.effects.shape[-1] - 1).long()
            place = torch.arange(self.slope.shape[-1], device=x.device)
            eta = eta + self.effects[place, level]
        return self.sign * eta

    def rise(self) -> tuple[Tensor, Tensor]:
        """Values (..., C) between which eta goes from -1 to 1; infinite where no value is one.

        A scale that ends, as log-odds near a bound do, has the middle of the two within its ends:
        beyond them eta does not rise, and just before them it does.
        """
        slope = torch.where(self.slope.abs() < FLATTEST, FLATTEST, self.slope)
        middle, half = self.offset / slope, 1.0 / slope
        if self.natural is None:
            return middle - half, middle + half
        lowest, highest = (
            self.natural(torch.full_like(slope, end)) for end in (-math.inf, math.inf)
        )
        middle = torch.minimum(torch.maximum(middle, lowest), highest)
        return self.natural.back(middle - half), self.natural.back(middle + half)

    def __neg__(self) -> OwnTerm:
        """The term of the opposite event."""
        return self._replace(sign=-self.sign)

    def of(self, columns: Tensor) -> OwnTerm:
        """Give the term of some columns (n,)."""
        effects = None if self.effects is None else self.effects[columns]
        sign = self.sign[..., columns] if isinstance(self.sign, Tensor) else self.sign
        natural = None if self.natural is None else self.natural.of(columns)
        if natural is not None and not natural.curved:
            natural = None  # values as they are, for which there may be a closed form
        return OwnTerm(self.slope[columns], self.offset[..., columns], effects, sign, natural)


def log_odds(eta: Tensor, link: str) -> Tensor:
    """Give log P(event) - log P(no event)."""
    f = LINKS[link]
    return f(eta) - f(-eta)


def log_chance(distribution: Distribution, term: OwnTerm, link: str) -> Tensor:
    """Give log E[P(event | x)] for x from a block's distribution, batch (..., C).

    Example:
        >>> from torch.distributions import Normal
        >>> half = OwnTerm(torch.tensor([3.0]), torch.tensor([0.0]))
        >>> log_chance(Normal(torch.zeros(1), 1.0), half, "probit").exp()
        tensor([0.5000])
    """
    event, other = log_chances(distribution, term, link)
    return event - torch.logaddexp(event, other)


def log_chances(distribution: Distribution, term: OwnTerm, link: str) -> tuple[Tensor, Tensor]:
    """Give log E[P(event | x)] and log E[P(no event | x)], each (..., C).

    Where they are sums they share an error of 1e-4 or less, which their difference is free of.
    """
    if (skewed := _skewed(distribution, term, link)) is not None:
        return log_ndtr(skewed.t), log_ndtr(-skewed.t)
    x, log_mass = _nodes(distribution, term)
    eta = term(x)
    event, other = ((log_mass + LINKS[link](e)).logsumexp(0) for e in (eta, -eta))
    return event, other


def tilted(distribution: Distribution, term: OwnTerm, link: str) -> Distribution:
    """Give the distribution of a block's x given the event, batch (..., C)."""
    if (skewed := _skewed(distribution, term, link)) is not None:
        logs = isinstance(distribution, torch.distributions.LogNormal)
        return LogSkewNormal(skewed) if logs else skewed
    if isinstance(distribution, dist.Bernoulli):
        ones = torch.ones(distribution.batch_shape, device=distribution.probs.device)
        gain = LINKS[link](term(ones)) - LINKS[link](term(torch.zeros_like(ones)))
        return dist.Bernoulli(logits=distribution.logits + gain, validate_args=False)
    x, log_mass = _nodes(distribution, term)
    log_mass = (log_mass + LINKS[link](term(x))).log_softmax(0)
    if distribution.has_enumerate_support:
        return dist.Categorical(logits=log_mass.movedim(0, -1), validate_args=False)
    if not _continuous(distribution):
        return Atoms(x, log_mass)
    return Tilted(x, log_mass, line(distribution).curve)


def _skewed(distribution: Distribution, term: OwnTerm, link: str) -> ExtendedSkewNormal | None:
    """Give x (or log x, of a log-normal column) given the event, if that is a skew normal."""
    if link != "probit":
        return None
    slope, offset, natural = term.slope, term.offset, term.natural
    if isinstance(distribution, torch.distributions.LogNormal):
        if natural is None or set(natural.kinds) != {Kind.POSITIVE}:
            return None
        slope = slope / natural.spread
        offset = offset + slope * natural.centre
    elif natural is not None or not isinstance(distribution, torch.distributions.Normal):
        return None
    slope, offset = term.sign * slope, term.sign * offset
    return ExtendedSkewNormal(distribution.loc, distribution.scale, slope, offset)


def _continuous(distribution: Distribution) -> bool:
    support = distribution.support
    return not (distribution.has_enumerate_support or getattr(support, "is_discrete", False))


def _nodes(distribution: Distribution, term: OwnTerm) -> tuple[Tensor, Tensor]:
    """Values (S, ..., C) and their log-masses, the latter differentiable in the parameters."""
    if distribution.has_enumerate_support:
        levels = distribution.enumerate_support(expand=False)
        log_mass = distribution.log_prob(levels)
        shape = (len(levels), *(1 for _ in distribution.batch_shape))
        return levels.reshape(shape).to(log_mass), log_mass
    if _continuous(distribution):
        return nodes(distribution, *term.rise())
    if isinstance(distribution, dist.ZeroInflatedDistribution):
        x, log_mass = _nodes(distribution.base_dist, term)
        return _with_zeros(x, log_mass, distribution.gate_logits.expand(log_mass.shape[1:]))
    x, log_width = _counts(distribution)
    return x, distribution.log_prob(x) + log_width


@torch.no_grad()
def _counts(distribution: Distribution) -> tuple[Tensor, Tensor]:
    """Counts, all but extreme ones, and the log of how many each stands for.

    Either (S, 1, ..., 1), all from 0 on, or (S, ..., C), where those are too many.
    """
    mean, variance = distribution.mean, distribution.variance
    view = (-1, *(1 for _ in distribution.batch_shape))
    # Bernstein's inequality; the tail of an overdispersed count is an exponential one.
    reach = (2.0 * UNSEEN * variance).sqrt()
    low = (mean - reach).clamp(min=0.0).floor()
    high = (mean + reach + UNSEEN * (variance / mean.clamp(min=1e-30) - 2 / 3)).ceil()
    largest = high.max().item() if high.numel() else 0.0
    if largest < MOST_COUNTS:  # what depends on the count alone is then computed once
        x = torch.arange(int(largest) + 1, dtype=low.dtype, device=low.device).reshape(view)
        return x, torch.zeros_like(x)
    even = torch.linspace(0.0, 1.0, MOST_COUNTS + 1, dtype=low.dtype, device=low.device).view(view)
    edges = (low + even * (high + 1.0 - low)).round()
    if (low == 0.0).any():  # where the mass may crowd, all of it in the first few
        steep = torch.linspace(0.0, 1.0, MOST_GRADED, dtype=low.dtype, device=low.device).view(
            view
        )
        graded = torch.where(low == 0.0, (high + 1.0).pow(steep), low)
        edges = torch.cat([edges, graded.round()]).sort(0).values
    width = edges[1:] - edges[:-1]
    return edges[:-1] + ((width - 1.0) / 2).floor().clamp(min=0.0), width.log()


def _with_zeros(x: Tensor, log_mass: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
    """Add excess zeros, a node of their own: gate (..., C) is their logit."""
    zero = x.new_zeros((1, *x.shape[1:]))
    log_mass = torch.cat([logsigmoid(gate).unsqueeze(0), log_mass + logsigmoid(-gate)])
    return torch.cat([zero, x]), log_mass
