r"""Pooled tests of several terms from their estimates: D1, and D2 from statistics alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pyro_gnr.imputation.pooling.rules import Moments

__all__ = ["PooledTest", "d1", "d2", "denominator_df", "f_test", "reiter_df"]

# Of a smallest eigenvalue, in units of variances.
ROUNDING = 1e-6


class PooledTest(NamedTuple):
    """An F test pooled over tables; the names are those of R's mice.

    Attributes:
        method: `D1`, `D2` or `D3`.
        statistic: F.
        df1: terms tested.
        df2: degrees of freedom of the denominator.
        p_value: P(F_{df1, df2} > statistic).
        riv: average relative increase in variance due to holes.

    Example:
        >>> test = d2([7.1, 9.4, 6.2, 8.0, 5.9], 2)
        >>> test.method, test.df1, round(test.p_value, 3)
        ('D2', 2, 0.039)
    """

    method: str
    statistic: float
    df1: int
    df2: float
    p_value: float
    riv: float

    def __repr__(self) -> str:
        # As Python's numbers: numpy's say their type, too.
        plain = {
            k: v.item() if isinstance(v, np.generic) else v for k, v in self._asdict().items()
        }
        return f"PooledTest({', '.join(f'{name}={value!r}' for name, value in plain.items())})"

    def __str__(self) -> str:
        return (
            f"{self.method} = {self.statistic:.3f} on {self.df1} and {self.df2:.1f} degrees of "
            f"freedom, p = {self.p_value:.3g}"
        )


def d1(
    found: Moments,
    *,
    dfcom: float = np.inf,
    value: ArrayLike = 0.0,
    known: Moments | None = None,
) -> PooledTest:
    """Test that k terms have certain values, by a pooled Wald test.

    D1 = (Q - Q0)' U^-1 (Q - Q0) / (k (1 + r)), r = (1 + 1/M) tr(B U^-1) / k, which takes the
    covariance between tables as proportional to that within (Li, Raghunathan & Rubin 1991;
    Reiter 2007 for its degrees of freedom where those of complete data are finite). With nested
    rules r = r_b + r_w from members and tables, and

        df2 = (k + 1) / 2 / (s_b^2 / (G - 1) + s_w^2 / (M - G)),   s = r_b or r_w over 1 + r,

    Shen's degrees of freedom in the place of Rubin's (1987, p. 137). One term alone has the
    degrees of freedom of this test, not of its t test, as in mice.

    Args:
        found: moments of these k terms.
        dfcom: degrees of freedom for complete data.
        value: (k,) or one number, the hypothesis.
        known: of tables without the spread of a prior over departures, where they have one: what
            is lost of `dfcom` is told by these.

    Returns:
        The test.

    Raises:
        ValueError: U is not known as a whole, cannot be inverted, or is not positive definite; or
            there are not k values.

    Example:
        >>> from pyro_gnr.imputation.pooling.nesting import nest
        >>> from pyro_gnr.imputation.pooling.rules import moments
        >>> Q = np.array([[1.0, 0.4], [1.2, 0.5], [0.9, 0.2], [1.1, 0.4]])
        >>> U = np.array([[[0.1, 0.02], [0.02, 0.1]]] * 4)
        >>> test = d1(moments(Q, U, nest(None, 4)))
        >>> round(test.statistic, 3), test.df1, round(test.df2, 1), round(test.riv, 3)
        (4.822, 2, 51.3, 0.173)
    """
    k = len(found.estimate)
    if not np.isfinite(found.ubar).all():
        raise ValueError(
            "covariances of the estimates are not known, only their variances, so they cannot be "
            "tested together: let the analysis give a covariance matrix."
        )
    try:
        inverse = np.linalg.inv(found.ubar)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "the covariance of the terms is singular: some say the same; test fewer."
        ) from error
    _check_definite(found.ubar)
    hypothesis = np.asarray(value, dtype=np.float64)
    if hypothesis.shape not in ((), (k,)):
        raise ValueError(f"got {hypothesis.size} values for {k} terms, expected one, or one each.")
    away = found.estimate - hypothesis
    from_b, from_w = _increases(found, inverse)
    r = from_b + from_w
    if known is not None and np.isfinite(dfcom):
        lost = sum(_increases(known, np.linalg.inv(known.ubar)))
        df2 = _with_few_rows(_large_df(found, k, from_b, from_w), lost, dfcom)
    elif not found.within_df:
        df2 = denominator_df(k, found.n_members, r, dfcom)
    else:
        df2 = _large_df(found, k, from_b, from_w)
        df2 = _with_few_rows(df2, r, dfcom) if np.isfinite(dfcom) else df2
    return f_test("D1", float(away @ inverse @ away) / (k * (1 + r)), k, df2, r)


def _check_definite(covariance: NDArray[np.float64]) -> None:
    """Refuse what is no covariance of all terms together, though it may be of each."""
    sd = np.sqrt(np.diag(covariance))
    smallest = float(np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0])
    if smallest < -ROUNDING:
        raise ValueError(
            "some combination of these terms has a negative variance (an eigenvalue of the "
            f"covariance, in units of variances, is {smallest:.2g}), as robust estimators can "
            "give: test fewer terms."
        )


def d2(statistics: Sequence[float] | NDArray[np.float64], k: int) -> PooledTest:
    """Pool chi-square statistics of k degrees of freedom, one a table; a fall-back.

    With d the mean statistic and r = (1 + 1/M) var(sqrt(d_l)),

        D2 = (d / k - (M + 1) / (M - 1) r) / (1 + r),   df2 = k^(-3/M) (M - 1) (1 + 1/r)^2

    (Li, Meng, Raghunathan & Rubin 1991). It needs no estimates and has less power than D1 and D3;
    its p-value is right within a factor of about two.

    Args:
        statistics: (M,).
        k: degrees of freedom of each.

    Returns:
        The test.

    Raises:
        ValueError: there are fewer than 2 statistics.

    Example:
        >>> test = d2([7.1, 9.4, 6.2, 8.0, 5.9], 2)
        >>> round(test.statistic, 3), round(test.df2, 1)
        (3.275, 472.9)
    """
    found = np.asarray(statistics, dtype=np.float64)
    m = len(found)
    if m < 2:
        raise ValueError(f"got {m} statistic(s), expected one of each of at least 2 tables.")
    r = (1 + 1 / m) * float(np.sqrt(np.maximum(found, 0.0)).var(ddof=1))
    statistic = (float(found.mean()) / k - (m + 1) / (m - 1) * r) / (1 + r)
    df2 = np.inf if r == 0 else k ** (-3 / m) * (m - 1) * (1 + 1 / r) ** 2
    return f_test("D2", statistic, k, df2, r)


def f_test(method: str, statistic: float, k: int, df2: float, r: float) -> PooledTest:
    """Give a pooled test with its p-value."""
    # scipy's F takes no infinite df2: k F is then chi-square.
    p = stats.f.sf(statistic, k, df2) if np.isfinite(df2) else stats.chi2.sf(k * statistic, k)
    return PooledTest(method, statistic, k, float(df2), float(p), float(r))


def denominator_df(k: int, m: int, r: float, dfcom: float = np.inf) -> float:
    """Give df2 of D1 and D3 for k terms and M tables.

    With t = k (M - 1) and complete data of many rows (Li, Raghunathan & Rubin 1991, equation 1.17;
    Rubin 1987, p. 137, for t <= 4)

        4 + (t - 4) (1 + (1 - 2/t) / r)^2   if t > 4,   else   t (1 + 1/k) (1 + 1/r)^2 / 2,

    and of few rows those of `reiter_df`, where they exist; else the second of these and
    nu (1 - lambda) add as reciprocals, as Barnard and Rubin (1999) do for one term.
    """
    t = k * (m - 1)
    if np.isfinite(dfcom):
        few = reiter_df(t, r, dfcom)
        if few is not None:
            return few
        return _with_few_rows(_rubin_df(t, k, r), r, dfcom)
    if t > 4:
        return 4 + (t - 4) * (1 + (1 - 2 / t) / r) ** 2 if r > 0 else np.inf
    return _rubin_df(t, k, r)


def _rubin_df(t: float, k: int, r: float) -> float:
    return t * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2 if r > 0 else np.inf


def _with_few_rows(df: float, r: float, dfcom: float) -> float:
    seen = dfcom * (dfcom + 1) / (dfcom + 3) / (1 + r)
    return 1 / (1 / df + 1 / seen)


def _increases(found: Moments, inverse: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Relative increase of the variance, on average over terms: between and within members."""
    k, (of_b, of_w) = len(inverse), found.shares
    from_b, from_w = (
        float(np.trace(share * part @ inverse)) / k
        for share, part in ((of_b, found.b), (of_w, found.w))
    )
    return max(from_b, 0.0), max(from_w, 0.0)


def _large_df(found: Moments, k: int, from_b: float, from_w: float) -> float:
    """Degrees of freedom if complete data had many rows, by Rubin's rules or nested ones."""
    r = from_b + from_w
    if not found.within_df:
        return denominator_df(k, found.n_members, r)
    inverse = (from_b / (1 + r)) ** 2 / (found.n_members - 1)
    inverse += (from_w / (1 + r)) ** 2 / found.within_df
    return (k + 1) / 2 / inverse if inverse > 0 else np.inf


def reiter_df(t: float, r: float, dfcom: float) -> float | None:
    """Give Reiter's (2007, equation 2) degrees of freedom; None where they do not exist.

    He expands the moments of the reference distribution in a = r t / (t - 2); with
    nu = nu_com (nu_com + 1) / (nu_com + 3), x = nu - 4 (1 + a) and y = nu - 2 (1 + a)

        df2 = 4 + 1 / (1/x + z / (t - 4)),
        z = a^2 y / ((1+a)^2 x) + 8 a^2 y / ((1+a) x^2) + 4 a^2 / ((1+a) x)
            + 4 a^2 / (x y) + 16 a^2 y / x^3 + 8 a^2 / x^2.

    It needs t > 4 and x > 0.
    """
    if t <= 4:
        return None
    a = r * t / (t - 2)
    nu = dfcom * (dfcom + 1) / (dfcom + 3)
    x, y = nu - 4 * (1 + a), nu - 2 * (1 + a)
    if x <= 0:
        return None
    z = y / ((1 + a) ** 2 * x) + 8 * y / ((1 + a) * x**2) + 4 / ((1 + a) * x)
    z += 4 / (x * y) + 16 * y / x**3 + 8 / x**2
    return 4 + 1 / (1 / x + a**2 * z / (t - 4))
