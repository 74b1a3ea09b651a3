"""The M completed tables, stored as one table and the imputed cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pyro_gnr.data import Table
from pyro_gnr.imputation.cells import interval, level_probabilities, summary
from pyro_gnr.imputation.constraints import (
    Constraints,
    Derived,
    check_constraints,
    constrained_parts,
)
from pyro_gnr.imputation.exchange import export, long_table, row_ids
from pyro_gnr.imputation.exchange.long import INTERVAL
from pyro_gnr.imputation.fitted import Draws, FittedModel
from pyro_gnr.imputation.ledger import RELIABLE_K, Ledger, ledger, unreliable
from pyro_gnr.imputation.pooling import MixedDraws, Pooled, pool, pool_draws
from pyro_gnr.imputation.pooling.nesting import as_members
from pyro_gnr.imputation.sensitivity.adjusting import adjusted_values, settled, told
from pyro_gnr.imputation.sensitivity.delta import Delta, as_delta
from pyro_gnr.imputation.sensitivity.grid import DeltaGrid, delta_grid
from pyro_gnr.imputation.sensitivity.tipping import TippingPoint, tipping_point
from pyro_gnr.imputation.settings import is_number

if TYPE_CHECKING:
    import xarray

__all__ = ["MultipleImputation"]


class MultipleImputation:
    """M completed tables: iterate over them, or ask for intervals and diagnostics.

    The table is kept once and only the imputed cells M times; completed tables are made when
    asked for, in the caller's own type. Draws carry residual and latent uncertainty, and with
    several members (see `members`) that of the parameters, too. With one they do not: estimates
    pooled from the tables then have standard errors that are somewhat too small.

    Made by `GNRImputer.impute`.

    Args:
        table: the encoded table.
        draws: imputations of its missing cells and the diagnostics of its rows.
        fitted: the model that drew them.
        members: (M,) the fitted member that drew each table, whole numbers; None: in turn.
        deltas: departures from the model that `draws` have in them; see `adjusted`.
        before: the imputations that these depart from, in which the departures found their rows.
        constraints: what was asked of them and what it took; see `constrained`.
        derived: cells of columns that are not modelled.

    Raises:
        ValueError: there is not one member a table.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 10, "b": ["x", "y", "y", None] * 10})
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
        >>> len(imputation), imputation.diagnostics["n_imputed"].sum().item()
        (3, 20)
        >>> [completed["a"].isna().sum().item() for completed in imputation]
        [0, 0, 0]
        >>> imputation.interval(0.9).columns.tolist()
        ['.id', 'column', 'lower', 'upper', 'levels', 'probability']
    """

    def __init__(
        self,
        table: Table,
        draws: Draws,
        fitted: FittedModel,
        *,
        members: Sequence[int] | NDArray[np.intp] | None = None,
        deltas: Sequence[Delta] = (),
        before: MultipleImputation | None = None,
        constraints: Constraints | None = None,
        derived: Derived | None = None,
    ) -> None:
        self.table = table
        self.draws = draws
        self.fitted = fitted
        found = as_members(members, len(draws.values))
        in_turn = np.arange(len(draws.values)) % len(fitted.members)
        self.members: NDArray[np.intp] = in_turn if found is None else found
        self.deltas = tuple(deltas)
        self.before = before
        self.constraints = constraints
        self._derived = Derived() if derived is None else derived
        self._chances: dict[int, NDArray[np.float64]] = {}

    @property
    def m(self) -> int:
        """Number of completed tables."""
        return len(self.draws.values)

    def __len__(self) -> int:
        return self.m

    def __getitem__(self, i: int) -> Any:
        """Give the i-th completed table, 0 <= i < M (or from the end), in the caller's type.

        Raises:
            TypeError: i is no whole number, such as a slice.
            IndexError: there is no such table.
        """
        if not hasattr(i, "__index__"):
            raise TypeError(f"got index {i!r}, expected the whole number of one table.")
        i = range(self.m)[i]
        return self._derived.fill(self.table.fill(self.draws.values[i]), i)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self.m))

    def __repr__(self) -> str:
        rows, _ = self.table.missing
        mechanism = type(self.fitted.model.m_given_ux).__name__ if len(rows) else "none at work"
        return (
            f"MultipleImputation(m={self.m}, rows={len(self.table.keys)}, imputed cells="
            f"{len(rows)} in {len(np.unique(rows))} rows, rows with Pareto k > {RELIABLE_K}: "
            f"{unreliable(self.draws)}, assumed mechanism: {mechanism}"
            + (f", delta adjusted: {[d.column for d in self.deltas]})" if self.deltas else ")")
        )

    @cached_property
    def ids(self) -> pd.Index:
        """Names of the rows, (N,): index labels of a pandas table where unique, else 1, ..., N."""
        return row_ids(self.table.index_labels(), own=isinstance(self.table.frame, pd.DataFrame))

    def to_long(self, *, members: bool = False) -> Any:
        """Stack the original table and the M completed ones, as R's mice does.

        Args:
            members: whether a column `.member` says which fitted member made each table (`mice`
                would take it for a variable).

        Returns:
            Table of the caller's library (pandas for an array) with (M + 1) N rows: `.imp` (0 the
            table with its holes, then 1, ..., M), `.id` (see `ids`), then the table's columns.
            A text column of numbers and intervals ("<0.5") is one of floats here, with holes in
            `.imp` 0 where the number is not known; for each such column `a` a column
            `.interval.a` has the text of its interval cells in all M + 1 tables, and is missing
            elsewhere.

        Raises:
            ValueError: the table has a column of one of these names already.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> long = imputation.to_long()
            >>> long.shape, long.columns.tolist(), int(long["a"].isna().sum())
            ((108, 4), ['.imp', '.id', 'a', 'b'], 9)
        """
        original, *completed = (self._framed(t) for t in [self.table.original(), *self])
        return long_table(
            original,
            completed,
            self.ids,
            texts={f"{INTERVAL}{name}": v for name, v in self.table.interval_texts().items()},
            members=self.members if members else None,
        )

    def export(
        self, path: str | Path, *, members: bool = False, overwrite: bool = False
    ) -> tuple[Path, Path]:
        """Write the original and the completed tables for R, Stata or SPSS.

        The ending chooses: .parquet or .csv for R, .dta for Stata's `mi import flong`, .sav for
        SPSS, split by `Imputation_` (`pip install pyro-gnr[exchange]`). Beside it comes a file
        with the commands that read it; for R they are (and a line for each text with levels)::

            library(mice)
            long <- as.data.frame(arrow::read_parquet("people.parquet"))
            imp <- as.mids(long)

        mice, Stata and SPSS pool by Rubin's rules, as if each table had a fitted member of its
        own. Where several came from one (20 tables of 5 members, by default) they understate the
        variance between tables, and with it standard errors; the file with the commands then says
        so. For them impute one table a member (`members=20`, `m=20`), or pool by `pool`.

        Args:
            path: the file.
            members: whether it says which fitted member made each table.
            overwrite: whether files of these names are replaced.

        Returns:
            The files written: the table and the commands.

        Raises:
            FileExistsError: there is such a file, and not `overwrite`.
            ImportError: .sav needs pyreadstat, which is not installed.
            ValueError: there is no such format, or a column holds what the format cannot take;
                see `pyro_gnr.imputation.exchange.export`.
            TypeError: a column is of a type that the format does not have.

        Example:
            >>> import tempfile
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None] * 9, "b": ["x", "y", None] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     [file.name for file in imputation.export(Path(folder) / "people.parquet")]
            ['people.parquet', 'people_parquet.R']
        """
        long = self.to_long(members=members)
        return export(
            long, path, columns=self.table.schema.columns, members=self.members,
            overwrite=overwrite,
        ).files  # fmt: skip

    def _framed(self, table: Any) -> Any:
        """A table with the names of its columns; an array gets x0, x1, ..."""
        if not isinstance(table, np.ndarray):
            return table
        return pd.DataFrame(table, columns=[c.name for c in self.table.schema.columns])

    def interval(self, level: float = 0.9) -> pd.DataFrame:
        """Give a central credible interval of every imputed cell.

        Bounds are quantiles of the cell's predictive mixture over all weighted particles, found
        by inference on the same row-keyed draws, not of the M imputations. A cell with levels
        has no order to cut: it gets the smallest set of levels with at least this probability.

        Args:
            level: probability, in (0, 1).

        Returns:
            One row a missing cell: `.id`, `column`, `lower` and `upper` (numbers, in the
            caller's units), `levels` (a tuple) and their `probability` (level columns).

        Raises:
            ValueError: `level` is not in (0, 1).

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> found = imputation.interval(0.8)
            >>> found.shape, found["column"].unique().tolist()
            ((9, 6), ['a'])
        """
        if not (is_number(level) and 0.0 < level < 1.0):
            raise ValueError(
                f"got level={level!r}, expected a probability in (0, 1), such as 0.9."
            )
        self._refuse_changed("interval()")
        return interval(self, level)

    def level_probabilities(self) -> pd.DataFrame:
        """Give the probability of every level of every imputed cell that has levels.

        Of the cell's predictive mixture over all weighted particles, found by inference on the
        same row-keyed draws, not counted in the M imputations.

        Returns:
            One row a missing cell and level, cells by row: `.id`, `column`, `level` and
            `probability`; a cell's probabilities add up to 1.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 20, "b": ["x", "y", None] * 20})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=1)
            >>> chances = imputation.level_probabilities()
            >>> chances.shape, chances.columns.tolist()
            ((40, 4), ['.id', 'column', 'level', 'probability'])
        """
        self._refuse_changed("level_probabilities()")
        return level_probabilities(self)

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """How far to trust each row's imputations; index as of the caller's table.

        Columns: `ess`, the effective number of particles (of the imputer's
        `imputation_particles`); `pareto_k`, above 0.7 unreliable; `n_imputed`, missing cells.
        Rows without missing cells have NaN in the first two: nothing was weighed for them.
        """
        return pd.DataFrame(
            {
                "ess": self.draws.ess,
                "pareto_k": self.draws.pareto_k,
                "n_imputed": self.table.incomplete.sum(1),
            },
            index=self.table.index_labels(),
        )

    def summary(self) -> pd.DataFrame:
        """Say by column how many cells were imputed, and how far from what was observed.

        Returns:
            One row a modelled column with missing cells (intervals do not count), index their
            names. `n_imputed`: missing cells. `beyond_observed`: share, in [0, 1], of their M
            imputations that lie below the smallest or above the largest observed number of this
            table (an interval such as "<0.5" was observed to reach as far as it says); NaN for
            levels, and where no number was observed. Near 0 where cells are missing at random.
            Where it is large, imputations are extrapolated: no observed value of the column is
            near them, and they rest on the assumed mechanism and the tail of the likelihood. That
            is what self-masking says of hidden values, and nothing in the data can confirm it.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
            >>> imputation.summary().columns.tolist()
            ['n_imputed', 'beyond_observed']
        """
        return summary(self)

    def decoded(self, column: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Give the imputations of one column in the caller's units (level codes for levels).

        Args:
            column: name of a modelled column.

        Returns:
            Rows (n,) of its missing cells and their imputations (M, n).

        Raises:
            ValueError: there is no such modelled column.
        """
        names = [c.name for c in self.table.schema.modelled]
        if column not in names:
            raise ValueError(f"got column {column!r}, expected one of {names}.")
        j = names.index(column)
        rows, cols = self.table.missing
        mine = cols == j
        return rows[mine], self.table.in_units(self.draws.values)[:, mine]

    def pool(
        self,
        analysis: str | type[Any] | Callable[[Any], Any] | Any,
        *,
        dfcom: float | None = None,
        formula: str | None = None,
        model: str | None = None,
        model_options: Mapping[str, Any] | None = None,
        fit_options: Mapping[str, Any] | None = None,
        target: str | None = None,
        features: Sequence[str] | None = None,
    ) -> Pooled:
        """Do an analysis on each completed table and pool the estimates.

        Rubin's rules where each table has its own member, nested rules where members have several
        tables each. Where all have one member, Rubin's rules leave out that parameters are
        uncertain; the result says so.

        Args:
            analysis: a formula for statsmodels, a statsmodels model class with `formula`, an
                estimator with standard errors and `target`, or a function of a completed table
                that gives (estimates, covariance) or a tidy table.
            dfcom: degrees of freedom for complete data; those of the analysis if None. Where a
                departure (`adjusted`) has a prior the analysis is done once more on tables
                without its spread: what it adds to the variance is no lost data, and takes no
                degrees of freedom away from what was seen.
            formula: of a model class.
            model: of a formula, such as "logit"; "ols" if None.
            model_options: more arguments of a statsmodels model.
            fit_options: arguments of its `fit`.
            target: column that an estimator predicts.
            features: columns that it predicts it from; all others if None.

        Returns:
            A pandas table, one row a term; see `pyro_gnr.imputation.pooling.pool`, which also
            says what is raised.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=5)
            >>> pooled = imputation.pool("a ~ b")
            >>> pooled.index.tolist(), pooled.m, pooled.rule
            (['Intercept', 'b'], 5, 'rubin')
            >>> pooled.wald(["b"]).df1
            1
        """
        return pool(
            self, analysis, members=self.members, dfcom=dfcom, formula=formula, model=model,
            model_options=model_options, fit_options=fit_options, target=target,
            features=features,
        )  # fmt: skip

    def pool_draws(self, analysis: Callable[[Any], Any]) -> MixedDraws:
        """Do a Bayesian analysis on each completed table and mix its posterior draws.

        Args:
            analysis: gives draws for a completed table: arrays by parameter, a table with a row a
                draw, or an ArviZ tree.

        Returns:
            All draws, with summaries of their mixture; `to_datatree()` gives them to ArviZ.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> imputation.pool_draws(lambda table: {"mean": table["a"].to_numpy()})
            MixedDraws(m=2, draws a table=36, parameters=['mean'])
        """
        return pool_draws(self, analysis, members=self.members)

    def adjusted(self, *deltas: Delta) -> MultipleImputation:
        """Give imputations that depart from the model by so much: delta adjustment.

        "What if people who did not answer had 10 % less income than the model says?" Nothing is
        fitted or weighed again; cells that no departure names stay what they are, bit for bit,
        and a departure of 0 changes nothing. Numbers are moved on the scale of the link of their
        kind, levels in log-odds; see `Delta`.

        Args:
            *deltas: the departures; those of one cell add up.

        Returns:
            The M tables, adjusted. Their `interval` and `level_probabilities` would be the
            model's, and are refused.

        Raises:
            ValueError: a departure names no modelled column or does not suit it, or one that is
                derived from others (`constrained`), or this is adjusted already: adjust the
                original by all departures at once.
            TypeError: one is no `Delta`.

        Source: van Buuren, Flexible Imputation of Missing Data, 2nd ed., section 9.2; Carpenter
            & Kenward, Multiple Imputation and its Application, chapter 10.

        Example:
            >>> from pyro_gnr import Delta, GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> higher = imputation.adjusted(Delta("a", 0.4))
            >>> round(float(higher[0]["a"].mean() - imputation[0]["a"].mean()), 6)
            0.1
        """
        if self.deltas:
            raise ValueError("these are adjusted already: give all departures at once.")
        found = [as_delta(delta) for delta in deltas]
        derived = () if self.constraints is None else self.constraints.derive
        computed = [d.column for d in found if d.column in derived]
        if computed:
            raise ValueError(f"columns {computed} are derived from others: adjust those.")
        draws = self.draws._replace(values=adjusted_values(self, found))
        moved = MultipleImputation(
            self.table, draws, self.fitted, members=self.members, deltas=found, before=self
        )
        return moved if self.constraints is None else moved.constrained_by(self.constraints)

    def settled(self) -> MultipleImputation:
        """Give the same tables with departures that are the same in all of them: their means.

        What varies between these tables is what holes leave open if the departures (`adjusted`)
        are known; itself, if nothing departs.

        Example:
            >>> from pyro_gnr import Delta, GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> moved = imputation.adjusted(Delta("a", [0.0, 1.0]))
            >>> [float(delta.by) for delta in moved.settled().deltas]
            [0.5]
        """
        return settled(self)

    def constrained(
        self,
        derive: Mapping[str, Callable[[Any], Any]] | None = None,
        *,
        keep: Callable[[Any], Any] | None = None,
        repair: Callable[[Any], Any] | None = None,
        tries: int = 20,
    ) -> MultipleImputation:
        """Give imputations that are consistent: derived columns, rejected and repaired draws.

        Bounds of a single column are the business of its likelihood (kinds "positive",
        "bounded(0, 20)", "count"; `Truncated`). Between columns, an inconsistent row is drawn
        anew, as a whole, from the same posterior: what is kept follows that posterior given that
        it is consistent. Observed cells never change.

        A derived column is best left out of the model (kind "ignore"), where it would say again
        what its parts say. Departures (`adjusted`) of constrained imputations are derived and
        repaired anew, but not redrawn.

        Args:
            derive: by column of the table, a function of a completed table (of the caller's type)
                that gives all its values; the missing ones are taken. Later ones see earlier ones.
                Where this or another function gives a Series or table of pandas, its row labels
                say which row is which.
            keep: a function of a completed table that gives N truth values, True where a row is
                consistent.
            repair: a function of a completed table that gives it back mended; of rows that are
                inconsistent after all tries, or of all rows if there is no `keep`.
            tries: how often an inconsistent row is drawn anew, >= 0.

        Returns:
            The M tables; their `constraints` say how many rows were drawn anew, repaired, and
            are inconsistent to the end, and how many of the table's rows were so in all draws:
            probably for what is observed in them. Complete rows are never drawn and do not count.

        Raises:
            ValueError: a column is unknown; a function gives another shape, other row labels,
                missing values, values that the column cannot have, or changes what was observed;
                nothing is asked; or this is constrained already.
            TypeError: what should be a function is none.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"kg": [60, None, 80, 90.0] * 9, "m": [1.6, 1.7, 1.8, 1.9] * 9})
            >>> X["bmi"] = X["kg"] / X["m"] ** 2
            >>> imputer = GNRImputer(kinds={"bmi": "ignore"}, max_steps=10, random_state=0)
            >>> bmi = {"bmi": lambda table: table["kg"] / table["m"] ** 2}
            >>> found = imputer.fit(X).impute(X, m=2).constrained(bmi)
            >>> found[0]["bmi"].isna().sum().item()
            0
        """
        if self.constraints is not None:
            raise ValueError("these are constrained already: give all constraints at once.")
        # Numbers that name a table's columns go by their digits here.
        by_name = {str(name): function for name, function in (derive or {}).items()}
        rule = Constraints(derive=by_name, keep=keep, repair=repair, tries=tries)
        check_constraints(self, rule)
        return self.constrained_by(rule)

    def constrained_by(self, rule: Constraints) -> MultipleImputation:
        """Constrain by a rule; what departs from the model cannot be drawn anew from it."""
        rule = replace(rule, tries=0) if self.deltas else rule
        values, derived, found = constrained_parts(self, rule)
        return MultipleImputation(
            self.table, self.draws._replace(values=values), self.fitted, members=self.members,
            deltas=self.deltas, before=self.before, constraints=found,
            derived=derived,
        )  # fmt: skip

    def delta_grid(
        self,
        analysis: Any,
        grid: Mapping[Delta | str, ArrayLike],
        *,
        level: float = 0.95,
        **options: Any,
    ) -> DeltaGrid:
        """Pool an analysis at every point of a grid of departures from the model.

        Args:
            analysis: as for `pool`.
            grid: by column name, or by `Delta` (which says rows, level and step), the numbers
                by which it is multiplied; several departures give all their combinations.
            level: of the intervals.
            **options: more arguments of `pool`.

        Returns:
            A pandas table, one row a point and term, that draws itself with `plot`.

        Raises:
            ValueError: a departure does not suit its column, numbers are not finite, or the
                analysis cannot be pooled; see `pool`.
            TypeError: `grid` is no dict, or a departure has a prior.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=5)
            >>> found = imputation.delta_grid("a ~ 1", {"a": [-1.0, 0.0, 1.0]})
            >>> (found["estimate"] - found["estimate"][1]).round(6).tolist()
            [-0.25, 0.0, 0.25]
        """
        return delta_grid(self, analysis, grid, level=level, **options)

    def tipping_point(
        self,
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
        """Find how far the model must be wrong for a conclusion to change.

        Both directions are searched from 0 outwards, at 12 places and then between the first two
        that disagree: of several changes the nearest is found, unless two lie between two places.

        Args:
            analysis: as for `pool`.
            delta: the departure, or a column's name; the answer is in multiples of its `by`.
            term: whose interval the conclusion is about; may be left out if there is one term.
            value: of the term: the conclusion is that the interval lies above it, below it or
                about it, whatever it does without departure.
            level: of the interval.
            conclusion: your own, a function of what was pooled that gives a truth value; `term`,
                `value` and `level` then play no part.
            within: where to search, lowest (<= 0) and highest; None: 3 observed standard
                deviations, or 3 in logarithms or log-odds, either way.
            **options: more arguments of `pool`.

        Returns:
            The nearest departures at which the conclusion changes; prints as a sentence.

        Raises:
            ValueError: there is no such column or term, or `within` is no interval about 0.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=5)
            >>> found = imputation.tipping_point("a ~ 1", "a", value=3.5, within=(-9.0, 9.0))
            >>> found.below is None, 0.0 < found.above < 9.0
            (True, True)
        """
        return tipping_point(
            self, analysis, delta, term=term, value=value, level=level, conclusion=conclusion,
            within=within, **options,
        )  # fmt: skip

    def level_chances(self, j: int) -> NDArray[np.float64]:
        """Give P(level | the row's other cells) of the cells of column j, (M, n, levels), kept."""
        if j not in self._chances:
            n = int((self.table.missing[1] == j).sum())
            levels = self.table.schema.modelled[j].levels or ()
            found = np.empty((self.m, n, len(levels)))
            for g in np.unique(self.members).tolist():
                own = self.members == g
                found[own] = self.fitted.level_chances(
                    self.table, self.draws.values[own], j, member=g
                )
            self._chances[j] = found
        return self._chances[j]

    def _refuse_changed(self, what: str) -> None:
        if self.deltas or self.constraints is not None:
            changed = "delta adjusted" if self.deltas else "constrained"
            raise ValueError(
                f"{what} is not known of imputations that are {changed}: ask those that they "
                "were made from."
            )

    def departures(self) -> list[dict[str, Any]]:
        """Give the departures from the model in plain values; none if this is not adjusted.

        Returns:
            For each `column`, `by`, `level` and `where` as `Delta` has them (a prior of scipy as
            `{"distribution": "norm", "args": [0, 2], "kwds": {}}`; a function or array of rows as
            `{"function": name}` or `{"array": N}`), `unit`, and `rows`, how many rows `where`
            chooses (mean over tables), None for all.

        Example:
            >>> from pyro_gnr import Delta, GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> moved = imputation.adjusted(Delta("a", 0.4, where="b > 1"))
            >>> {key: moved.departures()[0][key] for key in ("by", "where", "rows")}
            {'by': 0.4, 'where': 'b > 1', 'rows': 27.0}
        """
        before = self if self.before is None else self.before
        return [told(before, delta) for delta in self.deltas]

    def ledger(self) -> Ledger:
        """Say what these imputations rest on, what was checked, and what no data can say.

        Returns:
            Prints as a page; `to_dict()` gives it in plain values.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> found = imputation.ledger()
            >>> found.rows, found.m, found.missing
            (36, 2, {'a': 9})
        """
        return ledger(self)

    def to_datatree(self) -> xarray.DataTree:
        """Give observed data, mask, imputations and row bounds as an ArviZ `DataTree`.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> tree = imputation.to_datatree()
            >>> dict(tree["posterior"]["a"].sizes)
            {'chain': 2, 'draw': 1, 'a_row': 9}
        """
        from pyro_gnr.criticism.datatree import to_datatree

        return to_datatree(self)
