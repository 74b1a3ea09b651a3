"""What an analysis of one table gives: estimates and their covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.covariances import only_variances
from pyro_gnr.imputation.pooling.fitted_models import from_estimator, from_statsmodels
from pyro_gnr.imputation.pooling.labels import in_order_of, labels_of
from pyro_gnr.imputation.pooling.tidy import from_tidy

__all__ = ["Estimates", "as_estimates"]

Array = NDArray[np.float64]


class Estimates(NamedTuple):
    """Estimates of p terms on one table.

    Attributes:
        terms: their names.
        values: (p,).
        covariance: (p, p); off-diagonal NaN where only variances are known.
        dfcom: residual degrees of freedom, infinity if the analysis has none.
        n_rows: rows that it used, None if it does not say.
        converged: whether the fit converged, True if it does not say.
    """

    terms: tuple[str, ...]
    values: Array
    covariance: Array
    dfcom: float = np.inf
    n_rows: int | None = None
    converged: bool = True


# Of a covariance, in units of its variances: what is less is rounding.
ROUNDING = 1e-6
EXPECTED = (
    "expected a pair (estimates, covariance), a table with the columns term, estimate and "
    "std.error, a fitted statsmodels model, or a fitted estimator with coef_ and standard errors"
)


def as_estimates(output: Any, *, n_rows: int | None = None) -> Estimates:
    """Read what an analysis returned.

    Args:
        output: (estimates, covariance) or (estimates, covariance, degrees of freedom), where
            estimates are a number, an array (p,), a Series or a dict, and the covariance is
            (p, p), or (p,) variances; a tidy table; results of statsmodels; or a fitted
            estimator as in scikit-learn that has standard errors. Where estimates and covariance
            both have labels these say what belongs together, otherwise their order does.
        n_rows: rows that an estimator was fitted to, if known; the others say themselves.

    Returns:
        Estimates, all finite, with variances that are not negative.

    Raises:
        TypeError: it is none of these, such as the result of a test.
        ValueError: shapes or labels do not fit, numbers are not finite, variances negative, or a
            matrix is no covariance.

    Example:
        >>> as_estimates(({"mean": 2.0}, 0.25)).terms
        ('mean',)
        >>> as_estimates(([1.0, 2.0], [[0.1, 0.0], [0.0, 0.2]], 18)).dfcom
        18.0
    """
    if isinstance(output, Estimates):
        found = output
    elif hasattr(output, "pvalue") and not hasattr(output, "cov_params"):
        # Those of scipy are tuples, too: (statistic, p-value).
        raise TypeError(
            f"the analysis gave {type(output).__name__}, the result of a test, whose p-value is "
            "no variance: return (estimate, variance), such as a difference of means and its "
            "squared standard error; what is pooled has a p-value of its own."
        )
    elif isinstance(output, tuple):
        found = _from_pair(output)
    elif isinstance(output, pd.DataFrame):
        found = Estimates(*from_tidy(output))
    elif hasattr(output, "params") and hasattr(output, "cov_params"):
        found = Estimates(*from_statsmodels(output))
    elif hasattr(output, "coef_"):
        found = Estimates(*from_estimator(output, n_rows))
    else:
        raise TypeError(f"the analysis gave {type(output).__name__}, {EXPECTED}.")
    return _checked(found)


def _from_pair(output: tuple[Any, ...]) -> Estimates:
    if len(output) not in (2, 3):
        raise TypeError(f"the analysis gave a tuple of {len(output)}, {EXPECTED}.")
    try:
        dfcom = np.inf if len(output) == 2 or output[2] is None else float(output[2])
        terms, values = _named(output[0])
        covariance = np.asarray(output[1], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the analysis gave {output!r}, {EXPECTED}.") from error
    ordered = in_order_of(labels_of(output[0]), output[1])
    covariance = np.asarray(ordered, dtype=np.float64)
    p = len(values)
    if covariance.size == 1 and p == 1:
        covariance = covariance.reshape(1, 1)
    if covariance.shape == (p,):
        covariance = only_variances(covariance)
    if covariance.shape != (p, p):
        raise ValueError(
            f"the analysis gave {p} estimates and a covariance of shape {covariance.shape}, "
            f"expected ({p}, {p}), or ({p},) variances."
        )
    return Estimates(terms, values, covariance, dfcom)


def _named(values: Any) -> tuple[tuple[str, ...], Array]:
    """Names and numbers; without names they are q1, q2, ..., a single one estimate."""
    if isinstance(values, dict):
        values = pd.Series(values, dtype=np.float64)
    names: Sequence[Any] | None = list(values.index) if isinstance(values, pd.Series) else None
    numbers = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if numbers.ndim != 1:
        raise ValueError("estimates are not one-dimensional")
    if names is None:
        n = len(numbers)
        names = ["estimate"] if n == 1 else [f"q{i}" for i in range(1, n + 1)]
    return tuple(str(name) for name in names), numbers


def _check_covariance(found: Estimates) -> None:
    """Refuse what is no covariance matrix, where it is known; a constant has variance 0."""
    covariance = found.covariance
    if not np.isfinite(covariance).all():
        return
    sd = np.sqrt(np.diag(covariance))
    scale = np.outer(sd, sd)
    odd = np.abs(covariance - covariance.T) > ROUNDING * scale
    if odd.any():
        i, j = np.argwhere(odd)[0]
        raise ValueError(
            f"the analysis gave a covariance that is not symmetric: {covariance[i, j]:.6g} and "
            f"{covariance[j, i]:.6g} of {found.terms[i]} and {found.terms[j]}."
        )
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    least = float(np.linalg.eigvalsh(correlation)[0])
    if least < -ROUNDING * len(sd) or (np.abs(covariance[scale == 0]) > 0).any():
        raise ValueError(
            "the analysis gave a matrix that is no covariance: some combination of its terms has "
            "a negative variance (are correlations, or standard errors, in it?)."
        )


def _checked(found: Estimates) -> Estimates:
    variances = np.diag(found.covariance)
    bad = ~np.isfinite(found.values) | ~np.isfinite(variances) | (variances < 0)
    if bad.any() or len(found.terms) == 0:
        names = [name for name, wrong in zip(found.terms, bad, strict=True) if wrong]
        raise ValueError(
            f"the analysis gave no finite estimate with a variance for {names or 'any term'}."
        )
    if len(set(found.terms)) < len(found.terms):
        raise ValueError(f"the analysis gave terms {list(found.terms)}, expected each name once.")
    _check_covariance(found)
    return found
