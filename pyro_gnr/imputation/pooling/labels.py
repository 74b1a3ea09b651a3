"""Labels of numbers that belong to terms, and may be in another order than these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

__all__ = ["in_order_of", "labels_of"]


def labels_of(numbers: Any) -> list[str] | None:
    """Give the labels of a Series or dict; None if it has none, or just 0, 1, 2, ...

    Example:
        >>> labels_of(pd.Series({"age": 1.0, "bmi": 2.0})), labels_of(pd.Series([1.0, 2.0]))
        (['age', 'bmi'], None)
    """
    if isinstance(numbers, dict):
        return [str(name) for name in numbers]
    return _labels(numbers.index) if isinstance(numbers, pd.Series) else None


def in_order_of(terms: Sequence[str] | None, numbers: Any, what: str = "a covariance") -> Any:
    """Put labelled numbers in the order of the terms that they belong to.

    Args:
        terms: labels of the estimates; None if they have none.
        numbers: a Series, a square table with labels of rows or columns or both, or anything
            else, whose order is taken as it is; so is that of what has another shape.
        what: what they are, for errors.

    Raises:
        ValueError: they have other labels than the estimates, or labels twice in another order.

    Example:
        >>> covariance = pd.DataFrame([[1.0, 0.5], [0.5, 2.0]], ["b", "a"], ["b", "a"])
        >>> in_order_of(["a", "b"], covariance).to_numpy().tolist()
        [[2.0, 0.5], [0.5, 1.0]]
    """
    if not isinstance(numbers, (pd.Series, pd.DataFrame)) or len(set(numbers.shape)) != 1:
        return numbers
    if terms is None:
        # Estimates are 0, 1, 2, ... then.
        terms = [str(i) for i in range(len(numbers))]
        if sorted(map(str, numbers.index)) != sorted(terms):
            return numbers
    if len(terms) == 1 or len(numbers) != len(terms):
        return numbers
    rows = _labels(numbers.index)
    if isinstance(numbers, pd.Series):
        return numbers.iloc[_order(terms, rows, what)]
    columns = _labels(numbers.columns)
    # Rows and columns of a covariance are the same terms: those with labels speak for the others.
    by_row = _order(terms, columns if rows is None else rows, what)
    by_column = _order(terms, rows if columns is None else columns, what)
    return numbers.iloc[by_row, by_column]


def _labels(index: pd.Index[Any]) -> list[str] | None:
    return None if index.equals(pd.RangeIndex(len(index))) else [str(name) for name in index]


def _order(terms: Sequence[str], labels: list[str] | None, what: str) -> list[int]:
    """Where each term is among the labels."""
    if labels is None or labels == list(terms):
        return list(range(len(terms)))
    if sorted(labels) != sorted(terms) or len(set(labels)) < len(labels):
        raise ValueError(
            f"got {what} with labels {labels}, expected those of the estimates, {list(terms)}, "
            "each once and in any order: give numbers without labels (.to_numpy()) if their "
            "order is that of the estimates."
        )
    return [labels.index(term) for term in terms]
