"""Zero-inflated negative binomial likelihood of counts."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.overdispersed import Overdispersed
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated, excess_zeros
from pyro_gnr.model.linear import LinearModel

__all__ = ["ZeroInflatedNegativeBinomial"]


class ZeroInflatedNegativeBinomial(Overdispersed):
    r"""x_j | u is 0 with probability g_j(u), else negative binomial (see `NegativeBinomial`).

    Excess zeros and overdispersion both explain zeros: with few positive counts the two are
    hardly told apart, and imputations depend little on how.

    Args:
        floor: smallest s_j, in (0, 1).
        ceiling: largest s_j.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Example:
        >>> from pyro_gnr.data import Kind
        >>> likelihood = ZeroInflatedNegativeBinomial()
        >>> likelihood.build([Column("visits", Kind.COUNT, "int64", whole=True)], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).mean.shape
        torch.Size([7, 1])
    """

    def __init__(self, *, floor: float = 0.1, ceiling: float = 3.0) -> None:
        super().__init__(floor=floor, ceiling=ceiling)

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """Three a column: log-mean, raw spread and log-odds of an excess zero."""
        return 3 * len(columns)

    def distribution(self, parameters: Tensor) -> ZeroInflated:
        """Give the zero-inflated negative binomial, batch (..., C), from parameters (..., 3C)."""
        h, raw, gate = parameters.chunk(3, -1)
        failures, logits = self._failures_logits(h, raw)
        counts = dist.NegativeBinomial(failures, logits=logits, validate_args=False)
        return ZeroInflated(counts, gate_logits=gate, validate_args=False)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start as `NegativeBinomial`, with a constant share of excess zeros."""
        super().start(linear, scale)
        self._start_spread(linear, scale)
        c = len(self.centre)
        nothing = torch.zeros_like(linear.loadings)
        self._start_head(slice(2 * c, 3 * c), nothing, torch.logit(self.gate))

    def _excess_zeros(self, mean: Tensor, zeros: Tensor) -> Tensor:
        return excess_zeros(mean, zeros)
