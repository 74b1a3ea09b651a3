"""Distributions on grids: a density at nodes, and counts with given masses."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import pad

from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.transport import transport

__all__ = ["Atoms", "OnGrid", "Tilted"]

# Of Newton's method, which finds a value between two nodes.
NEWTON_STEPS = 5
# Weights of the six nodes around a cell, of spacing 1, in its integral.
CELL = tuple(w / 1440.0 for w in (11.0, -93.0, 802.0, 802.0, -93.0, 11.0))


class OnGrid(TorchDistribution):
    """What has its mass at nodes; abstract.

    Args:
        nodes: (S, ..., C), ascending.
        log_mass: (S, ..., C) log-masses of the nodes; they sum to one.
    """

    arg_constraints = {}
    has_rsample = False

    def __init__(self, nodes: Tensor, log_mass: Tensor) -> None:
        self.nodes, self.mass = nodes, log_mass.exp()
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

    Between nodes, the density in r is taken as linear and x as cubic.
    """

    support = constraints.real

    @cached_property
    def _below(self) -> Tensor:
        """CDF at the nodes, (..., C, S); cells are integrals of quintics through six nodes."""
        m = pad(self.mass.double().movedim(0, -1), (2, 2)).unfold(-1, 6, 1)
        cells = (m * m.new_tensor(CELL)).sum(-1)
        below = pad(cells.clamp(min=0.0).cumsum(-1), (1, 0))
        return below / below[..., -1:]

    def quantile(self, probability: Tensor) -> Tensor:
        """Invert the CDF: (*sample_shape, ..., C) for probabilities of that shape."""
        p = probability.double()
        i = _place(self._below, p)
        low, high = (_at(self._below, i + k) for k in (0, 1))
        return _cubic(self._around(i), _share(self._ends(i), _part(low, high, p))).to(self.nodes)

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(x <= value), (..., C)."""
        i = _place(self.nodes.movedim(0, -1), value.to(self.nodes))
        around = self._around(i)
        share = _part(around[1], around[2], value.double())
        for _ in range(NEWTON_STEPS):
            slope = _cubic_slope(around, share)
            error = _cubic(around, share) - value.double()
            share = torch.where(slope > 0.0, share - error / slope, share).clamp(0.0, 1.0)
        first, last = self._ends(i)
        inner = share * (2.0 * first + (last - first) * share) / (first + last)
        low, high = (_at(self._below, i + k) for k in (0, 1))
        return (low + inner * (high - low)).to(value)

    def _ends(self, i: Tensor) -> tuple[Tensor, Tensor]:
        """Densities in r at both ends of cell i."""
        mass = self.mass.double().movedim(0, -1)
        first, last = (_at(mass, i + k).clamp(min=1e-300) for k in (0, 1))
        return first, last

    def _around(self, i: Tensor) -> list[Tensor]:
        """Four nodes around cell i."""
        table = self.nodes.double().movedim(0, -1)
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
