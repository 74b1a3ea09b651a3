"""How far the model must be wrong for a conclusion to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from pyro_gnr.imputation.departures import rows_in_words
from pyro_gnr.imputation.pooling import Pooled
from pyro_gnr.imputation.pooling.checks import check_level
from pyro_gnr.imputation.pooling.terms import find_terms
from pyro_gnr.imputation.pooling.words import in_percent
from pyro_gnr.imputation.sensitivity.adjusting import column_place, told
from pyro_gnr.imputation.sensitivity.delta import Delta, as_delta, as_numbers
from pyro_gnr.imputation.sensitivity.scales import FARTHEST, OWN_UNIT, unit

if TYPE_CHECKING:
    from pyro_gnr.imputation.ledger import Ledger
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["TippingPoint", "tipping_point"]

# Points at which each side is looked at before the first change is narrowed down.
LOOKS = 12


@dataclass(frozen=True)
class TippingPoint:
    """Where a conclusion changes.

    Attributes:
        below: the nearest multiple < 0 of `delta` at which it has changed; None if there is none.
            Where `delta.by` is 1, as it is of a column's name, that is the departure itself.
        above: the nearest > 0; None if there is none.
        within: where was searched, in multiples.
        unit: of the departure.
        conclusion: in words.
        at_zero: the analysis pooled as the model says.
        column: whose departure.
        spread: observed standard deviation, if the departure is in the column's unit; else None.
        imputation: what is departed from.
        delta: the departure that `below` and `above` multiply; printed is what comes out.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 1.0], [2.0, 3.0], [np.nan, 2.0], [4.0, 5.0]] * 9)
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=5)
        >>> found = imputation.tipping_point("x0 ~ 1", "x0", value=9.0, within=(0.0, 99.0))
        >>> found.conclusion, found.below is None, 0.0 < found.above < 99.0
        ("the 95% interval of 'Intercept' lies below 9", True, True)
    """

    below: float | None
    above: float | None
    within: tuple[float, float]
    unit: str
    conclusion: str
    at_zero: Pooled
    column: str
    spread: float | None
    imputation: MultipleImputation
    delta: Delta

    def __str__(self) -> str:
        found = [self._side(d) for d in (self.below, self.above) if d is not None]
        ends = (self._size(d) for d in self.within)
        low, high = reversed(list(ends)) if np.any(np.asarray(self.delta.by) < 0) else ends
        where = f"it does not change at {LOOKS} deltas either way, to {low} and {high}"
        if found:
            where = f"it changes at {' and at '.join(found)}"
        return (
            f"{self.conclusion}: {where} (delta of {self._cells()}, in {self.unit}). Whether a "
            "departure so large is plausible no data can say; judge it by what is known of why "
            "cells are missing."
        )

    def __repr__(self) -> str:
        # The fields hold tables and a model: pages of them.
        return f"<TippingPoint: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Give the answer in plain values, which JSON has.

        Returns:
            The departure as `MultipleImputation.departures` gives it; the range `searched`;
            `below` and `above`, None where nothing was found; `conclusion`; `spread`.
        """
        return {
            **told(self.imputation, self.delta),
            "searched": list(self.within),
            "below": self.below,
            "above": self.above,
            "conclusion": self.conclusion,
            "spread": self.spread,
        }

    def ledger(self) -> Ledger:
        """Say what the answer rests on: see `Pooled.ledger`; with the departures searched."""
        departure = {**told(self.imputation, self.delta), "searched": list(self.within)}
        return replace(self.at_zero.ledger(), departures=(departure,))

    def _side(self, factor: float) -> str:
        by = np.asarray(self.delta.by, dtype=np.float64)
        spread = self.spread if not by.ndim else None
        of_sd = f" ({factor * float(by) / spread:+.2f} observed sd)" if spread else ""
        return f"{self._size(factor, '+.4g')}{of_sd}"

    def _size(self, factor: float, form: str = ".3g") -> str:
        """The departure, so many times as far; of numbers by table, how many times that is."""
        by = np.asarray(self.delta.by, dtype=np.float64)
        if by.ndim:
            return f"{factor:{form}} times the numbers by table"
        return f"{factor * by + 0.0:{form}}"  # no -0

    def _cells(self) -> str:
        told_of = told(self.imputation, self.delta)
        level = "" if self.delta.level is None else f" (level {self.delta.level!r})"
        where = "" if told_of["where"] is None else f" where {rows_in_words(told_of['where'])}"
        rows = "" if told_of["rows"] is None else f" ({told_of['rows']:g} rows)"
        return f"the missing cells of {self.column!r}{level}{where}{rows}"


def tipping_point(
    imputation: MultipleImputation,
    analysis: Any,
    delta: Delta | str,
    *,
    term: str | None = None,
    value: float = 0.0,
    level: float = 0.95,
    conclusion: Callable[[Pooled], bool] | None = None,
    within: tuple[float, float] | None = None,
    **options: Any,
) -> TippingPoint:
    """Find where a conclusion changes; see `MultipleImputation.tipping_point`."""
    check_level(level)
    delta = as_delta(delta)
    delta.times(1.0)
    j = column_place(imputation, delta)
    column = imputation.table.schema.modelled[j]
    measured = unit(column, imputation.fitted.model.x_given_u.bounds()[j])
    spread = column.scale if measured == OWN_UNIT else None
    reach = float(np.abs(np.asarray(delta.by, dtype=np.float64)).max())
    if reach == 0.0:
        raise ValueError(
            f"got by={delta.by!r} for column {delta.column!r}, which no factor moves: expected "
            "another number than 0."
        )
    low, high = _checked(within, FARTHEST * (spread or 1.0) / reach)

    def pooled(size: float) -> Pooled:
        """The analysis at a multiple of the departure."""
        return imputation.adjusted(delta.times(size)).pool(analysis, **options)

    at_zero = pooled(0.0)
    if conclusion is None:
        margin, words = _interval_margin(at_zero, term, value, level)
    else:
        margin, words = _stated(at_zero, conclusion)

    def at(size: float) -> float:
        """How far the conclusion is from changing there."""
        return margin(pooled(size))

    return TippingPoint(
        below=_first_change(at, low), above=_first_change(at, high), within=(low, high),
        unit=measured, conclusion=words, at_zero=at_zero, column=column.name, spread=spread,
        imputation=imputation, delta=delta,
    )  # fmt: skip


def _checked(within: tuple[float, float] | None, far: float) -> tuple[float, float]:
    if within is None:
        return -far, far
    message = (
        f"got within={within!r}, expected two finite numbers, the lower one <= 0 <= the upper."
    )
    found = as_numbers(within, message)
    if found.shape != (2,) or not np.isfinite(found).all() or not found[0] <= 0.0 <= found[1]:
        raise ValueError(message)
    return float(found[0]), float(found[1])


Margin = Callable[[Pooled], float]


def _interval_margin(
    at_zero: Pooled, term: str | None, value: float, level: float
) -> tuple[Margin, str]:
    """Positive while the interval lies on the side of `value`, or about it, where it does at 0."""
    at = _place(at_zero, term)
    name = at_zero.index[at]

    def ends(pooled: Pooled) -> tuple[float, float]:
        """Ends of the interval, less `value`."""
        lower, upper = pooled.conf_int(level).loc[name]
        return float(lower) - value, float(upper) - value

    lower, upper = ends(at_zero)
    what = f"the {in_percent(level)} interval of {name!r}"
    if lower > 0:
        return lambda p: ends(p)[0], f"{what} lies above {value:g}"
    if upper < 0:
        return lambda p: -ends(p)[1], f"{what} lies below {value:g}"
    return lambda p: min(-ends(p)[0], ends(p)[1]), f"{what} holds {value:g}"


def _place(pooled: Pooled, term: str | None) -> int:
    if term is not None:
        found = find_terms(list(pooled.index), [term])
        if len(found) == 1:
            return found[0]
    elif len(pooled) == 1:
        return 0
    raise ValueError(
        f"got term={term!r}, expected one of {list(pooled.index)}: the one of the conclusion."
    )


def _stated(at_zero: Pooled, conclusion: Callable[[Pooled], bool]) -> tuple[Margin, str]:
    holds = _truth(conclusion, at_zero)
    name = getattr(conclusion, "__name__", "the conclusion")
    words = "the conclusion" if name == "<lambda>" else name

    def margin(pooled: Pooled) -> float:
        """1 while the conclusion is what it is at 0, else -1."""
        return 1.0 if _truth(conclusion, pooled) == holds else -1.0

    return margin, f"{words} is {holds} as the model says"


def _truth(conclusion: Callable[[Pooled], bool], pooled: Pooled) -> bool:
    found = conclusion(pooled)
    if not isinstance(found, (bool, np.bool_)):
        raise TypeError(
            f"conclusion gave {found!r}, expected True or False, such as "
            "lambda pooled: pooled.summary().loc['age', 'p.value'] < 0.05."
        )
    return bool(found)


def _first_change(margin: Callable[[float], float], end: float) -> float | None:
    """The departure nearest to 0, towards `end`, at which the margin is 0."""
    if end == 0.0:
        return None
    last = 0.0
    for look in np.linspace(0.0, end, LOOKS + 1)[1:].tolist():
        if margin(look) <= 0.0:
            return float(brentq(margin, last, look, xtol=1e-10 * abs(end), rtol=1e-10))
        last = look
    return None
