"""What the likelihoods of counts share: a mean that is linear in u on the scale of logarithms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.bernoulli import STEEPEST
from pyro_gnr.model.linear import LinearModel

__all__ = ["Counts"]

# A log-mean this far from that of the column is as far as any: means stay finite for any u.
FARTHEST = 10.0
SMALLEST_MEAN = 1e-3


class Counts(Likelihood):
    r"""Counts with mean lambda_j(u) = exp(c_j + h_j(u)), h_j linear and within +-10; abstract.

    c_j is the logarithm of the observed mean (`calibrate` finds it, before that it is 0). The
    parameters of all columns are laid out as C numbers h, then what else there is, C each.
    """

    kinds = frozenset({Kind.COUNT})
    centre: Tensor
    gate: Tensor

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and the unit 0."""
        super().build(columns, u_dim)
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("gate", torch.full((len(columns),), 0.5), persistent=False)

    @torch.no_grad()
    def calibrate(self, x: Tensor, visible: Tensor) -> None:
        """Take the mean and the share of excess zeros from the visible cells."""
        n = visible.sum(0).clamp(min=1)
        mean = (torch.where(visible, x, 0.0).sum(0) / n).clamp(min=SMALLEST_MEAN)
        zeros = (visible & (x == 0)).sum(0) / n
        self.gate.copy_(self._excess_zeros(mean, zeros))
        self.centre.copy_((mean / (1.0 - self.gate)).log())

    def _excess_zeros(self, mean: Tensor, zeros: Tensor) -> Tensor:
        """Share of zeros that are no counts, at the start of training; 0 without inflation."""
        return torch.zeros_like(mean)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where log(1 + lambda_j), linearised at the mean, has the slopes of the model.

        The intercept makes the mean of x_j over z ~ N(0, I) the observed one.
        """
        mean = self.centre.exp()
        slope = scale.scale * (1.0 + mean) / mean
        loadings = (slope[:, None] * linear.loadings).clamp(-STEEPEST, STEEPEST)
        self._start_head(slice(0, len(mean)), loadings, -0.5 * loadings.square().sum(-1))

    def _log_mean(self, h: Tensor) -> Tensor:
        return self.centre + h.clamp(-FARTHEST, FARTHEST)
