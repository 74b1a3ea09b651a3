"""R: what makes a `mids` object of mice from an exported .parquet or .csv file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.categories import is_of_numbers
from pyro_gnr.data.files import write_table
from pyro_gnr.imputation.exchange.long import IMP, INTERVAL, MEMBER
from pyro_gnr.imputation.exchange.variables import as_levels, imputed

__all__ = ["write_csv", "write_parquet"]


def write_parquet(
    long: pd.DataFrame, path: Path, columns: Mapping[str, Column]
) -> tuple[dict[str, str], str]:
    """Write a .parquet file, which keeps dtypes, levels of categories and their order.

    Returns:
        New names of columns (none), and lines of R: three, and one for each column of text, of
        codes or of categories of numbers, as mice imputes no text and takes numbers for
        measurements.
    """
    write_table(long, path)
    read = f"long <- as.data.frame(arrow::read_parquet({_quoted(path.name)}))"
    factors = [
        _factor(name, found, stored=is_of_numbers(long[name].dtype))
        for name, found in _levels(long, columns).items()
        if found is not None and not _is_factor(long[name])
    ]
    return {}, _script([read, *factors, *_codes(long, columns), *_without(long)])


def write_csv(
    long: pd.DataFrame, path: Path, columns: Mapping[str, Column]
) -> tuple[dict[str, str], str]:
    """Write a .csv file; the lines of R bring back levels, their order, dates and text.

    Returns:
        New names of columns (none), and the lines of R.
    """
    write_table(long, path)
    levels = _levels(long, columns)
    own = list(levels)
    texts = [n for n in own if levels[n] is not None or _is_text(long[n])]
    kept = ", ".join(f'{_quoted(name)} = "character"' for name in texts)
    read = (
        f'long <- read.csv({_quoted(path.name)}, check.names = FALSE, na.strings = "", '
        f'fileEncoding = "UTF-8"{f", colClasses = c({kept})" if kept else ""})'
    )
    factors = [_factor(name, found) for name, found in levels.items() if found is not None]
    typed = [_typed(name, long[name]) for name in own]
    codes = _codes(long, columns)
    return {}, _script([read, *factors, *filter(None, typed), *codes, *_without(long)])


def _levels(long: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, pd.Series | None]:
    """The table's own columns as categorical ones; None where they have no levels."""
    holes = imputed(long)
    own = [str(name) for name in long if name not in (IMP, MEMBER)]
    return {name: as_levels(long[name], name in holes, columns.get(name)) for name in own}


def _script(lines: list[str]) -> str:
    head = "# Multiple imputations written by pyro_gnr; run it in the folder of the file."
    return "\n".join([head, "library(mice)", *lines, "imp <- as.mids(long)"]) + "\n"


def _is_text(series: pd.Series) -> bool:
    return pd.api.types.infer_dtype(series, skipna=True) == "string"


def _is_factor(series: pd.Series) -> bool:
    """Whether R's arrow makes a factor of a column of a .parquet file by itself."""
    is_category = isinstance(series.dtype, pd.CategoricalDtype)
    return is_category and not is_of_numbers(series.dtype)


def _factor(name: str, found: pd.Series, *, stored: bool = False) -> str:
    """The line of R; `stored`: the file holds numbers or truth values rather than their text."""
    write = _in_r if stored else _as_text
    levels = [write(level) for level in found.cat.categories.tolist()]
    return _made_factor(name, levels, ordered=bool(found.cat.ordered))


def _as_text(level: Any) -> str:
    return _quoted(str(level))


def _in_r(level: Any) -> str:
    """A level as R reads it in a .parquet file: R matches both by what it would print."""
    if isinstance(level, bool):
        return "TRUE" if level else "FALSE"
    # 1e5 is "1e+05" to R, but 100000 among whole numbers is not: these go by their digits.
    return repr(level).replace("inf", "Inf") if isinstance(level, float) else _quoted(str(level))


def _made_factor(name: str, levels: list[str], *, ordered: bool) -> str:
    """The line of R, of levels as R writes them."""
    column, order = f"long[[{_quoted(name)}]]", ", ordered = TRUE" if ordered else ""
    return f"{column} <- factor({column}, levels = c({', '.join(levels)}){order})"


def _codes(long: pd.DataFrame, columns: Mapping[str, Column]) -> list[str]:
    """Factors of numbers that are codes of levels; of two levels they stay numbers, as 0 and 1."""
    found = []
    for name, column in columns.items():
        if column.kind not in (Kind.CATEGORICAL, Kind.ORDINAL) or name not in long:
            continue
        dtype = long[name].dtype
        if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
            levels = [f"{float(level):.15g}" for level in column.levels or ()]
            found.append(_made_factor(name, levels, ordered=column.kind is Kind.ORDINAL))
    return found


def _typed(name: str, series: pd.Series) -> str | None:
    """What makes times, dates and booleans (True is text to R's reader) what they are."""
    column = f"long[[{_quoted(name)}]]"
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return f'{column} <- as.POSIXct({column}, tz = "UTC")'
    converters = {"date": "as.Date", "boolean": "as.logical"}
    convert = converters.get(pd.api.types.infer_dtype(series, skipna=True))
    return None if convert is None else f"{column} <- {convert}({column})"


def _without(long: pd.DataFrame) -> list[str]:
    """What mice would take for variables: members, and the text of intervals."""
    extra = [n for n in map(str, long) if n == MEMBER or n.startswith(INTERVAL)]
    if not extra:
        return []
    return [f"long <- long[setdiff(names(long), c({', '.join(map(_quoted, extra))}))]"]


def _quoted(text: Any) -> str:
    """A string of R; the escapes of JSON are R's, too."""
    return json.dumps(text, ensure_ascii=False)
