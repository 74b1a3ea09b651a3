"""What a caller computed from a table, put in the order of the table's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["as_truth_values", "in_row_order"]


def in_row_order(computed: Any, table: Any, what: str) -> Any:
    """Match what was computed from a table with its rows: by row labels where it has some.

    Args:
        computed: a Series or table of pandas, whose labels say which row is which, if they are
            not just 0, 1, 2, ...; or anything else, whose order is taken as it is, as is that of
            what has another number of rows.
        table: of pandas; or of another library, whose rows are 0, 1, 2, ...
        what: what it is, for errors.

    Raises:
        ValueError: it has other labels than the table; is in another order than a table with
            labels that occur twice; or its labels 0, 1, 2, ... may be labels or none.

    Example:
        >>> table = pd.DataFrame({"kg": [80, 60, 70]}, index=["a", "b", "c"])
        >>> in_row_order(table["kg"].sort_values(), table, "kg").tolist()
        [80, 60, 70]
    """
    n = len(table)
    if not isinstance(computed, (pd.Series, pd.DataFrame)) or len(computed) != n:
        return computed
    index = table.index if isinstance(table, pd.DataFrame) else pd.RangeIndex(n)
    if computed.index.equals(index):
        return computed
    numbered = computed.index.equals(pd.RangeIndex(n))
    places = _places(computed.index, index)
    if places is None and numbered:
        return computed
    if places is None:
        raise ValueError(f"{what} {_misfit(computed.index, index)}: {_ADVICE}")
    if numbered and isinstance(computed.index, pd.RangeIndex):
        raise ValueError(
            f"{what} has row labels 0 to {n - 1} in order, as what was made without labels, but "
            f"the table has the same in another order, so that either may be meant: {_ADVICE}"
        )
    return computed.iloc[places]


def as_truth_values(found: Any) -> NDArray[Any]:
    """Give an array; one of bool where it holds nothing but truth values, of whatever dtype.

    A boolean column that has, or had, holes is of dtype object.

    Example:
        >>> as_truth_values(pd.Series([True, False], dtype=object)).dtype.name
        'bool'
    """
    cells = np.asarray(found)
    if cells.dtype == object and all(isinstance(cell, (bool, np.bool_)) for cell in cells.flat):
        return cells.astype(np.bool_)
    return cells


_ADVICE = (
    "give it the table's own labels, in any order, or give an array (.to_numpy()) if it is in "
    "the order of the table's rows."
)


def _places(found: pd.Index[Any], index: pd.Index[Any]) -> Any:
    """Where each label of the table is among those found; None if these are no permutation."""
    if not (found.is_unique and index.is_unique):
        return None
    places = found.get_indexer(index)
    return None if (places < 0).any() else places


def _misfit(found: pd.Index[Any], index: pd.Index[Any]) -> str:
    """Say why labels do not match."""
    foreign = list(found[~found.isin(index)][:3])
    if foreign:
        return f"has row labels that the table has not, such as {foreign}"
    return "has the table's row labels in another order, but some of them more than once"
