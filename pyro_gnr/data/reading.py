"""Read the columns of pandas, polars and numpy tables.

This file, `completion` and `removal` alone know how each library stores a column. Everything
else sees a `Reading`: numbers, or codes of levels, and which cells are observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data.frames import import_polars

__all__ = ["Reading", "Scalar", "observed_cells", "read", "scalar"]

Scalar = bool | int | float | str
_PLAIN = (bool, np.bool_, int, np.integer, float, np.floating, str)
_NUMBERS = {"integer", "floating", "mixed-integer-float", "boolean"}
_TEXTS = {"string", "mixed", "mixed-integer", "empty", *_NUMBERS}


@dataclass(frozen=True, eq=False)
class Reading:
    """One column as read from the caller's table.

    Attributes:
        name: the column's name.
        dtype: the caller's dtype, printable.
        observed: (N,) bool, True where the cell holds a value.
        numbers: (N,) float64 for numeric and boolean columns (0 where missing), else None.
        codes: (N,) positions in `labels` for level columns (-1 where missing), else None.
        labels: levels of a level column as Python scalars.
        whole: whether the dtype is an integer one.
        boolean: whether the dtype is a boolean one.
        declared: whether the labels' order was declared by the caller (categories).
        ordered: whether the caller said, too, that this order means something (pandas only).
        text: whether the column holds strings or objects rather than a categorical dtype.
    """

    name: str
    dtype: str
    observed: NDArray[np.bool_]
    numbers: NDArray[np.float64] | None = None
    codes: NDArray[np.intp] | None = None
    labels: tuple[Scalar, ...] = ()
    whole: bool = False
    boolean: bool = False
    declared: bool = False
    ordered: bool = False
    text: bool = False

    @property
    def holes(self) -> int:
        """Number of missing cells."""
        return int((~self.observed).sum())

    def as_numbers(self) -> NDArray[np.float64] | None:
        """Give the (N,) numbers, 0 where missing; None if the column holds something else.

        Objects that are all numbers count as numbers; categories do not.
        """
        if self.numbers is not None:
            return self.numbers
        if self.codes is None or not self.text or any(isinstance(v, str) for v in self.labels):
            return None
        return np.array([*self.labels, 0.0], dtype=np.float64)[self.codes]

    def as_levels(self) -> tuple[NDArray[np.intp], tuple[Scalar, ...]]:
        """Give (N,) codes (-1 where missing) and the observed levels, as declared or sorted."""
        codes = np.full(len(self.observed), -1, dtype=np.intp)
        if self.numbers is not None:
            found, inverse = np.unique(self.numbers[self.observed], return_inverse=True)
            codes[self.observed] = inverse
            return codes, tuple(self._number(v) for v in found.tolist())
        if self.codes is None:
            return codes, ()
        present = np.unique(self.codes[self.observed]).tolist()
        order = {v: None for v in (self.labels[i] for i in present)}
        levels = tuple(order) if self.declared else tuple(_sorted(list(order)))
        position = {level: i for i, level in enumerate(levels)}
        lookup = np.array([*(position.get(v, -1) for v in self.labels), -1], dtype=np.intp)
        return lookup[self.codes], levels

    def _number(self, value: float) -> Scalar:
        if self.boolean:
            return bool(value)
        return int(value) if self.whole else value


def read(column: Any, name: str) -> Reading:
    """Read one column.

    Args:
        column: pandas or polars Series, or 1-dimensional numeric array.
        name: its name, for messages.

    Returns:
        The column's cells. Missing are None, NaN, pd.NA, NaT and polars' null.

    Raises:
        TypeError: the dtype is not a number, boolean, string or category. A column without
            a single observed cell may have any dtype.

    Example:
        >>> read(pd.Series(["b", None, "a"]), "grade").as_levels()
        (array([ 1, -1,  0]), ('a', 'b'))
    """
    if isinstance(column, np.ndarray):
        empty = pd.Series(column[:0])
        return _read_numbers(column, name, dtype=nw.from_native(empty, series_only=True).dtype)
    dtype = nw.from_native(column, series_only=True).dtype
    observed = observed_cells(column)
    if not observed.any():
        return Reading(name, _printable(column.dtype), observed)
    if isinstance(getattr(column, "dtype", None), pd.SparseDtype) or dtype == nw.Decimal:
        raise _unsupported(name, column.dtype)
    if dtype.is_numeric() or dtype == nw.Boolean:
        return _read_numbers(column, name, dtype=dtype)
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        labels = tuple(scalar(v) for v in column.cat.categories)
        codes = column.cat.codes.to_numpy().astype(np.intp)
        ordered = bool(column.cat.ordered)
        return Reading(
            name, "category", observed, codes=codes, labels=labels, declared=True, ordered=ordered
        )
    if dtype in (nw.Categorical, nw.Enum) and not isinstance(column, pd.Series):
        return _read_polars_categories(column, name, observed)
    if dtype in (nw.String, nw.Object) and (isinstance(column, pd.Series) or dtype == nw.String):
        return _read_text(column, name, observed)
    raise _unsupported(name, column.dtype)


def observed_cells(column: Any) -> NDArray[np.bool_]:
    """Tell, for each of the (N,) cells of a column of any dtype, whether it holds a value.

    Example:
        >>> observed_cells(pd.Series([1.0, None]))
        array([ True, False])
    """
    if isinstance(column, np.ndarray):
        return ~np.isnan(column.astype(np.float64, copy=False))
    if isinstance(column, pd.Series):
        observed = column.notna().to_numpy(dtype=bool)
    else:
        observed = column.is_not_null().to_numpy()
        if column.dtype.is_float():
            observed = observed & ~column.is_nan().fill_null(value=False).to_numpy()
    return observed


def scalar(value: Any) -> Scalar:
    """Give a level as a plain Python scalar; what has none (an interval) as its text."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    return str(value)


def _read_numbers(column: Any, name: str, *, dtype: Any) -> Reading:
    if isinstance(column, np.ndarray):
        numbers = column.astype(np.float64)
    elif isinstance(column, pd.Series):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = column.cast(import_polars().Float64).to_numpy()
    observed = ~np.isnan(numbers)
    return Reading(
        name,
        _printable(column.dtype),
        observed,
        numbers=np.where(observed, numbers, 0.0),
        whole=dtype.is_integer(),
        boolean=dtype == nw.Boolean,
    )


def _read_text(column: Any, name: str, observed: NDArray[np.bool_]) -> Reading:
    values = column if isinstance(column, pd.Series) else column.to_numpy()
    if isinstance(column, pd.Series) and column.dtype == object:
        sort = pd.api.types.infer_dtype(column, skipna=True)
        if sort not in _TEXTS:
            raise _unsupported(name, f"object holding {sort} values")
    try:
        codes, found = pd.factorize(values)
    except TypeError as error:
        raise _unsupported(name, "object holding unhashable values") from error
    strange = {type(v).__name__ for v in found if not isinstance(v, _PLAIN)}
    if strange:
        raise _unsupported(name, f"object holding {', '.join(sorted(strange))} values")
    labels = tuple(scalar(v) for v in found)
    dtype = _printable(column.dtype)
    return Reading(name, dtype, observed, codes=codes, labels=labels, text=True)


def _read_polars_categories(column: Any, name: str, observed: NDArray[np.bool_]) -> Reading:
    polars = import_polars()
    codes, found = pd.factorize(column.cast(polars.String).to_numpy())
    labels = tuple(str(v) for v in found)
    enum = isinstance(column.dtype, polars.Enum)
    if enum:
        declared = column.dtype.categories.to_list()
        position = {level: i for i, level in enumerate(declared)}
        codes = np.array([*(position[v] for v in labels), -1], dtype=np.intp)[codes]
        labels = tuple(declared)
    dtype = _printable(column.dtype)
    return Reading(name, dtype, observed, codes=codes, labels=labels, declared=enum)


def _sorted(labels: list[Scalar]) -> list[Scalar]:
    """Sort levels: numbers (booleans among them) before strings."""
    return sorted(labels, key=lambda v: (isinstance(v, str), v))


def _printable(dtype: Any) -> str:
    return "Enum" if str(dtype).startswith("Enum(") else str(dtype)


def _unsupported(name: str, dtype: Any) -> TypeError:
    return TypeError(
        f"column {name!r} has dtype {_printable(dtype)}, expected numbers, booleans, strings or "
        f"categories: convert it, or leave it out of the model with kinds={{{name!r}: 'ignore'}}."
    )
