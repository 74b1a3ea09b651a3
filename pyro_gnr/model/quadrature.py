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

from pyro_gnr.model.transport import SMALLEST_POSITIVE, cdf, transport

__all__ = ["MOST_NODES", "Line", "line", "nodes"]

# Lines are cut at +-REACH, beyond which a normal has no mass in single precision.
REACH = 7.5
# Spacing of r: errors of an integral stay below 1e-4 (normal, log-normal, Student, gamma, beta).
STEP = 0.5
# A rise is taken to be no steeper than this, in the units of the line.
STEEPEST = 1e3
# Lines of skewed families are narrower by this factor: nodes are denser, and still reach far.
TIGHT = 0.7
# So many nodes the steepest rise takes, at most.
MOST_NODES = math.ceil(2 * (REACH + math.log(2 * STEEPEST)) / STEP) + 2


class Line(NamedTuple):
    """A rising map between x and v, on whose scale p(x) is about standard normal.

    Attributes:
        score: x -> v.
        value: v -> x and log(dx / dv).
    """

    score: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], tuple[Tensor, Tensor]]


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

    return Line(score, value)


@line.register
def _(distribution: td.Normal) -> Line:
    loc, scale = distribution.loc, distribution.scale
    return Line(
        lambda x: (x - loc) / scale,
        lambda v: (loc + scale * v, scale.log().expand_as(v)),
    )


@line.register
def _(distribution: td.LogNormal) -> Line:
    return _of_logarithm(line(distribution.base_dist))


@line.register
def _(distribution: td.StudentT) -> Line:
    # The fewer the degrees of freedom, the farther out the mean has to look.
    bend = (2.5 / distribution.df).clamp(0.5, 1.0)
    return _heavy(distribution.loc, distribution.scale, bend)


@line.register
def _(distribution: td.Gamma) -> Line:
    # Around the mode of log x, by its curvature; where x has a long tail to 0, which is
    # exponential in log x, no wider than the other tail.
    shape = distribution.concentration
    scale = TIGHT * (1.0 + shape).rsqrt()
    return _of_logarithm(_heavy(shape.log() - distribution.rate.log(), scale))


@line.register
def _(distribution: td.Beta) -> Line:
    a, b = distribution.concentration1, distribution.concentration0
    odds = _heavy(a.log() - b.log(), TIGHT * (1.0 + a * b / (a + b)).rsqrt())

    def value(v: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = odds.value(v)
        slope = torch.nn.functional.logsigmoid(y) + torch.nn.functional.logsigmoid(-y)
        return torch.sigmoid(y), log_slope + slope

    return Line(lambda x: odds.score(torch.logit(x.clamp(0.0, 1.0))), value)


def _of_logarithm(logs: Line) -> Line:
    """The line of x from that of log x."""

    def value(v: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = logs.value(v)
        return y.exp().clamp(min=SMALLEST_POSITIVE), log_slope + y

    return Line(lambda x: logs.score(x.clamp(min=0.0).log()), value)


def _heavy(loc: Tensor, scale: Tensor, bend: Tensor | float = 0.5) -> Line:
    """For x = loc + scale sinh(bend v) / bend: near normal in the middle, exponential far out."""
    return Line(
        lambda x: torch.asinh(bend * (x - loc) / scale) / bend,
        lambda v: (
            loc + scale * torch.sinh(bend * v) / bend,
            (scale * torch.cosh(bend * v)).log(),
        ),
    )


def nodes(distribution: td.Distribution, below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Give values (S, ..., C), ascending, and their log-masses, whose sum over S is log 1.

    The values are constants. For fixed x_i and spacings dx_i the integral of p(x) f(x) is the sum
    of p(x_i) dx_i f(x_i), and its gradient in the parameters of p and f the gradient of the sum.

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
    with torch.no_grad():
        scale = line(distribution)
        ends = [scale.score(x).clamp(-REACH, REACH) for x in (below, above)]
        v, log_dv = _clustered(*(end.expand(distribution.batch_shape) for end in ends))
        x, log_dx = scale.value(v)
    return x, distribution.log_prob(x) + (log_dx + log_dv).to(x)


def _clustered(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Places v (S, ...) and log-spacings, denser between two places (...) where f rises."""
    centre = (first + second) / 2
    k = (2.0 / (second - first).abs()).clamp(1.0, STEEPEST)
    k = torch.where(centre.abs() < REACH, k, 1.0)  # f does not rise within reach
    low, high = (torch.asinh(k * torch.sinh(end - centre)) for end in (-REACH, REACH))
    n = math.ceil((high - low).max().item() / STEP) if low.numel() else 1
    place = torch.arange(n + 1, dtype=low.dtype, device=low.device)
    r = low + STEP * place.reshape(-1, *(1 for _ in low.shape))
    # Cells that need fewer nodes than others are none the wiser: the rest of theirs have no mass.
    s = torch.sinh(torch.minimum(r, high))
    log_slope = 0.5 * ((1.0 + s.square()) / (k.square() + s.square())).log() + math.log(STEP)
    return centre + torch.asinh(s / k), torch.where(r <= high, log_slope, -torch.inf)
