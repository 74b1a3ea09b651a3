"""One call for all formats, which the ending of the file chooses."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import Column
from pyro_gnr.data.files import staged
from pyro_gnr.imputation.exchange.long import ID, IMP
from pyro_gnr.imputation.exchange.r import write_csv, write_parquet
from pyro_gnr.imputation.exchange.reading import as_pandas, check_long, members_of, warn_of_holes
from pyro_gnr.imputation.exchange.rubin import rubin_note
from pyro_gnr.imputation.exchange.spss import write_spss
from pyro_gnr.imputation.exchange.stata import write_stata
from pyro_gnr.imputation.exchange.variables import imputed
from pyro_gnr.imputation.pooling.nesting import as_members

__all__ = ["ENDINGS", "Exported", "export", "targets", "warn_of_empty_text"]

# By ending: the writer, and what the file with the commands that read it is called.
FORMATS = {
    ".parquet": (write_parquet, "_parquet.R"),
    ".csv": (write_csv, "_csv.R"),
    ".dta": (write_stata, "_dta.do"),
    ".sav": (write_spss, "_sav.sps"),
}
ENDINGS = tuple(FORMATS)
COMMENTS = {".R": "# {}", ".do": "* {}", ".sps": "* {}."}  # a line of the file with the commands


class Exported(NamedTuple):
    """What was written.

    Attributes:
        files: the table, and the commands that read it.
        renamed: new names of columns whose own were not legal in the format.
    """

    files: tuple[Path, Path]
    renamed: dict[str, str]


def export(
    long: Any,
    path: str | Path,
    *,
    columns: Sequence[Column] = (),
    members: Sequence[int] | NDArray[np.intp] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a long table for R (.parquet, .csv), Stata (.dta) or SPSS (.sav).

    Beside `people.csv` comes `people_csv.R`, beside `people.dta` `people_dta.do`, and so on: the
    commands that read it; where several tables come from one fitted member, they say what Rubin's
    rules make of these (see `MultipleImputation.export`). Each file is written whole or not at
    all. Columns that were imputed and still have missing cells in completed tables are warned of,
    and so is empty text in a .csv file.

    Args:
        long: a long table with its original (`.imp` 0); pandas or polars.
        path: its ending chooses the format.
        columns: what the model knows of the columns: levels of text, and kinds.
        members: (M,) the fitted member that made each table; None: what `.member` says, if it is
            there.
        overwrite: whether files of these names are replaced.

    Raises:
        FileExistsError: there is such a file, and not `overwrite`, or a directory.
        OSError: nothing can be written there.
        ImportError: .sav needs pyreadstat, which is not installed.
        ValueError: there is no such format, there is not one member a table, or the table is no
            long one or holds what the format cannot take (empty text in an imputed column, for
            .csv); the message names the column.
        TypeError: a column is of a type that the format does not have.

    Example:
        >>> import tempfile
        >>> long = pd.DataFrame({".imp": [0, 0, 1, 1], ".id": [1, 2] * 2, "a.b": [1, None, 1, 2]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files, renamed = export(long, Path(folder) / "a.dta")
        ...     [path.name for path in files], renamed
        (['a.dta', 'a_dta.do'], {'a.b': 'a_b'})
    """
    files = targets(Path(path), overwrite=overwrite)
    write = FORMATS[files[0].suffix.lower()][0]
    table = _checked(as_pandas(long))
    if files[0].suffix.lower() in (".dta", ".sav") and _is_odd(table[ID].dtype):
        table[ID] = table[ID].astype(str)  # labels of rows are nothing that a user could convert
    known = as_members(members, table[IMP].nunique() - 1)
    note = rubin_note(members_of(table) if known is None else known)
    warn_of_holes(table)
    if files[0].suffix.lower() == ".csv":
        _check_empty_text(table)
        warn_of_empty_text(table)
    with ExitStack() as stack:
        beside, place = (
            stack.enter_context(staged(file, replace=overwrite)) for file in reversed(files)
        )
        renamed, text = write(table, place, {column.name: column for column in columns})
        text = _commented(text, note, COMMENTS[beside.suffix])
        beside.write_text(text, encoding="utf-8", newline="\n")
    return Exported(files, renamed)


def targets(path: Path, *, overwrite: bool) -> tuple[Path, Path]:
    """Name the two files that an export makes, if it may make them.

    Raises:
        ValueError: there is no such format.
        FileExistsError: there is such a file, and not `overwrite`, or a directory.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path.name}: expected a file ending in {', '.join(FORMATS)}")
    files = (path, path.with_name(path.stem + FORMATS[path.suffix.lower()][1]))
    for file in files:
        _check_free(file, overwrite=overwrite)
    return files


def _commented(text: str, note: str | None, comment: str) -> str:
    """Put a note below the first line, which is a comment in all of them."""
    if note is None:
        return text
    first, rest = text.split("\n", 1)
    lines = textwrap.wrap(f"Note: {note.rstrip('.')}", 90, break_on_hyphens=False)
    if comment.endswith("."):
        lines = [line.removesuffix(".") for line in lines]
    return "\n".join([first, *map(comment.format, lines), rest])


def warn_of_empty_text(long: pd.DataFrame) -> None:
    """Warn of columns with text '', which nothing tells from a missing cell in a .csv file."""
    found = _with_empty_text(long)
    if found:
        warnings.warn(
            f"columns {found} hold empty text, which a .csv file does not tell from missing "
            "cells: it is missing when the file is read. Write .parquet, or a word in its place.",
            stacklevel=3,
        )


def _check_empty_text(long: pd.DataFrame) -> None:
    holes = imputed(long)
    found = [name for name in _with_empty_text(long) if name in holes]
    if found:
        raise ValueError(
            f"columns {found} were imputed and have empty text as a level, which a .csv file does "
            "not tell from a hole: export to .parquet, or put a word in its place before imputing."
        )


def _with_empty_text(long: pd.DataFrame) -> list[str]:
    return [str(name) for name in long if _has_empty_text(long[name])]


def _has_empty_text(series: pd.Series) -> bool:
    if pd.api.types.is_object_dtype(series.dtype):  # of anything
        return any(isinstance(cell, str) and not cell for cell in series)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "" in series.cat.categories and bool((series == "").any())
    return pd.api.types.is_string_dtype(series.dtype) and bool((series == "").any())


def _is_odd(dtype: Any) -> bool:
    """Whether Stata and SPSS have no such type: times of a zone, periods, intervals, spans."""
    odd = (pd.DatetimeTZDtype, pd.PeriodDtype, pd.IntervalDtype)
    return isinstance(dtype, odd) or pd.api.types.is_timedelta64_dtype(dtype)


def _check_free(file: Path, *, overwrite: bool) -> None:
    if file.is_dir():
        raise FileExistsError(f"{str(file)!r} is a directory: name another.")
    if os.path.lexists(file) and not overwrite:
        raise FileExistsError(f"{str(file)!r} exists already: give overwrite=True to replace it.")


def _checked(long: pd.DataFrame) -> pd.DataFrame:
    """A copy in the order of `.imp`, whose columns are named by strings, with its original."""
    check_long(long.rename(columns=str), "the table")
    if not (long[IMP] == 0).any():
        raise ValueError("the table has no rows of .imp 0: export needs the original, with holes.")
    table = long.rename(columns=str).sort_values(IMP, kind="stable", ignore_index=True)
    if not table.columns.is_unique:
        raise ValueError("two columns of the table have the same name: rename one.")
    if ID not in table:
        n_rows = int((table[IMP] == 0).sum())
        table.insert(1, ID, table.index % n_rows + 1)
    elif pd.api.types.infer_dtype(table[ID], skipna=False).startswith("mixed"):
        table[ID] = table[ID].astype(str)  # labels of several types: no format has such a column
    return table
