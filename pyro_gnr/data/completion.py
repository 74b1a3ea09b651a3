"""Write completed tables of the caller's own type: pandas, polars or numpy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data.frames import import_polars, native_columns
from pyro_gnr.data.reading import Scalar, scalar

__all__ = ["Fill", "complete"]


class Fill(NamedTuple):
    """Values for some cells of one column.

    Attributes:
        rows: (n,) positions of the cells.
        values: (n,) floats in the caller's units, or an object array of levels.
        levels: all that the column may get, so that its dtype depends on no single draw.
    """

    rows: NDArray[np.intp]
    values: np.ndarray
    levels: tuple[Scalar, ...] = ()


def complete(frame: Any, fills: Mapping[int, Fill]) -> Any:
    """Write values into cells of a copy of the table.

    Args:
        frame: pandas or polars DataFrame or (N, D) array.
        fills: for each position of a column, the cells to write.

    Returns:
        A table of the same type: index, names, order, dtypes and all other cells unchanged.
        An array comes back as floats. Integer columns get rounded values within the range of
        their dtype; categories that the levels need are added at the end; a column without any
        observed cell, of a dtype that cannot hold the values, takes the dtype of the values.

    Example:
        >>> fill = Fill(np.array([1]), np.array([7.0]))
        >>> complete(pd.DataFrame({"a": [1.0, None]}), {0: fill})["a"].tolist()
        [1.0, 7.0]
    """
    if isinstance(frame, np.ndarray):
        floating = frame.dtype if frame.dtype.kind == "f" else np.dtype(np.float64)
        array = frame.astype(floating, copy=True)
        for j, fill in fills.items():
            array[fill.rows, j] = fill.values.astype(np.float64)
        return array
    columns = native_columns(frame)
    if isinstance(frame, pd.DataFrame):
        out = frame.copy()
        for j, fill in fills.items():
            out.isetitem(j, _complete_pandas(columns[j], fill))
        return out
    return frame.with_columns([_complete_polars(columns[j], f) for j, f in fills.items()])


def _complete_pandas(column: pd.Series, fill: Fill) -> Any:
    """Give the array of a pandas column with some cells replaced."""
    dtype = column.dtype
    numeric = pd.api.types.is_numeric_dtype(dtype) and not isinstance(dtype, pd.SparseDtype)
    category = isinstance(dtype, pd.CategoricalDtype)
    text = pd.api.types.is_object_dtype(dtype) or "string" in str(dtype)
    if len(fill.rows) == len(column) and not _holds(fill.values, numeric, category or text, dtype):
        return pd.Series(fill.values.tolist(), index=column.index).array
    if isinstance(dtype, pd.CategoricalDtype):
        return _complete_categorical(column, fill)
    array: Any = column.to_numpy(copy=True) if isinstance(dtype, np.dtype) else column.array.copy()
    array[fill.rows] = _numbers_for(fill.values, str(dtype)) if numeric else fill.values
    # Without the dtype pandas 3 would take objects that are all strings for its string dtype.
    return pd.Series(array, index=column.index, dtype=dtype)


def _complete_categorical(column: pd.Series, fill: Fill) -> pd.Categorical:
    position = {scalar(v): i for i, v in enumerate(column.cat.categories)}
    levels = dict.fromkeys([*fill.levels, *fill.values.tolist()])
    new = [v for v in levels if v not in position]
    widened = column.cat.add_categories(new) if new else column
    position.update({v: len(position) + i for i, v in enumerate(new)})
    codes = widened.cat.codes.to_numpy().astype(np.int64)
    found, uniques = pd.factorize(fill.values)
    codes[fill.rows] = np.array([position[v] for v in uniques], dtype=np.int64)[found]
    dtype: Any = widened.dtype
    return pd.Categorical.from_codes(codes, dtype=dtype)


def _complete_polars(column: Any, fill: Fill) -> Any:
    """Give a polars column with some cells replaced."""
    polars = import_polars()
    dtype = column.dtype
    numeric = dtype.is_numeric() or dtype == polars.Boolean
    text = dtype in (polars.String, polars.Categorical, polars.Enum)
    if len(fill.rows) == len(column) and not _holds(fill.values, numeric, text, dtype):
        return polars.Series(column.name, fill.values.tolist())
    if numeric:
        new = polars.Series(_numbers_for(fill.values, str(dtype)))
    else:
        new = polars.Series(fill.values.tolist(), dtype=polars.String)
    if isinstance(dtype, polars.Enum):
        dtype = polars.Enum(list(dict.fromkeys([*dtype.categories, *map(str, fill.levels), *new])))
    source = np.zeros(len(column), dtype=np.int64)
    source[fill.rows] = np.arange(len(fill.rows))
    observed = np.ones(len(column), dtype=bool)
    observed[fill.rows] = False
    return column.cast(dtype).zip_with(polars.Series(observed), new.cast(dtype).gather(source))


def _holds(values: np.ndarray, numeric: bool, text: bool, dtype: Any) -> bool:
    """Tell whether a column of this sort can hold these values."""
    strings = values.dtype == object and isinstance(values[0], str)
    logical = values.dtype == object and isinstance(values[0], bool)
    if numeric and "bool" in str(dtype).lower():
        return logical
    return text if strings else numeric


def _numbers_for(values: np.ndarray, dtype: str) -> np.ndarray:
    """Convert numbers to what a column of this dtype accepts."""
    numbers = values.astype(np.float64)
    if "bool" in dtype.lower():
        return numbers >= 0.5
    match = re.search(r"u?int(8|16|32|64)", dtype.lower())
    if not match:
        return numbers
    limits = np.iinfo(match.group())
    low, high = float(limits.min), float(limits.max)
    if high > limits.max:
        high = np.nextafter(high, 0.0)
    return np.clip(np.rint(numbers), low, high).astype(match.group())
