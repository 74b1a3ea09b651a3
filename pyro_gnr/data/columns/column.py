"""A column as learnt once from the training table; it applies to every table after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.kinds import Bounds, Kind
from pyro_gnr.data.reading import Scalar

__all__ = ["NUDGE", "POSITIVE_LIMITS", "Column"]

# A bounded column is encoded to the open interval (0, 1): numbers nearer to a bound than this
# share of the range, those on the bound among them, are encoded as if they stood there.
NUDGE = 1e-3
# A positive column is encoded in multiples of its mean, within these limits: their logarithms
# and those of single precision stay far from infinity.
POSITIVE_LIMITS = (1e-12, 1e12)


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
            of a bounded one; the number of a constant count; else 0.
        scale: observed standard deviation (divisor N) of a continuous column, 0 if it is
            constant, likewise a count; observed mean of a positive one; range of a bounded one;
            else 1. Both are those of the fitted normal for a censored column, and of logarithms
            for one of kind "censored_log".
        whole: whether the dtype is an integer one, or the column a count, so that decoded values
            are rounded.
        holes: number of missing cells in the training table.
        intervals: distinct intervals (lower, upper) of a censored column, ascending, in the
            caller's units; limits may be infinite.
        seen: lowest and highest number in training, in the caller's units, limits of intervals
            among them; None for levels.

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
    intervals: tuple[Bounds, ...] = ()
    seen: Bounds | None = None

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
        """Give a JSON-able description; infinite limits are None."""
        levels = None if self.levels is None else list(self.levels)
        pairs = [_plain(pair) for pair in self.intervals]
        seen = None if self.seen is None else _plain(self.seen)
        changed = {"kind": str(self.kind), "levels": levels, "intervals": pairs, "seen": seen}
        return {**vars(self), **changed}

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
                "intervals": tuple(map(_pair, description.get("intervals", ()))),
                "seen": None if (seen := description.get("seen")) is None else _pair(seen),
            }
            return cls(**{**description, **changed})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"got a broken description of a column: {error}.") from error


def _plain(pair: Bounds) -> list[float | None]:
    """JSON has no infinite numbers."""
    return [v if np.isfinite(v) else None for v in pair]


def _pair(plain: Sequence[float | None]) -> Bounds:
    low, up = plain
    return -np.inf if low is None else float(low), np.inf if up is None else float(up)
