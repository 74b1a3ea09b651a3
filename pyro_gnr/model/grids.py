"""Distributions on grids: a density at nodes, and counts with given masses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import pad

from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.transport import BOUND_GAP, SMALLEST_POSITIVE, transport

__all__ = ["LOGARITHM", "LOG_ODDS", "PLAIN", "Atoms", "Curve", "OnGrid", "Tilted"]

# Of Newton's method, which finds a value between two nodes.
NEWTON_STEPS = 5
# Weights of five nodes around one that a sum up to and with it is corrected by: half of its own
# mass lies beyond, and its neighbours tell the rest.
HALVED = tuple(w / 1440.0 for w in (-11.0, 82.0, -720.0, -82.0, 11.0))


class Curve(NamedTuple):
    """A rising map of values to all real numbers: forth, and back to values off any bound."""

    forth: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def _positive(x: Tensor) -> Tensor:
    return x.clamp(SMALLEST_POSITIVE, 1.0 / SMALLEST_POSITIVE)


def _inside(x: Tensor) -> Tensor:
    return x.clamp(BOUND_GAP, 1.0 - BOUND_GAP)


PLAIN = Curve(lambda x: x, lambda y: y)
LOGARITHM = Curve(lambda x: _positive(x).log(), lambda y: _positive(y.exp()))
LOG_ODDS = Curve(lambda x: torch.logit(_inside(x)), lambda y: _inside(torch.sigmoid(y)))


class OnGrid(TorchDistribution):
    """What has its mass at nodes; abstract.

    Args:
        nodes: (S, ..., C), ascending.
        log_mass: (S, ..., C) log-masses of the nodes; they sum to one.
        curve: x -> y; values between nodes, where there are any, are found on the scale of y.
    """

    arg_constraints = {}
    has_rsample = False

    def __init__(self, nodes: Tensor, log_mass: Tensor, curve: Curve = PLAIN) -> None:
        self.nodes, self.mass, self.curve = nodes, log_mass.exp(), curve
        super().__init__(log_mass.shape[1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x] over the nodes, (..., C)."""
        return (self.mass * self.nodes).sum(0)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., C)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.quantile(torch.rand(shape, dtype=torch.float64, device=self.nodes.device))

    @abstractmethod
    def quantile(self, probability: Tensor) -> Tensor:
        """Invert the CDF: (*sample_shape, ..., C) for probabilities of that shape."""


class Tilted(OnGrid):
    r"""A continuous distribution on nodes x(r), evenly spaced in some r of which x is smooth.

    Between nodes, the density in r is taken as linear and y as cubic. The first and the last node
    repeat their neighbours and are atoms, see `quadrature.nodes`.
    """

    support = constraints.real

    @cached_property
    def _below(self) -> Tensor:
        """CDF at the nodes, (..., C, S); between any two by the quintic through six nodes."""
        mass = self.mass.double().movedim(0, -1)
        first, inner = mass[..., :1], mass[..., 1:-1]
        beside = pad(inner, (2, 2)).unfold(-1, 5, 1)
        inner = first + inner.cumsum(-1) + (beside * beside.new_tensor(HALVED)).sum(-1)
        total = mass.sum(-1, keepdim=True)
        below = torch.cat([0.0 * first, inner, total], -1) / total
        return below.clamp(0.0, 1.0).cummax(-1).values

    def quantile(self, probability: Tensor) -> Tensor:
        """Invert the CDF: (*sample_shape, ..., C) for probabilities of that shape."""
        p = probability.double()
        i = _place(self._below, p)
        low, high = (_at(self._below, i + k) for k in (0, 1))
        around = self._around(i)
        y = _cubic(around, _share(self._ends(i), _part(low, high, p)))
        y = torch.minimum(torch.maximum(y, around[1]), around[2])
        return self.curve.back(y).to(self.nodes)

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(x <= value), (..., C)."""
        y = self.curve.forth(value.double())
        i = _place(self._bent, y)
        around = self._around(i)
        share = _part(around[1], around[2], y)
        for _ in range(NEWTON_STEPS):
            slope = _cubic_slope(around, share)
            error = _cubic(around, share) - y
            share = torch.where(slope > 0.0, share - error / slope, share).clamp(0.0, 1.0)
        share = torch.where(y >= around[2], 1.0, share)
        first, last = self._ends(i)
        inner = share * (2.0 * first + (last - first) * share) / (first + last)
        low, high = (_at(self._below, i + k) for k in (0, 1))
        return (low + inner * (high - low)).to(value)

    @cached_property
    def _bent(self) -> Tensor:
        """Nodes on the scale of y, (..., C, S)."""
        return self.curve.forth(self.nodes.double()).movedim(0, -1)

    def _ends(self, i: Tensor) -> tuple[Tensor, Tensor]:
        """Densities in r at both ends of cell i."""
        mass = self.mass.double().movedim(0, -1)
        first, last = (_at(mass, i + k).clamp(min=1e-300) for k in (0, 1))
        return first, last

    def _around(self, i: Tensor) -> list[Tensor]:
        """Four nodes around cell i."""
        table = self._bent
        return [_at(table, (i + k).clamp(0, len(self.nodes) - 1)) for k in (-1, 0, 1, 2)]


def _place(table: Tensor, value: Tensor) -> Tensor:
    """Cell i of tables (..., C, S) in which values (*lead, ..., C) lie."""
    lead = value.shape[: value.dim() - table.dim() + 1]
    table = table.expand(*lead, *table.shape).contiguous()
    value = value.expand(table.shape[:-1]).unsqueeze(-1).contiguous()
    i = torch.searchsorted(table, value, right=True).squeeze(-1) - 1
    return i.clamp(0, table.shape[-1] - 2)


def _at(table: Tensor, i: Tensor) -> Tensor:
    """Entry i (*lead, ..., C) of tables (..., C, S)."""
    return table.expand(*i.shape, table.shape[-1]).gather(-1, i.unsqueeze(-1)).squeeze(-1)


def _part(low: Tensor, high: Tensor, value: Tensor) -> Tensor:
    return ((value - low) / (high - low).clamp(min=1e-300)).clamp(0.0, 1.0)


def _share(ends: tuple[Tensor, Tensor], part: Tensor) -> Tensor:
    """Where in a cell a part of its mass is reached; the density is linear between its ends."""
    first, last = ends
    root = (first.square() + (last.square() - first.square()) * part).sqrt()
    return part * (first + last) / (first + root)


def _cubic(p: list[Tensor], t: Tensor) -> Tensor:
    """Catmull and Rom's curve through p[1] (t = 0) and p[2] (t = 1)."""
    a, b = 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3], 3 * (p[1] - p[2]) + p[3] - p[0]
    return p[1] + 0.5 * t * (p[2] - p[0] + t * (a + t * b))


def _cubic_slope(p: list[Tensor], t: Tensor) -> Tensor:
    a, b = 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3], 3 * (p[1] - p[2]) + p[3] - p[0]
    return 0.5 * (p[2] - p[0] + t * (2 * a + 3 * t * b))


class Atoms(OnGrid):
    """Counts with given log-masses, the nodes counts."""

    support = constraints.nonnegative_integer

    def quantile(self, probability: Tensor) -> Tensor:
        """Give the smallest count whose CDF reaches a probability."""
        lead = probability.shape[: probability.dim() - len(self.batch_shape)]
        below = self.mass.double().movedim(0, -1).cumsum(-1)
        below = (below / below[..., -1:]).expand(*lead, *below.shape).contiguous()
        i = torch.searchsorted(below, probability.unsqueeze(-1).contiguous()).squeeze(-1)
        return _at(self.nodes.movedim(0, -1), i.clamp(max=len(self.nodes) - 1))

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(x <= value)."""
        return (self.mass * (self.nodes <= value)).sum(0)


@transport.register
def _(distribution: OnGrid, uniforms: Tensor) -> Tensor:
    return distribution.quantile(uniforms)
