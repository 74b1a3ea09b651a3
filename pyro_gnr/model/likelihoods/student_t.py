"""Student's t likelihood of continuous columns with outliers."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyro_gnr.data import Column
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.part import check_numbers

__all__ = ["StudentT"]

# Below this the variance, and with it the mean of an imputation, is hardly defined.
SMALLEST_DF = 2.5


class StudentT(LocationScale):
    r"""x_j | u ~ t(nu_j, mu_j(u), s_j(u)), with floor < s_j(u) < ceiling, nu_j > 2.5 learned.

    Args:
        floor: smallest scale in observed standard deviations, in (0, 1).
        ceiling: largest scale.
        heteroscedastic: whether s_j depends on u, or is one number a column.
        df: degrees of freedom at the start of training; > 2.5.

    Raises:
        ValueError: `floor`, `ceiling` or `df` is out of range.
        TypeError: one of them is no number.

    Example:
        >>> from pyro_gnr.data import Kind
        >>> likelihood = StudentT(df=4.0)
        >>> likelihood.build([Column("a", Kind.CONTINUOUS, "float64")], u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).batch_shape
        torch.Size([7, 1])
    """

    def __init__(
        self,
        *,
        floor: float = 0.1,
        ceiling: float = 1.0,
        heteroscedastic: bool = True,
        df: float = 6.0,
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)
        check_numbers(df=df)
        if not df > SMALLEST_DF:
            raise ValueError(f"got df={df}, expected a number above {SMALLEST_DF}.")
        self.df = df

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and one raw degree of freedom a column that does not depend on u."""
        super().build(columns, u_dim)
        excess = torch.tensor(self.df - SMALLEST_DF)  # > 0; its inverse softplus follows
        raw = excess + torch.log(-torch.expm1(-excess))
        self.raw_df = nn.Parameter(raw.repeat(len(columns)))

    def distribution(self, parameters: Tensor) -> dist.StudentT:
        """Give t(df, location, scale), batch (..., C), from parameters (..., 2C)."""
        location, scale = self._location_scale(parameters)
        df = SMALLEST_DF + softplus(self.raw_df)
        return dist.StudentT(df, location, scale, validate_args=False)
