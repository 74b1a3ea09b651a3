"""The normal under which numbers and intervals are likeliest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.censoring import Cells

__all__ = ["normal_fit"]

# The marginal standard deviation is looked for within this factor of what the limits themselves
# would give.
WIDEST = 10.0


def normal_fit(cells: Cells) -> tuple[float, float]:
    r"""Give the mean and standard deviation of the normal under which the cells are likeliest.

    max sum_i log phi((x_i - m) / s) / s + sum_i log(Phi((u_i - m) / s) - Phi((l_i - m) / s)),
    over numbers x_i and intervals (l_i, u_i). Without intervals these are the mean and the
    standard deviation (divisor N) of the numbers.

    Returns:
        The two, the second > 0.

    Source: Tobin 1958, Econometrica 26 (a normal with limits; here without regressors).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(5.0, 2.0, size=5000)
        >>> low = x < 4.0
        >>> cells = Cells(np.where(low, np.nan, x), np.where(low, 0, -1), ((-np.inf, 4.0),))
        >>> [round(v, 1) for v in normal_fit(cells)]
        [5.0, 2.0]
    """
    from scipy.optimize import minimize

    numbers = cells.numbers[~np.isnan(cells.numbers)]
    counts = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.intervals))
    limits = np.array(cells.intervals, dtype=np.float64).reshape(-1, 2)
    centre, spread = _by_limits(numbers, limits, counts)
    x, limits = (numbers - centre) / spread, (limits - centre) / spread
    moments = (len(x), x.mean() if len(x) else 0.0, x.var() if len(x) else 0.0)
    bound = math.log(WIDEST)
    options = {"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2000}
    found = minimize(
        _loss,
        np.zeros(2),
        args=(moments, limits, counts),
        method="Nelder-Mead",
        bounds=[(-WIDEST, WIDEST), (-bound, bound)],
        options=options,
    )
    return float(centre + spread * found.x[0]), float(spread * math.exp(found.x[1]))


def _loss(
    at: NDArray[np.float64],
    moments: tuple[int, float, float],
    limits: NDArray[np.float64],
    counts: NDArray[np.intp],
) -> float:
    """Minus the mean log-likelihood at (m, log s), but for a constant.

    Numbers enter by how many they are, their mean and variance; each of the (I, 2) limits counts
    as often as `counts` (I,) says.
    """
    n, mean, variance = moments
    m, s = at[0], math.exp(at[1])
    known = n * (at[1] + (variance + (mean - m) ** 2) / (2 * s * s))
    return float(known - counts @ _log_mass((limits - m) / s)) / (n + counts.sum())


def _by_limits(
    numbers: NDArray[np.float64], limits: NDArray[np.float64], counts: NDArray[np.intp]
) -> tuple[float, float]:
    """Mean and spread with intervals at their middles, or at the one limit that they have."""
    lower, upper = limits.T
    middles = np.where(
        np.isinf(lower), upper, np.where(np.isinf(upper), lower, lower / 2 + upper / 2)
    )
    values = np.concatenate([numbers, np.repeat(middles, counts)])
    centre, spread = float(values.mean()), float(values.std())
    finite = np.isfinite(limits).all(1)
    widest = float((upper - lower)[finite].max()) if finite.any() else 0.0
    # A spread of rounding errors only is none.
    least = 1e-9 * float(np.abs(values).max())
    return centre, next(v for v in (spread, widest, abs(centre), 1.0) if v > least)


def _log_mass(limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(Phi(b) - Phi(a)) of (n, 2) limits, without loss in the tails."""
    from scipy.special import log_ndtr

    a, b = limits.T
    above = a > 0
    low, high = np.where(above, -b, a), np.where(above, -a, b)
    gap = np.maximum(log_ndtr(high) - log_ndtr(low), 1e-300)
    return log_ndtr(high) + np.log(-np.expm1(-gap))
