"""A long table read again: the original and the completed tables in it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data.files import MISSING_WORDS, from_arrow, read_table
from pyro_gnr.imputation.exchange.long import ID, IMP, INTERVAL, MEMBER

__all__ = [
    "LongTables",
    "as_pandas",
    "check_long",
    "members_of",
    "read_long",
    "read_rows",
    "warn_of_holes",
]


class LongTables(NamedTuple):
    """What a long table holds.

    Attributes:
        original: the table with its holes (`.imp` 0); None if it is not there.
        completed: M tables; all have `.id` as their index.
        members: (M,) the fitted member that made each table; None if there is no `.member`.

    Example:
        >>> table = pd.DataFrame({"a": [1.0, 2.0]})
        >>> found = LongTables(original=None, completed=[table, table + 1.0], members=None)
        >>> [completed["a"].mean().item() for completed in found.completed]
        [1.5, 2.5]
    """

    original: pd.DataFrame | None
    completed: list[pd.DataFrame]
    members: NDArray[np.intp] | None


def read_long(source: str | Path | Any) -> LongTables:
    """Take a long table apart.

    It may come from `MultipleImputation.to_long` or `export`, `pyro-gnr impute`, or R's
    `mice::complete(imp, "long", include = TRUE)`. Parquet brings dtypes, levels and their order
    back, levels that are numbers only if `export` or the command line wrote the file (pandas' own
    `to_parquet` makes plain numbers of them); a CSV file knows none of them (see `read_table` in
    `pyro_gnr.data.files`).

    Which cells of a .csv file are missing is told by those that were imputed, missing in `.imp` 0
    and not in a completed table. `export` and the command line leave holes empty: if those were
    empty, only empty cells are missing, and `NA`, `None`, `nan` or `null` is text. If one of them
    was `NA` or the like, as R writes it, or none was imputed, all of these are missing.

    Columns that were imputed and still have missing cells in completed tables are warned of.

    Args:
        source: a .csv or .parquet file, or a pandas or polars table.

    Returns:
        Original and completed tables, pandas ones; text of intervals (`.interval.`) is left out.

    Raises:
        ValueError: it is no long table, or its tables are not of the same rows.
        OSError: the file cannot be opened.

    Example:
        >>> long = pd.DataFrame({".imp": [0, 0, 1, 1], ".id": [7, 8] * 2, "a": [1, None, 1, 2]})
        >>> tables = read_long(long)
        >>> tables.original["a"].isna().tolist(), tables.completed[0]["a"].tolist()
        ([False, True], [1.0, 2.0])
    """
    named = isinstance(source, (str, Path))
    long = read_rows(source) if named else as_pandas(source)
    check_long(long, repr(str(source)) if named else "the table")
    warn_of_holes(long)
    numbers = long[IMP].to_numpy(dtype=np.int64)
    extra = [n for n in long if n in (IMP, MEMBER) or str(n).startswith(INTERVAL)]
    rows = long.drop(columns=extra)
    if ID in rows:
        rows = rows.set_index(ID)
    else:
        rows.index = pd.RangeIndex(len(rows)) % (len(rows) // len(np.unique(numbers))) + 1
    tables = {int(i): rows[numbers == i] for i in np.unique(numbers)}
    return LongTables(tables.pop(0, None), list(tables.values()), members_of(long))


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a file as one long table; `read_long` says which cells of a .csv file are missing.

    Raises:
        ValueError: it is no long table.
        OSError: the file cannot be opened.
    """
    rows = read_table(path, only_empty=True)
    check_long(rows, repr(str(path)))
    if Path(path).suffix.lower() != ".csv":
        return rows
    texts = rows.loc[:, [pd.api.types.is_string_dtype(dtype) for dtype in rows.dtypes]]
    words = texts.isin(MISSING_WORDS)
    words = words.loc[:, words.any()]
    if words.empty:
        return rows
    # What was observed is the same in all tables: a word that differs marked a hole.
    cells = texts[words.columns].to_numpy(dtype=object, na_value="")
    by_words = _changes(rows[IMP], cells, words.to_numpy())
    empty = rows.isna().to_numpy()
    usual = by_words or not _changes(rows[IMP], empty, empty)
    return read_table(path) if usual else rows


def _changes(numbers: pd.Series, cells: NDArray[Any], among: NDArray[np.bool_]) -> bool:
    """Whether some cell of `.imp` 0, one of these, is another in a completed table."""
    here = (numbers == 0).to_numpy()
    if not here.any():
        return False
    others = [(numbers == i).to_numpy() for i in numbers.unique() if i != 0]
    return any(((cells[here] != cells[i]) & among[here]).any() for i in others)


def members_of(long: pd.DataFrame) -> NDArray[np.intp] | None:
    """Give the fitted member that made each table, (M,), by `.member`; None if it does not say.

    Example:
        >>> members_of(pd.DataFrame({".imp": [0, 1, 2], ".member": [None, 4, 3]})).tolist()
        [4, 3]
    """
    if MEMBER not in long:
        return None
    found = long.loc[long[IMP] != 0, [IMP, MEMBER]].drop_duplicates(IMP).sort_values(IMP)
    return None if found[MEMBER].isna().any() else found[MEMBER].to_numpy(dtype=np.intp)


def warn_of_holes(long: pd.DataFrame) -> None:
    """Warn of columns that were imputed and have missing cells in completed tables.

    A column that nobody imputed has the same holes in all tables, and is not meant.
    """
    missing, here = long.isna(), (long[IMP] == 0).to_numpy()
    if not here.any():
        return
    original = missing[here].to_numpy()
    others = [missing[(long[IMP] == i).to_numpy()].to_numpy() for i in long[IMP].unique() if i]
    changed = np.any([(other != original).any(axis=0) for other in others], axis=0)
    left = np.any([other.any(axis=0) for other in others], axis=0)
    found = [name for name in long.columns[changed & left] if name != MEMBER]
    if found:
        warnings.warn(
            f"columns {found} have missing cells in completed tables, expected none where cells "
            "were imputed: analyses leave these rows out or fail. If text such as '' or 'NA' was "
            "lost in a .csv file, impute or export to .parquet.",
            stacklevel=3,
        )


def as_pandas(frame: Any) -> pd.DataFrame:
    """Give a polars table as a pandas one, with an Enum as an ordered category.

    Raises:
        TypeError: it is no table.
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    if not hasattr(frame, "to_arrow"):
        raise TypeError(f"got {type(frame).__name__}, expected a pandas or polars DataFrame.")
    return from_arrow(frame.to_arrow())


def check_long(long: pd.DataFrame, name: str) -> None:
    """Refuse what is no long table: `.imp` has to tell equal tables of the same rows apart.

    Raises:
        ValueError: it does not.
    """
    if IMP not in long or not set(long[IMP].dropna()) - {0}:
        raise ValueError(f"{name} has no column .imp with numbers of tables: it is no long table.")
    if not pd.api.types.is_numeric_dtype(long[IMP]) or long[IMP].isna().any():
        raise ValueError(f"{name} has an .imp that is no number: expected 0, 1, ..., M.")
    counts = long[IMP].value_counts()
    if counts.nunique() > 1:
        raise ValueError(
            f"{name} has {counts.min()} rows of one .imp and {counts.max()} of another: expected "
            "as many of each."
        )
    if ID not in long:
        return
    ids = [group.array for _, group in long.groupby(IMP)[ID]]
    if any((part != ids[0]).any() for part in ids[1:]) or pd.Series(ids[0]).duplicated().any():
        raise ValueError(
            f"{name} has other .id in one .imp than in another, or one twice: expected the same "
            "rows in the same order."
        )
