"""What the negative binomial likelihoods share: a spread beyond that of a Poisson."""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.counts import Counts
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.part import check_scales

__all__ = ["Overdispersed"]


class Overdispersed(Counts):
    r"""Counts with variance lambda_j + (s_j(u) lambda_j)^2, floor < s_j < ceiling; abstract.

    Args:
        floor: smallest s_j, the coefficient of variation of the rate; in (0, 1).
        ceiling: largest s_j, above the floor.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.
        TypeError: one of them is no number.
    """

    def __init__(self, *, floor: float, ceiling: float) -> None:
        super().__init__()
        check_scales(floor=floor, ceiling=ceiling)
        self.floor = floor
        self.ceiling = ceiling

    def _failures_logits(self, h: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Give torch's parameters of the negative binomial, each (..., C)."""
        spread = self.floor + (self.ceiling - self.floor) * torch.sigmoid(raw)
        # mean = failures * exp(logits)
        return spread.pow(-2), self._log_mean(h) + 2.0 * spread.log()

    def _start_spread(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start the second C outputs where var(log(1 + x)), to first order, is the noise's."""
        mean = self.centre.exp()
        noise = scale.scale.square() * linear.noise
        square = noise * ((1.0 + mean) / mean).square() - 1.0 / mean
        share = (square.clamp(min=0.0).sqrt() - self.floor) / (self.ceiling - self.floor)
        c = len(mean)
        nothing = torch.zeros_like(linear.loadings)
        self._start_head(slice(c, 2 * c), nothing, torch.logit(share.clamp(0.02, 0.98)))
