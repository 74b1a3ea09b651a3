"""Learn a column from the cells of the training table, its kind too if nobody has said it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyro_gnr.data.censoring import is_censored, read_cells
from pyro_gnr.data.columns.censored import censored_kind, learn_censored
from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.kinds import CENSORED_KINDS, NUMBERS, Bounds, Kind
from pyro_gnr.data.columns.levels import learn_levels
from pyro_gnr.data.columns.numbers import check_finite, learn_numbers
from pyro_gnr.data.reading import Reading

__all__ = ["ignored_column", "learn_column"]

# A string column with more levels than this, or with more than a few that hardly repeat, is
# free text: one level per row would be learnt by heart.
MANY_LEVELS = 100
FEW_LEVELS = 20


def ignored_column(name: str, *, dtype: str, holes: int) -> Column:
    """Describe a column that is not modelled."""
    return Column(name, Kind.IGNORE, dtype, holes=holes)


def learn_column(
    reading: Reading,
    kind: Kind | None = None,
    *,
    bounds: Bounds | None = None,
    fallback: Kind | None = None,
) -> Column:
    """Learn a modelled column from its observed cells.

    Args:
        reading: the column of the training table.
        kind: how the user wants it modelled; None chooses by dtype and values.
        bounds: of a bounded column; None takes [0, 1] or [0, 100] if all numbers lie there.
        fallback: the kind of what looks like free text; None refuses it.

    Returns:
        The column.

    Raises:
        ValueError: no cell is observed, a number is infinite, the column looks like free text,
            or its values do not fit the kind that the user gave.

    Example:
        >>> import numpy as np
        >>> from pyro_gnr.data.reading import read
        >>> column = learn_column(read(np.array([1.0, 3.0, np.nan]), "dose"))
        >>> column.location, column.scale, column.holes
        (2.0, 1.0, 1)
    """
    _check_values(reading)
    chosen = kind or _default_kind(reading, fallback)
    if chosen in NUMBERS:
        return replace(learn_numbers(reading, chosen, bounds), seen=_seen(reading))
    if chosen in CENSORED_KINDS:
        return replace(learn_censored(reading, chosen), seen=_seen(reading))
    return learn_levels(reading, chosen)


def _seen(reading: Reading) -> Bounds:
    """Lowest and highest of numbers and limits."""
    cells = read_cells(reading)
    known = np.append(cells.numbers, cells.intervals)
    return float(np.nanmin(known)), float(np.nanmax(known))


def _check_values(reading: Reading) -> None:
    """Refuse a training column without values or with infinite ones."""
    if not reading.observed.any():
        raise ValueError(
            f"column {reading.name!r} has no observed value: drop it, or leave it out of the "
            f"model with kinds={{{reading.name!r}: 'ignore'}}."
        )
    check_finite(reading)


def _default_kind(reading: Reading, fallback: Kind | None) -> Kind:
    if reading.numbers is not None and not reading.boolean:
        observed = reading.numbers[reading.observed]
        zeros, ones = observed == 0.0, observed == 1.0
        coin = zeros.any() and ones.any() and (zeros | ones).all()
        return Kind.BINARY if coin else Kind.CONTINUOUS
    if is_censored(reading):
        return censored_kind(read_cells(reading))
    n_levels = len(reading.as_levels()[1])
    n_observed = int(reading.observed.sum())
    hardly_repeats = n_levels > FEW_LEVELS and 2 * n_levels > n_observed
    if reading.text and (n_levels > MANY_LEVELS or hardly_repeats):
        if fallback is not None:
            return fallback
        raise ValueError(
            f"column {reading.name!r} looks like free text: {n_levels} different values in "
            f"{n_observed} observed cells. Drop it, leave it out of the model with "
            f"kinds={{{reading.name!r}: 'ignore'}}, convert it to numbers if it holds numbers, "
            f"or, if these are levels, say kinds={{{reading.name!r}: 'categorical'}}."
        )
    if n_levels == 2:
        return Kind.BINARY  # which is what an order of two levels comes to
    return Kind.ORDINAL if reading.ordered and n_levels > 2 else Kind.CATEGORICAL
