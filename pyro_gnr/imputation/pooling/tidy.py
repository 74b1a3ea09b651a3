"""Estimates in a tidy table: one row a term, as R's broom writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.covariances import only_variances

__all__ = ["from_tidy"]

ESTIMATE = ("estimate", "coef")
STD_ERROR = ("std.error", "std_error", "se", "se(coef)")
FREEDOM = ("df.residual", "df_resid", "dfcom", "df")


def from_tidy(
    table: pd.DataFrame,
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64], float]:
    """Read terms, estimates, variances and degrees of freedom of a tidy table.

    Args:
        table: columns `term` (or the index), `estimate` and `std.error`; where there is one,
            `df.residual` (or `dfcom`, `df`) has the degrees of freedom.

    Returns:
        Terms, estimates (p,), covariance (p, p) of which only the diagonal is known, and the
        smallest degrees of freedom, infinity if there are none.

    Raises:
        ValueError: a column is not there, or is not of numbers.

    Example:
        >>> table = pd.DataFrame({"term": ["age"], "estimate": [0.2], "std.error": [0.1]})
        >>> terms, values, covariance, df = from_tidy(table)
        >>> terms, round(covariance.item(), 3), df
        (('age',), 0.01, inf)
    """
    terms = table.get("term", table.index)
    estimates = _numbers(table, ESTIMATE)
    errors = _numbers(table, STD_ERROR)
    if estimates is None or errors is None:
        raise ValueError(
            f"the analysis gave a table with columns {list(table.columns)}, expected term, "
            "estimate and std.error."
        )
    freedom = _numbers(table, FREEDOM)
    df = np.inf if freedom is None or np.isnan(freedom).all() else float(np.nanmin(freedom))
    return tuple(map(str, terms)), estimates, only_variances(errors**2), df


def _numbers(table: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64] | None:
    """The first of these columns that there is."""
    for name in names:
        if name in table:
            try:
                return table[name].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(f"column {name!r} of the analysis has no numbers.") from error
    return None
