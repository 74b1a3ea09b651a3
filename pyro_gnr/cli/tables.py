"""The table that came in: its labels, its columns, and whether they suit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyro_gnr.cli.wanted import Wanted, check_columns

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer
    from pyro_gnr.data import Column

__all__ = ["check_training_table", "check_same_columns", "labelled", "learn"]


def learn(frame: pd.DataFrame, kinds: Mapping[str, str]) -> tuple[dict[str, Column], list[str]]:
    """Give columns by name as far as they can be modelled, and what is wrong with the others."""
    from pyro_gnr.data import Schema

    try:
        return {c.name: c for c in Schema.learn(frame, kinds).columns}, []
    except (ValueError, TypeError) as error:
        problems = [str(error)]
    if len(frame) < 2:
        return {}, problems  # no column has more to say
    columns = {}
    for name in frame.columns:
        own = {name: kinds[name]} if name in kinds else {}
        if own.get(name) == "ignore":
            continue
        try:
            columns[name] = Schema.learn(frame[[name]], own).columns[0]
        except (ValueError, TypeError) as error:
            problems.append(str(error))
    return columns, list(dict.fromkeys(problems))


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Label rows 1, ..., N as R does, unless the file brought labels of its own."""
    import pandas as pd

    plain = pd.RangeIndex(len(frame))
    own = frame.index.name is not None or not frame.index.equals(plain)
    return frame if own else frame.set_axis(plain + 1)


def check_training_table(frame: pd.DataFrame, imputer: GNRImputer, wanted: Wanted) -> None:
    """Say everything that is wrong with a training table at once."""
    from pyro_gnr.data.keys import table_keys

    names = [str(name) for name in frame.columns]
    check_columns(wanted, imputer, names)
    kinds, row_key = dict(imputer.kinds or {}), imputer.row_key
    if row_key is not None and row_key in names:
        kinds.setdefault(row_key, "ignore")
    _, problems = learn(frame, kinds)
    try:
        table_keys(frame, [], row_key=row_key)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))


def check_same_columns(
    frame: pd.DataFrame, imputer: GNRImputer, *, table: Path, model: Path
) -> None:
    """Refuse a table that has other columns than the model."""
    from pyro_gnr.data.checks import check_names

    names = [str(name) for name in frame.columns]
    known = [column.name for column in imputer.schema_.columns]
    new = [name for name in names if name not in known]
    gone = [name for name in known if name not in names]
    if new or gone:
        found = {"new": new, "gone": gone}
        text = "; ".join(f"{word}: {_few(some)}" for word, some in found.items() if some)
        raise ValueError(f"{table.name} does not have the columns of the model {model}. {text}")
    check_names(frame, known)  # their order


def _few(names: Sequence[str], most: int = 10) -> str:
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")
