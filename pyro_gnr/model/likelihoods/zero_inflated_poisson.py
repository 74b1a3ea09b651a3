"""Zero-inflated Poisson likelihood of counts."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.counts import Counts
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated, excess_zeros
from pyro_gnr.model.linear import LinearModel

__all__ = ["ZeroInflatedPoisson"]


class ZeroInflatedPoisson(Counts):
    r"""x_j | u is 0 with probability g_j(u), else Poisson(lambda_j(u)).

    logit g_j and log lambda_j (see `Counts`) are linear in u.

    Source: Lambert, Technometrics 1992.

    Example:
        >>> from pyro_gnr.data import Kind
        >>> likelihood = ZeroInflatedPoisson()
        >>> likelihood.build([Column("visits", Kind.COUNT, "int64", whole=True)], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).mean.shape
        torch.Size([7, 1])
    """

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """Two a column: log-mean and log-odds of an excess zero."""
        return 2 * len(columns)

    def distribution(self, parameters: Tensor) -> ZeroInflated:
        """Give the zero-inflated Poisson, batch (..., C), from parameters (..., 2C)."""
        h, gate = parameters.chunk(2, -1)
        rate = self._log_mean(h).exp()
        poisson = dist.Poisson(rate, validate_args=False)
        return ZeroInflated(poisson, gate_logits=gate, validate_args=False)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start as `Counts`, with a constant share of excess zeros."""
        super().start(linear, scale)
        c = len(self.centre)
        nothing = torch.zeros_like(linear.loadings)
        self._start_head(slice(c, 2 * c), nothing, torch.logit(self.gate))

    def _excess_zeros(self, mean: Tensor, zeros: Tensor) -> Tensor:
        return excess_zeros(mean, zeros)
