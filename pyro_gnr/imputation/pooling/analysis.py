"""An analysis, in any of its forms, done on each of M tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.errors import on_table
from pyro_gnr.imputation.pooling.estimates import Estimates, as_estimates
from pyro_gnr.imputation.pooling.estimators import EstimatorFit
from pyro_gnr.imputation.pooling.formulas import Formula, model_class
from pyro_gnr.imputation.pooling.frames import n_rows

__all__ = ["Options", "Study", "Studied", "as_function"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """What some forms of an analysis need besides; None where nothing is said.

    Attributes:
        formula: of a statsmodels model class.
        model: of a formula.
        model_options: of both.
        fit_options: of both.
        target: column that an estimator predicts.
        features: columns that it predicts it from.
    """

    formula: str | None = None
    model: str | type[Any] | None = None
    model_options: Mapping[str, Any] | None = None
    fit_options: Mapping[str, Any] | None = None
    target: str | None = None
    features: Sequence[str] | None = None

    def check_only(self, allowed: Sequence[str], what: str) -> None:
        """Refuse options that this form of an analysis does not have."""
        given = [name for name, value in vars(self).items() if value is not None]
        foreign = [name for name in given if name not in allowed]
        if foreign:
            raise ValueError(f"got {' and '.join(foreign)}, which {what} does not have.")


STATSMODELS = ("model_options", "fit_options")


def as_function(analysis: Any, options: Options) -> Callable[[Any], Any]:
    """Give the analysis as a function of a table.

    Args:
        analysis: a formula, a model class of statsmodels (or what makes one of a formula, such as
            `smf.ols`), an estimator, or a function.
        options: what the caller said besides.

    Returns:
        A function of a table; what it gives is read by `as_estimates`.

    Raises:
        TypeError: it is none of these.
        ValueError: an option is not of this form of an analysis, or one is needed.
    """
    shared = {name: getattr(options, name) for name in STATSMODELS}
    analysis = model_class(analysis)
    if isinstance(analysis, str):
        options.check_only(("model", *STATSMODELS), "a formula")
        return Formula(analysis, model=options.model, **shared)
    if isinstance(analysis, type) and hasattr(analysis, "from_formula"):
        options.check_only(("formula", *STATSMODELS), "a model class")
        if options.formula is None:
            raise ValueError(f"{analysis.__name__} needs formula=, such as 'bmi ~ age + sex'.")
        return Formula(options.formula, model=analysis, **shared)
    if hasattr(analysis, "fit") and not isinstance(analysis, type):
        options.check_only(("target", "features"), "an estimator")
        return EstimatorFit(analysis, target=options.target, features=options.features)
    if callable(analysis):
        options.check_only((), "a function")
        return analysis
    raise TypeError(
        f"got {analysis!r}, expected a formula, a model class of statsmodels, an estimator with "
        "standard errors, or a function of a table."
    )


@dataclass(frozen=True)
class Study:
    """M tables and the function that analyses one of them.

    Attributes:
        tables: M tables; made when asked for, if they come from a `MultipleImputation`.
        analyse: what `as_function` gave.
    """

    tables: Sequence[Any]
    analyse: Callable[[Any], Any]

    def fit(self, i: int) -> Any:
        """Do the analysis on table i, 0 <= i < M; its error says on which table it failed."""
        return self._fit_to(self.tables[i], i)

    def _fit_to(self, table: Any, i: int) -> Any:
        with on_table(i, len(self.tables)):
            return self.analyse(table)

    def run(self) -> Studied:
        """Do it on all tables.

        Raises:
            ValueError: tables do not give the same terms, or a term has variance 0 in all.
        """
        found, rows = self._all()
        used = [e.n_rows for e in found if e.n_rows is not None]
        orders = _orders(found)
        values = np.stack([e.values[o] for e, o in zip(found, orders, strict=True)])
        covariances = np.stack(
            [e.covariance[np.ix_(o, o)] for e, o in zip(found, orders, strict=True)]
        )
        terms = found[0].terms
        flat = [n for n, v in zip(terms, np.diagonal(covariances.mean(0)), strict=True) if v == 0]
        if flat:
            raise ValueError(f"terms {flat} have variance 0 in all tables: leave them out.")
        return Studied(
            terms=terms,
            values=values,
            covariances=covariances,
            dfcom=min(e.dfcom for e in found),
            n_rows=min(used, default=None),
            most_rows=max(used, default=None),
            table_rows=(min(rows), max(rows)) if rows else None,
            not_converged=tuple(i + 1 for i, e in enumerate(found) if not e.converged),
        )

    def _all(self) -> tuple[list[Estimates], list[int]]:
        """What each table gave, and the numbers of rows of those that have any."""
        found, rows = [], []
        for i in range(len(self.tables)):
            table = self.tables[i]
            found.append(self._one(table, i))
            rows.append(n_rows(table))
        return found, [n for n in rows if n is not None]

    def _one(self, table: Any, i: int) -> Estimates:
        fit = self._fit_to(table, i)
        rows = len(table) if isinstance(self.analyse, EstimatorFit) else None
        try:
            return as_estimates(fit, n_rows=rows)
        except (TypeError, ValueError) as error:
            raise type(error)(f"table {i + 1} of {len(self.tables)}: {error}") from error


def _orders(found: Sequence[Estimates]) -> list[list[int]]:
    """Where each table has the terms of the first."""
    first = found[0].terms
    for i, estimates in enumerate(found, start=1):
        odd = sorted(set(estimates.terms) ^ set(first))
        if odd:
            raise ValueError(
                f"table {i} gave other terms than table 1 ({', '.join(odd)}), expected the same: "
                "a rare level may be missing from some tables; join it with another level. Or "
                "codes were imputed as numbers, with decimals: say kinds={column: 'categorical'} "
                "in the fit (--kind COLUMN=categorical)."
            )
    return [[estimates.terms.index(name) for name in first] for estimates in found]


@dataclass(frozen=True)
class Studied:
    """Estimates on M tables.

    Attributes:
        terms: names of the p terms.
        values: (M, p).
        covariances: (M, p, p).
        dfcom: smallest residual degrees of freedom.
        n_rows: smallest number of rows used, None if not known.
        most_rows: largest number of rows used, likewise.
        table_rows: smallest and largest number of rows of a table, likewise.
        not_converged: numbers, from 1, of tables on which the fit did not converge.
    """

    terms: tuple[str, ...]
    values: Array
    covariances: Array
    dfcom: float
    n_rows: int | None
    most_rows: int | None
    table_rows: tuple[int, int] | None
    not_converged: tuple[int, ...]
