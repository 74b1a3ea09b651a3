"""Estimates of models that were fitted with statsmodels or in scikit-learn's manner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.covariances import only_variances

__all__ = ["from_estimator", "from_statsmodels"]

Array = NDArray[np.float64]
Found = tuple[tuple[str, ...], Array, Array, float, int | None, bool]

# What estimators call them: scikit-learn has no name for all.
COVARIANCES = ("covariance_", "cov_params_", "sigma_")
STD_ERRORS = ("standard_errors_", "std_errors_", "stderr_", "bse_", "coef_se_", "se_")
INTERCEPT = "Intercept"


def from_statsmodels(results: Any) -> Found:
    """Read terms, estimates, covariance, degrees of freedom, rows and convergence of results.

    Of mixed models these are the fixed effects: variances of random ones are not near normal, and
    have no error where they are 0. Degrees of freedom of survival models are the events less the
    terms.

    Args:
        results: what `fit` of a statsmodels model returned.

    Returns:
        The same parts as `Estimates`.
    """
    covariance = np.asarray(results.cov_params(), dtype=np.float64)
    params = getattr(results, "fe_params", results.params)
    if hasattr(results, "fe_params"):
        covariance = covariance[: len(params), : len(params)]
    # One column an outcome (MNLogit): the covariance goes through one column after the other.
    values = np.asarray(params, dtype=np.float64).ravel(order="F")
    df = getattr(results, "df_resid", np.inf)
    status = getattr(getattr(results, "model", None), "status", None)
    if status is not None:  # of events, as of R's coxph in mice: censored times say little
        df = float(np.sum(status)) - len(values)
    df = float(df) if df is not None and np.isfinite(df) and df > 0 else np.inf
    nobs = getattr(results, "nobs", None)
    n_rows = None if nobs is None else int(nobs)
    return _terms(results, params), values, covariance, df, n_rows, _converged(results)


def _terms(results: Any, params: Any) -> tuple[str, ...]:
    if isinstance(params, pd.DataFrame):
        return tuple(f"{name}:{column}" for column in params.columns for name in params.index)
    if isinstance(params, pd.Series):
        return tuple(map(str, params.index))
    return tuple(map(str, results.model.exog_names))


def _converged(results: Any) -> bool:
    retvals = getattr(results, "mle_retvals", None)
    said = retvals.get("converged") if isinstance(retvals, dict) else None
    if said is None:
        said = getattr(results, "converged", True)
    return said is None or bool(said)


def from_estimator(estimator: Any) -> Found:
    """Read coefficients and standard errors of a fitted estimator.

    Args:
        estimator: has `coef_` (p,), perhaps `intercept_` and `feature_names_in_`; and a
            covariance (`covariance_`, `cov_params_`, `sigma_`) or standard errors
            (`standard_errors_`, `stderr_`, `bse_`), of the coefficients or of intercept and
            coefficients, in this order. `dof_` or `df_resid_` are its degrees of freedom.

    Returns:
        The same parts as `Estimates`.

    Raises:
        TypeError: it has no standard errors.
        ValueError: there is another number of them.
    """
    values = np.asarray(estimator.coef_, dtype=np.float64).ravel()
    names = list(getattr(estimator, "feature_names_in_", _numbered(len(values))))
    covariance = _uncertainty(estimator)
    if len(covariance) == len(values) + 1:
        values = np.append(np.ravel(estimator.intercept_)[:1].astype(np.float64), values)
        names = [INTERCEPT, *names]
    if not len(covariance) == len(values) == len(names):
        raise ValueError(
            f"{type(estimator).__name__} has {len(values)} coefficients of {len(names)} features "
            f"and {len(covariance)} standard errors, expected as many, or one more for the "
            "intercept."
        )
    df = float(getattr(estimator, "df_resid_", getattr(estimator, "dof_", np.inf)))
    return tuple(map(str, names)), values, covariance, df, None, True


def _numbered(n: int) -> Sequence[str]:
    return [f"x{i}" for i in range(n)]


def _uncertainty(estimator: Any) -> Array:
    for name in COVARIANCES:
        if hasattr(estimator, name):
            return np.atleast_2d(np.asarray(getattr(estimator, name), dtype=np.float64))
    for name in STD_ERRORS:
        if hasattr(estimator, name):
            errors = np.asarray(getattr(estimator, name), dtype=np.float64).ravel()
            return only_variances(errors**2)
    raise TypeError(
        f"{type(estimator).__name__} has no standard errors (none of the attributes "
        f"{', '.join((*COVARIANCES, *STD_ERRORS))}): pool a function that gives (estimates, "
        "covariance) of a table instead."
    )
