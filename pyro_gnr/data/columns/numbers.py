"""Columns of numbers: continuous, positive, bounded, counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.column import NUDGE, POSITIVE_LIMITS, Column
from pyro_gnr.data.columns.digits import exact, outward
from pyro_gnr.data.columns.kinds import Bounds, Kind
from pyro_gnr.data.columns.messages import retyped, warn_of_change
from pyro_gnr.data.reading import Reading

__all__ = ["check_finite", "encode_numbers", "learn_numbers", "location_scale"]

# Bounds that need not be said, tried in this order.
USUAL_BOUNDS: tuple[Bounds, ...] = ((0.0, 1.0), (0.0, 100.0))

# Where no larger share of numbers than this is told apart from a bound, the kind is refused.
NEARLY_NONE = 0.05


def learn_numbers(reading: Reading, kind: Kind, bounds: Bounds | None) -> Column:
    """Learn the units in which a column of numbers is encoded.

    Raises:
        ValueError: the cells are no numbers, or no numbers that the kind can hold.
    """
    location, scale = _units(reading, kind, bounds)
    return Column(
        reading.name,
        kind,
        reading.dtype,
        location=location,
        scale=scale,
        whole=reading.whole or kind is Kind.COUNT,
        holes=reading.holes,
    )


def encode_numbers(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Give (N,) numbers in the units of the column; 0 where not observed."""
    check_finite(reading)
    numbers = reading.as_numbers()
    if numbers is None:
        raise retyped(column, reading, expected="numbers", got="levels")
    bounds = (column.location, column.location + column.scale)
    _check_domain(column.name, column.kind, numbers[reading.observed], bounds)
    if column.scale == 0.0:
        warn_of_change(column, numbers[reading.observed])
        return np.zeros(len(numbers))
    values = (numbers - column.location) / column.scale
    if column.kind is Kind.POSITIVE:
        values = values.clip(*POSITIVE_LIMITS)
    if column.kind is Kind.BOUNDED:
        values = values.clip(NUDGE, 1.0 - NUDGE)
    return np.where(reading.observed, values, 0.0)


def check_finite(reading: Reading) -> None:
    """Refuse infinite numbers."""
    numbers = reading.as_numbers()
    infinite = 0 if numbers is None else int(np.isinf(numbers).sum())
    if infinite:
        raise ValueError(
            f"column {reading.name!r} has {infinite} infinite value(s), expected finite numbers "
            "or missing cells: replace them."
        )


def location_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation (divisor N); exactly (c, 0) for a constant c."""
    if values.min() == values.max():
        return float(values[0]), 0.0
    # Relative to the largest magnitude, so that squares neither overflow nor vanish.
    size = float(np.abs(values).max())
    relative = values / size
    return float(relative.mean()) * size, float(relative.std()) * size


def _units(reading: Reading, kind: Kind, bounds: Bounds | None) -> tuple[float, float]:
    """Location and scale that encode a column of numbers."""
    numbers = reading.as_numbers()
    if numbers is None:
        raise ValueError(
            f"column {reading.name!r} has dtype {reading.dtype}, expected numbers for kind "
            f"'{kind}': convert it, or use 'categorical'."
        )
    numbers = numbers[reading.observed]
    if kind is Kind.BOUNDED:
        bounds = bounds or _usual_bounds(reading.name, numbers)
    _check_domain(reading.name, kind, numbers, bounds or (-np.inf, np.inf))
    if kind is Kind.BOUNDED and bounds is not None:
        _check_resolution(reading.name, numbers, bounds)
        return bounds[0], bounds[1] - bounds[0]
    location, scale = location_scale(numbers)
    if kind is Kind.COUNT and scale > 0.0:
        return 0.0, 1.0
    return (0.0, location) if kind is Kind.POSITIVE else (location, scale)


def _usual_bounds(name: str, numbers: NDArray[np.float64]) -> Bounds:
    for low, high in USUAL_BOUNDS:
        if low <= numbers.min() and numbers.max() <= high:
            return low, high
    lower, upper = outward(float(numbers.min()), float(numbers.max()))
    raise ValueError(
        f"column {name!r} {_span(numbers)}, outside of [0, 1] and [0, 100]: say its bounds, "
        f"such as kinds={{{name!r}: 'bounded({lower}, {upper})'}}."
    )


def _span(numbers: NDArray[np.float64]) -> str:
    """Say from where to where numbers go."""
    lowest, highest = float(numbers.min()), float(numbers.max())
    if lowest == highest:
        return f"is always {exact(lowest)}"
    return "lies between {} and {}".format(*outward(lowest, highest))


def _check_resolution(name: str, numbers: NDArray[np.float64], bounds: Bounds) -> None:
    """Refuse numbers nearly all of which are encoded as if they stood on one bound."""
    nearest = NUDGE * (bounds[1] - bounds[0])
    for bound in bounds:
        # Many cells on the bound itself are no matter where the others tell something.
        gaps = np.abs(numbers - bound)[numbers != bound]
        if not _tell_apart(gaps, nearest):
            raise ValueError(
                f"column {name!r} {_span(numbers)}: hardly a number is farther from its bound "
                f"{exact(bound)} than what can be told from it ({nearest:.3g}, a thousandth of "
                f"the range from {exact(bounds[0])} to {exact(bounds[1])}): "
                f"{_other_kinds(name, numbers, bound)}"
            )


def _tell_apart(gaps: NDArray[np.float64], nearest: float) -> bool:
    """Tell whether more than a few numbers are farther from a bound than the nearest encoded."""
    return bool(np.sum(gaps >= nearest) > NEARLY_NONE * len(gaps))


def _other_kinds(name: str, numbers: NDArray[np.float64], bound: float) -> str:
    """Say what else numbers next to a bound may be."""
    found = []
    gaps = np.abs(numbers - bound)[numbers != bound]
    if len(gaps) and _tell_apart(gaps, NUDGE * float(gaps.max())):
        lowest, highest = float(numbers.min()), float(numbers.max())
        low, high = outward(lowest, highest)
        low, high = (exact(bound), high) if highest > bound else (low, exact(bound))
        found.append(f"narrower bounds such as kinds={{{name!r}: 'bounded({low}, {high})'}}")
    found.append(repr("positive" if numbers.min() > 0 and bound == 0 else "continuous"))
    return f"say {', or '.join(found)}."


def _check_domain(name: str, kind: Kind, numbers: NDArray[np.float64], bounds: Bounds) -> None:
    """Refuse observed numbers that a kind cannot hold, and count them."""
    rules = {
        Kind.POSITIVE: ("zero or below", "numbers above 0", numbers <= 0.0),
        Kind.COUNT: (
            "negative or not whole",
            "whole numbers 0, 1, 2, ...",
            (numbers < 0.0) | (numbers != np.rint(numbers)),
        ),
        Kind.BOUNDED: (
            "out of bounds",
            f"numbers from {exact(bounds[0])} to {exact(bounds[1])}",
            (numbers < bounds[0]) | (numbers > bounds[1]),
        ),
    }
    if kind not in rules:
        return
    what, expected, wrong = rules[kind]
    if wrong.any():
        raise ValueError(
            f"column {name!r} has {int(wrong.sum())} value(s) {what} (such as "
            f"{exact(numbers[wrong][0])}), expected {expected} for kind '{kind}': correct them, "
            f"set them to missing, or choose another kind, such as kinds={{{name!r}: "
            "'continuous'}."
        )
