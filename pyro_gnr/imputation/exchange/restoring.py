"""What a .csv file loses of a table, brought back from a model that knows its columns."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pyro_gnr.data import Column, Kind

__all__ = ["restore"]


def restore(long: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Make categories and dates again of what was one when the model was fitted.

    A category gets the levels that the model saw, in their order; it is ordered where the model
    took it as ordinal. (Levels without an observed cell, and the order of two, are lost.)

    Args:
        long: a long table, or any other with these columns.
        columns: the columns as learnt.

    Raises:
        ValueError: the table lacks one of the columns, or has levels that the model never saw.

    Example:
        >>> grade = Column("grade", Kind.ORDINAL, "category", levels=("low", "high"))
        >>> restore(pd.DataFrame({"grade": ["high", "low"]}), [grade])["grade"].cat.ordered
        True
    """
    gone = [column.name for column in columns if column.name not in long]
    if gone:
        raise ValueError(f"the table has no columns {gone}, which the model has: name its own.")
    return long.assign(**{c.name: _restored(long[c.name], c) for c in columns})


def _restored(series: pd.Series, column: Column) -> pd.Series:
    if column.dtype.startswith("datetime64") and series.dtype.kind not in "Mm":
        return pd.to_datetime(series)
    category = column.dtype.lower().startswith(("category", "categorical", "enum"))
    if not category or column.levels is None or isinstance(series.dtype, pd.CategoricalDtype):
        return series
    ordered = column.kind is Kind.ORDINAL
    unseen = set(series.dropna().unique()) - set(column.levels)
    if unseen:
        raise ValueError(
            f"column {column.name!r} has levels {sorted(map(str, unseen))} that the model never "
            "saw: name the model that imputed the table."
        )
    found = pd.Categorical(series, categories=list(column.levels), ordered=ordered)
    return pd.Series(found, index=series.index)
