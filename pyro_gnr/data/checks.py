"""What a table must be, checked once, at the door; inner code trusts its input."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import frames
from pyro_gnr.data.columns import Bounds, Column, Kind, as_bounds, as_kind

__all__ = [
    "check_names",
    "check_rows",
    "check_shape",
    "chosen_bounds",
    "chosen_kinds",
    "warn_of_new_holes",
]


def chosen_kinds(names: Sequence[str], kinds: Mapping[str, str | Kind]) -> dict[str, Kind]:
    """Read the kinds that the user chose.

    Args:
        names: the columns of the table.
        kinds: kinds by name of the column.

    Returns:
        The kinds, by str() of the names.

    Raises:
        ValueError: there is no such column or kind.

    Example:
        >>> chosen_kinds(["a", "b"], {"b": "ignore"})
        {'b': <Kind.IGNORE: 'ignore'>}
    """
    unknown = [str(name) for name in kinds if str(name) not in names]
    if unknown:
        raise ValueError(f"kinds names unknown columns {unknown}, expected some of {list(names)}.")
    return {str(name): as_kind(kind, str(name)) for name, kind in kinds.items()}


def chosen_bounds(kinds: Mapping[str, str | Kind]) -> dict[str, Bounds]:
    """Read the bounds of bounded columns that the user gave.

    Args:
        kinds: kinds by name of the column.

    Returns:
        Bounds by str() of the names, for the columns that have them.

    Raises:
        ValueError: bounds are no two finite numbers, the lower one first.

    Example:
        >>> chosen_bounds({"a": "bounded(0, 20)", "b": "count"})
        {'a': (0.0, 20.0)}
    """
    found = {str(name): as_bounds(kind, str(name)) for name, kind in kinds.items()}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def check_rows(frame: Any) -> None:
    """Refuse a table without rows.

    Raises:
        ValueError: there are none.
    """
    if len(frame) == 0:
        raise ValueError(f"got a table with 0 rows (shape={frame.shape}), expected at least one.")


def check_shape(frame: Any, names: Sequence[str], chosen: Mapping[str, Kind]) -> None:
    """Refuse a training table from which nothing can be learnt.

    Args:
        frame: the training table.
        names: its columns.
        chosen: the kinds that the user chose.

    Raises:
        ValueError: no column to model, duplicate names, or fewer than two rows.
    """
    modelled = [name for name in names if chosen.get(name) is not Kind.IGNORE]
    if not modelled:
        raise ValueError(
            f"got no column to model: 0 feature(s) (shape={frame.shape}) while a minimum of 1 is "
            "required. Give a table with columns, and ignore fewer of them."
        )
    _check_unique(names)
    check_rows(frame)
    if len(frame) == 1:
        raise ValueError("got one row (n_samples=1), expected at least two to learn from.")


def check_names(frame: Any, expected: Sequence[str]) -> None:
    """Refuse a table whose columns are not those of the training table, in their order.

    Args:
        frame: any table.
        expected: the columns of the training table.

    Raises:
        ValueError: columns were added, dropped, renamed, duplicated or reordered.
    """
    names = list(frames.column_names(frame))
    expected = list(expected)
    if names == expected:
        return
    if isinstance(frame, np.ndarray) and len(names) != len(expected):
        # The wording that scikit-learn's estimator checks look for.
        raise ValueError(
            f"X has {len(names)} features, but Schema is expecting {len(expected)} features as "
            "input."
        )
    _check_unique(names)
    new = [name for name in names if name not in expected]
    gone = [name for name in expected if name not in names]
    if new or gone:
        raise ValueError(
            f"the columns differ from those of the training table: new or renamed {new}, dropped "
            f"or renamed {gone}. Give exactly the columns {expected}, in this order."
        )
    moved = [name for name, other in zip(names, expected, strict=True) if name != other]
    raise ValueError(
        f"the columns {moved} are not where they were in the training table: reorder them to "
        f"{expected}."
    )


def warn_of_new_holes(columns: Sequence[Column], observed: NDArray[np.bool_]) -> None:
    """Warn of holes in columns that had none in training.

    Args:
        columns: the D modelled columns.
        observed: (N, D), True where a cell is observed.

    Warns:
        UserWarning: there is such a column.
    """
    complete = [bool(cells.all()) for cells in observed.T]
    names = [
        column.name
        for column, without_hole in zip(columns, complete, strict=True)
        if column.holes == 0 and not without_hole
    ]
    if names:
        # Three levels up is the caller of Schema.encode.
        warnings.warn(
            f"columns {names} had no missing cell in training, but have some here: nothing is "
            "known about how they go missing, so holes are treated as ignorable there.",
            UserWarning,
            stacklevel=3,
        )


def _check_unique(names: Iterable[str]) -> None:
    counts = pd.Series(list(names), dtype=object).value_counts(sort=False)
    twice = [str(name) for name in counts.index[counts > 1]]
    if twice:
        raise ValueError(f"got duplicate column names {twice}, expected unique ones: rename them.")
