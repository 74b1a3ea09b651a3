"""How many tables, and of how many members, a pooled analysis needs."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from pyro_gnr.imputation.pooling.checks import check_level, check_positive

__all__ = ["Advice", "Precision", "advise", "suggest_m", "upper_fmi"]

MOST_TABLES = 10_000  # of one member, beyond which more of them are no advice


class Precision(NamedTuple):
    """How the total variance of a term comes about, in units of that variance.

    Attributes:
        fmi: fraction of missing information.
        between: b / t, variance between members.
        within: w / t, variance between tables of one member; 0 with Rubin's rules.
        n_members: G.
        m: tables.
        per_member: R, the harmonic mean of tables a member.
    """

    fmi: float
    between: float
    within: float
    n_members: int
    m: int
    per_member: float

    def df(self, per_member: float | None = None) -> float:
        """Give the degrees of freedom of what holes add, now or with R tables of each member."""
        g = self.n_members
        r = self.per_member if per_member is None else per_member
        if r == 1 and self.per_member == 1:
            return g - 1
        of_w = self.m - g if per_member is None else g * (r - 1)
        # Members' means vary by themselves and, by w / R, by their tables.
        own = max(self.between - self.within / self.per_member, 0.0)
        b = (1 + 1 / g) * (self.between if per_member is None else own + self.within / r)
        w = (1 - 1 / r) * self.within
        if b + w == 0:
            return g + of_w - 1
        inverse = (b / (b + w)) ** 2 / (g - 1) + (w / (b + w)) ** 2 / of_w
        return 1 / inverse if inverse > 0 else math.inf


class Advice(NamedTuple):
    """How many tables a repetition should have for standard errors that repeat.

    Attributes:
        m: tables.
        members: members that they should come from.
        limit: what limits the precision now: `tables`, `members`, or `nothing`.
        term: the term that asks for most.
        fmi: its fraction of missing information, without what few rows add to it.
        upper: upper confidence limit of that.
        text: the same in words.
    """

    m: int
    members: int
    limit: str
    term: str
    fmi: float
    upper: float
    text: str

    def __str__(self) -> str:
        return self.text


def upper_fmi(fmi: float, m: float, level: float = 0.95) -> float:
    """Give the upper confidence limit of a fraction of missing information.

    logit(FMI) is about normal with variance 2 / M (von Hippel 2020).

    Example:
        >>> round(upper_fmi(0.3, 20), 3)
        0.443
    """
    if not 0.0 < fmi < 1.0:
        return float(min(max(fmi, 0.0), 1.0))
    z = stats.norm.ppf(0.5 + level / 2)
    return float(1 / (1 + math.exp(-(math.log(fmi / (1 - fmi)) + z * math.sqrt(2 / m)))))


def suggest_m(fmi: float, m: float, *, cv: float = 0.05, level: float = 0.95) -> int:
    """Give the number of tables with which a standard error varies by `cv` between repetitions.

    M = 1 + (FMI / cv)^2 / 2 at the upper limit of FMI (von Hippel 2020, the two-stage rule: the
    M tables at hand are the first stage).

    Args:
        fmi: fraction of missing information, in [0, 1].
        m: tables from which it was estimated.
        cv: coefficient of variation of the standard error that is accepted.
        level: of the confidence interval of FMI.

    Returns:
        A number of tables, at least 2.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> suggest_m(0.3, 20), suggest_m(0.3, 20, cv=0.1)
        (41, 11)
    """
    if not 0.0 <= fmi <= 1.0:
        raise ValueError(f"got fmi={fmi!r}, expected a number in [0, 1].")
    check_positive(m, f"m={m!r}")
    cv = check_positive(cv, f"cv={cv!r}")
    upper = upper_fmi(fmi, m, check_level(level))
    return max(math.ceil(_needed(upper, cv) + 1), 2)


def _needed(fmi: float, cv: float) -> float:
    """Degrees of freedom: a variance with nu of them varies by sqrt(2 / nu), its root by half."""
    return (fmi / cv) ** 2 / 2


def advise(
    parts: dict[str, Precision], *, one_member: bool, cv: float = 0.05, level: float = 0.95
) -> Advice:
    """Say how many tables, and of how many members, the most demanding term needs.

    With nested tables von Hippel's M - 1 are the degrees of freedom nu of Shen's rules. They are
    at most those of G members with infinitely many tables: where these are not enough, members
    limit the precision, and more tables of the same members are no help.

    Args:
        parts: precision by term.
        one_member: all tables are from one member.
        cv: coefficient of variation of the standard errors that is accepted.
        level: of the confidence interval of FMI.

    Returns:
        The advice.

    Raises:
        ValueError: `cv` is not positive, or `level` not in (0, 1).

    Example:
        >>> few = Precision(fmi=0.4, between=0.3, within=0.02, n_members=5, m=20, per_member=4)
        >>> advice = advise({"age": few}, one_member=False)
        >>> advice.limit, advice.members, advice.m
        ('members', 89, 356)
    """
    cv, level = check_positive(cv, f"cv={cv!r}"), check_level(level)
    uppers = {name: upper_fmi(part.fmi, part.df() + 1, level) for name, part in parts.items()}
    plans = {
        name: _plan(part, part.df(), _needed(uppers[name], cv), one_member=one_member)
        for name, part in parts.items()
    }

    def demand(name: str) -> tuple[int, int, float]:
        """Members first: a term of a smaller fmi that lies between them may need more of them."""
        m, members, _ = plans[name]
        return members, m, parts[name].fmi

    term = max(parts, key=demand)
    part, upper, (m, members, limit) = parts[term], uppers[term], plans[term]
    text = _in_words(part, term, m, members, limit, cv=cv, one_member=one_member)
    own = 1 if one_member else members
    return Advice(m, own, limit, term, float(part.fmi), float(upper), text)


def _plan(part: Precision, nu: float, needed: float, *, one_member: bool) -> tuple[int, int, str]:
    """Tables, members, and what is short; what is advised has as many tables of each member."""
    g, r = part.n_members, math.ceil(part.m / part.n_members)
    if needed <= nu:
        return part.m, g, "members" if one_member else "nothing"
    if r == 1:  # each table has its own member, or all have one
        m = math.ceil(needed + 1)
        return m, m, "members" if one_member else "tables"
    if needed < part.df(math.inf):
        # More than now, even where what these tables happen to show of members is too little.
        least = part.m // g + 1
        more = next((n for n in range(least, MOST_TABLES) if part.df(n) >= needed), None)
        if more is not None:
            return g * more, g, "tables"
    members = math.ceil(1 + needed * (g - 1) / nu)
    return members * r, members, "members"


def _in_words(
    part: Precision,
    term: str,
    m: int,
    members: int,
    limit: str,
    *,
    cv: float,
    one_member: bool,
) -> str:
    now = part.m
    aim = (
        f"standard errors that repeat within {100 * cv:.3g}% ({term}, whose fmi is "
        f"{part.fmi:.2f} without what few rows add)"
    )
    if limit == "nothing" or (one_member and m <= now):
        text = f"{now} tables suffice for {aim}"
    elif limit == "tables" or one_member:
        of = f" of the {members} members" if part.per_member > 1 else ""
        text = f"use {m} tables{of} instead of {now} for {aim}"
    else:
        text = (
            f"members, not tables, are the limit: use {members} members instead of "
            f"{part.n_members}, with {m // members} tables of each, for {aim}"
        )
    if one_member:
        text += "; more tables do not stand in for more members"
    return text
