"""Make holes in a table, for tests, benchmarks and simulation studies.

A mechanism says why cells go missing; where it has a missing rate, its intercept or threshold is
solved for, so that the expected rate in every column is the one asked for. Which model of this
package is right for which holes stands with each mechanism. Names:

    mcar                completely at random, by cell or by block
    mar                 depends on other columns, which lose no cells
    self_masking        depends on the own value, softly
    hard_self_masking   the highest (lowest) values, as many as the rate says
    above_mean          the UCI protocol of not-MIWAE: values above the mean
    shared_latent       depends on a latent that the columns share
    no_self_censoring   depends on all other values and a latent
    general_mnar        the protocol of IM-IWAE: depends on all values

A column must be complete where its values decide which cells go missing. Elsewhere a table may
have holes of its own; they stay, and the rate is of the cells that were observed. So no column
need be complete for mcar, for mar only the predictors, for self-masking those that lose cells.

Directions are in the words of the model's `SelfMasking`, "high" and "low", and "off" and a dict by
column where values mask themselves; but "random", one that is drawn, where a model's is "free",
one that is learnt.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.amputers import (
    MAR,
    MCAR,
    AboveMean,
    Amputer,
    GeneralMNAR,
    HardSelfMasking,
    Holes,
    NoSelfCensoring,
    SelfMasking,
    SharedLatent,
)
from pyro_gnr.data.columns import Kind
from pyro_gnr.data.removal import remove, take_rows
from pyro_gnr.data.source import SourceTable
from pyro_gnr.data.spelling import did_you_mean

__all__ = [
    "MAR",
    "MCAR",
    "MECHANISMS",
    "AboveMean",
    "Amputation",
    "Amputer",
    "GeneralMNAR",
    "HardSelfMasking",
    "NoSelfCensoring",
    "SelfMasking",
    "SharedLatent",
    "ampute",
]

MECHANISMS: dict[str, type[Amputer]] = {
    "mcar": MCAR,
    "mar": MAR,
    "self_masking": SelfMasking,
    "hard_self_masking": HardSelfMasking,
    "above_mean": AboveMean,
    "shared_latent": SharedLatent,
    "no_self_censoring": NoSelfCensoring,
    "general_mnar": GeneralMNAR,
}


class Amputation(NamedTuple):
    """A table with holes, and the truth about them.

    Attributes:
        table: of the caller's type; what is left is unchanged.
        observed: (N, D) bool, True where the table's cell is observed (m = 1).
        removed: (N, D) bool, True where a cell was emptied here, so that the caller's table has
            what was in it. What is neither observed nor removed was empty before.
        probabilities: (N, D), chance of each cell to be removed, given the values and the latent
            draws of the mechanism; 0 in columns that lose no cells, and where a cell was empty.
        rows: (N,) positions of these rows in the caller's table; all of them, unless empty rows
            were dropped.

    Example:
        >>> holes = ampute(np.zeros((2, 1)), rate=0.5, random_state=1)
        >>> holes.observed.ravel(), holes.empty_rows
        (array([ True, False]), array([1]))
    """

    table: Any
    observed: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    rows: NDArray[np.intp]

    @property
    def empty_rows(self) -> NDArray[np.intp]:
        """Positions of the table's rows in which nothing is observed."""
        return np.flatnonzero(~self.observed.any(axis=1))


def ampute(
    X: Any,
    mechanism: str | Amputer | type[Amputer] | partial[Amputer] = "mcar",
    *,
    rate: float | None = None,
    columns: Sequence[Any] | None = None,
    kinds: Mapping[str, str | Kind] | None = None,
    drop_empty_rows: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> Amputation:
    """Make holes in a table.

    Args:
        X: pandas or polars DataFrame, or (N, D) array of numbers. A column whose values the
            mechanism reads must be complete, and of numbers, booleans or levels; others may be of
            any dtype and have holes of their own, which stay.
        mechanism: why cells go missing: a name (see the module's docstring) for a mechanism with
            its defaults, or a mechanism with options of its own, such as
            ``SelfMasking(direction="low")``; a class or `functools.partial` is called.
        rate: share of its observed cells that a column is expected to lose, in (0, 1). None is
            0.3, or, for "above_mean" and "general_mnar", what they give by themselves.
        columns: names (for arrays also positions) of the columns that lose cells. None leaves the
            choice to the mechanism: all that are not ignored, as a rule, ids and dates, too.
        kinds: how columns are seen, by name, as in `GNRImputer`: "categorical" for codes that
            stand for levels, "ignore" for columns that neither lose cells nor drive holes (ids,
            dates, free text), and so on.
        drop_empty_rows: leave out the rows in which nothing is observed. They are kept otherwise
            and reported as `Amputation.empty_rows`.
        random_state: the same seed makes the same holes; a generator is used and advanced.

    Returns:
        The table with holes, the mask, and the true probabilities. A DataFrame keeps its index,
        names and dtypes, but integers and booleans of a pandas column that may lose cells become
        nullable; an array comes back as floats.

    Raises:
        ValueError: unknown mechanism, column, kind or option; a rate that cannot be reached; a
            column that the mechanism cannot use, such as a constant one, or one with holes where
            it would read the values; too few columns.
        TypeError: X is no table, a column is of a dtype that the mechanism cannot read, or
            random_state is no seed.

    Warns:
        UserWarning: no cell can go missing, as where no value is above the threshold of
            "above_mean".

    Example:
        >>> import pandas as pd
        >>> X = pd.DataFrame({"age": range(20, 70), "income": range(50)}, dtype="int64")
        >>> holes = ampute(X, "self_masking", rate=0.4, columns=["income"], random_state=0)
        >>> holes.table.isna().sum().to_dict(), str(holes.table["income"].dtype)
        ({'age': 0, 'income': 17}, 'Int64')
        >>> [round(float(p), 2) for p in holes.probabilities.mean(axis=0)]
        [0.0, 0.4]
        >>> bool(X["income"][~holes.observed[:, 1]].mean() > X["income"].mean())
        True
    """
    amputer = _resolve(mechanism)
    table = SourceTable.of(X, kinds)
    chosen = None if columns is None else table.positions(columns)
    rng = _generator(random_state)
    holes = amputer.holes(table, chosen, rate=rate, rng=rng)
    made = _apply(table, holes)
    if not made.probabilities.any():
        warnings.warn(_nothing_removed(amputer, table, holes), UserWarning, stacklevel=2)
    return _without_empty_rows(made) if drop_empty_rows else made


def _resolve(mechanism: object) -> Amputer:
    if isinstance(mechanism, str):
        if mechanism not in MECHANISMS:
            near = did_you_mean(mechanism, MECHANISMS)
            raise ValueError(
                f"got mechanism {mechanism!r}, expected one of {list(MECHANISMS)}{near}."
            )
        return MECHANISMS[mechanism]()
    made = mechanism() if isinstance(mechanism, (type, partial)) else mechanism
    if not isinstance(made, Amputer):
        names = ", ".join(MECHANISMS)
        raise TypeError(f"got mechanism {mechanism!r}, expected a name ({names}) or an Amputer.")
    return made


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    """Make the generator of the holes.

    A seed is combined with a word of our own: data simulated with ``default_rng(0)`` and holes of
    seed 0 would share their random numbers otherwise, and the holes would depend on the data.
    """
    if isinstance(random_state, (int, np.integer)):
        return np.random.default_rng([random_state, *b"ampute"])
    try:
        return np.random.default_rng(random_state)
    except TypeError as error:
        raise TypeError(
            f"got random_state={random_state!r}, expected a whole number >= 0, a "
            "numpy.random.Generator, or None."
        ) from error


def _nothing_removed(amputer: Amputer, table: SourceTable, holes: Holes) -> str:
    """Say that a mechanism leaves a table as it is."""
    names = [table.names[j] for j in holes.columns]
    return (
        f"no cell was removed: by {amputer} none of the values in {names} can go missing; choose "
        "other columns, or options that reach some of their values."
    )


def _apply(table: SourceTable, holes: Holes) -> Amputation:
    """Empty the cells whose uniform number is below their probability."""
    columns, observed = list(holes.columns), table.observed
    probabilities, removed = np.zeros(observed.shape), np.zeros(observed.shape, dtype=bool)
    probabilities[:, columns] = np.where(observed[:, columns], holes.probabilities, 0.0)
    removed[:, columns] = holes.uniforms < probabilities[:, columns]
    emptied = remove(table.frame, ~removed, columns)
    rows = np.arange(len(observed))
    return Amputation(emptied, observed & ~removed, removed, probabilities, rows)


def _without_empty_rows(made: Amputation) -> Amputation:
    kept = np.flatnonzero(made.observed.any(axis=1))
    return Amputation(
        take_rows(made.table, kept),
        made.observed[kept],
        made.removed[kept],
        made.probabilities[kept],
        made.rows[kept],
    )
