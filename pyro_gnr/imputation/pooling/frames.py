"""Completed tables as pandas tables, which analyses with column names need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas", "has_holes", "n_rows", "with_names"]


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


def with_names(table: Any) -> pd.DataFrame:
    """Give it as a pandas table whose columns are named by strings, as formulas name them.

    Example:
        >>> with_names(pd.DataFrame({0: [1.0], "a": [2.0]})).columns.tolist()
        ['0', 'a']
    """
    frame = as_pandas(table)
    named = all(isinstance(name, str) for name in frame.columns)
    return frame if named else frame.rename(columns=str)


def n_rows(table: Any) -> int | None:
    """Count the rows of a table or array; None of what is neither, such as the name of a file."""
    shape = getattr(table, "shape", ())
    return int(shape[0]) if isinstance(shape, tuple) and shape else None


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
