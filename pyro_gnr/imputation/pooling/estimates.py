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


# Of a covariance, in units of its standard errors: what is less is rounding.
GROSS = 0.01
# Of the largest variance, beside a variance of 0.
TINY = 1e-12
EXPECTED = (
    "expected a pair (estimates, covariance), a table with the columns term, estimate and "
    "std.error, a fitted statsmodels model, or a fitted estimator with coef_ and standard errors"
)


def as_estimates(output: Any, *, n_rows: int | None = None) -> Estimates:
    """Read what an analysis returned.

    Args:
        output: (estimates, covariance) or (estimates, covariance, degrees of freedom), where
            estimates are a number, an array (p,), a Series or a dict, and the covariance is
            (p, p), or (p,) variances, also a dict of these; a tidy table; results of statsmodels;
            or a fitted estimator as in scikit-learn that has standard errors. Where estimates and
            covariance both have labels these say what belongs together, otherwise their order
            does.
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
    if isinstance(output[1], dict):
        output = (output[0], pd.Series(output[1], dtype=np.float64), *output[2:])
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
    if (np.isfinite(np.diag(covariance)) & (np.diag(covariance) >= 0)).all():
        _check_covariance(terms, covariance)
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


def _check_covariance(terms: Sequence[str], covariance: Array) -> None:
    """Refuse what cannot be a covariance matrix, where it is known.

    Rounding is no matter, nor is a negative variance of some combination of terms, which robust
    estimators can give: terms by themselves are right then, and `wald` looks at combinations.
    """
    sd = np.sqrt(np.diag(covariance))
    scale, rounding = np.outer(sd, sd), TINY * sd.max(initial=0.0) ** 2
    apart = np.abs(covariance - covariance.T) > GROSS * scale + rounding
    beyond = np.abs(covariance) > (1 + GROSS) * scale + rounding
    for odd, why in ((apart, "it is not symmetric"), (beyond, "a correlation is beyond 1")):
        if odd.any():
            i, j = np.argwhere(odd)[0]
            raise ValueError(
                f"the analysis gave what is no covariance matrix: {why} ({covariance[i, j]:.6g} "
                f"and {covariance[j, i]:.6g} for {terms[i]} and {terms[j]}, whose standard errors "
                f"are {sd[i]:.6g} and {sd[j]:.6g}). Are correlations or standard errors in it?"
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
    return found
