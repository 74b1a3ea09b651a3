"""Pool any analysis of M completed tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.analysis import Options, Study, as_function
from pyro_gnr.imputation.pooling.checks import check_positive
from pyro_gnr.imputation.pooling.formulas import Formula
from pyro_gnr.imputation.pooling.nesting import nest
from pyro_gnr.imputation.pooling.pooled import Pooled
from pyro_gnr.imputation.pooling.tables import tables_and_members

__all__ = ["pool"]


def pool(
    tables: Iterable[Any],
    analysis: str | type[Any] | Callable[[Any], Any] | Any,
    *,
    members: Sequence[int] | NDArray[np.intp] | None = None,
    dfcom: float | None = None,
    formula: str | None = None,
    model: str | None = None,
    model_options: Mapping[str, Any] | None = None,
    fit_options: Mapping[str, Any] | None = None,
    target: str | None = None,
    features: Sequence[str] | None = None,
) -> Pooled:
    """Do an analysis on each of M completed tables and pool the estimates.

    Rubin's rules where each table has its own member, nested rules where members have several
    tables each, as many or not; the result says which.

    Args:
        tables: M >= 2 completed tables of the same rows: a list, a `MultipleImputation`, or what
            `read_long` gives.
        analysis: a formula for statsmodels ("bmi ~ age + sex"; an outcome of levels is coded, and
            the result's notes say how); a model class of statsmodels with
            `formula`; an estimator as in scikit-learn that has standard errors, with `target`; or
            a function of a table that gives (estimates, covariance), (estimates, covariance,
            degrees of freedom), a tidy table (term, estimate, std.error), or a fitted model.
            Estimates and covariances of pandas are matched by their labels, others by order.
        members: (M,) which member made each table; if None, those that the tables remember (a
            list of an imputation's tables has forgotten them), else each its own.
        dfcom: degrees of freedom for complete data, such as rows less coefficients; those of the
            analysis if None, and infinity if it has none (the result's notes then say so, where
            that matters: below 300 rows).
        formula: of a model class.
        model: of a formula: "ols" (the default), "logit", "glm", ...
        model_options: more arguments of a statsmodels model, such as `{"family": ...}`; groups,
            weights and offsets may be names of columns. Of mixed models fixed effects are pooled.
        fit_options: arguments of its `fit`, such as `{"cov_type": "HC3"}`.
        target: column that an estimator predicts.
        features: columns that it predicts it from; all others if None.

    Returns:
        A pandas table, one row a term, which can test and explain itself; see `Pooled`.

    Raises:
        ModuleNotFoundError: a formula is given and statsmodels is not installed.
        TypeError: `tables` is one table or none, or `analysis`, or what it gives, is none of the
            above.
        ValueError: there are fewer than 2 tables, tables give different terms, terms of a formula
            cannot be told apart, numbers are not finite, or an option does not fit. An error of
            the analysis keeps its type and gets a note of the table.

    Example:
        >>> import pandas as pd
        >>> def table(last): return pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, last], "x": range(5)})
        >>> pooled = pool([table(5.0), table(6.0), table(4.5)], "y ~ x")
        >>> pooled.rule, pooled.columns.tolist()
        ('rubin', ['estimate', 'ubar', 'b', 't', 'dfcom', 'df', 'riv', 'lambda', 'fmi'])
        >>> pooled.summary().round(2).loc["x", ["estimate", "std.error"]].tolist()
        [0.93, 0.32]
    """
    kept, made_by = tables_and_members(tables, members)
    nesting = nest(made_by, len(kept))
    if dfcom is not None:
        dfcom = check_positive(dfcom, f"dfcom={dfcom!r}")
    options = Options(
        formula=formula, model=model, model_options=model_options, fit_options=fit_options,
        target=target, features=features,
    )  # fmt: skip
    analyse = as_function(analysis, options)
    if isinstance(analyse, Formula):
        analyse = analyse.over(kept)
    study = Study(kept, analyse)
    return Pooled.of(study, nesting, dfcom=dfcom)
