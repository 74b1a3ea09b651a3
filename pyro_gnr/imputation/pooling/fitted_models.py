"""Estimates of models that were fitted with statsmodels or in scikit-learn's manner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.covariances import only_variances
from pyro_gnr.imputation.pooling.labels import in_order_of, labels_of
from pyro_gnr.imputation.pooling.terms import INTERCEPTS

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
    params = getattr(results, "fe_params", results.params)
    found = results.cov_params()
    if hasattr(results, "fe_params"):
        k = len(params)
        found = found.iloc[:k, :k] if isinstance(found, pd.DataFrame) else found[:k, :k]
    covariance = np.asarray(in_order_of(labels_of(params), found), dtype=np.float64)
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


def from_estimator(estimator: Any, n_rows: int | None = None) -> Found:
    """Read coefficients and standard errors of a fitted estimator.

    Args:
        estimator: has `coef_` (p,), perhaps `intercept_` and `feature_names_in_`; and a
            covariance (`covariance_`, `cov_params_`, `sigma_`) or standard errors
            (`standard_errors_`, `stderr_`, `bse_`), of the coefficients or of intercept and
            coefficients, in this order unless they have labels. `dof_` or `df_resid_` are its
            degrees of freedom.
        n_rows: rows that it was fitted to, if that is known: without `dof_` and `df_resid_` its
            degrees of freedom are these less its coefficients and intercept.

    Returns:
        The same parts as `Estimates`.

    Raises:
        TypeError: it has no standard errors.
        ValueError: there is another number of them, or they have other labels.
    """
    labels, coefficients = _coefficients(estimator)
    values = np.asarray(coefficients, dtype=np.float64).ravel()
    names = _numbered(len(values)) if labels is None else labels
    uncertainty, as_covariance = _uncertainty(estimator)
    covariance = as_covariance(uncertainty)
    estimated = len(values) + _n_intercepts(estimator)
    if len(covariance) == len(values) + 1:
        values = np.append(np.ravel(estimator.intercept_)[:1].astype(np.float64), values)
        names = [INTERCEPT, *names]
        labels = None if labels is None else names
        uncertainty = _with_our_intercept(uncertainty)
    covariance = as_covariance(in_order_of(labels, uncertainty, "standard errors"))
    if not len(covariance) == len(values) == len(names):
        raise ValueError(
            f"{type(estimator).__name__} has {len(values)} coefficients of {len(names)} features "
            f"and {len(covariance)} standard errors, expected as many, or one more for the "
            "intercept."
        )
    df = np.inf if n_rows is None or n_rows <= estimated else float(n_rows - estimated)
    df = float(getattr(estimator, "df_resid_", getattr(estimator, "dof_", df)))
    return tuple(names), values, covariance, df, None, True


def _coefficients(estimator: Any) -> tuple[list[str] | None, Any]:
    """Names of the features, None if they have none, and coefficients in their order."""
    features = getattr(estimator, "feature_names_in_", None)
    if features is None:
        return labels_of(estimator.coef_), estimator.coef_
    names = [str(name) for name in features]
    return names, in_order_of(names, estimator.coef_, "coef_")


def _n_intercepts(estimator: Any) -> int:
    """How many were estimated: none where `fit_intercept` says so."""
    if not getattr(estimator, "fit_intercept", True):
        return 0
    return int(np.size(getattr(estimator, "intercept_", ())))


def _numbered(n: int) -> list[str]:
    return [f"x{i}" for i in range(n)]


def _uncertainty(estimator: Any) -> tuple[Any, Callable[[Any], Array]]:
    """A covariance or standard errors as the estimator has them, and what reads these."""
    for name in COVARIANCES:
        if hasattr(estimator, name):
            return getattr(estimator, name), _covariance
    for name in STD_ERRORS:
        if hasattr(estimator, name):
            return getattr(estimator, name), _variances
    raise TypeError(
        f"{type(estimator).__name__} has no standard errors (none of the attributes "
        f"{', '.join((*COVARIANCES, *STD_ERRORS))}): pool a function that gives (estimates, "
        "covariance) of a table instead."
    )


def _covariance(covariance: Any) -> Array:
    return np.atleast_2d(np.asarray(covariance, dtype=np.float64))


def _variances(errors: Any) -> Array:
    return only_variances(np.asarray(errors, dtype=np.float64).ravel() ** 2)


def _with_our_intercept(uncertainty: Any) -> Any:
    """Call the intercept by our name where there are labels."""
    ours = dict.fromkeys(INTERCEPTS, INTERCEPT)
    if isinstance(uncertainty, pd.DataFrame):
        return uncertainty.rename(index=ours, columns=ours)
    return uncertainty.rename(ours) if isinstance(uncertainty, pd.Series) else uncertainty
