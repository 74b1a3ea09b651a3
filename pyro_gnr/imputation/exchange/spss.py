"""SPSS: one .sav file, split by `Imputation_`, and the commands that split it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pyro_gnr.data import Column
from pyro_gnr.imputation.exchange.long import IMP
from pyro_gnr.imputation.exchange.names import SPSS
from pyro_gnr.imputation.exchange.variables import LONGEST_LEVEL, Variable, renamed, variables

__all__ = ["write_spss"]

SPLIT = "Imputation_"  # by this name SPSS knows multiple imputations
LONGEST_TEXT, LONGEST_LABEL = 32_767, 256  # bytes


def write_spss(
    long: pd.DataFrame, path: Path, columns: Mapping[str, Column]
) -> tuple[dict[str, str], str]:
    """Write a .sav file, sorted by `Imputation_`, which is 0 where the table has its holes.

    Levels are numbers with value labels, and so are texts of which cells were imputed or that have
    few levels (see `guessed`); measures are nominal, ordinal (ordered levels) or scale; names of
    columns are kept as variable labels.

    Returns:
        New names of columns, and the text of a syntax file.

    Raises:
        ImportError: pyreadstat is not installed.
        ValueError: a text or the name of a level is too long; see `variables`, too.
    """
    pyreadstat = _pyreadstat()
    found = variables(long, SPSS, columns, taken=[SPLIT])
    for variable in found:
        _check_lengths(variable)
    m = int(long[IMP].max())
    split = {0: "Original data"} | {i: str(i) for i in range(1, m + 1)}
    values = {SPLIT: long[IMP].astype("float64").to_numpy()}
    pyreadstat.write_sav(
        pd.DataFrame(values | {v.name: _stored(v) for v in found}),
        str(path),
        column_labels={SPLIT: "Imputation Number"} | {v.name: _cut(v.column) for v in found},
        variable_value_labels={SPLIT: split} | {v.name: v.labels for v in found if v.labels},
        variable_measure={SPLIT: "nominal"} | {v.name: v.measure for v in found},
        variable_format={SPLIT: "F8.0"} | {v.name: "F12.0" for v in found if _is_whole(v)},
    )
    return renamed(found), _syntax(path.name, m, found)


def _pyreadstat() -> ModuleType:
    try:
        import pyreadstat
    except ImportError as error:
        raise ImportError(
            "a .sav file is written by pyreadstat, which is not installed: "
            "pip install pyro-gnr[exchange], or export to .dta, .csv or .parquet."
        ) from error
    return pyreadstat


def _check_lengths(variable: Variable) -> None:
    texts = variable.values if variable.values.dtype == object else ()
    for what, found, most in (
        ("a text", texts, LONGEST_TEXT),
        ("a level", variable.labels.values(), LONGEST_LEVEL),
    ):
        longest = max((len(text.encode()) for text in found), default=0)
        if longest > most:
            raise ValueError(
                f"column {variable.column!r} has {what} of {longest} bytes, SPSS takes {most}: "
                "shorten it or drop the column."
            )


def _is_whole(variable: Variable) -> bool:
    return variable.values.dtype == "Int64"


def _stored(variable: Variable) -> Any:
    """All numbers are doubles in SPSS; days come as dates of Python."""
    if _is_whole(variable):
        return variable.values.to_numpy("float64", na_value=np.nan)
    if variable.day and variable.values.notna().any():
        return pd.Series([None if pd.isna(v) else v.date() for v in variable.values], dtype=object)
    return variable.values


def _cut(label: str) -> str:
    return label.encode()[:LONGEST_LABEL].decode(errors="ignore")


def _syntax(file: str, m: int, found: Sequence[Variable]) -> str:
    names = (
        f"* {new}: column {json.dumps(old, ensure_ascii=False)}."
        for old, new in renamed(found).items()
    )
    lines = [
        "* Encoding: UTF-8.",
        f"* {m} imputations written by pyro_gnr; {SPLIT} 0 is the table with its holes.",
        *names,
        f'GET FILE="{file}".',
        f"SORT CASES BY {SPLIT}.",
        f"SPLIT FILE LAYERED BY {SPLIT}.",
    ]
    return "\n".join(lines) + "\n"
