"""Completed tables as pandas tables, which analyses with column names need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas", "has_holes"]


def as_pandas(table: Any) -> pd.DataFrame:
    """Give a table as one of pandas.

    Args:
        table: of pandas or polars, or an array, whose columns are then x0, x1, ...

    Returns:
        The table itself if it is of pandas and names its columns by strings; else with such names
        (0 is "0").

    Raises:
        TypeError: it is of another type.

    Example:
        >>> as_pandas(np.zeros((2, 2))).columns.tolist()
        ['x0', 'x1']
    """
    if isinstance(table, pd.DataFrame):
        named = all(isinstance(name, str) for name in table.columns)
        return table if named else table.rename(columns=str)
    if isinstance(table, np.ndarray) and table.ndim == 2:
        return pd.DataFrame(table, columns=[f"x{j}" for j in range(table.shape[1])])
    if hasattr(table, "to_pandas"):
        frame = table.to_pandas()
        if isinstance(frame, pd.DataFrame):
            return frame
    raise TypeError(f"got a table of type {type(table).__name__}, expected pandas or polars.")


def has_holes(table: Any) -> bool:
    """Whether a cell of a table is missing; False of what is no table.

    Example:
        >>> has_holes(np.zeros((2, 2))), has_holes(pd.DataFrame({"a": [1.0, None]}))
        (False, True)
    """
    try:
        return bool(as_pandas(table).isna().any(axis=None))
    except TypeError:
        return False
