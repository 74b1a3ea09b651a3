"""What the options of a mechanism, and the columns that it works with, must be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pyro_gnr.data.rates import check_rate
from pyro_gnr.data.source import SourceTable

__all__ = [
    "OWN_DIRECTIONS",
    "check_direction",
    "check_slope",
    "check_varying",
    "check_weight",
    "rate_or_default",
    "too_few_columns",
]

DEFAULT_RATE = 0.3
DIRECTIONS = ("high", "low", "random")
OWN_DIRECTIONS = (*DIRECTIONS, "off")
LEARNT = ("free", None)  # a model's words


def rate_or_default(rate: float | None, *, floor: float = 0.0) -> float:
    """Check the rate that was asked for; 0.3 if none was.

    Example:
        >>> rate_or_default(None)
        0.3
    """
    return check_rate(DEFAULT_RATE if rate is None else rate, floor=floor)


def check_direction(direction: object, words: Sequence[str] = DIRECTIONS) -> None:
    """Refuse a direction that is none of the words that a mechanism takes.

    Raises:
        ValueError: it is another.
    """
    if direction not in words:
        hint = (
            " A model may learn its direction; holes need one, and 'random' draws it."
            if direction in LEARNT
            else ""
        )
        raise ValueError(f"got direction {direction!r}, expected one of {list(words)}.{hint}")


def check_slope(slope: float) -> None:
    """Refuse a slope that is not positive and finite.

    Raises:
        ValueError: it is not.
    """
    if not 0.0 < slope < np.inf:
        raise ValueError(
            f"got slope {slope!r}, expected a positive number: direction says which end goes "
            "missing, and hard_self_masking is the infinite slope."
        )


def check_weight(name: str, weight: float) -> None:
    """Refuse a weight that is negative or not finite.

    Raises:
        ValueError: it is.
    """
    if not 0.0 <= weight < np.inf:
        raise ValueError(f"got {name} {weight!r}, expected a finite number, 0 or more.")


def check_varying(table: SourceTable, columns: Iterable[int]) -> None:
    """Refuse constant columns where holes are to depend on their values.

    Raises:
        ValueError: one is constant.
    """
    constant = [table.names[j] for j in columns if not table.varies(j)]
    if constant:
        raise ValueError(
            f"got constant columns {constant}, but holes are to depend on their values: name "
            f"other columns, leave them out with kinds={{{constant[0]!r}: 'ignore'}}, or use mcar."
        )


def too_few_columns(table: SourceTable, needed: str) -> ValueError:
    """Make the error for a table that has too few columns for a mechanism."""
    names = [table.names[j] for j in table.columns]
    return ValueError(
        f"got {len(names)} column(s) to work with, {names}: this mechanism needs {needed}."
    )
