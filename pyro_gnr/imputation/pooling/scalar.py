"""Pooling of bare numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pyro_gnr.imputation.pooling.checks import check_level, check_positive
from pyro_gnr.imputation.pooling.nesting import nest
from pyro_gnr.imputation.pooling.rules import moments, spread

__all__ = ["PooledScalar", "pool_scalar"]


@dataclass(frozen=True)
class PooledScalar:
    """An estimate pooled over M tables; the names are those of R's mice.

    Attributes:
        m: number of tables.
        rule: `rubin` or `nested`.
        estimate: mean of the tables' estimates; of members' means, with nested rules.
        ubar: mean of their variances, likewise.
        b: variance of estimates between tables (between members, with nested rules).
        w: variance between tables of one member; 0 with Rubin's rules.
        t: total variance.
        dfcom: degrees of freedom for complete data.
        df: degrees of freedom.
        riv: relative increase in variance due to holes.
        lambda_: share of `t` due to holes.
        fmi: fraction of missing information.
    """

    m: int
    rule: str
    estimate: float
    ubar: float
    b: float
    w: float
    t: float
    dfcom: float
    df: float
    riv: float
    lambda_: float
    fmi: float

    @property
    def std_error(self) -> float:
        """Square root of the total variance."""
        return float(np.sqrt(self.t))

    @property
    def p_value(self) -> float:
        """Two-sided, of the hypothesis that the quantity is 0, by the t distribution."""
        return float(2 * stats.t.sf(abs(self.estimate) / self.std_error, self.df))

    def conf_int(self, level: float = 0.95) -> tuple[float, float]:
        """Give estimate -+ t_df(level) standard errors.

        Raises:
            ValueError: `level` is not in (0, 1).

        Example:
            >>> pooled = pool_scalar([10.1, 10.4, 9.9, 10.0], [0.25, 0.24, 0.26, 0.25], n=50, k=2)
            >>> [round(x, 2) for x in pooled.conf_int(0.9)]
            [9.15, 11.05]
        """
        half = stats.t.ppf(0.5 + check_level(level) / 2, self.df) * self.std_error
        return float(self.estimate - half), float(self.estimate + half)


def pool_scalar(
    Q: ArrayLike,
    U: ArrayLike,
    *,
    n: float = np.inf,
    k: float = 1,
    members: Sequence[int] | NDArray[np.intp] | None = None,
) -> PooledScalar:
    """Pool one quantity that was estimated on each of M tables.

    estimate = mean Q, t = mean U + (1 + 1/M) var Q, and a t distribution with Barnard and Rubin's
    degrees of freedom (Rubin 1987; Barnard & Rubin 1999). Where several tables came from one
    member nested rules are used (Shen 2000), in which members count alike, whatever their numbers
    of tables.

    Args:
        Q: (M,) estimates.
        U: (M,) their variances (squares of standard errors).
        n: rows of the table; infinity if it is large.
        k: number of parameters of the analysis; n - k are its degrees of freedom.
        members: (M,) the member that made each table; None if each has its own.

    Returns:
        The pooled estimate, its variance and degrees of freedom.

    Raises:
        ValueError: Q and U are not M >= 2 finite numbers each, a variance is negative or all are
            0, n - k is not positive, or there is not one member a table.
        TypeError: n or k is no number.

    Example:
        >>> pooled = pool_scalar([10.1, 10.4, 9.9, 10.0], [0.25, 0.24, 0.26, 0.25], n=50, k=2)
        >>> round(pooled.estimate, 3), round(pooled.t, 4), round(pooled.df, 1)
        (10.1, 0.3083, 25.9)
        >>> round(pooled.lambda_, 3), [round(x, 2) for x in pooled.conf_int()]
        (0.189, [8.96, 11.24])
    """
    estimates = _numbers(Q, "Q")
    variances = _numbers(U, "U")
    if len(estimates) != len(variances):
        raise ValueError(
            f"got {len(estimates)} estimates in Q and {len(variances)} variances in U, expected "
            "one of each a table."
        )
    nesting = nest(members, len(estimates))
    if (variances < 0).any() or not variances.any():
        raise ValueError(f"got U={U!r}, expected variances: not negative, and not all 0.")
    for name, value in (("n", n), ("k", k)):
        if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
            raise TypeError(f"got {name}={value!r}, expected a number.")
    dfcom = check_positive(float(n) - float(k), f"n - k = {n!r} - {k!r}")
    found = moments(estimates[:, None], variances[:, None, None], nesting)
    spreads = spread(found, dfcom)._asdict().items()
    parts = {name: float(np.ravel(value)[0]) for name, value in spreads}
    mean = found.estimate.item()
    return PooledScalar(m=nesting.m, rule=nesting.rule, estimate=mean, **parts)


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"got {name}={values!r}, expected numbers.") from error
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(f"got {name}={values!r}, expected finite numbers, one a table.")
    return found
