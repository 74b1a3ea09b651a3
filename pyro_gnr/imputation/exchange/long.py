"""The M completed tables as one long table, as R's mice stacks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["ID", "IMP", "INTERVAL", "MEMBER", "long_table", "row_ids"]

IMP, ID, MEMBER = ".imp", ".id", ".member"
INTERVAL = ".interval."  # and the name of a column: the text of its interval cells

Texts = Mapping[str, NDArray[np.object_]]


def row_ids(labels: pd.Index, *, own: bool = True) -> pd.Index:
    """Name N rows: their index labels where these are the caller's own and unique, else 1, ..., N.

    Example:
        >>> row_ids(pd.Index(["a", "b"])).tolist(), row_ids(pd.Index(["a", "a"])).tolist()
        (['a', 'b'], [1, 2])
    """
    plain = own and not isinstance(labels, pd.MultiIndex)
    if plain and labels.is_unique and not labels.hasnans:
        return labels
    return pd.RangeIndex(1, len(labels) + 1)


def long_table(
    original: Any,
    completed: Sequence[Any],
    ids: pd.Index,
    *,
    texts: Texts | None = None,
    members: Sequence[int] | NDArray[np.intp] | None = None,
) -> Any:
    """Stack the original table and the M completed ones.

    Args:
        original: the table with its holes, N rows; pandas or polars.
        completed: M tables of the same columns and library.
        ids: (N,) names of the rows.
        texts: more columns: text (N,) by name, the same in all tables.
        members: (M,) the fitted member that made each table; None: no such column.

    Returns:
        Table with (M + 1) N rows: `.imp` (0 the table with its holes, then 1, ..., M), `.id`,
        `.member` (missing where `.imp` is 0) if given, the table's columns, then the texts.

    Raises:
        ValueError: the table has a column of one of these names already.

    Example:
        >>> holes = pd.DataFrame({"a": [1.0, None]})
        >>> long_table(holes, [holes.fillna(2.0)], pd.Index([1, 2])).values.tolist()
        [[0.0, 1.0, 1.0], [0.0, 2.0, nan], [1.0, 1.0, 1.0], [1.0, 2.0, 2.0]]
    """
    texts = {} if texts is None else texts
    keys = [IMP, ID] if members is None else [IMP, ID, MEMBER]
    _check_free([*keys, *texts], original.columns)
    # A column that cannot hold its imputations (an all-missing one of no type, an Enum without a
    # level) is of another dtype where it is completed: the original is cast to that one.
    if isinstance(original, pd.DataFrame):
        return _long_pandas(original, completed, ids, texts, members)
    return _long_polars(original, completed, ids, texts, members)


def _check_free(wanted: Iterable[str], names: Iterable[Any]) -> None:
    taken = set(wanted) & {str(name) for name in names}
    if taken:
        raise ValueError(f"the table has columns {sorted(taken)} already: rename them first.")


def _long_pandas(
    original: pd.DataFrame,
    completed: Sequence[pd.DataFrame],
    ids: pd.Index,
    texts: Texts,
    members: Sequence[int] | NDArray[np.intp] | None,
) -> pd.DataFrame:
    for j, dtype in enumerate(completed[0].dtypes):
        if dtype != original.dtypes.iloc[j]:
            original = original.copy(deep=False)
            original.isetitem(j, original.iloc[:, j].astype(dtype).array)
    long = pd.concat([original, *completed], ignore_index=True)
    long.insert(0, IMP, np.repeat(np.arange(len(completed) + 1), len(ids)))
    long.insert(1, ID, ids.append([ids] * len(completed)))
    if members is not None:
        long.insert(2, MEMBER, pd.Series(_members(members, len(ids)), dtype="Int64"))
    for name, text in texts.items():
        long[name] = np.tile(text, len(completed) + 1)
    return long


def _long_polars(
    original: Any,
    completed: Sequence[Any],
    ids: pd.Index,
    texts: Texts,
    members: Sequence[int] | NDArray[np.intp] | None,
) -> Any:
    import polars as pl

    times = len(completed) + 1
    keys: dict[str, Any] = {
        IMP: np.repeat(np.arange(times), len(ids)),
        ID: np.tile(ids.to_numpy(), times),
    }
    if members is not None:
        keys[MEMBER] = pl.Series(_members(members, len(ids)), dtype=pl.Int64)
    schema = completed[0].schema
    changed = {name: dtype for name, dtype in schema.items() if dtype != original.schema[name]}
    rows = pl.concat([original.cast(changed), *completed])
    known = {
        name: pl.Series(text.tolist() * times, dtype=pl.String) for name, text in texts.items()
    }
    return pl.concat([pl.DataFrame(keys), rows, pl.DataFrame(known)], how="horizontal")


def _members(members: Sequence[int] | NDArray[np.intp], n_rows: int) -> list[int | None]:
    """The member of each row of the long table; none where it is the original's."""
    return [member for g in [None, *map(int, members)] for member in [g] * n_rows]
