r"""Rubin's rules and the nested ones, which are the same where R = 1.

G members have R tables each, M = G R. Q_gr and U_gr are the estimate and its variance on table r
of member g, U the mean of U_gr, b the variance of members' mean estimates, w the mean variance
within members. Then (Shen 2000; with R = 1 Rubin 1987, ch. 3)

    T = U + (1 + 1/G) b + (1 - 1/R) w,
    1/nu = [(1 + 1/G) b / T]^2 / (G - 1) + [(1 - 1/R) w / T]^2 / (M - G).

In Shen's letters b = MSb / R and w = MSw.

Where members have different numbers R_g of tables the step is ours: estimate and U are means over
members of members' means, w = (sum of squares within members) / (M - G), and R is the harmonic
mean of R_g. With s_b^2 between members and s_w^2 between tables of one, E[b] = s_b^2 + s_w^2 / R
and E[w] = s_w^2, so that T is as unbiased as where all R_g are R. Degrees of freedom are then
approximate, since members' means vary by different amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyro_gnr.imputation.pooling.nesting import Nesting

__all__ = ["Moments", "Spread", "moments", "spread"]

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Estimates of p terms and the parts of their variance.

    Attributes:
        estimate: (p,).
        ubar: (p, p) mean of covariances within tables.
        b: (p, p) covariance of members' means; of tables where each has its own member.
        w: (p, p) pooled covariance of tables within members; 0 where each has its own.
        n_members: G.
        per_member: R, the harmonic mean of tables a member.
        n_tables: M.
    """

    estimate: Array
    ubar: Array
    b: Array
    w: Array
    n_members: int
    per_member: float
    n_tables: int

    def take(self, terms: Sequence[int]) -> Moments:
        """Select some terms, given their places."""
        at = np.ix_(terms, terms)
        return self._replace(
            estimate=self.estimate[list(terms)], ubar=self.ubar[at], b=self.b[at], w=self.w[at]
        )

    @property
    def within_df(self) -> int:
        """Degrees of freedom of w, the sum of R_g - 1."""
        return self.n_tables - self.n_members

    @property
    def shares(self) -> tuple[float, float]:
        """Factors of b and w in T."""
        return 1.0 + 1.0 / self.n_members, 1.0 - 1.0 / self.per_member

    @property
    def t(self) -> Array:
        """Total covariance T, (p, p)."""
        of_b, of_w = self.shares
        return self.ubar + of_b * self.b + of_w * self.w


class Spread(NamedTuple):
    """What holes add to the variance of each of p terms.

    Attributes:
        ubar: (p,) variance within tables.
        b: (p,) between members; between tables where each has its own member.
        w: (p,) between tables of one member.
        t: (p,) total variance.
        dfcom: degrees of freedom that complete data would give.
        df: (p,) degrees of freedom; never above `dfcom`.
        riv: (p,) relative increase in variance, (t - ubar) / ubar.
        lambda_: (p,) share of the variance that is due to holes, (t - ubar) / t.
        fmi: (p,) fraction of missing information, (riv + 2 / (df + 3)) / (riv + 1).
    """

    ubar: Array
    b: Array
    w: Array
    t: Array
    dfcom: float
    df: Array
    riv: Array
    lambda_: Array
    fmi: Array


def moments(estimates: Array, covariances: Array, nesting: Nesting) -> Moments:
    """Average estimates and take the variance of tables apart.

    Args:
        estimates: (M, p).
        covariances: (M, p, p).
        nesting: which tables belong together.

    Returns:
        Moments; off-diagonal numbers are NaN where those of covariances are.
    """
    groups, n_members, m = nesting.groups, nesting.n_members, nesting.m
    means = _means(estimates, nesting)
    estimate = means.mean(0)
    b = _sum_of_squares(means - estimate) / (n_members - 1)
    w = np.zeros_like(b)
    if m > n_members:
        apart = [estimates[group] - mean for group, mean in zip(groups, means, strict=True)]
        w = _sum_of_squares(np.concatenate(apart)) / (m - n_members)
    ubar = _means(covariances, nesting).mean(0)
    return Moments(estimate, ubar, b, w, n_members, nesting.per_member, m)


def _means(values: Array, nesting: Nesting) -> Array:
    """Members' means, (G, ...): each counts once, however many tables it has."""
    return np.stack([values[group].mean(0) for group in nesting.groups])


def _sum_of_squares(deviations: Array) -> Array:
    return deviations.T @ deviations


def spread(found: Moments, dfcom: ArrayLike, *, lost: Array | None = None) -> Spread:
    """Give variances and degrees of freedom of each term.

    For large samples 1/nu is as above. With nu_com degrees of freedom for complete data
    (Barnard & Rubin 1999, equations 2 to 5; for nested rules the same step is ours)

        1/df = 1/nu + 1/nu_obs,   nu_obs = nu_com (nu_com + 1) / (nu_com + 3) (1 - lambda).

    Not all of lambda is lost data where departures from the model have a prior: nu_obs then takes
    the lambda of tables without the prior's spread. (A step of ours; with the whole lambda, doubt
    about the holes would take away what is seen, down to less than one degree of freedom.)

    mice up to 3.18 did not let lambda fall below 1e-4; here it may.

    Args:
        found: moments, with a positive variance within tables for each term.
        dfcom: nu_com, a positive number or infinity.
        lost: (p,) the lambda of nu_obs; that of these moments if None.

    Returns:
        Variances (p,) and what follows from them.
    """
    of_b, of_w = found.shares
    ubar, b, w = np.diag(found.ubar), np.diag(found.b), np.diag(found.w)
    from_b, from_w = of_b * b, of_w * w
    t = ubar + from_b + from_w
    lambda_ = (from_b + from_w) / t
    inverse = (from_b / t) ** 2 / (found.n_members - 1)
    if found.within_df:
        inverse = inverse + (from_w / t) ** 2 / found.within_df
    nu_com = float(np.asarray(dfcom))
    with np.errstate(divide="ignore"):
        if np.isfinite(nu_com):
            # 1 - lambda is ubar / t, without the cancellation.
            kept = ubar / t if lost is None else 1.0 - lost
            inverse = inverse + 1.0 / (nu_com * (nu_com + 1) / (nu_com + 3) * kept)
        df = 1.0 / inverse
    # (riv + c) / (riv + 1) = lambda + c (1 - lambda), which large riv do not spoil.
    fmi = lambda_ + 2.0 / (df + 3.0) * (ubar / t)
    return Spread(ubar, b, w, t, nu_com, df, (from_b + from_w) / ubar, lambda_, fmi)
