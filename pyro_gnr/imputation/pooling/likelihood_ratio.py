r"""The pooled likelihood-ratio test of two nested models: D3 of Meng and Rubin (1992)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.wald import PooledTest, denominator_df, f_test

__all__ = ["check_model_based", "d3", "likelihood_ratios", "log_likelihood"]

Array = NDArray[np.float64]

# Families whose likelihood has no scale to estimate; that of the others is not maximised by what
# statsmodels takes for it.
WITHOUT_SCALE = ("Binomial", "Poisson", "NegativeBinomial")

# What statsmodels calls covariances that follow from the likelihood, in models of all its kinds.
MODEL_BASED = ("nonrobust", "naive", "approx", "oim", "opg")


def d3(own: Sequence[float] | Array, pooled: Sequence[float] | Array, k: int) -> PooledTest:
    """Pool likelihood ratios of k more parameters on M tables.

    With d the mean of 2 (l1 - l0) on each table at its own estimates and d' the same at the
    pooled estimates,

        D3 = d' / (k (1 + r)),   r = (M + 1) / (k (M - 1)) (d - d'),

    and df2 as for D1 with many rows (Meng & Rubin 1992). r can come out below 0 by chance and is
    then 0.

    Args:
        own: (M,) likelihood ratios at each table's estimates.
        pooled: (M,) at the pooled estimates.
        k: number of parameters that the smaller model lacks.

    Returns:
        The test.

    Example:
        >>> test = d3([9.1, 7.8, 8.4], [8.0, 7.0, 7.4], 2)
        >>> round(test.statistic, 3), round(test.riv, 3), test.df1
        (1.898, 0.967, 2)
    """
    m = len(own)
    at_own, at_pooled = float(np.mean(own)), float(np.mean(pooled))
    r = max((m + 1) / (k * (m - 1)) * (at_own - at_pooled), 0.0)
    return f_test("D3", at_pooled / (k * (1 + r)), k, denominator_df(k, m, r), r)


def likelihood_ratios(
    larger: Callable[[int], Any],
    smaller: Callable[[int], Any],
    pooled: tuple[Array, Array],
    m: int,
) -> tuple[Array, Array]:
    """Give 2 (l1 - l0) on M tables, at their own and at pooled estimates, each (M,).

    Args:
        larger: gives the results of the larger model on table i.
        smaller: those of the smaller one.
        pooled: pooled parameters of both.
        m: number of tables.

    Raises:
        ValueError: a likelihood cannot be evaluated, the models have different outcomes, or a
            covariance is not the model's own.
    """
    own, at_pooled = np.empty(m), np.empty(m)
    for i in range(m):
        fits = larger(i), smaller(i)
        if not all(hasattr(fit, "params") and hasattr(fit, "model") for fit in fits):
            raise ValueError("likelihoods need models of statsmodels: use wald().")
        for fit in fits:
            check_model_based(fit)
        _check_same_outcome(*fits, table=i + 1)
        at_own = [log_likelihood(fit, np.ravel(fit.params, order="F")) for fit in fits]
        own[i] = 2 * (at_own[0] - at_own[1])
        at_means = [log_likelihood(fit, p) for fit, p in zip(fits, pooled, strict=True)]
        at_pooled[i] = 2 * (at_means[0] - at_means[1])
    return own, at_pooled


def check_model_based(fit: Any) -> None:
    """Refuse a fit whose covariance does not rest on its likelihood, as a ratio of these does.

    Raises:
        ValueError: the covariance is robust, or of another type that is not the model's.
    """
    kind = getattr(fit, "cov_type", getattr(fit, "covariance_type", "nonrobust"))
    if kind not in MODEL_BASED:
        name = type(getattr(fit, "model", fit)).__name__
        raise ValueError(
            f"{name} was pooled with cov_type={kind!r}, expected the model's own covariance "
            "('nonrobust') in both models: a likelihood ratio test has no robust version. Use "
            "wald(), the pooled Wald test (D1), which takes that covariance."
        )


def log_likelihood(fit: Any, params: Array) -> float:
    """Evaluate the log-likelihood of a fitted statsmodels model at other parameters.

    A linear model (OLS, WLS, GLS) has a variance besides, which takes the value that is most
    likely given the coefficients, in each table, as in mice. The other models that are let
    through have no parameter that is not in `params`.

    Args:
        fit: results of statsmodels.
        params: (p,) parameters.

    Returns:
        Log-likelihood.

    Raises:
        ValueError: it is no such model, such as one with random effects or robust estimates.
    """
    model = getattr(fit, "model", None)
    family = type(getattr(model, "family", None)).__name__
    name = type(model).__name__
    impossible = f"the likelihood of {name} cannot be evaluated at pooled estimates"
    if hasattr(model, "family") and family not in WITHOUT_SCALE:
        raise ValueError(f"{impossible} with family {family}: use OLS for Gaussian, or wald().")
    try:
        own = float(model.loglike(np.ravel(fit.params, order="F")))  # type: ignore[union-attr]
        reported = float(fit.llf)
        found = float(model.loglike(params))  # type: ignore[union-attr]
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(f"{impossible}: use wald(), or method='D2'.") from error
    # A model with parts that are not in its parameters gives itself away.
    if not np.isclose(own, reported, rtol=1e-8, atol=1e-6) or not np.isfinite(found):
        raise ValueError(f"{impossible}: use wald(), or method='D2'.")
    return found


def _check_same_outcome(larger: Any, smaller: Any, *, table: int) -> None:
    one, other = (np.asarray(fit.model.endog) for fit in (larger, smaller))
    if one.shape != other.shape:
        raise ValueError(
            f"on table {table} the two models have {len(one)} and {len(other)} rows, expected the "
            "same: a column of only one of them may have holes."
        )
    differ = int((one != other).reshape(len(one), -1).any(1).sum())
    if differ:
        raise ValueError(
            f"on table {table} the outcomes of the two models differ in {differ} of {len(one)} "
            "rows, expected the same outcome of the same tables."
        )
