"""The assumption ledger: what an imputation rests on, what was checked, and what nothing can."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.departures import in_words
from pyro_gnr.imputation.versions import versions
from pyro_gnr.model.mechanisms.claims import claims
from pyro_gnr.model.part import hyperparameters
from pyro_gnr.model.registry import plain

if TYPE_CHECKING:
    from pyro_gnr.imputation.constraints import Constraints
    from pyro_gnr.imputation.fitted import Draws
    from pyro_gnr.imputation.multiple import MultipleImputation
    from pyro_gnr.imputation.pooling.pooled import Pooled

__all__ = [
    "RELIABLE_K",
    "UNTESTABLE",
    "Check",
    "Ledger",
    "ledger",
    "unreliable",
    "warn_of_learnt_directions",
]

UNTESTABLE = (
    "Why cells are missing, and so whether the mechanism is right: the same observed cells and "
    "holes can come from another one with other missing values. Ask how the answer changes with "
    "it (delta adjustment, tipping points, other mechanisms)."
)
# Above this Pareto k importance weights say too little about their own error; so many effective
# particles a row are few.
RELIABLE_K, FEW_PARTICLES = 0.7, 50
# Share of incomplete rows that may be unreliable, and of a column's imputed values that may lie
# beyond the observed ones, before a check fails.
MOST_ROWS, MOST_BEYOND = 0.05, 0.5
# A share of fewer imputed cells than this says nothing of a direction.
FEWEST_CELLS = 20


class Check(NamedTuple):
    """One check, of what can be checked.

    Attributes:
        name: what of.
        passed: whether it did.
        text: the number, and what was expected.
        numbers: what the text is made of, by name; of "extrapolation" the share of imputed values
            beyond all observed ones, by column.
    """

    name: str
    passed: bool
    text: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class Ledger:
    """What an imputation, or what was pooled from it, rests on; prints as a page.

    Attributes:
        mechanism: name of the assumed mechanism.
        options: its hyperparameters.
        assumption: why cells are missing, in a few words.
        identified: when the mechanism is identified or right.
        fails: when and how it fails.
        untestable: what no data can say.
        checks: what was checked.
        departures: delta adjustments in plain values; see `MultipleImputation.departures`.
        missing: missing cells by column.
        rows: N.
        m: number of tables.
        members: fits that made them.
        particles: of the importance posterior, all members together.
        seed: of the draws.
        versions: of the programs.
    """

    mechanism: str
    options: dict[str, Any]
    assumption: str
    identified: str
    fails: str
    untestable: str
    checks: tuple[Check, ...]
    departures: tuple[dict[str, Any], ...]
    missing: dict[str, int]
    rows: int
    m: int
    members: int
    particles: int
    seed: int
    versions: dict[str, str]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def to_dict(self) -> dict[str, Any]:
        """Give it in plain values, which JSON has."""
        checks = [check._asdict() for check in self.checks]
        return {**asdict(self), "checks": checks, "departures": list(self.departures)}

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        cells = sum(self.missing.values())
        lines = [
            *self._assumed(),
            *(f"Departure: {in_words(departure)}" for departure in self.departures),
            "Checked:",
            *(f"  [{'ok' if c.passed else '!!'}] {c.name}: {c.text}" for c in self.checks),
            f"{cells:,} missing cells in {len(self.missing)} columns of {self.rows:,} rows; "
            f"{self.m} tables by {self.members} member(s), {self.particles:,} particles, seed "
            f"{self.seed}.",
            "Versions: " + ", ".join(f"{name} {v}" for name, v in self.versions.items()),
        ]
        return "\n".join(lines)

    def _assumed(self) -> list[str]:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        mechanism = f"{self.mechanism}({options})"
        if not self.missing:
            return [f"Assumed mechanism: none, as no cell is missing (the model's: {mechanism})."]
        return [
            f"Assumed mechanism: {mechanism}: {self.assumption}.",
            f"  {self.identified}",
            f"  {self.fails}",
            f"Untestable: {self.untestable}",
        ]


def ledger(imputation: MultipleImputation, pooled: Pooled | None = None) -> Ledger:
    """Draw up the ledger of an imputation, or of what was pooled from it.

    Args:
        imputation: M tables.
        pooled: an analysis of them, for the checks of M.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
        >>> found = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3).ledger()
        >>> found.mechanism, found.m, found.members, found.missing
        ('Conjunction', 3, 3, {'x1': 10})
        >>> [check.name for check in found.checks]
        ['importance weights', 'effective particles', 'extrapolation', 'parameter uncertainty']
    """
    fitted, table = imputation.fitted, imputation.table
    mechanism = fitted.model.m_given_ux
    said = claims(mechanism)
    counts, members = (~table.observed).sum(0), len(np.unique(imputation.members))
    checks = [*_checks_of_rows(imputation), _extrapolation(imputation), _members(members)]
    if imputation.constraints is not None:
        checks.append(_consistency(imputation.constraints))
    if pooled is not None:
        checks.append(_tables(pooled))
    return Ledger(
        mechanism=type(mechanism).__name__,
        options=plain(hyperparameters(mechanism)),
        **said._asdict(),
        untestable=UNTESTABLE,
        checks=tuple(checks),
        departures=tuple(imputation.departures()),
        missing={c.name: int(n) for c, n in zip(table.schema.modelled, counts, strict=True) if n},
        rows=len(table.keys),
        m=imputation.m,
        members=members,
        particles=fitted.particles_each * members,
        seed=fitted.seed,
        versions=versions(),
    )


def unreliable(draws: Draws) -> int:
    """Count the rows whose weights say too little about their own error.

    Complete rows have a Pareto k of NaN and do not count.
    """
    return int((draws.pareto_k > RELIABLE_K).sum())


def _checks_of_rows(imputation: MultipleImputation) -> list[Check]:
    draws = imputation.draws
    ess, k = (found[~np.isnan(draws.ess)] for found in (draws.ess, draws.pareto_k))
    n, bad, few = len(ess), unreliable(draws), int((ess < FEW_PARTICLES).sum())
    allowed = f"at most {MOST_ROWS:.0%} are expected"
    return [
        Check(
            "importance weights",
            bad <= MOST_ROWS * n,
            f"{bad:,} of {n:,} incomplete rows have a Pareto k above {RELIABLE_K}; {allowed}",
            {"rows": n, "above": bad, "limit": RELIABLE_K, **_spread("pareto_k", k)},
        ),
        Check(
            "effective particles",
            few <= MOST_ROWS * n,
            f"{few:,} of {n:,} incomplete rows have fewer than {FEW_PARTICLES}; {allowed}",
            {"rows": n, "below": few, "limit": FEW_PARTICLES, **_spread("ess", ess)},
        ),
    ]


def _spread(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    """Smallest, median and largest of what is finite (k is minus infinity of an exact guide)."""
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    at = zip(("smallest", "median", "largest"), np.quantile(known, (0, 0.5, 1)), strict=True)
    return {f"{which}_{name}": float(value) for which, value in at}


def warn_of_learnt_directions(imputation: MultipleImputation) -> None:
    """Warn where the data chose a column's direction, and most of what is imputed is beyond them.

    What is beyond all observed values rests on the mechanism alone, and nobody stated it.
    """
    signs = imputation.fitted.model.m_given_ux.signs()
    if signs is None or not signs.isnan().any():
        return
    columns = imputation.table.schema.modelled
    learnt = {c.name for c, free in zip(columns, signs.isnan().tolist(), strict=True) if free}
    summary = imputation.summary()
    counts = summary["n_imputed"]
    named = [
        f"{name!r} ({share:.0%})"
        for name, share in _far(summary).items()
        if name in learnt and counts[name] >= FEWEST_CELLS
    ]
    if named:
        warnings.warn(
            f"more than {MOST_BEYOND:.0%} of the imputed values of {', '.join(named)} are beyond "
            "all observed ones, in a direction that was learnt: they rest on the mechanism alone. "
            "Where you know the direction say so (self_masking), let the likelihood know of "
            "limits, and compare mechanisms.",
            UserWarning,
            stacklevel=3,
        )


def _far(summary: pd.DataFrame) -> pd.Series:
    """Share of imputed values beyond all observed ones, of columns where that is most of them."""
    shares = summary["beyond_observed"].dropna()
    return shares[shares > MOST_BEYOND]


def _extrapolation(imputation: MultipleImputation) -> Check:
    summary = imputation.summary()
    far = _far(summary)
    text = f"no column has more than {MOST_BEYOND:.0%} of its imputed values beyond all observed"
    if len(far):
        named = ", ".join(f"{name} {share:.0%}" for name, share in far.items())
        text = (
            f"imputed values beyond all observed ones: {named}; they rest on the mechanism and "
            "the likelihood's tail alone"
        )
    shares = summary["beyond_observed"].dropna()
    return Check(
        "extrapolation", not len(far), text, {str(c): float(v) for c, v in shares.items()}
    )


def _members(n: int) -> Check:
    text = f"the tables come from {n} fits to reweighted rows"
    if n == 1:
        text = "the tables come from one fit: standard errors leave the parameters' out"
    return Check("parameter uncertainty", n > 1, text, {"members": n})


def _consistency(rule: Constraints) -> Check:
    names = ("redrawn", "repaired", "inconsistent", "in_all_draws")
    counts = {name: getattr(rule, name) for name in names}
    return Check("constraints", rule.inconsistent == 0, str(rule), counts)


def _tables(pooled: Pooled) -> Check:
    advice = pooled.advice()
    numbers = {
        "tables": pooled.m,
        "advised_tables": advice.m,
        "advised_members": advice.members,
        "largest_fmi": float(pooled["fmi"].max()),
        "settled_fmi": advice.fmi,
        "upper_fmi": advice.upper,
    }
    known = {name: value for name, value in numbers.items() if np.isfinite(value)}
    return Check("number of tables", advice.limit == "nothing", advice.text, known)
