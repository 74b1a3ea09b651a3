r"""Nodes for integrals of p(x) f(x) over one number, where f may rise steeply somewhere.

A smooth map x(r) of the real line turns the integral into one of p(x(r)) f(x(r)) x'(r), summed
over evenly spaced r: for smooth integrands that vanish at both ends the error falls exponentially
in 1 / spacing. The map is a composition. The outer part x(v), a `Line`, makes p about normal in
v; the inner one,

    v(r) = centre + asinh(sinh(r) / k),

has slope 1/k at the centre of f's rise and 1 far from it, so that a rise of width 1/k in v has
width 1 in r: a k times steeper f costs 2 log(k) more in the range of r, and no accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import torch
import torch.distributions as td
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyro_gnr.model.grids import LOG_ODDS, LOGARITHM, PLAIN, Curve
from pyro_gnr.model.transport import cdf, transport

__all__ = ["MOST_NODES", "Line", "line", "nodes"]

# Lines are cut at +-REACH, beyond which a normal has no mass in single precision.
REACH = 7.5
# Spacing of r: errors of an integral stay below 1e-4 (normal, log-normal, Student, gamma, beta).
STEP = 0.5
# A rise is taken to be no steeper than this, in the units of the line.
STEEPEST = 1e3
# Lines of skewed families are narrower by this factor: nodes are denser, and still reach far.
TIGHT = 0.7
# Of a concentration below 1: this much more is where its long tail begins.
SHIFT = 0.5
# And for it the line reaches this much further out, in the units of `bend`.
BENT = 0.1
# So many nodes the steepest rise takes, at most.
MOST_NODES = math.ceil(2 * (REACH + math.log(2 * STEEPEST)) / STEP) + 4
# Weights of the outermost nodes, and of all further in, where the integrand does not vanish there.
GREGORY = (3 / 8, 7 / 6, 23 / 24, 1.0)
# Of a number of steps: this much more than a whole number is none.
ROUNDING = 1e-3


class Line(NamedTuple):
    """A rising map between x and v, on whose scale p is about standard normal, by way of y.

    y is x itself, its logarithm or its log-odds: a number that tells values near a bound apart
    where x has run out of digits.

    Attributes:
        score: x -> v.
        value: v -> y and log(dy / dv).
        log_density: y -> log p(y).
        curve: x -> y and back.
        decay: where p(y) falls like exp(-low |y|) below and exp(-high y) above, however slowly,
            the two exponents (..., C); infinite where it falls faster.
    """

    score: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], tuple[Tensor, Tensor]]
    log_density: Callable[[Tensor], Tensor]
    curve: Curve = PLAIN
    decay: tuple[Tensor | float, Tensor | float] = (math.inf, math.inf)


@singledispatch
def line(distribution: td.Distribution) -> Line:
    """Give the line of a univariate continuous distribution, batch (..., C).

    By default v is the normal score of x, for which p is normal exactly: that needs an inverse
    CDF for each node. Common families have lines in closed form.

    Example:
        >>> line(td.Normal(1.0, 2.0)).score(torch.tensor(5.0))
        tensor(2.)
    """

    def score(x: Tensor) -> Tensor:
        return torch.special.ndtri(cdf(distribution, x).double()).to(x)

    def value(v: Tensor) -> tuple[Tensor, Tensor]:
        x = transport(distribution, torch.special.ndtr(v.double()))
        log_density = -0.5 * v.square() - 0.5 * math.log(2 * math.pi)
        return x, log_density - distribution.log_prob(x)

    return Line(score, value, distribution.log_prob)


@line.register
def _(distribution: td.Normal) -> Line:
    loc, scale = distribution.loc, distribution.scale
    return Line(
        lambda x: (x - loc) / scale,
        lambda v: (loc + scale * v, scale.log().expand_as(v)),
        distribution.log_prob,
    )


@line.register
def _(distribution: td.LogNormal) -> Line:
    score, value, log_density, *_ = line(distribution.base_dist)
    return Line(lambda x: score(x.clamp(min=0.0).log()), value, log_density, LOGARITHM)


@line.register
def _(distribution: td.StudentT) -> Line:
    # The fewer the degrees of freedom, the farther out the mean has to look.
    bend = (2.5 / distribution.df).clamp(0.5, 1.0)
    score, value = _heavy(distribution.loc, distribution.scale, bend)
    return Line(score, value, distribution.log_prob)


@line.register
def _(distribution: td.Gamma) -> Line:
    # Around the mode of log x, by its curvature; where x has a long tail to 0, which is
    # exponential in log x, around where that begins and no wider than the other tail.
    shape, rate = distribution.concentration, distribution.rate
    loc, scale = (shape + SHIFT).log() - rate.log(), TIGHT * (1.0 + shape).rsqrt()
    score, value = _heavy(loc, scale, 0.5 + BENT * (1.0 + shape).reciprocal())

    def log_density(y: Tensor) -> Tensor:
        at = y + rate.log()
        return shape * at - at.exp() - torch.lgamma(shape)

    decay = (shape, math.inf)
    return Line(lambda x: score(x.clamp(min=0.0).log()), value, log_density, LOGARITHM, decay)


@line.register
def _(distribution: td.Beta) -> Line:
    a, b = distribution.concentration1, distribution.concentration0
    loc = (a + SHIFT).log() - (b + SHIFT).log()
    score, value = _heavy(loc, TIGHT * (1.0 + a * b / (a + b)).rsqrt())

    def log_density(y: Tensor) -> Tensor:
        log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        return a * logsigmoid(y) + b * logsigmoid(-y) - log_beta

    def place(x: Tensor) -> Tensor:
        return score(torch.logit(x.clamp(0.0, 1.0)))

    return Line(place, value, log_density, LOG_ODDS, (a, b))


def _heavy(
    loc: Tensor, scale: Tensor, bend: Tensor | float = 0.5
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """For y = loc + scale sinh(bend v) / bend: near normal in the middle, exponential far out."""
    return (
        lambda y: torch.asinh(bend * (y - loc) / scale) / bend,
        lambda v: (
            loc + scale * torch.sinh(bend * v) / bend,
            (scale * torch.cosh(bend * v)).log(),
        ),
    )


def nodes(distribution: td.Distribution, below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Give values (S, ..., C), ascending, and their log-masses, whose sum over S is log 1.

    The values are constants. For fixed x_i and spacings dx_i the integral of p(x) f(x) is the sum
    of p(x_i) dx_i f(x_i), and its gradient in the parameters of p and f the gradient of the sum.
    The first and the last repeat the values beside them, for the mass beyond these: near a bound,
    where a concentration below 1 leaves mass however close one looks.

    Args:
        distribution: p, continuous, batch (..., C).
        below: (..., C) where f starts to rise (or fall).
        above: (..., C) where it has risen; infinite where it never does.

    Example:
        >>> normal = td.Normal(torch.zeros(1), 1.0)
        >>> x, log_mass = nodes(normal, torch.tensor([0.99]), torch.tensor([1.01]))
        >>> bool((log_mass.exp() * x.square()).sum() - 1.0 < 1e-4)
        True
    """
    scale = line(distribution)
    with torch.no_grad():
        ends = [scale.score(x).clamp(-REACH, REACH) for x in (below, above)]
        v, log_dv = _clustered(*(end.expand(distribution.batch_shape) for end in ends))
        y, log_dy = scale.value(v)
        x = scale.curve.back(y)
    log_density = scale.log_density(y)
    log_mass = log_density + (log_dy + log_dv).to(x)
    first, last = (
        log_density[i] - torch.as_tensor(rate).log()
        for i, rate in zip((0, -1), scale.decay, strict=True)
    )
    return torch.cat([x[:1], x, x[-1:]]), torch.cat([first[None], log_mass, last[None]])


def _clustered(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Places v (S, ...) and log-spacings, denser between two places (...) where f rises."""
    centre = (first + second) / 2
    k = (2.0 / (second - first).abs()).clamp(1.0, STEEPEST)
    k = torch.where(centre.abs() < REACH, k, 1.0)  # f does not rise within reach
    low, high = (torch.asinh(k * torch.sinh(end - centre)) for end in (-REACH, REACH))
    # Each cell has its own number of steps. Those that need fewer than others are none the wiser:
    # the rest of their nodes have no mass.
    n = ((high - low) / STEP - ROUNDING).ceil()
    most = int(n.max().item()) if n.numel() else 1
    place = torch.arange(most + 1, dtype=n.dtype, device=n.device)
    place = place.reshape(-1, *(1 for _ in n.shape))
    step, i = (high - low) / n, torch.minimum(place, n)
    s = torch.sinh(low + step * i)
    log_slope = 0.5 * ((1.0 + s.square()) / (k.square() + s.square())).log() + step.log()
    weights = torch.tensor(GREGORY, dtype=n.dtype, device=n.device).log()
    log_slope = log_slope + weights[torch.minimum(i, n - i).clamp(max=len(GREGORY) - 1).long()]
    return centre + torch.asinh(s / k), torch.where(place <= n, log_slope, -torch.inf)
