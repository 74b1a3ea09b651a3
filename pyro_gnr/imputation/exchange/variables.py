"""The columns of a long table as numbers with labels, dates and text: what .dta and .sav hold."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation.exchange.long import ID, IMP, INTERVAL, MEMBER
from pyro_gnr.imputation.exchange.names import NameRule, legal_names

__all__ = [
    "FIXED",
    "LONGEST_LEVEL",
    "MOST_LEVELS",
    "Variable",
    "as_levels",
    "guessed",
    "imputed",
    "renamed",
    "variables",
]

FIXED = {ID: "mi_id", MEMBER: "mi_member"}  # what these are called; `.imp` has a name for each
MOST_LEVELS = 65_536  # Stata labels no more values
LONGEST_LEVEL = 120  # bytes of a label in SPSS
FEW_LEVELS = 100  # text of more is rather names of rows or free text
LARGEST = 2**53  # whole numbers beyond are no exact doubles, which is all that SPSS has

LEVEL_KINDS = frozenset({Kind.BINARY, Kind.CATEGORICAL, Kind.ORDINAL})


class Variable(NamedTuple):
    """A column as another program gets it.

    Attributes:
        name: legal there.
        column: its name in the table.
        values: ((M + 1) N,) of dtype float32, float64, Int64, datetime64 or object (text, ""
            where missing).
        labels: the level that a number stands for, counted from 1 in the order of the levels.
        imputed: whether cells of it were imputed.
        measure: "nominal", "ordinal" or "scale".
        day: whether a datetime is a day without a time.
    """

    name: str
    column: str
    values: pd.Series
    labels: dict[float, str]
    imputed: bool
    measure: str
    day: bool


def variables(
    long: pd.DataFrame, rule: NameRule, columns: Mapping[str, Column], *, taken: Collection[str]
) -> list[Variable]:
    """Prepare all columns but `.imp`.

    Args:
        long: a long table, columns named by strings.
        rule: what is a legal name.
        columns: what the model knows of the columns, by name; may be empty.
        taken: names that are in use.

    Raises:
        ValueError: a column holds what no other program takes: infinite or huge numbers, too
            many levels, times with a time zone.
        TypeError: a column is of a type that has no equivalent.
    """
    own = {name: fixed for name, fixed in FIXED.items() if name in long}
    rest = [str(name) for name in long if name not in (IMP, *own)]
    names = own | legal_names(rest, rule, taken=[*taken, *own.values()])
    holes, levels = imputed(long), guessed(long, columns)
    return [
        _variable(long[n], n, names[n], columns.get(n), filled=n in holes, guess=n in levels)
        for n in names
    ]


def guessed(long: pd.DataFrame, columns: Mapping[str, Column]) -> list[str]:
    """Name the columns of text that are taken as levels in sorted order, since nothing says more.

    They are those of which cells were imputed, and those of few levels, which factors of a
    model need as numbers: at most 100, on average more than twice in a table, so that what names
    rows stays text. Long or empty text is none of them, nor is that of intervals.

    Args:
        long: a long table, columns named by strings.
        columns: what the model knows of the columns, by name; may be empty.

    Example:
        >>> cells = {"id": ["u", "v", "w"], "sex": ["f", "f", "f"]}
        >>> long = pd.concat([pd.DataFrame({".imp": i, **cells}) for i in (0, 1)])
        >>> guessed(long, {})
        ['sex']
    """
    holes, table = imputed(long), long[long[IMP] == long[IMP].max()]
    names = [str(name) for name in long if name not in (IMP, *FIXED)]
    return [
        name
        for name in names
        if not name.startswith(INTERVAL)
        and not (name in columns and columns[name].kind in LEVEL_KINDS)
        and _sort(long[name]) in ("text", "mixed")
        and (name in holes or _few(table[name].dropna()))
    ]


def _few(cells: pd.Series) -> bool:
    levels = cells.unique()
    return len(levels) <= min(FEW_LEVELS, (len(cells) - 1) // 2) and all(
        isinstance(level, str) and 0 < len(level.encode()) <= LONGEST_LEVEL for level in levels
    )


def renamed(found: Sequence[Variable]) -> dict[str, str]:
    """New names by the names of the table's own columns, where they differ."""
    return {v.column: v.name for v in found if v.name != v.column and v.column not in FIXED}


def imputed(long: pd.DataFrame) -> set[str]:
    """Name the columns with cells that are missing in the original and filled in table 1.

    Example:
        >>> holes = {"a": [1, None, 1, 2], "b": [None, 1, None, 1]}
        >>> imputed(pd.DataFrame({".imp": [0, 0, 1, 1], **holes}))
        {'a'}
    """
    holes = [long.loc[long[IMP] == i].isna().sum() for i in (0, long[IMP].max())]
    return set(long.columns[(holes[0] > holes[1]).to_numpy()]) - {MEMBER}


def as_levels(series: pd.Series, guess: bool, column: Column | None) -> pd.Series | None:
    """Give a column of levels as a categorical one; None if it is no such column.

    Levels are those of a category, of the model if it knows the column, or else, if this is to be
    guessed of text, what it holds, sorted. Numbers stay numbers.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series
    if _sort(series) not in ("text", "mixed"):
        return None
    known = column.levels if column is not None and column.kind in LEVEL_KINDS else None
    if known is None and not guess:
        return None
    found = series.dropna().unique().tolist()
    if known is None or not set(found) <= set(known):
        known = tuple(sorted(found, key=lambda v: (isinstance(v, str), v)))
    ordered = column is not None and column.kind is Kind.ORDINAL
    return pd.Series(pd.Categorical(series, categories=list(known), ordered=ordered))


def _variable(
    series: pd.Series,
    column: str,
    name: str,
    known: Column | None,
    *,
    filled: bool,
    guess: bool,
) -> Variable:
    levels = as_levels(series, guess, known)
    labels: dict[float, str] = {}
    if levels is not None:
        values, labels = _coded(levels, column)
        measure = "ordinal" if levels.cat.ordered else "nominal"
    else:
        sort = _sort(series)
        values = _values(series, sort, column)
        if sort == "boolean":
            labels = {0: "False", 1: "True"}
        measure = "nominal" if sort in ("text", "boolean") else "scale"
    if known is not None and known.kind in LEVEL_KINDS:
        measure = "ordinal" if known.kind is Kind.ORDINAL else measure.replace("scale", "nominal")
    day = values.dtype.kind == "M" and bool(
        (values.dropna() == values.dropna().dt.floor("D")).all()
    )
    return Variable(name, column, values.reset_index(drop=True), labels, filled, measure, day)


def _coded(levels: pd.Series, column: str) -> tuple[pd.Series, dict[float, str]]:
    """Codes 1, 2, ... in the order of the levels, and their labels."""
    texts = [str(level) for level in levels.cat.categories]
    if len(texts) > MOST_LEVELS:
        raise ValueError(
            f"column {column!r} has {len(texts)} levels, expected at most {MOST_LEVELS}: drop it, "
            "or make it text without imputed cells."
        )
    if len(set(texts)) < len(texts):
        raise ValueError(f"column {column!r} has levels that read the same, such as 1 and '1'.")
    codes = pd.Series(levels.cat.codes.to_numpy(dtype=np.int64) + 1, dtype="Int64")
    return codes.mask(codes == 0), dict(enumerate(texts, start=1))


def _sort(series: pd.Series) -> str:
    """What the cells are: boolean, whole, number, moment, text, empty, mixed, or a dtype."""
    types = pd.api.types
    dtype = series.dtype
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        words = {"string": "text", "integer": "whole", "floating": "number", "decimal": "number",
                 "mixed-integer-float": "number", "date": "date", "datetime": "moment",
                 "datetime64": "moment"}  # fmt: skip
        found = types.infer_dtype(series, skipna=True)
        return (
            "mixed"
            if found.startswith("mixed") and found not in words
            else words.get(found, found)
        )
    checks = {"boolean": types.is_bool_dtype, "whole": types.is_integer_dtype,
              "number": types.is_float_dtype, "moment": types.is_datetime64_any_dtype}  # fmt: skip
    return next((sort for sort, is_it in checks.items() if is_it(dtype)), str(dtype))


def _values(series: pd.Series, sort: str, column: str) -> pd.Series:
    if sort == "text":
        return series.astype(object).where(series.notna(), "")
    if sort in ("whole", "boolean"):
        return _whole(series, column)
    if sort in ("number", "empty"):
        return _numbers(series, column)
    if sort == "date":
        days = [v if isinstance(v, datetime.date) else None for v in series]
        return pd.Series(np.array(days, dtype="datetime64[D]").astype("datetime64[s]"))
    if sort != "moment":
        raise TypeError(
            f"column {column!r} holds {sort} cells, for which other programs have no type: make "
            "it numbers, text or dates, or drop it."
        )
    moments = pd.Series(pd.to_datetime(series))
    if moments.dt.tz is not None:
        raise ValueError(
            f"column {column!r} has the time zone {moments.dt.tz}, which other programs do not "
            "know: say .dt.tz_localize(None) first."
        )
    return moments


def _whole(series: pd.Series, column: str) -> pd.Series:
    if pd.api.types.is_object_dtype(series.dtype):
        series = pd.Series([None if pd.isna(v) else int(v) for v in series], dtype="object")
    beyond = series.dropna()
    if len(beyond) and max(int(beyond.max()), -int(beyond.min())) > LARGEST:
        raise ValueError(
            f"column {column!r} holds whole numbers beyond 2**53, which other programs round: "
            "make it text."
        )
    return series.astype("Int64")


def _numbers(series: pd.Series, column: str) -> pd.Series:
    narrow = series.dtype in (np.dtype("float32"), np.dtype("float16"))
    dtype = "float32" if narrow else "float64"
    values = pd.Series(series.astype("Float64").to_numpy(dtype, na_value=np.nan))
    if np.isinf(values).any():
        raise ValueError(f"column {column!r} holds infinite numbers: make them missing or finite.")
    return values
