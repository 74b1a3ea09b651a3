"""Poisson likelihood of counts."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.likelihoods.counts import Counts

__all__ = ["Poisson"]


class Poisson(Counts):
    r"""x_j | u ~ Poisson(lambda_j(u)), log lambda_j linear in u (see `Counts`).

    The variance is the mean: counts that vary more, given what the columns share, are imputed
    with too little uncertainty; `NegativeBinomial` is the safer choice.

    Example:
        >>> import torch
        >>> from pyro_gnr.data import Kind
        >>> likelihood = Poisson()
        >>> likelihood.build([Column("visits", Kind.COUNT, "int64", whole=True)], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).batch_shape
        torch.Size([7, 1])
    """

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """One a column: the log-mean."""
        return len(columns)

    def distribution(self, parameters: Tensor) -> dist.Poisson:
        """Give Poisson(lambda), batch (..., C), from parameters (..., C)."""
        return dist.Poisson(self._log_mean(parameters).exp(), validate_args=False)
