"""Columns of levels: binary, categorical, ordinal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.kinds import Kind
from pyro_gnr.data.columns.messages import listing, retyped, warn_of_measurements
from pyro_gnr.data.reading import Reading, Scalar

__all__ = ["decode_levels", "encode_levels", "learn_levels"]

# So many numbers with decimals may be a scale ("1.5 of 5"); more are measurements.
MOST_DECIMALS = 20


def learn_levels(reading: Reading, kind: Kind) -> Column:
    """Learn the levels of a column.

    Raises:
        ValueError: there are more than two for a binary column, or their order is not known for
            an ordinal one: strings, or categories that are not said to be ordered.

    Warns:
        UserWarning: levels are numbers with decimals, and too many to be a scale.
    """
    levels = reading.as_levels()[1]
    _check_levels(reading, kind, levels)
    if len(levels) > MOST_DECIMALS and not reading.declared and _have_decimals(levels):
        warn_of_measurements(reading.name, kind.value, levels)
    return Column(
        reading.name, kind, reading.dtype, levels=levels, whole=reading.whole, holes=reading.holes
    )


def encode_levels(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Give (N,) level codes; 0 where not observed."""
    codes, found = reading.as_levels()
    levels = column.levels or ()
    strings = [any(isinstance(v, str) for v in values) for values in (levels, found)]
    if strings[0] != strings[1] and not all(map(_mixed, (levels, found))):
        words = {True: "strings", False: "numbers"}
        raise retyped(column, reading, expected=words[strings[0]], got=words[strings[1]])
    position = {level: i for i, level in enumerate(levels)}
    unseen = [v for v in found if v not in position]
    if unseen:
        raise ValueError(
            f"column {column.name!r} has {len(unseen)} level(s) not seen in training: "
            f"{listing(unseen)}; expected one of {listing(levels)}. Fit on a table that holds "
            "them, merge them with known levels, or set those cells to missing."
        )
    return np.array([*(position[v] for v in found), 0], dtype=np.float64)[codes]


def decode_levels(column: Column, codes: NDArray[np.float64]) -> NDArray[np.object_]:
    """Give the levels (n,) that codes (n,) stand for."""
    levels = np.empty(len(column.levels or ()), dtype=object)
    levels[:] = column.levels
    return levels[codes.astype(np.intp)]


def _check_levels(reading: Reading, kind: Kind, levels: tuple[Scalar, ...]) -> None:
    if kind is Kind.BINARY and len(levels) > 2:
        raise ValueError(
            f"column {reading.name!r} has {len(levels)} levels ({listing(levels)}), expected at "
            "most 2 for kind 'binary': use 'categorical'."
        )
    if kind is Kind.ORDINAL and not _order_is_known(reading, levels):
        what = "is an unordered category" if reading.declared else "holds strings"
        raise ValueError(
            f"column {reading.name!r} {what} ({listing(levels)}), whose order is not known, "
            "expected levels in a declared order for kind 'ordinal': make it a "
            "pd.CategoricalDtype(levels, ordered=True) (pandas) or an Enum (polars), lowest level "
            "first, write the levels as numbers, or use 'categorical'."
        )


def _order_is_known(reading: Reading, levels: tuple[Scalar, ...]) -> bool:
    """Tell whether the caller said the order of the levels, or numbers have it by themselves."""
    if reading.ordered or reading.dtype == "Enum":  # an Enum is its order
        return True
    strings = any(isinstance(v, str) for v in levels)
    # Categories keep the order in which they were made, alphabetical if nobody cared.
    return not strings and list(levels) == sorted(levels)


def _have_decimals(levels: tuple[Scalar, ...]) -> bool:
    return any(isinstance(v, float) and not v.is_integer() for v in levels)


def _mixed(levels: tuple[Scalar, ...]) -> bool:
    return len({isinstance(v, str) for v in levels}) > 1
