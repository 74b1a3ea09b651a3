"""Columns of numbers of which some are known only to lie in an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.censoring import CODE_BASE, Cells, read_cells
from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.kinds import Kind
from pyro_gnr.data.columns.messages import warn_of_change, warn_of_negative
from pyro_gnr.data.columns.normal_fit import normal_fit
from pyro_gnr.data.columns.numbers import check_finite, location_scale
from pyro_gnr.data.reading import Reading

__all__ = ["censored_kind", "encode_censored", "learn_censored", "with_intervals"]


def censored_kind(cells: Cells) -> Kind:
    """Positive numbers with a limit of detection below are concentrations: logarithms."""
    numbers = cells.numbers[~np.isnan(cells.numbers)]
    positive = (numbers > 0).all() and all(upper > 0 for _, upper in cells.intervals)
    detection = any(lower <= 0 for lower, _ in cells.intervals)
    return Kind.CENSORED_LOG if positive and detection else Kind.CENSORED


def learn_censored(reading: Reading, kind: Kind) -> Column:
    """Learn the intervals of a column, and the normal under which all its cells are likeliest.

    Raises:
        ValueError: a cell is neither a number nor an interval, or has no logarithm where the
            kind asks for one.

    Warns:
        UserWarning: nothing is known to be below 0, but much of that normal is.
    """
    cells = read_cells(reading)
    column = Column(
        reading.name,
        kind,
        reading.dtype,
        whole=reading.whole,
        holes=reading.holes,
        intervals=cells.intervals,
    )
    on_scale = _on_scale(column, cells)
    if cells.intervals:
        location, scale = normal_fit(on_scale)
    else:
        location, scale = location_scale(on_scale.numbers[reading.observed])
    # Not below 0 itself, but a normal distribution with its mean and deviation is.
    if kind is Kind.CENSORED and censored_kind(cells) is not kind and location < 2 * scale:
        warn_of_negative(reading.name)
    return replace(column, location=location, scale=scale)


def with_intervals(column: Column, reading: Reading) -> Column:
    """Add the intervals of another table after those of the column: codes of old ones stay.

    Limits of detection change from batch to batch, and any interval has a probability.

    Raises:
        ValueError: a cell is neither a number nor an interval.
    """
    known = set(column.intervals)
    new = tuple(v for v in read_cells(reading).intervals if v not in known)
    return replace(column, intervals=column.intervals + new) if new else column


def encode_censored(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Give standardised numbers, and `CODE_BASE` plus the interval's position for intervals.

    The column has all of them, see `with_intervals`.
    """
    check_finite(reading)
    cells = read_cells(reading)
    on_scale = _on_scale(column, cells)
    known = ~np.isnan(cells.numbers)
    if column.scale == 0.0:
        warn_of_change(column, on_scale.numbers[known])
    position = {interval: i for i, interval in enumerate(column.intervals)}
    # No number may pass for a code; so far out it makes no difference where it is.
    values = np.clip(column.standardised(cells.numbers), -CODE_BASE / 2, CODE_BASE / 2)
    codes = CODE_BASE + np.array([*(position[v] for v in cells.intervals), 0.0])[cells.codes]
    return np.where(cells.codes >= 0, codes, np.where(known, values, 0.0))


def _on_scale(column: Column, cells: Cells) -> Cells:
    """Take the logarithm of numbers and limits where the kind says so."""
    if column.kind is not Kind.CENSORED_LOG:
        return cells
    known = cells.numbers[~np.isnan(cells.numbers)]
    if (known <= 0).any() or any(upper <= 0 for _, upper in cells.intervals):
        raise ValueError(
            f"column {column.name!r} holds numbers or limits that are not positive, expected "
            f"positive ones for kind 'censored_log': use kinds={{{column.name!r}: 'censored'}}, "
            "or set them to missing."
        )
    unscaled = Column(column.name, column.kind, column.dtype)
    limits = unscaled.standardised(np.array(cells.intervals).reshape(-1, 2))
    intervals = tuple((float(low), float(up)) for low, up in limits)
    return Cells(np.log(cells.numbers), cells.codes, intervals)
