"""What likelihoods share whose location is linear in u on a logarithmic or logistic scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale, natural
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.linear import LinearModel

__all__ = ["NaturalScale"]

# A location this many standard deviations of t(x) away from the observed mean is as far as any:
# means stay finite for any u, and far particles cannot outweigh all others.
FARTHEST = 10.0


class NaturalScale(LocationScale):
    r"""Location and spread of t(x_j), the number on its natural scale, from u; abstract.

    With c_j and d_j the observed mean and standard deviation of t(x_j) (log x_j of a positive,
    log-odds of a bounded column; `calibrate` finds them, before that they are 0 and 1):
    eta_j(u) = c_j + d_j h_j(u), h_j linear and within +-10; s_j(u) = d_j r_j(u), where r_j is
    between floor and ceiling as in `LocationScale`.

    Args:
        floor: smallest spread, in (0, 1), in observed standard deviations of t(x_j).
        ceiling: largest spread, above the floor.
        heteroscedastic: whether the spread depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.
    """

    # d_j of a column whose numbers hardly differ.
    smallest_unit = 1e-3
    centre: Tensor
    unit: Tensor

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and the units 0 and 1."""
        super().build(columns, u_dim)
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("unit", torch.ones(len(columns)))

    @torch.no_grad()
    def calibrate(self, x: Tensor, visible: Tensor) -> None:
        """Take mean and standard deviation of t(x_j) over the visible cells."""
        (kind,) = self.kinds
        t = torch.where(visible, natural(x, Kind(kind)), 0.0)
        n = visible.sum(0).clamp(min=1)
        self.centre.copy_(t.sum(0) / n)
        deviation = torch.where(visible, t - self.centre, 0.0)
        unit = (deviation.square().sum(0) / n).sqrt()
        self.unit.copy_(unit.clamp(min=self.smallest_unit))

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start at the linear model of t(x_j), with constant spreads."""
        super().start(linear, self._in_units(scale))

    def _in_units(self, scale: FeatureScale) -> FeatureScale:
        return FeatureScale((scale.mean - self.centre) / self.unit, scale.scale / self.unit)

    def _location_spread(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Split parameters (..., 2C) into eta and s, each (..., C)."""
        location, spread = self._location_scale(parameters)
        location = location.clamp(-FARTHEST, FARTHEST)
        return self.centre + self.unit * location, self.unit * spread
