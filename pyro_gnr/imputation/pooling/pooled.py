"""The result of pooling: a table that can be tested and asked for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pyro_gnr.imputation.pooling.advice import Advice, Precision, advise
from pyro_gnr.imputation.pooling.analysis import Studied, Study
from pyro_gnr.imputation.pooling.checks import check_level
from pyro_gnr.imputation.pooling.frames import has_holes
from pyro_gnr.imputation.pooling.labels import in_order_of
from pyro_gnr.imputation.pooling.likelihood_ratio import check_model_based, d3, likelihood_ratios
from pyro_gnr.imputation.pooling.nesting import Nesting
from pyro_gnr.imputation.pooling.origin import origin_notes, spread_departures
from pyro_gnr.imputation.pooling.rules import Moments, moments, spread
from pyro_gnr.imputation.pooling.terms import find_terms
from pyro_gnr.imputation.pooling.wald import PooledTest, d1, d2
from pyro_gnr.imputation.pooling.words import heading, notes, whole

if TYPE_CHECKING:
    from pyro_gnr.imputation.ledger import Ledger

__all__ = ["Pooled"]


class Pooled(pd.DataFrame):
    """An analysis pooled over M tables, one row a term, in the columns of mice's `pool`.

    `estimate`; `ubar`, `b` and `t`, its variance within tables, between them, and in total;
    `dfcom` and `df`, degrees of freedom for complete data and here; `riv` (t - ubar) / ubar,
    `lambda` (t - ubar) / t and `fmi`, the fraction of missing information. With nested rules
    `estimate` and `ubar` are means over members of members' means, `b` is the variance between
    members and `w` that between tables of one member.

    Parts of it and what is computed from it are plain pandas tables. Made by
    `MultipleImputation.pool` and `pool`.

    Attributes:
        rule: `rubin` or `nested`.
        m: number of tables.
        n_members: number of members that made them; m if each has its own.
        title: the same in words.
        notes: what to know before using the numbers.

    Example:
        >>> from pyro_gnr import pool
        >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
        >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
        >>> pooled.rule, pooled.m, pooled["estimate"].round(2).to_dict()
        ('rubin', 3, {'Intercept': 1.17, 'x': 0.93})
    """

    _metadata: ClassVar[list[str]] = [
        "_study", "_studied", "_nesting", "_dfcom", "_dfcom_said", "_known",
    ]  # fmt: skip

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @classmethod
    def of(cls, study: Study, nesting: Nesting, *, dfcom: float | None = None) -> Pooled:
        """Do the analysis on all tables and pool it.

        Barnard and Rubin's degrees of freedom take all variance between tables for lost data.
        Where departures from the model have a prior much of it is none: what is lost is then told
        by the same analysis of tables without the prior's spread.

        Args:
            study: tables and analysis.
            nesting: which tables belong together.
            dfcom: degrees of freedom for complete data; those of the analysis if None.

        Returns:
            The pooled table.
        """
        studied = study.run()
        freedom = studied.dfcom if dfcom is None else dfcom
        found = moments(studied.values, studied.covariances, nesting)
        known = _without_spread(study, nesting, studied.terms)
        lost = None if known is None else spread(known, freedom).lambda_
        parts = spread(found, freedom, lost=lost)
        columns = {"estimate": found.estimate, **parts._asdict()}
        columns["lambda"] = columns.pop("lambda_")
        columns["fmi"] = columns.pop("fmi")  # last, as in mice
        if nesting.rule == "rubin":
            del columns["w"]
        table = cls(columns, index=pd.Index(studied.terms, name="term"))
        table._study, table._studied = study, studied
        table._nesting, table._known = nesting, known
        table._dfcom, table._dfcom_said = float(freedom), dfcom is not None
        return table

    # What pandas keeps for a subclass (`_metadata`), declared for type checkers.
    _study: Study
    _studied: Studied
    _nesting: Nesting
    _dfcom: float
    _dfcom_said: bool  # by the caller
    _known: Moments | None  # of tables without the spread of a prior over departures

    @property
    def rule(self) -> str:
        """Name of the rules that were used."""
        return self._nesting.rule

    @property
    def m(self) -> int:
        """Number of tables."""
        return self._nesting.m

    @property
    def n_members(self) -> int:
        """Number of members that made the tables."""
        return 1 if self._nesting.one_member else self._nesting.n_members

    @property
    def title(self) -> str:
        """How many tables were pooled, of how many members, and by which rules."""
        return heading(self._nesting)

    @property
    def notes(self) -> list[str]:
        """What to know before using the numbers."""
        first, advice = self._study.tables[0], self.advice()
        rows = len(first) if hasattr(first, "__len__") else None
        infinite = bool(np.isinf(self._dfcom)) and not self._dfcom_said
        general = notes(
            self._nesting, self._studied, rows, assumed_infinite=infinite, holes=has_holes(first)
        )
        own = getattr(self._study.analyse, "notes", ())
        return [*general, *own, *origin_notes(self._study.tables), advice.text]

    def __repr__(self) -> str:
        lines = [self.title, whole(self.rename_axis(None)), *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<p>{escape(self.title)}</p>{self.to_html()}<ul>{items}</ul>"

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Give confidence intervals, estimate -+ t_df(level) sqrt(t): `lower` and `upper`.

        Raises:
            ValueError: `level` is not in (0, 1).

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
            >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
            >>> pooled.conf_int(0.9).round(2).loc["x"].tolist()
            [-0.44, 2.31]
        """
        quantile = stats.t.ppf(0.5 + check_level(level) / 2, self["df"])
        half = quantile * np.sqrt(self["t"])
        return pd.DataFrame({"lower": self["estimate"] - half, "upper": self["estimate"] + half})

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Give estimates, standard errors, t tests and intervals, as mice's `summary` does.

        It is a plain table, of which pandas hides columns on a narrow screen: `to_string()` gives
        it whole.

        Args:
            level: of the intervals `conf.low` to `conf.high`.

        Returns:
            One row a term: `estimate`, `std.error`, `statistic` (estimate / std.error), `df`,
            `p.value` (two-sided), `conf.low`, `conf.high`, `fmi`.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
            >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
            >>> pooled.summary().round(3).loc["x", ["std.error", "df", "p.value"]].tolist()
            [0.32, 1.307, 0.161]
        """
        error = np.sqrt(self["t"])
        statistic = self["estimate"] / error
        interval = self.conf_int(level)
        return pd.DataFrame(
            {
                "estimate": self["estimate"],
                "std.error": error,
                "statistic": statistic,
                "df": self["df"],
                "p.value": 2 * stats.t.sf(statistic.abs(), self["df"]),
                "conf.low": interval["lower"],
                "conf.high": interval["upper"],
                "fmi": self["fmi"],
            }
        )

    def covariance(self) -> pd.DataFrame:
        """Give the total covariance of the estimates, (p, p); NaN where it is not known.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
            >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
            >>> covariance = pooled.covariance()
            >>> covariance.shape, bool(np.allclose(np.diag(covariance), pooled["t"]))
            ((2, 2), True)
        """
        return pd.DataFrame(self._moments().t, index=self.index, columns=self.index)

    def wald(self, terms: str | Sequence[str] | None = None, value: ArrayLike = 0.0) -> PooledTest:
        """Test that several terms are 0, or have other values: D1 of Li, Raghunathan and Rubin.

        Args:
            terms: names of terms, or of columns with several terms, such as "ward" for
                `ward[T.b]` and `ward[T.c]`; all but the intercept if None.
            value: the hypothesis, one number or one a term; by name where it is a Series with
                labels.

        Returns:
            The test; see `d1`.

        Raises:
            ValueError: there is no such term, covariances are not known, or `value` has other
                labels than the terms.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, 5.0, last] for last in (5.0, 6.0, 4.5)]
            >>> tables = [pd.DataFrame({"y": v, "ward": list("aabbcc")}) for v in y]
            >>> test = pool(tables, "y ~ ward").wald("ward")
            >>> test.method, test.df1, round(test.p_value, 3)
            ('D1', 2, 0.122)
        """
        chosen = find_terms(list(self.index), terms)
        known = None if self._known is None else self._known.take(chosen)
        hypothesis = in_order_of([str(self.index[i]) for i in chosen], value, "values")
        found = self._moments(chosen)
        return d1(found, dfcom=self._dfcom, value=hypothesis, known=known)

    def likelihood_ratio(self, smaller: Pooled, *, method: str = "D3") -> PooledTest:
        """Compare with a smaller model, nested in this one and pooled from the same tables.

        Both are fitted to each table once more, because likelihoods at pooled estimates need the
        tables; see `d3`, and `log_likelihood` for the models that can be compared.

        Args:
            smaller: the pooled smaller model; its terms are terms of this one.
            method: "D3" (Meng & Rubin 1992), or "D2", which needs only each table's own
                likelihood and has less power.

        Returns:
            The test.

        Raises:
            ValueError: models are not nested or not from the same tables, rules are nested (no
                such test is known), a likelihood cannot be evaluated, or a covariance is robust
                (`cov_type`), for which there is no likelihood: use `wald`.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, 5.0, last] for last in (5.0, 6.0, 4.5)]
            >>> tables = [pd.DataFrame({"y": v, "ward": list("aabbcc")}) for v in y]
            >>> test = pool(tables, "y ~ ward").likelihood_ratio(pool(tables, "y ~ 1"))
            >>> test.method, test.df1, round(test.p_value, 3)
            ('D3', 2, 0.041)
        """
        k = self._check_nested(smaller, method)
        if method == "D2":
            pairs = zip(self._likelihoods(), smaller._likelihoods(), strict=True)
            return d2([max(2 * (a - b), 0.0) for a, b in pairs], k)
        pooled = (self["estimate"].to_numpy(), smaller["estimate"].to_numpy())
        own, at_pooled = likelihood_ratios(self._study.fit, smaller._study.fit, pooled, self.m)
        return d3(own, at_pooled, k)

    def advice(self, *, cv: float = 0.05, level: float = 0.95) -> Advice:
        """Say how many tables, and of how many members, make standard errors repeat.

        Args:
            cv: coefficient of variation of a standard error between repetitions.
            level: of the confidence interval of the fraction of missing information.

        Returns:
            The advice of von Hippel's (2020) quadratic rule; see `advise`. Its fmi is that of many
            rows: what few rows add to the column `fmi` is no reason for more tables.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
            >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
            >>> advice = pooled.advice(cv=0.1)
            >>> advice.m, advice.limit, advice.term
            (29, 'tables', 'x')
        """
        nesting = self._nesting
        # Few rows raise fmi, too (2 / (df + 3)), which no table would lower.
        large = spread(self._moments(), np.inf)
        parts = {
            str(term): Precision(fmi, b, w, nesting.n_members, nesting.m, nesting.per_member)
            for term, fmi, b, w in zip(
                self.index, large.fmi, large.b / large.t, large.w / large.t, strict=True
            )
        }
        return advise(parts, one_member=nesting.one_member, cv=cv, level=level)

    def ledger(self) -> Ledger:
        """Say what the answer rests on: see `MultipleImputation.ledger`; here with M checked, too.

        Raises:
            ValueError: the tables came from a list or from files, and what made them is not known.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> found = imputation.pool("a ~ b").ledger()
            >>> found.rows, found.m, found.missing
            (36, 2, {'a': 9})
        """
        from pyro_gnr.imputation.ledger import ledger

        tables: Any = self._study.tables
        if not hasattr(tables, "ledger"):
            raise ValueError(
                "the tables came without the imputation that made them: pool by its own method, "
                "MultipleImputation.pool."
            )
        return ledger(tables, self)

    def fit(self, i: int) -> Any:
        """Do the analysis once more on table i, 0 <= i < M, and give what it returns.

        Example:
            >>> from pyro_gnr import pool
            >>> y = [[1.0, 2.0, 4.0, 3.0, last] for last in (5.0, 6.0, 4.5)]
            >>> pooled = pool([pd.DataFrame({"y": v, "x": range(5)}) for v in y], "y ~ x")
            >>> pooled.fit(0).params.round(2).to_dict()
            {'Intercept': 1.2, 'x': 0.9}
        """
        return self._study.fit(range(self.m)[i])

    def _moments(self, chosen: Sequence[int] | None = None) -> Moments:
        values, covariances = self._studied.values, self._studied.covariances
        if chosen is not None:
            values = values[:, chosen]
            covariances = covariances[:, chosen][:, :, chosen]
        return moments(values, covariances, self._nesting)

    def _likelihoods(self) -> NDArray[np.float64]:
        found = np.empty(self.m)
        for i in range(self.m):
            fit = self.fit(i)
            check_model_based(fit)
            found[i] = float(fit.llf)
        return found

    def _check_nested(self, smaller: Pooled, method: str) -> int:
        if method not in ("D3", "D2"):
            raise ValueError(f"got method={method!r}, expected 'D3' or 'D2'.")
        if not isinstance(smaller, Pooled):
            raise TypeError(f"got {type(smaller).__name__}, expected a pooled smaller model.")
        if smaller.m != self.m:
            raise ValueError(
                f"got {smaller.m} tables of the smaller model and {self.m} of this one, expected "
                "the same tables for both: pool both from the same imputation."
            )
        if self.rule == "nested":
            raise ValueError(
                "members have several tables each, and no likelihood-ratio test is known for "
                "nested rules: use wald(), or impute one table of each member "
                f"(m={self.n_members} here; more members for more tables)."
            )
        extra = [term for term in smaller.index if term not in self.index]
        k = len(self) - len(smaller)
        if extra or k < 1:
            raise ValueError(
                f"the smaller model has terms {extra or list(smaller.index)}, expected some of "
                f"{list(self.index)}, and fewer."
            )
        return k


def _without_spread(study: Study, nesting: Nesting, terms: Sequence[str]) -> Moments | None:
    """Give moments of tables in which departures are the same, where a prior makes them differ."""
    if not spread_departures(study.tables):
        return None
    tables: Any = study.tables
    found = replace(study, tables=tables.settled()).run()
    places = [found.terms.index(term) for term in terms]
    return moments(found.values, found.covariances, nesting).take(places)
