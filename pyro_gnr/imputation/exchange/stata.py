"""Stata: one .dta file for `mi import flong`, and the commands that import it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pyro_gnr.data import Column
from pyro_gnr.imputation.exchange.long import IMP, INTERVAL
from pyro_gnr.imputation.exchange.names import STATA
from pyro_gnr.imputation.exchange.variables import FIXED, Variable, renamed, variables

__all__ = ["write_stata"]

# Not _mi_m and _mi_id: `mi import flong` makes these, and stops if they are there.
M = "mi_m"
LONGEST_TEXT, LONGEST_LABEL = 2045, 80


def write_stata(
    long: pd.DataFrame, path: Path, columns: Mapping[str, Column]
) -> tuple[dict[str, str], str]:
    """Write a .dta file (version 118, or 119 for very many columns: Stata 14 or newer).

    `mi_m` is 0 where the table has its holes, `mi_id` names the rows. Levels are numbers with
    value labels, and so are texts of which cells were imputed or that have few levels (see
    `guessed`), since Stata imputes numbers only and has factors of numbers only; names of columns
    are kept as variable labels. Text has no missing value but "".

    Returns:
        New names of columns, and the text of a do-file.

    Raises:
        ValueError: a text is longer than 2045 bytes; see `variables`, too.
    """
    m = int(long[IMP].max())
    # `mi convert wide` puts _1_, ..., _M_ in front.
    rule = STATA._replace(longest=STATA.longest - len(str(m)) - 2)
    found = variables(long, rule, columns, taken=[M])
    for variable in found:
        _check_text(variable)
    frame = pd.DataFrame({M: long[IMP].to_numpy(), **{v.name: _stored(v) for v in found}})
    labels = {v.name: v.column[:LONGEST_LABEL] for v in found}
    frame.to_stata(
        path, version=None, write_index=False,
        variable_labels={M: "imputation; 0: the table with its holes", **labels},
        value_labels={v.name: v.labels for v in found if v.labels},
        convert_dates={v.name: "td" if v.day else "tc" for v in found if _is_moment(v)},
    )  # fmt: skip
    return renamed(found), _do_file(path.name, m, found)


def _check_text(variable: Variable) -> None:
    if variable.values.dtype != object:
        return
    longest = max((len(text.encode()) for text in variable.values), default=0)
    if longest > LONGEST_TEXT:
        raise ValueError(
            f"column {variable.column!r} has a text of {longest} bytes, Stata takes "
            f"{LONGEST_TEXT}: shorten or drop it."
        )


def _is_moment(variable: Variable) -> bool:
    return variable.values.dtype.kind == "M"


def _stored(variable: Variable) -> pd.Series:
    """Values in the smallest integer that they fit; pandas widens it where Stata's is narrower."""
    if variable.values.dtype != "Int64":
        return variable.values
    return pd.to_numeric(variable.values, downcast="integer")


def _do_file(file: str, m: int, found: Sequence[Variable]) -> str:
    names = [v.name for v in found if v.imputed]
    option = textwrap.fill(f"imputed({' '.join(names)})", 75, break_long_words=False,
                           break_on_hyphens=False).replace("\n", " ///\n    ")  # fmt: skip
    lines = [
        f"* {m} imputations written by pyro_gnr; {M} 0 is the table with its holes.",
        *(f"* {new}: column {_quoted(old)}" for old, new in renamed(found).items()),
        f'use "{file}", clear',
        *(f"* {v.name} is text; for i.{v.name[:31]}_ say: encode {v.name}, gen({v.name[:31]}_)"
          for v in found if _stays_text(v)),
        f"mi import flong, m({M}) id(mi_id)" + (f" ///\n    {option}" if names else ""),
        f"drop {M}",
        "mi describe",
        "* Then, for instance: mi estimate: regress y x i.group",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _stays_text(variable: Variable) -> bool:
    own = variable.column not in FIXED and not variable.column.startswith(INTERVAL)
    return own and variable.values.dtype == object


def _quoted(name: str) -> str:
    # A comment within a comment would go on to the end of the file.
    return json.dumps(name, ensure_ascii=False).replace("/*", "/ *")
