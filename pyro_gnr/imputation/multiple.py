"""The M completed tables, stored as one table and the imputed cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pyro_gnr.data import Column, Table
from pyro_gnr.imputation.exchange import export, long_table, row_ids
from pyro_gnr.imputation.exchange.long import INTERVAL
from pyro_gnr.imputation.fitted import Draws, FittedModel
from pyro_gnr.imputation.pooling import MixedDraws, Pooled, pool, pool_draws
from pyro_gnr.imputation.pooling.nesting import as_members
from pyro_gnr.imputation.settings import is_number

if TYPE_CHECKING:
    import xarray

__all__ = ["MultipleImputation"]

# Above this Pareto k importance weights say too little about their own error.
RELIABLE_K = 0.7


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
    ) -> None:
        self.table = table
        self.draws = draws
        self.fitted = fitted
        found = as_members(members, len(draws.values))
        in_turn = np.arange(len(draws.values)) % len(fitted.members)
        self.members: NDArray[np.intp] = in_turn if found is None else found

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
        return self.table.fill(self.draws.values[i])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self.m))

    def __repr__(self) -> str:
        unreliable = int((self.draws.pareto_k > RELIABLE_K).sum())
        rows, _ = self.table.missing
        return (
            f"MultipleImputation(m={self.m}, rows={len(self.table.keys)}, imputed cells="
            f"{len(rows)} in {len(np.unique(rows))} rows, rows with Pareto k > {RELIABLE_K}: "
            f"{unreliable}, assumed mechanism: {type(self.fitted.model.m_given_ux).__name__})"
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
        with the commands that read it; for R they are::

            library(mice)
            long <- as.data.frame(arrow::read_parquet("people.parquet"))
            imp <- as.mids(long)

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
        return export(long, path, columns=self.table.schema.columns, overwrite=overwrite).files

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
        """
        if not (is_number(level) and 0.0 < level < 1.0):
            raise ValueError(
                f"got level={level!r}, expected a probability in (0, 1), such as 0.9."
            )
        rows, cols = self.table.missing
        columns = self.table.schema.modelled
        tails = torch.tensor([(1 - level) / 2, (1 + level) / 2])
        found = self.fitted.intervals(self.table, tails)
        bounds = self.table.in_units(found.quantiles)
        sets = [
            _smallest_set(columns[j], p, level) for j, p in zip(cols, found.levels, strict=True)
        ]
        names = np.array([c.name for c in columns], dtype=object)
        return pd.DataFrame(
            {
                ".id": self.ids[rows],
                "column": names[cols],
                "lower": bounds[0],
                "upper": bounds[1],
                "levels": [s[0] for s in sets],
                "probability": [s[1] for s in sets],
            }
        )

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
        rows, cols = self.table.missing
        columns = self.table.schema.modelled
        counts = np.array([len(c.levels or ()) for c in columns], dtype=np.intp)[cols]
        cells = np.repeat(np.arange(len(rows)), counts)
        codes = np.arange(len(cells)) - np.repeat(counts.cumsum() - counts, counts)
        found = self.fitted.level_probabilities(self.table)
        names = np.array([c.name for c in columns], dtype=object)
        levels = [(columns[j].levels or ())[k] for j, k in zip(cols[cells], codes, strict=True)]
        return pd.DataFrame(
            {
                ".id": self.ids[rows[cells]],
                "column": names[cols[cells]],
                "level": pd.Series(levels, dtype=object),
                "probability": found[cells, codes],
            }
        )

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
        missing = ~self.table.observed
        counts = missing.sum(0)
        columns = np.flatnonzero(counts)
        names = [self.table.schema.modelled[j].name for j in columns]
        shares = [self._beyond_observed(j) for j in columns.tolist()]
        found = {"n_imputed": counts[columns], "beyond_observed": np.array(shares, dtype=float)}
        return pd.DataFrame(found, index=pd.Index(names, name="column", dtype=object))

    def _beyond_observed(self, j: int) -> float:
        """Share of a column's imputations in missing cells that are outside what was observed."""
        table = self.table
        rows, cols = table.missing
        if table.schema.modelled[j].levels is not None:
            return float("nan")
        exact = table.values[table.observed[:, j] & ~table.intervals[:, j], j]
        known = table.decode(np.full(len(exact), j), exact)
        interval = table.intervals[rows, cols]
        reach = np.concatenate([known, table.limits[:, interval & (cols == j)].ravel()])
        if not len(reach):
            return float("nan")
        draws = table.in_units(self.draws.values)[:, ~interval & (cols == j)]
        return float(((draws < reach.min()) | (draws > reach.max())).mean())

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
            dfcom: degrees of freedom for complete data; those of the analysis if None.
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
        """
        return pool_draws(self, analysis, members=self.members)

    def to_datatree(self) -> xarray.DataTree:
        """Give observed data, mask, imputations and row bounds as an ArviZ `DataTree`."""
        from pyro_gnr.criticism.datatree import to_datatree

        return to_datatree(self)


def _smallest_set(
    column: Column, probabilities: NDArray[np.float64], level: float
) -> tuple[tuple[Any, ...] | None, float]:
    """Most probable levels that together reach `level`; None for a column of numbers."""
    if column.levels is None:
        return None, float("nan")
    order = np.argsort(-probabilities[: len(column.levels)], kind="stable")
    total = probabilities[order].cumsum()
    # Probabilities add up to 1 but for rounding: the last level always suffices.
    n = min(int(np.searchsorted(total, level)) + 1, len(order))
    return tuple(column.levels[i] for i in order[:n]), float(min(total[n - 1], 1.0))
