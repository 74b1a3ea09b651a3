"""Covariances of which only variances are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["only_variances"]


def only_variances(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a covariance matrix (p, p) of which only the diagonal is known, NaN elsewhere."""
    covariance = np.full((len(variances), len(variances)), np.nan)
    np.fill_diagonal(covariance, variances)
    return covariance
