"""Holes that depend on the value that would have stood there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.amputers.base import Amputer, Direction, Holes, OwnDirection
from pyro_gnr.data.amputers.checks import (
    OWN_DIRECTIONS,
    check_direction,
    check_slope,
    check_varying,
    rate_or_default,
    too_few_columns,
)
from pyro_gnr.data.amputers.scores import signed
from pyro_gnr.data.rates import Link, check_link, hard_probabilities, soft_probabilities
from pyro_gnr.data.reading import Scalar
from pyro_gnr.data.source import SourceTable

__all__ = ["AboveMean", "HardSelfMasking", "SelfMasking"]

T = TypeVar("T")


@dataclass(frozen=True)
class SelfMasking(Amputer):
    r"""Soft self-masking (MNAR): a cell's chance to go missing depends on its own value.

    F^-1(p_nj) = b_j + slope * s_nj, with s_nj = x~_nj ("high") or -x~_nj ("low"), and F logistic
    or the standard normal cdf; b_j is solved for the rate. Of ordered levels (kind "ordinal") the
    place counts. In a column of other levels s_nj is 1 at the chosen levels and 0 at the others,
    and s_nj = 0 in columns that are "off".

    *Right model*: `SelfMasking` with this link and direction. `Conjunction` corrects only what the
    columns share, and cannot show that it fails.

    Attributes:
        direction: as of the model's `SelfMasking`: "high" or "low" values go missing, or it is
            "off" and the value plays no part; or "random", an end that is drawn for each column
            (a model's "free" is learnt). One for all columns, or a dict by column name: its
            columns lose cells unless others are named to, and those are "off". Of two levels the
            second is the high one.
        slope: log-odds ("logit") or probits for one standard deviation, or for being at a chosen
            level; positive.
        link: "logit" or "probit".
        levels: by column, the levels that are more likely to go missing, whatever the direction; a
            column of numbers may be named, too, its values are levels then. Where not given, of
            more than two levels without an order a random half.

    Source: Ipsen, Mattei & Frellsen, ICLR 2021 (arXiv 2006.12871): the form of their mask
    network "self-masking"; here the rate is solved for.

    Example:
        >>> from pyro_gnr.data.amputation import SelfMasking, ampute
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> holes = ampute(X, SelfMasking(direction="low", slope=3.0), random_state=0)
        >>> bool(X[~holes.observed].mean() < 0.0 < X[holes.observed].mean())
        True
        >>> ampute(X, SelfMasking(direction={"x1": "high"})).observed.all(axis=0)
        array([ True, False])
    """

    direction: OwnDirection | Mapping[str, OwnDirection] = "high"
    slope: float = 2.0
    link: Link = "logit"
    levels: Mapping[str, Sequence[Scalar]] | None = None

    def __post_init__(self) -> None:
        _check_directions(self.direction)
        check_slope(self.slope)
        check_link(self.link)

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Let the chance follow the cell's own value."""
        columns = _losing(table, self.direction) if columns is None else columns
        scores = _own_scores(table, columns, self.levels, direction=self.direction, rng=rng)
        probabilities = soft_probabilities(
            self.slope * scores, rate_or_default(rate), link=self.link
        )
        return Holes(columns, probabilities, rng.random(probabilities.shape))


@dataclass(frozen=True)
class HardSelfMasking(Amputer):
    r"""Hard self-masking (MNAR): the highest (lowest) values of a column go missing.

    p_nj = 1 above a threshold t_j and 0 below it; t_j is solved for the rate, and cells exactly at
    t_j share what is left of it. The limit of `SelfMasking` for an infinite slope. No value above
    t_j is ever observed: what is missing is extrapolated.

    *Right model*: `SelfMasking` with a known direction.

    Attributes:
        direction: "high" or "low" values go missing, a "random" end, or it is "off"; one for all
            columns or a dict by column name, as in `SelfMasking`.
        levels: by column, the levels that go missing first, as in `SelfMasking`.

    Example:
        >>> from pyro_gnr.data.amputation import HardSelfMasking, ampute
        >>> X = np.arange(10.0).reshape(5, 2)
        >>> ampute(X, HardSelfMasking(), rate=0.4).table[:, 0]
        array([ 0.,  2.,  4., nan, nan])
    """

    direction: OwnDirection | Mapping[str, OwnDirection] = "high"
    levels: Mapping[str, Sequence[Scalar]] | None = None

    def __post_init__(self) -> None:
        _check_directions(self.direction)

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Take the cells with the highest values."""
        columns = _losing(table, self.direction) if columns is None else columns
        scores = _own_scores(table, columns, self.levels, direction=self.direction, rng=rng)
        probabilities = hard_probabilities(scores, rate_or_default(rate))
        return Holes(columns, probabilities, rng.random(probabilities.shape))


@dataclass(frozen=True)
class AboveMean(Amputer):
    r"""The UCI protocol of not-MIWAE (MNAR): values above the column's mean go missing.

    m_nj = 0 exactly where x_nj > mean_j + offset * sd_j (divisor N). Deterministic; no rate is
    solved for. By default the first int(D / 2) columns lose cells, of the D that hold numbers.

    *Right model*: `SelfMasking` with direction "high".

    Attributes:
        offset: of the threshold from the mean, in standard deviations.

    Source: Ipsen, Mattei & Frellsen, ICLR 2021 (arXiv 2006.12871), UCI experiments and appendix E
    (nbip/notMIWAE, task01.py).

    Example:
        >>> from pyro_gnr.data.amputation import AboveMean, ampute
        >>> ampute(np.arange(8.0).reshape(4, 2), AboveMean()).table
        array([[ 0.,  1.],
               [ 2.,  3.],
               [nan,  5.],
               [nan,  7.]])
    """

    offset: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.offset):
            raise ValueError(f"got offset {self.offset!r}, expected a finite number.")

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Take every value above the threshold."""
        if rate is not None:
            raise ValueError(
                f"got rate {rate!r}, but above_mean has none to solve for, offset decides: leave "
                "the rate out, or use hard_self_masking."
            )
        if columns is None:
            numeric = tuple(j for j in table.columns if table.holds_numbers(j))
            columns = numeric[: len(numeric) // 2]
        if not columns:
            raise too_few_columns(table, "two of numbers, of which the first loses cells")
        numbers = np.column_stack([table.numbers(j) for j in columns])
        check_varying(table, columns)
        above = numbers > numbers.mean(axis=0) + self.offset * numbers.std(axis=0)
        return Holes(columns, above.astype(np.float64), np.zeros(above.shape))


def _check_directions(direction: object) -> None:
    for end in direction.values() if isinstance(direction, Mapping) else [direction]:
        check_direction(end, OWN_DIRECTIONS)


def _losing(
    table: SourceTable, direction: OwnDirection | Mapping[str, OwnDirection]
) -> tuple[int, ...]:
    """Columns that lose cells where the caller names none."""
    return table.positions(list(direction)) if isinstance(direction, Mapping) else table.columns


def _own_scores(
    table: SourceTable,
    columns: Sequence[int],
    levels: Mapping[str, Sequence[Scalar]] | None,
    *,
    direction: OwnDirection | Mapping[str, OwnDirection],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Scores of the cells' own values, (N, T): standardised numbers, or 1 at chosen levels."""
    names = [table.names[j] for j in columns]
    chosen = _among(names, levels or {}, what="levels")
    ends = _ends(names, direction)
    pairs = list(zip(columns, names, strict=True))
    check_varying(table, [j for j, name in pairs if name in chosen or ends[name] != "off"])
    scores = []
    for j, name in pairs:
        own = np.random.default_rng(rng.integers(2**63))
        if name in chosen:
            scores.append(_at_levels(table, j, chosen[name]))
        elif (end := ends[name]) == "off":
            scores.append(np.zeros(table.n_rows))
        elif table.has_levels(j):
            levels_here = table.levels(j)[1]
            if isinstance(direction, Mapping):
                _check_order(name, levels_here, end)
            scores.append(_at_levels(table, j, _choose_levels(levels_here, end, own)))
        else:
            sign = signed(own.choice([-1.0, 1.0], size=1), end)
            scores.append(sign * table.features(j)[:, 0])
    return np.column_stack(scores)


def _ends(
    names: Sequence[str], direction: OwnDirection | Mapping[str, OwnDirection]
) -> dict[str, OwnDirection]:
    """Give each column's direction; "off" where a dict names others only."""
    if not isinstance(direction, Mapping):
        return dict.fromkeys(names, direction)
    return {**dict.fromkeys(names, "off"), **_among(names, direction, what="a direction")}


def _among(names: Sequence[str], given: Mapping[str, T], *, what: str) -> dict[str, T]:
    """Refuse what is said of columns that lose no cells."""
    found = {str(name): said for name, said in given.items()}
    if elsewhere := sorted(set(found) - set(names)):
        places = any(name.isdigit() for name in elsewhere)
        hint = " (columns of an array are named x0, x1, ...)" if places else ""
        raise ValueError(
            f"got {what} for {elsewhere}, expected some of the columns that lose cells, "
            f"{list(names)}{hint}."
        )
    return found


def _check_order(name: str, levels: Sequence[Scalar], end: OwnDirection) -> None:
    if len(levels) > 2 and end != "random":
        raise ValueError(
            f"column {name!r} has levels without an order, so that none is {end!r}: say which go "
            "missing in levels, or give 'random' or 'off'."
        )


def _at_levels(table: SourceTable, j: int, chosen: Sequence[Scalar]) -> NDArray[np.float64]:
    """1 where the cell is at one of the levels (numbers may be given as text), else 0."""
    codes, levels = table.levels(j)
    found = {level for given in chosen for level in _matches(given, levels, table.names[j])}
    hit = np.array([level in found for level in levels])
    if hit.all() or not hit.any():
        raise ValueError(
            f"column {table.names[j]!r}: got {'all' if hit.all() else 'none'} of its levels, "
            "expected some of them: the others must be less likely to go missing."
        )
    return hit[codes].astype(np.float64)


def _matches(given: Scalar, levels: tuple[Scalar, ...], name: str) -> list[Scalar]:
    """Find a level as it is, or else by its text."""
    found = [given] if given in levels else [v for v in levels if str(v) == str(given)]
    if not found:
        few = ", ".join(map(repr, levels[:10])) + (", ..." if len(levels) > 10 else "")
        raise ValueError(f"column {name!r} has no level {given!r}, expected some of: {few}.")
    return found


def _choose_levels(
    levels: tuple[Scalar, ...], direction: Direction, rng: np.random.Generator
) -> list[Scalar]:
    """The second (first) of two levels; a random half of more."""
    if len(levels) > 2:
        return [levels[i] for i in rng.choice(len(levels), size=len(levels) // 2, replace=False)]
    sign = signed(rng.choice([-1.0, 1.0], size=1), direction)[0]
    return [levels[1] if sign > 0.0 else levels[0]]
