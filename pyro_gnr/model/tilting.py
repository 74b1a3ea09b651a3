r"""A column's distribution against the chance that its own value makes a hole: sums and integrals.

For p(x | u) and the log-chance f(eta(x)) of an event, `log_chance` gives log E[exp f(eta(x))]
and `tilted` the distribution of x given the event. Where both have a closed form (a normal
column with a probit) it is used; levels are summed over; anything else is integrated over
quantiles of p(x | u), which is exact but for the spacing of the nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.features import NaturalScale
from pyro_gnr.model.skew_normal import ExtendedSkewNormal
from pyro_gnr.model.transport import cdf, transport

__all__ = ["LINKS", "Atoms", "OwnTerm", "Tilted", "log_chance", "log_odds", "tilted"]

# log P(event) as a function of eta; both are symmetric, so that log P(no event) is f(-eta).
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "probit": torch.special.log_ndtr,
    "logit": logsigmoid,
}

# Nodes are quantiles at Phi(v), v = -REACH, ..., REACH. Bounds are summed over few of them,
# for every particle and step; imputations are drawn from a finer grid.
REACH = 7.5
COARSE, FINE = 0.5, 0.1
# Counts are summed over one by one up to this many, else over this many evenly spaced ones.
MOST_COUNTS = 256


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
    natural: NaturalScale | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Give eta (..., C) of values (..., C)."""
        eta = self.slope * (x if self.natural is None else self.natural(x)) - self.offset
        if self.effects is not None:
            level = x.clamp(0, self.effects.shape[-1] - 1).long()
            place = torch.arange(self.slope.shape[-1], device=x.device)
            eta = eta + self.effects[place, level]
        return self.sign * eta

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
    if _closed(distribution, term, link):
        return torch.special.log_ndtr(_skewed(distribution, term).t)
    nodes, log_mass = _nodes(distribution, COARSE)
    return (log_mass + LINKS[link](term(nodes))).logsumexp(0)


def tilted(distribution: Distribution, term: OwnTerm, link: str) -> Distribution:
    """Give the distribution of a block's x given the event, batch (..., C)."""
    if _closed(distribution, term, link):
        return _skewed(distribution, term)
    if isinstance(distribution, dist.Bernoulli):
        ones = torch.ones(distribution.batch_shape, device=distribution.probs.device)
        gain = LINKS[link](term(ones)) - LINKS[link](term(torch.zeros_like(ones)))
        return dist.Bernoulli(logits=distribution.logits + gain, validate_args=False)
    step = FINE if _continuous(distribution) else COARSE
    nodes, log_mass = _nodes(distribution, step)
    log_mass = (log_mass + LINKS[link](term(nodes))).log_softmax(0)
    if distribution.has_enumerate_support:
        return dist.Categorical(logits=log_mass.movedim(0, -1), validate_args=False)
    if _continuous(distribution):
        return Tilted(distribution, nodes, log_mass)
    return Atoms(nodes, log_mass)


def _closed(distribution: Distribution, term: OwnTerm, link: str) -> bool:
    normal = isinstance(distribution, torch.distributions.Normal)
    return normal and link == "probit" and term.natural is None


def _skewed(distribution: Distribution, term: OwnTerm) -> ExtendedSkewNormal:
    assert isinstance(distribution, torch.distributions.Normal)
    slope, offset = (term.sign * p for p in (term.slope, term.offset))
    return ExtendedSkewNormal(distribution.loc, distribution.scale, slope, offset)


def _continuous(distribution: Distribution) -> bool:
    support = distribution.support
    return not (distribution.has_enumerate_support or getattr(support, "is_discrete", False))


def _nodes(distribution: Distribution, step: float) -> tuple[Tensor, Tensor]:
    """Values (S, ..., C) and their log-masses, the latter differentiable in the parameters.

    The nodes themselves are constants: for fixed nodes x_i and spacings dx_i the integral of
    p(x) g(x) is the sum of p(x_i) dx_i g(x_i), whose gradient needs no inverse CDF.
    """
    if distribution.has_enumerate_support:
        levels = distribution.enumerate_support(expand=False)
        log_mass = distribution.log_prob(levels)
        shape = (len(levels), *(1 for _ in distribution.batch_shape))
        return levels.reshape(shape).to(log_mass), log_mass
    if not _continuous(distribution):
        return _counts(distribution)
    v = _grid(step)
    view = (-1, *(1 for _ in distribution.batch_shape))
    at = torch.special.ndtr(v).reshape(view)
    with torch.no_grad():
        nodes = transport(distribution, at.expand(-1, *distribution.batch_shape))
    log_density = distribution.log_prob(nodes)
    spacing = (-0.5 * v.square() - 0.5 * math.log(2 * math.pi) + math.log(step)).reshape(view)
    return nodes, spacing.to(log_density) + (log_density - log_density.detach())


def _grid(step: float) -> Tensor:
    n = round(REACH / step)
    return torch.arange(-n, n + 1, dtype=torch.float64) * step


def _counts(distribution: Distribution) -> tuple[Tensor, Tensor]:
    """Counts (S, ..., C) between the extreme quantiles, and the log-mass each stands for."""
    with torch.no_grad():
        low, high = (
            transport(distribution, torch.full(distribution.batch_shape, p, dtype=torch.float64))
            for p in (1e-9, 1 - 1e-9)
        )
        width = ((high - low + 1) / MOST_COUNTS).ceil().clamp(min=1.0)
        most = min(MOST_COUNTS, int((high - low).max()) + 1)
        view = (-1, *(1 for _ in distribution.batch_shape))
        place = torch.arange(most, dtype=low.dtype, device=low.device).reshape(view)
        nodes = low + width * place + ((width - 1) / 2).floor()
    return nodes, distribution.log_prob(nodes) + width.log()


class Tilted(TorchDistribution):
    r"""A continuous p(x) times a function of x, on a grid of p's quantiles.

    Args:
        base: p, batch (..., C).
        nodes: (S, ..., C) its quantiles at Phi(v) for evenly spaced v.
        log_mass: (S, ..., C) log-masses of the nodes; they sum to one.
    """

    arg_constraints = {}
    support = constraints.real
    has_rsample = False

    def __init__(self, base: Distribution, nodes: Tensor, log_mass: Tensor) -> None:
        self.base, self.nodes = base, nodes
        self.mass = log_mass.exp()
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x] over the nodes."""
        return (self.mass * self.nodes).sum(0)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., C)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.quantile(torch.rand(shape, dtype=torch.float64, device=self.nodes.device))

    def _edges(self) -> tuple[Tensor, Tensor]:
        """Points (S + 1,) half way between nodes, in v, and the CDF (S + 1, ..., C) there."""
        n = len(self.nodes)
        step = 2 * REACH / (n - 1)
        v = (torch.arange(n + 1, dtype=torch.float64, device=self.nodes.device) - n / 2) * step
        below = torch.nn.functional.pad(self.mass.double().movedim(0, -1).cumsum(-1), (1, 0))
        return v, (below / below[..., -1:]).movedim(-1, 0)

    def quantile(self, probability: Tensor) -> Tensor:
        """Invert the CDF, linear in v between edges: (..., C) for probabilities (..., C)."""
        v, edges = self._edges()
        lead = probability.shape[: probability.dim() - len(self.batch_shape)]
        edges = edges.movedim(0, -1).expand(*lead, *self.batch_shape, len(v)).contiguous()
        p = probability.unsqueeze(-1).contiguous()
        i = (torch.searchsorted(edges, p, right=True) - 1).clamp(0, len(v) - 2)
        low, high = edges.gather(-1, i), edges.gather(-1, i + 1)
        share = ((p - low) / (high - low).clamp(min=1e-300)).clamp(0.0, 1.0)
        at = (v[i] + share * (v[1] - v[0])).squeeze(-1)
        return transport(self.base, torch.special.ndtr(at)).to(self.nodes)

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(x <= value), (..., C), linear in v between edges."""
        v, edges = self._edges()
        p = cdf(self.base, value).double().clamp(1e-15, 1 - 1e-15)
        place = (torch.special.ndtri(p) - v[0]) / (v[1] - v[0])
        i = place.floor().clamp(0, len(v) - 2)
        table = edges.movedim(0, -1).expand(*p.shape, len(v))
        low, high = (table.gather(-1, (i + k).long().unsqueeze(-1)).squeeze(-1) for k in (0, 1))
        return (low + (place - i).clamp(0.0, 1.0) * (high - low)).to(value)


class Atoms(TorchDistribution):
    """Counts with given log-masses.

    Args:
        nodes: (S, ..., C) ascending counts.
        log_mass: (S, ..., C); they sum to one.
    """

    arg_constraints = {}
    support = constraints.nonnegative_integer
    has_rsample = False

    def __init__(self, nodes: Tensor, log_mass: Tensor) -> None:
        self.nodes, self.mass = nodes, log_mass.exp()
        super().__init__(log_mass.shape[1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return (self.mass * self.nodes).sum(0)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., C)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.quantile(torch.rand(shape, dtype=torch.float64, device=self.nodes.device))

    def quantile(self, probability: Tensor) -> Tensor:
        """Give the smallest count whose CDF reaches a probability."""
        lead = probability.shape[: probability.dim() - len(self.batch_shape)]
        below = self.mass.double().movedim(0, -1).cumsum(-1)
        below = (below / below[..., -1:]).expand(*lead, *below.shape).contiguous()
        i = torch.searchsorted(below, probability.unsqueeze(-1).contiguous())
        nodes = self.nodes.movedim(0, -1).expand(below.shape)
        return nodes.gather(-1, i.clamp(max=len(self.nodes) - 1)).squeeze(-1)

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(x <= value)."""
        return (self.mass * (self.nodes <= value)).sum(0)


@transport.register
def _(distribution: Tilted, uniforms: Tensor) -> Tensor:
    return distribution.quantile(uniforms)


@transport.register
def _(distribution: Atoms, uniforms: Tensor) -> Tensor:
    return distribution.quantile(uniforms)
