"""Levels that completed tables use, all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from pyro_gnr.imputation.pooling.frames import with_names

__all__ = ["Levels", "names", "used_levels", "with_levels"]


class Levels(NamedTuple):
    """Levels of a column that some completed table uses.

    Attributes:
        values: in declared order, or sorted.
        unused: declared ones that no table uses.
        declared: whether the column is a pandas category.
        ordered: whether that has an order.
    """

    values: tuple[Any, ...]
    unused: tuple[Any, ...] = ()
    declared: bool = False
    ordered: bool = False


def names(formula: str, column: str) -> bool:
    """Whether a formula names a column.

    Example:
        >>> names("bmi ~ age + C(sex)", "sex"), names("bmi ~ age", "ag")
        (True, False)
    """
    return bool(re.search(rf"(?<!\w){re.escape(column)}(?!\w)", formula))


def used_levels(formula: str, outcome: str | None, tables: Iterable[Any]) -> dict[str, Levels]:
    """Find the levels of an outcome of levels and of categories that a formula names.

    Args:
        formula: it.
        outcome: name of its outcome, None where that is no single column.
        tables: completed ones; not all are looked at where the first show all levels.

    Returns:
        Levels by column; a level that only some tables use is one.

    Example:
        >>> grade = pd.Categorical(["b", "a"], categories=["c", "b", "a"])
        >>> used_levels("y ~ grade", "y", [pd.DataFrame({"y": [1, 2], "grade": grade})])["grade"]
        Levels(values=('b', 'a'), unused=('c',), declared=True, ordered=False)
    """
    seen: dict[str, dict[Any, None]] = {}
    types: dict[str, Any] = {}
    for table in tables:
        frame = with_names(table)
        if not types:
            types = {
                str(name): dtype
                for name, dtype in frame.dtypes.items()
                if names(formula, str(name)) and _is_wanted(dtype, is_outcome=name == outcome)
            }
        for name in types:
            seen.setdefault(name, {}).update(dict.fromkeys(frame[name].dropna().unique()))
        if all(_is_complete(types[name], seen[name]) for name in types):
            break
    return {name: _levels(types[name], seen[name]) for name in types}


def _is_wanted(dtype: Any, *, is_outcome: bool) -> bool:
    """Text on the right of a formula is patsy's affair: there are no levels beyond those used."""
    if isinstance(dtype, pd.CategoricalDtype):
        return True
    text = pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype)
    return is_outcome and (text or pd.api.types.is_bool_dtype(dtype))


def _is_complete(dtype: Any, seen: dict[Any, None]) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return len(seen) == len(dtype.categories)
    return bool(pd.api.types.is_bool_dtype(dtype)) and len(seen) == 2


def _levels(dtype: Any, seen: dict[Any, None]) -> Levels:
    if not isinstance(dtype, pd.CategoricalDtype):
        try:
            return Levels(tuple(sorted(seen)))
        except TypeError:  # of several types
            return Levels(tuple(sorted(seen, key=str)))
    declared = dtype.categories.tolist()
    rest = [level for level in seen if level not in declared]
    values = tuple(level for level in declared if level in seen)
    unused = tuple(level for level in declared if level not in seen)
    return Levels((*values, *rest), unused, declared=True, ordered=bool(dtype.ordered))


def with_levels(frame: pd.DataFrame, levels: dict[str, Levels]) -> pd.DataFrame:
    """Give categories the levels that are used, which are those that a formula makes terms of."""
    changed = {
        name: frame[name].cat.set_categories(found.values)
        for name, found in levels.items()
        if found.unused and isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    return frame.assign(**changed) if changed else frame
