r"""Rubin's rules and the nested ones, which are the same where R = 1.

G members have R tables each. Q_gr and U_gr are the estimate and its variance on table r of member
g, U the mean of U_gr, b the variance of members' mean estimates, w the mean variance within
members. Then (Shen 2000; with R = 1 Rubin 1987, ch. 3)

    T = U + (1 + 1/G) b + (1 - 1/R) w,
    1/nu = [(1 + 1/G) b / T]^2 / (G - 1) + [(1 - 1/R) w / T]^2 / (G (R - 1)).

In Shen's letters b = MSb / R and w = MSw.
"""

from __future__ import annotations

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
        w: (p, p) mean covariance of tables within members; 0 where each has its own.
        n_members: G.
        per_member: R.
    """

    estimate: Array
    ubar: Array
    b: Array
    w: Array
    n_members: int
    per_member: int

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
    grouped = estimates[nesting.groups]  # (G, R, p)
    means = grouped.mean(1)
    estimate = means.mean(0)
    b = _sum_of_squares(means - estimate) / (nesting.n_members - 1)
    w = np.zeros_like(b)
    if nesting.per_member > 1:
        within = (grouped - means[:, None]).reshape(-1, len(estimate))
        w = _sum_of_squares(within) / (nesting.n_members * (nesting.per_member - 1))
    ubar = covariances.mean(0)
    return Moments(estimate, ubar, b, w, nesting.n_members, nesting.per_member)


def _sum_of_squares(deviations: Array) -> Array:
    return deviations.T @ deviations


def spread(found: Moments, dfcom: ArrayLike) -> Spread:
    """Give variances and degrees of freedom of each term.

    For large samples 1/nu is as above. With nu_com degrees of freedom for complete data
    (Barnard & Rubin 1999, equations 2 to 5; for nested rules the same step is ours)

        1/df = 1/nu + 1/nu_obs,   nu_obs = nu_com (nu_com + 1) / (nu_com + 3) (1 - lambda).

    mice up to 3.18 did not let lambda fall below 1e-4; here it may.

    Args:
        found: moments, with a positive variance within tables for each term.
        dfcom: nu_com, a positive number or infinity.

    Returns:
        Variances (p,) and what follows from them.
    """
    of_b, of_w = found.shares
    ubar, b, w = np.diag(found.ubar), np.diag(found.b), np.diag(found.w)
    from_b, from_w = of_b * b, of_w * w
    t = ubar + from_b + from_w
    lambda_ = (from_b + from_w) / t
    inverse = (from_b / t) ** 2 / (found.n_members - 1)
    if found.per_member > 1:
        inverse = inverse + (from_w / t) ** 2 / (found.n_members * (found.per_member - 1))
    nu_com = float(np.asarray(dfcom))
    with np.errstate(divide="ignore"):
        if np.isfinite(nu_com):
            # 1 - lambda is ubar / t, without the cancellation.
            inverse = inverse + 1.0 / (nu_com * (nu_com + 1) / (nu_com + 3) * ubar / t)
        df = 1.0 / inverse
    # (riv + c) / (riv + 1) = lambda + c (1 - lambda), which large riv do not spoil.
    fmi = lambda_ + 2.0 / (df + 3.0) * (ubar / t)
    return Spread(ubar, b, w, t, nu_com, df, (from_b + from_w) / ubar, lambda_, fmi)
