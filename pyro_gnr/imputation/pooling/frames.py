"""Completed tables as pandas tables, which analyses with column names need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas"]


def as_pandas(table: Any) -> pd.DataFrame:
    """Give a table as one of pandas.

    Args:
        table: of pandas or polars, or an array, whose columns are then x0, x1, ...

    Returns:
        The table itself if it is of pandas.

    Raises:
        TypeError: it is of another type.

    Example:
        >>> as_pandas(np.zeros((2, 2))).columns.tolist()
        ['x0', 'x1']
    """
    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, np.ndarray) and table.ndim == 2:
        return pd.DataFrame(table, columns=[f"x{j}" for j in range(table.shape[1])])
    if hasattr(table, "to_pandas"):
        frame = table.to_pandas()
        if isinstance(frame, pd.DataFrame):
            return frame
    raise TypeError(f"got a table of type {type(table).__name__}, expected pandas or polars.")
