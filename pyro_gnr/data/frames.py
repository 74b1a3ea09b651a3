"""Tables of pandas, polars and numpy: what is one, its columns and their names."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd

__all__ = [
    "as_frame",
    "column_names",
    "import_polars",
    "native_columns",
    "snapshot",
]


def as_frame(X: Any) -> Any:
    """Check that X is a table.

    Args:
        X: pandas or polars DataFrame, two-dimensional numeric array, or nested lists of numbers.

    Returns:
        X itself if it is a DataFrame or a numeric array; nested lists and objects as an array.

    Raises:
        TypeError: X is of another type, or an array of something else than numbers.
        ValueError: X is not two-dimensional, or holds complex numbers.

    Example:
        >>> as_frame([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    if nw.dependencies.is_pandas_dataframe(X) or nw.dependencies.is_polars_dataframe(X):
        return X
    if nw.dependencies.is_polars_lazyframe(X):
        raise TypeError("got a polars LazyFrame, expected a DataFrame: call .collect() first.")
    if isinstance(X, (np.ndarray, list, tuple)) and not isinstance(X, np.ma.MaskedArray):
        return _as_array(np.asarray(X))
    hint = " Sparse tables are not supported: use .toarray()." if hasattr(X, "toarray") else ""
    raise TypeError(
        f"got {type(X).__name__}, expected a pandas or polars DataFrame or a 2-dimensional "
        f"numpy array.{hint}"
    )


def snapshot(frame: Any) -> Any:
    """Copy a table, so that later changes by the caller do not reach it.

    Example:
        >>> array = np.zeros((1, 1))
        >>> kept = snapshot(array)
        >>> array[:] = 1.0
        >>> kept
        array([[0.]])
    """
    return frame if nw.dependencies.is_polars_dataframe(frame) else frame.copy()


def column_names(frame: Any) -> tuple[str, ...]:
    """Name the columns: str() of the caller's names; x0, x1, ... for arrays.

    Example:
        >>> column_names(np.zeros((3, 2)))
        ('x0', 'x1')
    """
    if isinstance(frame, np.ndarray):
        return tuple(f"x{j}" for j in range(frame.shape[1]))
    return tuple(str(name) for name in frame.columns)


def native_columns(frame: Any) -> list[Any]:
    """List the columns by position as Series of the caller's library, or 1-dimensional arrays.

    Example:
        >>> native_columns(np.array([[1.0, 2.0]]))
        [array([1.]), array([2.])]
    """
    if isinstance(frame, np.ndarray):
        return list(frame.T)
    if isinstance(frame, pd.DataFrame):
        return [frame.iloc[:, j] for j in range(frame.shape[1])]
    return list(frame.get_columns())


def _as_array(array: np.ndarray) -> np.ndarray:
    """Check a numpy array; objects become floats."""
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead (shape={array.shape}). "
            "Reshape your data: one row per record, one column per variable."
        )
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: give real and imaginary parts as columns.")
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind not in "OUS":
        raise TypeError(f"got an array of dtype {array.dtype}, expected numbers.")
    try:
        if array.dtype.kind == "O":
            return np.where(pd.isna(array), np.nan, array).astype(np.float64)
        problem = f"its dtype is {array.dtype}"
    except ValueError as error:
        problem = str(error)
    raise ValueError(
        f"got an array that holds other things than numbers ({problem}): put columns of "
        "different kinds into a pandas or polars DataFrame."
    )


def import_polars() -> Any:
    """Import polars only where the caller already uses it."""
    import polars

    return polars
