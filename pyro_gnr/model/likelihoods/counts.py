"""What the likelihoods of counts share: a mean that is linear in u on the scale of logarithms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
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
# Shares of the mean below which a variance is said to be small, or refused; the latter only for
# means above LARGE_MEAN: a Poisson's own spread of a few is rarely worth an error.
SMALL_VARIANCE, HOPELESS_VARIANCE, LARGE_MEAN = 0.5, 0.01, 100.0
# How rarely so small a variance may be the chance of a small sample.
BY_CHANCE = 1e-3


class Counts(Likelihood):
    r"""Counts with mean lambda_j(u) = exp(c_j + h_j(u)), h_j linear and within +-10; abstract.

    c_j is the logarithm of the observed mean (`calibrate` finds it, before that it is 0). The
    parameters of all columns are laid out as C numbers h, then what else there is, C each.
    Given u the variance is at least the mean: counts that vary far less are warned of or refused.
    """

    kinds = frozenset({Kind.COUNT})
    centre: Tensor
    gate: Tensor

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and the unit 0."""
        super().build(columns, u_dim)
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("gate", torch.full((len(columns),), 0.5), persistent=False)

    def check_spread(self, column: Column, values: NDArray[np.float64]) -> None:
        """Refuse, or warn of, counts whose variance is far below their mean.

        Given u a variance is at least the mean, so that over all u it is, too: draws from the
        model cannot vary less.
        """
        if not _varies_little(values):
            return
        mean, variance = float(values.mean()), float(values.var())
        what = (
            f"column {column.name!r}: its observed counts have mean {mean:.4g} and variance "
            f"{variance:.3g}, but the variance of a {type(self).__name__} likelihood is at least "
            "its mean"
        )
        advice = f"Say kinds={{{column.name!r}: 'continuous'}}, or 'ordinal' for few numbers."
        if variance < HOPELESS_VARIANCE * mean and mean > LARGE_MEAN:
            raise ValueError(f"{what}. {advice}")
        message = f"{what}: imputations will spread more than what was observed. {advice}"
        warnings.warn(message, UserWarning, stacklevel=2)

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


def _varies_little(values: NDArray[np.float64]) -> bool:
    """Tell whether counts vary clearly less than a Poisson's, and more than a few say so."""
    n = len(values)
    if n == 0 or values.min() == values.max():  # a constant is imputed as it is
        return False
    share = float(values.var()) / max(float(values.mean()), SMALLEST_MEAN)
    # n times this share is about chi-squared for a Poisson sample (Fisher's index of dispersion).
    return share < SMALL_VARIANCE and float(chi2.cdf(n * share, n - 1)) < BY_CHANCE
