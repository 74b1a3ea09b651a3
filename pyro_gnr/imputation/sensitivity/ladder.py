"""The ladder of mechanisms as sensitivity analysis: one question, asked under each of them."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from pyro_gnr.imputation.ledger import unreliable
from pyro_gnr.imputation.pooling import Pooled
from pyro_gnr.imputation.pooling.checks import check_level
from pyro_gnr.imputation.pooling.words import in_percent, whole
from pyro_gnr.imputation.sensitivity.analyses import check_analysis
from pyro_gnr.imputation.sensitivity.said import named_warnings
from pyro_gnr.imputation.settings import is_number, is_whole
from pyro_gnr.model.mechanisms import Ignorable, Mechanism
from pyro_gnr.model.registry import MECHANISMS as REGISTERED
from pyro_gnr.model.registry import resolve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pyro_gnr.imputation.imputer import GNRImputer
    from pyro_gnr.imputation.ledger import Ledger
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["MECHANISMS", "Ladder", "compare_mechanisms"]

Bounds = NDArray[np.float64]

MECHANISMS: dict[str, object] = {
    "ignorable": "ignorable",
    "conjunction": "conjunction",
    "self-masking, high": {"name": "self_masking", "direction": "high"},
    "self-masking, low": {"name": "self_masking", "direction": "low"},
    "selection": "selection",
    "no self-censoring": "no_self_censoring",
}
# What held-out bounds are of: log p(x_o), and log p(x_o, m).
MEASURES = ("values", "values_and_holes")
CANNOT_DECIDE = (
    "Fit cannot decide among these mechanisms: models that fit the observed cells and holes alike "
    "say different things of what is missing, and no data can tell which is right. Where the "
    "answers agree, the conclusion does not hang on the mechanism; where they differ, report them "
    "side by side and argue from what is known of why cells are missing."
)


class Ladder(pd.DataFrame):
    """An analysis under several mechanisms: one row a mechanism and term.

    Index: `mechanism`, `term`; columns: those of `Pooled.summary`. Parts and copies of it
    (`copy()`, too) are plain pandas tables, without the attributes below.

    Attributes:
        fit: one row a mechanism: `bound_values`, mean bound on log p(x_o) of all rows, to which it
            was fitted, in nats; `bound_values_and_holes`, that on log p(x_o, m), which is NaN
            where the model says nothing of the holes; `held_out_values` and
            `held_out_values_and_holes`, those of held-out rows under a second fit of one member
            to the others (compare mechanisms by one of them, not one with the other);
            `se_difference_values` and `se_difference_values_and_holes`, standard error of the
            held-out one's difference to the best, over the same rows (0 for the best; another
            seed of the fit would add to it);
            `pareto_k`, share of incomplete rows with k > 0.7; `beyond_observed`, largest share
            over columns of imputations outside what was observed.
        failed: by mechanism, the errors of those that could not be fitted.
        imputations: by mechanism, the tables.
        pooled: by mechanism, what was pooled.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
        >>> fast, names = GNRImputer(max_steps=10, random_state=0), ["ignorable", "conjunction"]
        >>> found = compare_mechanisms(X, "b ~ a", imputer=fast, mechanisms=names, m=2, held_out=0)
        >>> found.loc["conjunction"].index.tolist(), list(found.pooled)
        (['Intercept', 'a'], ['ignorable', 'conjunction'])
    """

    _metadata: ClassVar[list[str]] = ["fit", "failed", "imputations", "pooled", "level"]
    fit: pd.DataFrame
    failed: dict[str, str]
    imputations: dict[str, MultipleImputation]
    pooled: dict[str, Pooled]
    level: float

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def _title(self) -> str:
        return f"one analysis under {len(self.fit)} mechanisms, {in_percent(self.level)} intervals"

    @property
    def _failures(self) -> list[str]:
        return [f"{name} failed: {error}" for name, error in self.failed.items()]

    def __repr__(self) -> str:
        failures = [f"- {line}" for line in self._failures]
        parts = [self._title, whole(self), whole(self.fit.T), *failures, CANNOT_DECIDE]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        rest = "".join(f"<p>{escape(line)}</p>" for line in [*self._failures, CANNOT_DECIDE])
        return f"<p>{self._title}</p>{self.to_html()}{self.fit.T.to_html()}{rest}"

    def ledger(self) -> dict[str, Ledger]:
        """Say what each answer rests on, by mechanism: see `Pooled.ledger`."""
        return {name: pooled.ledger() for name, pooled in self.pooled.items()}

    def plot(  # type: ignore[override]
        self, term: str | None = None, *, ax: Axes | None = None, value: float | None = 0.0
    ) -> Axes:
        """Draw the estimates of a term and their intervals, a line a mechanism.

        Below the name of each stands how much worse than the best one it fits observed values of
        held-out rows, in nats, and the standard error of that.

        Args:
            term: which; may be left out if there is one.
            ax: matplotlib axes; None makes a figure.
            value: where a line is drawn; None draws none.

        Returns:
            The axes.

        Raises:
            ValueError: there is no such term.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> fast = GNRImputer(max_steps=10, random_state=0)
            >>> found = compare_mechanisms(X, "b ~ a", imputer=fast, mechanisms=["ignorable"], m=2)
            >>> found.plot("a").get_xlabel()
            'a (95% interval)'
        """
        from pyro_gnr.criticism.sensitivity import plot_ladder

        return plot_ladder(self, term, ax=ax, value=value)


def compare_mechanisms(
    X: Any,
    analysis: Any,
    *,
    imputer: GNRImputer | None = None,
    mechanisms: Mapping[str, object] | Sequence[str] | None = None,
    m: int = 20,
    held_out: float = 0.2,
    level: float = 0.95,
    **options: Any,
) -> Ladder:
    """Do an analysis under several mechanisms: fit, impute and pool with each of them.

    All fits have the same seed and arguments. Fit is measured on rows that a second, single fit
    never saw; it describes the models, and decides nothing about what is missing. Names of
    mechanisms and of columns in a formula are checked before anything is fitted.

    Args:
        X: table with holes, as for `GNRImputer.fit`.
        analysis: as for `MultipleImputation.pool`.
        imputer: whose arguments the fits have; the default one if None.
        mechanisms: templates by the names they go by, or names of mechanisms, among them those of
            `MECHANISMS`, such as "self-masking, high"; None: ignorable, conjunction, self-masking
            of high and of low values, selection, no self-censoring.
        m: tables for each of them, >= 2.
        held_out: share of rows kept apart to measure fit, in (0, 1); 0 saves the second fits.
        level: of the intervals.
        **options: more arguments of `pool`.

    Returns:
        A pandas table, one row a mechanism and term, that prints fit and caution, too.

    Warns:
        UserWarning: as `fit` and `impute`; what is true of the table once, and what one mechanism
            gives rise to with its name in front.

    Raises:
        ValueError: an argument is out of range, there is no such mechanism, a formula names what
            is no column, or every mechanism failed; else as `fit`.
        TypeError: `pool` has no such argument.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
        >>> quick = GNRImputer(max_steps=5, members=1, random_state=0, verbose=False)
        >>> names = ["ignorable", "conjunction"]
        >>> found = compare_mechanisms(X, "b ~ a", imputer=quick, m=2, mechanisms=names)
        >>> found.index.get_level_values("mechanism").unique().tolist()
        ['ignorable', 'conjunction']
    """
    from pyro_gnr.imputation.imputer import GNRImputer

    check_level(level)
    _check(m, held_out, options)
    named = _named(mechanisms)
    check_analysis(analysis, X, options)
    base = clone(GNRImputer() if imputer is None else imputer)
    if base.random_state is None:
        base.set_params(random_state=0)
    runs = _Runs(X, analysis, m=m, held_out=held_out, options=options)
    of_table = _warned_of_table(base, X, held_out)
    for name, mechanism in named.items():
        runs.add(name, clone(base).set_params(mechanism=mechanism), said=set(of_table))
    return runs.ladder(level)


class _Runs:
    """The analysis under the mechanisms so far."""

    def __init__(
        self, X: Any, analysis: Any, *, m: int, held_out: float, options: Mapping[str, Any]
    ) -> None:
        self.X, self.analysis, self.m = X, analysis, m
        self.held_out, self.options = held_out, options
        self.parts: dict[str, Pooled] = {}
        self.tables: dict[str, MultipleImputation] = {}
        self.own: dict[str, dict[str, float]] = {}
        self.bounds: dict[str, dict[str, Bounds]] = {}
        self.failed: dict[str, str] = {}

    def add(self, name: str, model: GNRImputer, *, said: set[str]) -> None:
        """Fit, impute, pool, and measure fit; what fails is noted."""
        try:
            with named_warnings(name, said):
                imputation = model.fit(self.X).impute(self.X, m=self.m)
                self.own[name] = _own_bounds(imputation)
        except (ValueError, FloatingPointError) as error:
            self.failed[name] = str(error)
            return
        # An error of the analysis is the caller's to see, before more is fitted.
        with named_warnings(name, said):
            self.parts[name] = imputation.pool(self.analysis, **self.options)
        self.tables[name], self.bounds[name] = imputation, {}
        apart = f"{name}, held-out fit"
        try:
            with named_warnings(apart, said):
                self.bounds[name] = _held_out_bounds(model, self.X, imputation, self.held_out)
        except (ValueError, FloatingPointError) as error:
            self.failed[apart] = str(error)

    def ladder(self, level: float) -> Ladder:
        """Put them side by side.

        Raises:
            ValueError: there is none.
        """
        if not self.parts:
            raise ValueError(f"no mechanism could be fitted: {self.failed}.")
        summaries = {name: pooled.summary(level) for name, pooled in self.parts.items()}
        found = Ladder(pd.concat(summaries, names=["mechanism", "term"]))
        reach = {name: _reach(imputation) for name, imputation in self.tables.items()}
        fit = pd.DataFrame.from_dict(self.own, orient="index").rename_axis("mechanism")
        found.fit = fit.join(_fit(self.bounds)).join(pd.DataFrame.from_dict(reach, orient="index"))
        found.failed, found.imputations = self.failed, self.tables
        found.pooled, found.level = self.parts, level
        return found


def _check(m: object, held_out: object, options: Mapping[str, Any]) -> None:
    """Refuse arguments of `compare_mechanisms` before anything is fitted."""
    from pyro_gnr.imputation.multiple import MultipleImputation

    if not (is_number(held_out) and 0.0 <= float(held_out) < 1.0):  # type: ignore[arg-type]
        raise ValueError(f"got held_out={held_out!r}, expected a share in [0, 1).")
    if not is_whole(m, least=2):
        raise ValueError(f"got m={m!r}, expected a whole number of tables >= 2.")
    known = inspect.signature(MultipleImputation.pool).parameters
    if foreign := [name for name in options if name not in known]:
        raise TypeError(
            f"got {', '.join(foreign)}, which pool() does not have; arguments of the fits go into "
            "imputer=GNRImputer(...)."
        )


def _warned_of_table(base: GNRImputer, X: Any, held_out: float) -> set[str]:
    """Pass on the warnings that every fit would give, and list their texts.

    They are those of what comes before training under `Ignorable`, which says nothing of holes.
    """
    model = clone(base).set_params(mechanism="ignorable")
    said: set[str] = set()
    with named_warnings("", said):
        seed = model._prepared(X)[0].seed
    if held_out:
        rest, apart = _split(X, held_out, seed)
        # What is wrong with fewer rows each held-out fit will say.
        silent = contextlib.suppress(ValueError, TypeError)
        with named_warnings("held-out fits", said), silent:
            model._prepared(rest)[0].schema.encode(apart, row_key=model.row_key)
    return said


def _fit(bounds: dict[str, dict[str, Bounds]]) -> pd.DataFrame:
    """Mean held-out bounds by mechanism, and standard errors of differences to the best."""
    table = pd.DataFrame(index=pd.Index(list(bounds), name="mechanism"))
    for what in MEASURES:
        found = {name: rows[what] for name, rows in bounds.items() if what in rows}
        best = max(found.values(), key=np.mean, default=np.empty(0))
        errors = {name: _standard_error(rows - best) for name, rows in found.items()}
        means = {name: float(rows.mean()) for name, rows in found.items()}
        table[f"held_out_{what}"] = pd.Series(means, dtype="float64")
        table[f"se_difference_{what}"] = pd.Series(errors, dtype="float64")
    return table


def _standard_error(values: Bounds) -> float:
    """Of their mean; not known from a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _named(mechanisms: Mapping[str, object] | Sequence[str] | None) -> dict[str, object]:
    if mechanisms is None:
        return dict(MECHANISMS)
    if isinstance(mechanisms, Mapping):
        found = dict(mechanisms)
    elif isinstance(mechanisms, str) or not all(isinstance(name, str) for name in mechanisms):
        raise TypeError(
            f"got mechanisms={mechanisms!r}, expected a list of names, or templates by name."
        )
    else:
        found = {name: MECHANISMS.get(name, name) for name in mechanisms}
    if not found:
        raise ValueError("got no mechanism, expected at least one.")
    for template in found.values():
        resolve(template, REGISTERED, Mechanism)  # refuses what is none before any work
    return found


def _own_bounds(imputation: MultipleImputation) -> dict[str, float]:
    """Mean bounds of the rows themselves."""
    fitted, table = imputation.fitted, imputation.table
    told = not isinstance(fitted.model.m_given_ux, Ignorable)
    return {
        "bound_values": float(fitted.row_bounds(table, holes=False).mean()),
        "bound_values_and_holes": float(fitted.row_bounds(table).mean()) if told else np.nan,
    }


def _reach(imputation: MultipleImputation) -> dict[str, float]:
    """How reliable imputations are, and how far they reach."""
    incomplete = int((~np.isnan(imputation.draws.pareto_k)).sum())
    return {
        "pareto_k": unreliable(imputation.draws) / max(incomplete, 1),
        "beyond_observed": float(imputation.summary()["beyond_observed"].max()),
    }


def _held_out_bounds(
    model: GNRImputer, X: Any, imputation: MultipleImputation, share: float
) -> dict[str, Bounds]:
    """Bounds of rows that a second fit, to the others, never saw; the same for all mechanisms."""
    if not share:
        return {}
    rest, apart = _split(X, share, imputation.fitted.seed)
    second = clone(model).set_params(members=1).fit(rest)
    found = {"values": second.row_bounds(apart, holes=False)}
    if not isinstance(imputation.fitted.model.m_given_ux, Ignorable):
        found["values_and_holes"] = second.row_bounds(apart)
    return found


def _split(X: Any, share: float, seed: int) -> tuple[Any, Any]:
    """Rows to fit, and rows held out."""
    rows = np.random.default_rng(seed).permutation(len(X))
    n = max(1, round(share * len(rows)))
    return _rows(X, np.sort(rows[n:])), _rows(X, np.sort(rows[:n]))


def _rows(X: Any, rows: Any) -> Any:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
