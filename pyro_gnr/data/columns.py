"""What a column is: its kind, its levels or its scale, learnt once and applied to every table."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.censoring import CODE_BASE, Cells, is_censored, normal_fit, read_cells
from pyro_gnr.data.frames import Reading, Scalar

__all__ = [
    "CENSORED_KINDS",
    "Bounds",
    "Column",
    "Kind",
    "as_bounds",
    "as_kind",
    "encode_column",
    "ignored_column",
    "learn_column",
]

# The lowest and the highest number that a bounded column can hold, in the caller's units.
Bounds = tuple[float, float]

# A string column with more levels than this, or with more than a few that hardly repeat, is
# free text: one level per row would be learnt by heart.
MANY_LEVELS = 100
FEW_LEVELS = 20

# A bounded column is encoded to the open interval (0, 1): numbers nearer to a bound than this
# share of the range, those on the bound among them, are encoded as if they stood there.
NUDGE = 1e-3
# A positive column is encoded in multiples of its mean, within these limits: their logarithms
# and those of single precision stay far from infinity.
POSITIVE_LIMITS = (1e-12, 1e12)
# Bounds that need not be said, tried in this order.
USUAL_BOUNDS: tuple[Bounds, ...] = ((0.0, 1.0), (0.0, 100.0))
BOUNDED_PATTERN = re.compile(r"bounded\(\s*([^\s,()]+)\s*,\s*([^\s,()]+)\s*\)")


class Kind(StrEnum):
    """How a column is modelled.

    Attributes:
        CONTINUOUS: real numbers, standardised by the observed mean and standard deviation.
        BINARY: at most two levels.
        CATEGORICAL: levels without an order.
        CENSORED: numbers, of which some are known only to lie in an interval ("<0.5", ">100",
            "0.2-0.5"); standardised by the normal under which all cells are likeliest.
        CENSORED_LOG: the same on the scale of the logarithm, for positive quantities.
        POSITIVE: numbers above 0, in multiples of the observed mean.
        BOUNDED: numbers between known bounds, mapped to (0, 1). Said as "bounded(0, 20)", or as
            "bounded" alone where all observed numbers lie in [0, 1], or in [0, 100].
        COUNT: whole numbers 0, 1, 2, ...
        ORDINAL: levels with an order.
        IGNORE: not modelled; goes through untouched.
    """

    CONTINUOUS = "continuous"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    POSITIVE = "positive"
    BOUNDED = "bounded"
    COUNT = "count"
    ORDINAL = "ordinal"
    CENSORED = "censored"
    CENSORED_LOG = "censored_log"
    IGNORE = "ignore"


CENSORED_KINDS = frozenset({Kind.CENSORED, Kind.CENSORED_LOG})
# Kinds whose cells are numbers; the cells of others are levels, or numbers and intervals.
NUMBERS = frozenset({Kind.CONTINUOUS, Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT})


@dataclass(frozen=True)
class Column:
    """A column as learnt from the training table.

    Attributes:
        name: str() of the caller's name; x0, x1, ... for arrays.
        kind: how it is modelled.
        dtype: the caller's dtype, printable ("float64", "Int64", "category", "String").
        levels: observed levels of a binary, categorical or ordinal column, in declared
            (categories) or sorted order; None for others.
        location: observed mean of a continuous column, in the caller's units; the lower bound
            of a bounded one; else 0.
        scale: observed standard deviation (divisor N) of a continuous column, 0 if it is
            constant; observed mean of a positive one; range of a bounded one; else 1. Both are
            those of the fitted normal for a censored column, and of logarithms for one of kind
            "censored_log".
        whole: whether the dtype is an integer one, or the column a count, so that decoded values
            are rounded.
        holes: number of missing cells in the training table.
        intervals: distinct intervals (lower, upper) of a censored column, ascending, in the
            caller's units; limits may be infinite.

    Example:
        >>> Column("age", Kind.CONTINUOUS, "float64", location=50.0, scale=10.0).holes
        0
    """

    name: str
    kind: Kind
    dtype: str
    levels: tuple[Scalar, ...] | None = None
    location: float = 0.0
    scale: float = 1.0
    whole: bool = False
    holes: int = 0
    intervals: tuple[tuple[float, float], ...] = ()

    def to_units(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring standardised values into the caller's units; not rounded.

        Example:
            >>> Column("a", Kind.CONTINUOUS, "int64", location=2.0, scale=3.0).to_units(np.ones(1))
            array([5.])
        """
        numbers = values * self.scale + self.location
        return np.exp(numbers) if self.kind is Kind.CENSORED_LOG else numbers

    def standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardise numbers in the caller's units; those of a constant column become 0.

        On the scale of the logarithm what is not positive becomes minus infinity.
        """
        if self.kind is Kind.CENSORED_LOG:
            positive = values > 0
            values = np.where(positive, np.log(np.where(positive, values, 1.0)), -np.inf)
        if self.scale == 0.0:
            return np.zeros(np.shape(values))
        return (values - self.location) / self.scale

    @property
    def limits(self) -> Bounds:
        """Lowest and highest number that may be imputed, in the caller's units.

        Example:
            >>> Column("score", Kind.BOUNDED, "float64", location=0.5, scale=9.0).limits
            (0.5, 9.5)
            >>> Column("score", Kind.BOUNDED, "int64", location=0.5, scale=9.0, whole=True).limits
            (1.0, 9.0)
        """
        low, high = -np.inf, np.inf
        if self.kind is Kind.COUNT:
            low = 0.0
        elif self.kind is Kind.POSITIVE:
            low = 1.0 if self.whole else POSITIVE_LIMITS[0] * self.scale
        elif self.kind is Kind.BOUNDED:
            low, high = self.location, self.location + self.scale
            if self.whole:
                low, high = float(np.ceil(low)), float(np.floor(high))
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-able description; infinite limits of intervals are None."""
        levels = None if self.levels is None else list(self.levels)
        pairs = [[v if np.isfinite(v) else None for v in pair] for pair in self.intervals]
        return {**vars(self), "kind": str(self.kind), "levels": levels, "intervals": pairs}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Column:
        """Rebuild a column from `to_dict`.

        Raises:
            ValueError: the description is not one of a column.
        """
        try:
            levels = description["levels"]
            changed = {
                "kind": Kind(description["kind"]),
                "levels": None if levels is None else tuple(levels),
                "intervals": tuple(
                    (-np.inf if low is None else float(low), np.inf if up is None else float(up))
                    for low, up in description.get("intervals", ())
                ),
            }
            return cls(**{**description, **changed})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"got a broken description of a column: {error}.") from error


def as_kind(kind: str | Kind, name: str) -> Kind:
    """Read a kind that the user gave for a column.

    Raises:
        ValueError: there is no such kind; the message lists the valid ones.

    Example:
        >>> as_kind("binary", "smoker")
        <Kind.BINARY: 'binary'>
        >>> as_kind("bounded(0, 20)", "score")
        <Kind.BOUNDED: 'bounded'>
    """
    if as_bounds(kind, name) is not None:
        return Kind.BOUNDED
    try:
        return Kind(kind)
    except ValueError:
        valid = ", ".join(repr(str(k)) for k in Kind)
        raise ValueError(
            f"got kind {kind!r} for column {name!r}, expected one of {valid}; bounds are said as "
            "'bounded(0, 20)'."
        ) from None


def as_bounds(kind: str | Kind, name: str) -> Bounds | None:
    """Read the bounds in "bounded(low, high)"; None where the kind brings none.

    Raises:
        ValueError: they are no two finite numbers, the lower one first.

    Example:
        >>> as_bounds("bounded(0, 20)", "score"), as_bounds("bounded", "score")
        ((0.0, 20.0), None)
    """
    match = BOUNDED_PATTERN.fullmatch(kind.strip()) if isinstance(kind, str) else None
    if match is None:
        return None
    try:
        low, high = map(float, match.groups())
    except ValueError:
        low = high = np.nan
    if not (low < high and np.isfinite([low, high, high - low]).all()):
        raise ValueError(
            f"got kind {kind!r} for column {name!r}, expected two finite numbers, the lower one "
            "first, such as 'bounded(0, 20)'."
        )
    return low, high


def ignored_column(name: str, *, dtype: str, holes: int) -> Column:
    """Describe a column that is not modelled."""
    return Column(name, Kind.IGNORE, dtype, holes=holes)


def learn_column(
    reading: Reading, kind: Kind | None = None, *, bounds: Bounds | None = None
) -> Column:
    """Learn a modelled column from its observed cells.

    Args:
        reading: the column of the training table.
        kind: how the user wants it modelled; None chooses by dtype and values.
        bounds: of a bounded column; None takes [0, 1] or [0, 100] if all numbers lie there.

    Returns:
        The column.

    Raises:
        ValueError: no cell is observed, a number is infinite, the column looks like free text,
            or its values do not fit the kind that the user gave.

    Example:
        >>> from pyro_gnr.data.frames import read
        >>> column = learn_column(read(np.array([1.0, 3.0, np.nan]), "dose"))
        >>> column.location, column.scale, column.holes
        (2.0, 1.0, 1)
    """
    _check_values(reading)
    chosen = kind or _default_kind(reading)
    holes = int((~reading.observed).sum())
    if chosen in NUMBERS:
        location, scale = _units(reading, chosen, bounds)
        return Column(
            reading.name,
            chosen,
            reading.dtype,
            location=location,
            scale=scale,
            whole=reading.whole or chosen is Kind.COUNT,
            holes=holes,
        )
    if chosen in CENSORED_KINDS:
        return _learn_censored(reading, chosen, holes)
    levels = reading.as_levels()[1]
    _check_levels(reading, chosen, levels)
    return Column(
        reading.name, chosen, reading.dtype, levels=levels, whole=reading.whole, holes=holes
    )


def encode_column(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Encode one column as the training table's was.

    Args:
        column: as learnt.
        reading: the same column of any table.

    Returns:
        (N,) standardised values or level codes; 0 where not observed.

    Raises:
        ValueError: a number is infinite, numbers came for levels or levels for numbers, or a
            level was not seen in training.

    Example:
        >>> from pyro_gnr.data.frames import read
        >>> column = Column("dose", Kind.CONTINUOUS, "float64", location=2.0, scale=0.5)
        >>> encode_column(column, read(np.array([3.0, np.nan]), "dose"))
        array([2., 0.])
    """
    if not reading.observed.any():
        return np.zeros(len(reading.observed))
    if column.kind in CENSORED_KINDS:
        return _encode_censored(column, reading)
    if column.kind in NUMBERS:
        return _encode_numbers(column, reading)
    return _encode_levels(column, reading)


def _learn_censored(reading: Reading, kind: Kind, holes: int) -> Column:
    cells = read_cells(reading)
    column = Column(
        reading.name,
        kind,
        reading.dtype,
        whole=reading.whole,
        holes=holes,
        intervals=cells.intervals,
    )
    on_scale = _on_scale(column, cells)
    if cells.intervals:
        location, scale = normal_fit(on_scale)
    else:
        location, scale = _location_scale(on_scale.numbers[reading.observed])
    return replace(column, location=location, scale=scale)


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


def _encode_censored(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Give standardised numbers, and `CODE_BASE` plus the interval's position for intervals."""
    _check_finite(reading)
    cells = read_cells(reading)
    on_scale = _on_scale(column, cells)
    known = ~np.isnan(cells.numbers)
    if column.scale == 0.0:
        _warn_of_change(column, on_scale.numbers[known])
    position = {interval: i for i, interval in enumerate(column.intervals)}
    unseen = [interval for interval in cells.intervals if interval not in position]
    if unseen:
        shown = tuple(f"{low:g} to {up:g}" for low, up in unseen)
        raise ValueError(
            f"column {column.name!r} has {len(unseen)} interval(s) not seen in training: "
            f"{_listing(shown)}. Fit on a table that holds them, or set those cells to missing."
        )
    # No number may pass for a code; so far out it makes no difference where it is.
    values = np.clip(column.standardised(cells.numbers), -CODE_BASE / 2, CODE_BASE / 2)
    codes = CODE_BASE + np.array([*(position[v] for v in cells.intervals), 0.0])[cells.codes]
    return np.where(cells.codes >= 0, codes, np.where(known, values, 0.0))


def _encode_numbers(column: Column, reading: Reading) -> NDArray[np.float64]:
    _check_finite(reading)
    numbers = reading.as_numbers()
    if numbers is None:
        raise _retyped(column, reading, expected="numbers", got="levels")
    bounds = (column.location, column.location + column.scale)
    _check_domain(column.name, column.kind, numbers[reading.observed], bounds)
    if column.scale == 0.0:
        _warn_of_change(column, numbers[reading.observed])
        return np.zeros(len(numbers))
    values = (numbers - column.location) / column.scale
    if column.kind is Kind.POSITIVE:
        values = values.clip(*POSITIVE_LIMITS)
    if column.kind is Kind.BOUNDED:
        values = values.clip(NUDGE, 1.0 - NUDGE)
    return np.where(reading.observed, values, 0.0)


def _warn_of_change(column: Column, numbers: NDArray[np.float64]) -> None:
    others = int((numbers != column.location).sum())
    if others:
        warnings.warn(
            f"column {column.name!r} was always {column.location:g} in training, but {others} "
            "cell(s) here hold another number: nothing is known about it, and it is not used.",
            UserWarning,
            stacklevel=2,
        )


def _encode_levels(column: Column, reading: Reading) -> NDArray[np.float64]:
    codes, found = reading.as_levels()
    levels = column.levels or ()
    strings = [any(isinstance(v, str) for v in values) for values in (levels, found)]
    if strings[0] != strings[1] and not all(map(_mixed, (levels, found))):
        words = {True: "strings", False: "numbers"}
        raise _retyped(column, reading, expected=words[strings[0]], got=words[strings[1]])
    position = {level: i for i, level in enumerate(levels)}
    unseen = [v for v in found if v not in position]
    if unseen:
        raise ValueError(
            f"column {column.name!r} has {len(unseen)} level(s) not seen in training: "
            f"{_listing(unseen)}; expected one of {_listing(levels)}. Fit on a table that holds "
            "them, merge them with known levels, or set those cells to missing."
        )
    return np.array([*(position[v] for v in found), 0], dtype=np.float64)[codes]


def _check_values(reading: Reading) -> None:
    """Refuse a training column without values or with infinite ones."""
    if not reading.observed.any():
        raise ValueError(
            f"column {reading.name!r} has no observed value: drop it, or leave it out of the "
            f"model with kinds={{{reading.name!r}: 'ignore'}}."
        )
    _check_finite(reading)


def _check_finite(reading: Reading) -> None:
    numbers = reading.as_numbers()
    infinite = 0 if numbers is None else int(np.isinf(numbers).sum())
    if infinite:
        raise ValueError(
            f"column {reading.name!r} has {infinite} infinite value(s), expected finite numbers "
            "or missing cells: replace them."
        )


def _default_kind(reading: Reading) -> Kind:
    numbers = reading.numbers
    if numbers is not None and not reading.boolean:
        observed = numbers[reading.observed]
        zeros, ones = observed == 0.0, observed == 1.0
        return (
            Kind.BINARY
            if zeros.any() and ones.any() and (zeros | ones).all()
            else (Kind.CONTINUOUS)
        )
    if is_censored(reading):
        return _censored_kind(read_cells(reading))
    n_levels = len(reading.as_levels()[1])
    n_observed = int(reading.observed.sum())
    hardly_repeats = n_levels > FEW_LEVELS and 2 * n_levels > n_observed
    if reading.text and (n_levels > MANY_LEVELS or hardly_repeats):
        raise ValueError(
            f"column {reading.name!r} looks like free text: {n_levels} different values in "
            f"{n_observed} observed cells. Drop it, leave it out of the model with "
            f"kinds={{{reading.name!r}: 'ignore'}}, convert it to numbers if it holds numbers, "
            f"or, if these are levels, say kinds={{{reading.name!r}: 'categorical'}}."
        )
    if n_levels == 2:
        return Kind.BINARY  # which is what an order of two levels comes to
    return Kind.ORDINAL if reading.ordered and n_levels > 2 else Kind.CATEGORICAL


def _censored_kind(cells: Cells) -> Kind:
    """Positive numbers with a limit of detection below are concentrations: logarithms."""
    numbers = cells.numbers[~np.isnan(cells.numbers)]
    positive = (numbers > 0).all() and all(upper > 0 for _, upper in cells.intervals)
    detection = any(lower <= 0 for lower, _ in cells.intervals)
    return Kind.CENSORED_LOG if positive and detection else Kind.CENSORED


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
        return bounds[0], bounds[1] - bounds[0]
    if kind is Kind.COUNT:
        return 0.0, 1.0
    location, scale = _location_scale(numbers)
    return (0.0, location) if kind is Kind.POSITIVE else (location, scale)


def _usual_bounds(name: str, numbers: NDArray[np.float64]) -> Bounds:
    for low, high in USUAL_BOUNDS:
        if low <= numbers.min() and numbers.max() <= high:
            return low, high
    low, high = float(numbers.min()), float(numbers.max())
    raise ValueError(
        f"column {name!r} goes from {low:g} to {high:g}, outside of [0, 1] and [0, 100]: say its "
        f"bounds, such as kinds={{{name!r}: 'bounded({low:g}, {high:g})'}}."
    )


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
            f"numbers from {bounds[0]:g} to {bounds[1]:g}",
            (numbers < bounds[0]) | (numbers > bounds[1]),
        ),
    }
    if kind not in rules:
        return
    what, expected, wrong = rules[kind]
    if wrong.any():
        raise ValueError(
            f"column {name!r} has {int(wrong.sum())} value(s) {what} (such as "
            f"{numbers[wrong][0]:g}), expected {expected} for kind '{kind}': correct them, set "
            f"them to missing, or choose another kind, such as kinds={{{name!r}: 'continuous'}}."
        )


def _check_levels(reading: Reading, kind: Kind, levels: tuple[Scalar, ...]) -> None:
    if kind is Kind.BINARY and len(levels) > 2:
        raise ValueError(
            f"column {reading.name!r} has {len(levels)} levels ({_listing(levels)}), expected at "
            "most 2 for kind 'binary': use 'categorical'."
        )
    strings = any(isinstance(v, str) for v in levels)
    if kind is Kind.ORDINAL and strings and not reading.declared:
        raise ValueError(
            f"column {reading.name!r} holds strings ({_listing(levels)}), whose order is not "
            "known, expected levels in a declared order for kind 'ordinal': make it an ordered "
            "category (pandas) or an Enum (polars), write the levels as numbers, or use "
            "'categorical'."
        )


def _location_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation (divisor N); exactly (c, 0) for a constant c."""
    if values.min() == values.max():
        return float(values[0]), 0.0
    # Relative to the largest magnitude, so that squares neither overflow nor vanish.
    size = float(np.abs(values).max())
    relative = values / size
    return float(relative.mean()) * size, float(relative.std()) * size


def _mixed(levels: tuple[Scalar, ...]) -> bool:
    return len({isinstance(v, str) for v in levels}) > 1


def _retyped(column: Column, reading: Reading, *, expected: str, got: str) -> ValueError:
    return ValueError(
        f"column {column.name!r} came as {got} (dtype {reading.dtype}), expected {expected} as in "
        f"training (dtype {column.dtype}): convert it."
    )


def _listing(levels: list[Scalar] | tuple[Scalar, ...], most: int = 10) -> str:
    """List levels for a message, the first few if there are many."""
    shown = ", ".join(repr(v) for v in levels[:most])
    return shown if len(levels) <= most else f"{shown}, ... ({len(levels)} in all)"
