"""Estimators as in scikit-learn, fitted to a column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.base import clone

from pyro_gnr.imputation.pooling.frames import as_pandas

__all__ = ["EstimatorFit"]


class EstimatorFit:
    """An estimator and the columns that it is fitted to; called with a table it fits a clone.

    Args:
        estimator: has `fit(X, y)`; never changed.
        target: name of the column that it predicts.
        features: names of the columns that it predicts it from; all others if None.

    Raises:
        ValueError: no target is given.

    Example:
        >>> import pandas as pd
        >>> from sklearn.linear_model import BayesianRidge
        >>> table = pd.DataFrame({"y": [1.0, 2.1, 3.9, 3.0], "x": [0.0, 1.0, 3.0, 2.0]})
        >>> EstimatorFit(BayesianRidge(), target="y")(table).coef_.round(2).item()
        0.96
    """

    def __init__(
        self, estimator: Any, *, target: str | None, features: Sequence[str] | None = None
    ) -> None:
        if target is None:
            raise ValueError(f"{type(estimator).__name__} needs target=, the column it predicts.")
        self.estimator = estimator
        self.target = target
        self.features = None if features is None else list(features)

    def __call__(self, table: Any) -> Any:
        """Fit a clone to a table.

        Raises:
            ValueError: the table lacks a column that is named.
        """
        frame = as_pandas(table)
        wanted = [self.target, *(self.features or [])]
        missing = [name for name in wanted if name not in frame]
        if missing:
            raise ValueError(f"the table has no column {missing}, only {list(frame.columns)}.")
        rest = frame.drop(columns=self.target)
        X = rest if self.features is None else rest[self.features]
        return clone(self.estimator).fit(X, frame[self.target])
