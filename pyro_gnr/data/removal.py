"""Take cells out of tables of the caller's own type: pandas, polars or numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data.frames import import_polars, native_columns

__all__ = ["remove", "take_rows"]


def remove(frame: Any, kept: NDArray[np.bool_], columns: Iterable[int]) -> Any:
    """Empty cells in a copy of a table.

    Args:
        frame: pandas or polars DataFrame or (N, D) array of numbers.
        kept: (N, D), False where a cell is to be emptied.
        columns: positions of the columns that may lose cells; they get a dtype that can hold
            missing cells whether or not they lose any, so that it depends on no single draw.

    Returns:
        A table of the same type: index, names, order and all other cells unchanged. An array
        comes back as floats (whole numbers beyond 2^53 are rounded) with NaN in the holes. In
        pandas, integers become nullable ones of the same width and booleans ``boolean``; floats,
        categories, dates and nullable dtypes stay; a dtype that cannot hold missing cells
        (intervals of integers) becomes ``object``. In polars every dtype can hold null.

    Example:
        >>> frame = pd.DataFrame({"n": [1, 2], "arm": pd.Categorical(["a", "b"])})
        >>> holes = remove(frame, np.array([[True, False], [False, True]]), [0, 1])
        >>> holes["n"].tolist(), [str(dtype) for dtype in holes.dtypes]
        ([1, <NA>], ['Int64', 'category'])
    """
    if isinstance(frame, np.ndarray):
        floating = frame.dtype if frame.dtype.kind == "f" else np.dtype(np.float64)
        return np.where(kept, frame.astype(floating), np.array(np.nan, dtype=floating))
    native = native_columns(frame)
    if isinstance(frame, pd.DataFrame):
        out = frame.copy()
        for j in columns:
            out.isetitem(j, _remove_pandas(native[j], kept[:, j]))
        return out
    return frame.with_columns([_remove_polars(native[j], kept[:, j]) for j in columns])


def take_rows(frame: Any, rows: NDArray[np.intp]) -> Any:
    """Keep some rows, by position.

    Example:
        >>> take_rows(pd.DataFrame({"a": [1, 2, 3]}), np.array([0, 2])).index.tolist()
        [0, 2]
    """
    return frame.iloc[rows] if isinstance(frame, pd.DataFrame) else frame[rows]


def _remove_pandas(column: pd.Series, kept: NDArray[np.bool_]) -> Any:
    """Give a pandas column with some cells emptied."""
    # As a Series: of a bare array of objects pandas would guess a dtype.
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        column = column.astype(_nullable(column.dtype))
    if pd.api.types.is_object_dtype(column.dtype):
        return column.where(kept, None)
    return column.where(kept)


def _nullable(dtype: np.dtype[Any]) -> Any:
    """Find pandas' nullable dtype of the same width: int32 -> Int32, uint8 -> UInt8."""
    if dtype.kind == "b":
        return pd.BooleanDtype()
    return pd.api.types.pandas_dtype(dtype.name.replace("i", "I").replace("u", "U"))


def _remove_polars(column: Any, kept: NDArray[np.bool_]) -> Any:
    return column.zip_with(import_polars().Series(kept), column.clear(len(column)))
