"""Numbers that criticise an imputation; `pyro_gnr.criticism.plots` draws them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pyro_gnr.data.censoring import read_cells
from pyro_gnr.data.columns import CENSORED_KINDS, Column, Kind
from pyro_gnr.data.frames import native_columns
from pyro_gnr.data.reading import read
from pyro_gnr.data.table import Table
from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = [
    "Curve",
    "Densities",
    "Shares",
    "density",
    "incomplete_columns",
    "observed_against_imputed",
    "observed_values",
]

Floats = NDArray[np.float64]

# Numbers that take at most this many values are counted one by one instead of smoothed.
FEW_VALUES = 20
# Levels beyond this many are lumped together, and the frequent ones are shown.
MOST_LEVELS = 15
# A curve through fewer imputed cells than this shows the kernel and not the cells.
FEWEST_FOR_A_CURVE = 10


class Shares(NamedTuple):
    """How often each value occurs, observed and imputed.

    Attributes:
        labels: the S values: levels, or numbers in the caller's units.
        observed: (S,) shares of the observed cells; NaN if there are none.
        imputed: (M, S) shares of the imputed cells in each imputation.
        n_observed: observed cells of the column.
        n_imputed: missing cells of the column.
        nearest: whether the values are numbers, and imputations between two of them were counted
            at the nearer one.
    """

    labels: tuple[str, ...]
    observed: Floats
    imputed: Floats
    n_observed: int
    n_imputed: int
    nearest: bool = False


class Curve(NamedTuple):
    """An estimated density; nothing is claimed beyond its ends.

    Attributes:
        x: (G,) points in the caller's units, ascending, evenly spaced.
        density: (G,) estimates; they integrate to 1.
    """

    x: Floats
    density: Floats


class Densities(NamedTuple):
    """Densities of a column of numbers, observed and imputed.

    Attributes:
        observed: of the observed cells; None if there are fewer than 10.
        imputed: of each of the M imputations; empty if fewer than 10 cells are missing.
        pooled: of all imputations together; None if there are fewer than 10 draws.
        draws: (M, n_imputed) the imputations themselves, in the caller's units.
        limits: range worth showing: all values, or without a few that lie far out.
        outside: observed cells, and imputed draws, beyond the limits.
        n_observed: observed cells of the column.
        n_imputed: missing cells of the column.
    """

    observed: Curve | None
    imputed: tuple[Curve, ...]
    pooled: Curve | None
    draws: Floats
    limits: tuple[float, float]
    outside: tuple[int, int]
    n_observed: int
    n_imputed: int


def incomplete_columns(table: Table) -> tuple[str, ...]:
    """Name the modelled columns with missing cells or intervals, in the caller's order."""
    holes = np.flatnonzero(table.incomplete.any(0))
    return tuple(table.schema.modelled[j].name for j in holes)


def observed_values(table: Table) -> Floats:
    """Give the observed cells in the caller's units, (N, D), NaN where missing or an interval.

    Level columns are codes, positions in `Column.levels`. Numbers are the caller's own, bit for
    bit. Hidden cells are observed.

    Example:
        >>> from pyro_gnr.data import Schema
        >>> X = np.array([[1.5, 7.0], [np.nan, 8.0]])
        >>> observed_values(Schema.learn(X).encode(X))
        array([[1.5, 7. ],
               [nan, 8. ]])
    """
    values = np.where(table.observed, table.values, np.nan)
    natives = zip(table.schema.columns, native_columns(table.frame), strict=True)
    modelled = [pair for pair in natives if pair[0].kind is not Kind.IGNORE]
    for j, (column, native) in enumerate(modelled):
        if column.kind in CENSORED_KINDS:
            values[:, j] = read_cells(read(native, column.name)).numbers
            continue
        numbers = read(native, column.name).as_numbers() if column.levels is None else None
        if numbers is not None:
            values[:, j] = np.where(table.observed[:, j], numbers, np.nan)
    return values


def observed_against_imputed(imputation: MultipleImputation, column: str) -> Shares | Densities:
    """Compare the imputed cells of a column with its observed ones.

    The two need not agree: people who leave a cell empty may be different people. A difference
    asks to be explained, and not to be removed.

    Args:
        imputation: M completed tables.
        column: name of a modelled column with missing cells.

    Returns:
        Shares of levels, and of whole numbers that take at most 20 values (an imputation between
        two of them counts for the nearer one; those below or above all of them are counted
        apart); densities of other numbers.

    Raises:
        ValueError: nothing was imputed in a column of that name.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
        >>> shares = observed_against_imputed(imputation, "x1")
        >>> shares.labels, shares.observed.round(2).tolist(), shares.imputed.shape
        (('0', '1'), [0.33, 0.67], (3, 2))
    """
    names = incomplete_columns(imputation.table)
    if column not in names:
        found = ", ".join(map(repr, names)) or "none: the table is complete"
        raise ValueError(f"nothing was imputed in column {column!r}; columns with holes: {found}.")
    j = [c.name for c in imputation.table.schema.modelled].index(column)
    values = observed_values(imputation.table)[:, j]
    observed = values[~np.isnan(values)]
    _, draws = imputation.decoded(column)
    schema_column = imputation.table.schema.modelled[j]
    if schema_column.levels is not None:
        return _level_shares(schema_column.levels, observed, draws)
    if _counted(schema_column, observed, draws):
        return _number_shares(observed, draws)
    return _densities(observed, draws)


def density(values: Floats, low: float | None = None, high: float | None = None) -> Curve:
    """Smooth at least two numbers that are not all equal, by a Gaussian kernel.

    Silverman's bandwidth. Mass that the kernel puts beyond an end is reflected, so that the
    curve neither claims anything out there nor falls where values pile up at a limit.

    Args:
        values: (n,) numbers.
        low: where the curve begins; None is the smallest value.
        high: where it ends; None is the largest value.

    Returns:
        The curve, which integrates to 1.

    Example:
        >>> curve = density(np.random.default_rng(0).uniform(size=1000))
        >>> bool(curve.x.min() > 0), bool(abs(curve.density[0] - 1) < 0.2)
        (True, True)
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(s for s in (values.std(), np.ptp(quartiles) / 1.349) if s > 0)
    bandwidth = 0.9 * spread * len(values) ** -0.2
    cells = int(np.clip(10 * (high - low) / bandwidth, 200, 5000))
    counts, edges = np.histogram(values, cells, range=(low, high))
    width = (high - low) / cells
    smooth = gaussian_filter1d(counts / (len(values) * width), bandwidth / width, mode="reflect")
    return Curve((edges[:-1] + edges[1:]) / 2, smooth)


def _level_shares(levels: tuple[object, ...], observed: Floats, draws: Floats) -> Shares:
    n_levels = len(levels)
    labels = [f"{v:g}" if isinstance(v, float) else str(v) for v in levels]
    if n_levels <= MOST_LEVELS:
        return _shares(labels, np.arange(n_levels), observed, draws)
    # Frequent levels by their share, ties in their own order; what is left counts as one.
    counts = np.bincount(observed.astype(np.intp), minlength=n_levels)
    order = np.argsort(-counts, kind="stable")[: MOST_LEVELS - 1]
    place = np.full(n_levels, MOST_LEVELS - 1)
    place[order] = np.arange(MOST_LEVELS - 1)
    labels = [*(labels[i] for i in order), f"other ({n_levels - MOST_LEVELS + 1} levels)"]
    return _shares(labels, place, observed, draws)


def _number_shares(observed: Floats, draws: Floats) -> Shares:
    """Shares of few distinct numbers; below and above all of them have bars of their own."""
    numbers = np.unique(observed)
    places = 1 + np.searchsorted((numbers[:-1] + numbers[1:]) / 2, draws)
    places[draws < numbers[0]] = 0
    places[draws > numbers[-1]] = len(numbers) + 1
    labels = [f"{v:,.10g}" for v in numbers]
    labels = [f"< {labels[0]}", *labels, f"> {labels[-1]}"]
    codes = 1 + np.searchsorted(numbers, observed)
    shares = _shares(labels, np.arange(len(labels)), codes, places)
    # The two outer bars are there only if something fell into them.
    kept = np.ones(len(labels), dtype=bool)
    kept[[0, -1]] = shares.imputed[:, [0, -1]].any(0)
    return shares._replace(
        labels=tuple(label for label, keep in zip(labels, kept, strict=True) if keep),
        observed=shares.observed[kept],
        imputed=shares.imputed[:, kept],
        nearest=True,
    )


def _shares(labels: list[str], place: NDArray, observed: NDArray, draws: NDArray) -> Shares:
    """Count codes, observed (n,) and imputed (M, n'), at the bar that each code belongs to."""
    bars, n_bars = place[observed.astype(np.intp)], len(labels)
    imputed = np.array([_share(draw, n_bars) for draw in place[draws.astype(np.intp)]])
    return Shares(tuple(labels), _share(bars, n_bars), imputed, len(observed), draws.shape[1])


def _share(bars: NDArray, n_bars: int) -> Floats:
    """Shares (n_bars,) of the bars (n,) that cells belong to; NaN without a cell."""
    if not len(bars):
        return np.full(n_bars, np.nan)
    return np.bincount(bars, minlength=n_bars) / len(bars)


def _counted(column: Column, observed: Floats, draws: Floats) -> bool:
    """Whether the numbers of a column take so few values that each can be counted."""
    distinct = np.unique(observed)
    if not 0 < len(distinct) <= FEW_VALUES:
        return False
    # In a short table values that hardly repeat are few as well.
    repeated = len(distinct) == 1 or len(observed) >= 2 * len(distinct)
    return repeated and (column.whole or bool(np.isin(draws, distinct).all()))


def _densities(observed: Floats, draws: Floats) -> Densities:
    limits = _limits([observed, draws.ravel()])
    low, high = limits
    beyond = [int(((v < low) | (v > high)).sum()) for v in (observed, draws)]
    # Single tables hold few cells: their curves may go as far as that of all tables does.
    ends = (float(draws.min()), float(draws.max()))
    curves = (_curve(draw, *ends) for draw in draws)
    return Densities(
        observed=_curve(observed),
        imputed=tuple(curve for curve in curves if curve is not None),
        pooled=_curve(draws.ravel()),
        draws=draws,
        limits=limits,
        outside=(beyond[0], beyond[1]),
        n_observed=len(observed),
        n_imputed=draws.shape[1],
    )


def _curve(values: Floats, low: float | None = None, high: float | None = None) -> Curve | None:
    few = len(values) < FEWEST_FOR_A_CURVE or np.ptp(values) == 0
    return None if few else density(values, low, high)


def _limits(samples: list[Floats]) -> tuple[float, float]:
    """Range of both samples without a long thin tail; each has its say, whatever its size."""
    samples = [s for s in samples if len(s)]
    lowest, highest = min(s.min() for s in samples), max(s.max() for s in samples)
    low = min(np.quantile(s, 0.005) for s in samples)
    high = max(np.quantile(s, 0.995) for s in samples)
    margin = 0.3 * (high - low) if high > low else highest - lowest
    return float(max(lowest, low - margin)), float(min(highest, high + margin))
