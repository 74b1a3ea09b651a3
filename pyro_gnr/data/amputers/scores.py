"""Scores that decide which cells are more likely to go missing than others in their column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.amputers.base import Direction
from pyro_gnr.data.source import SourceTable

__all__ = ["combinations", "signed"]


def combinations(
    table: SourceTable,
    sources: Sequence[int],
    targets: Sequence[int],
    *,
    direction: Direction,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Combine columns at random, one combination for each column that loses cells.

    s_j = sum_{k != j} w_jk x~_k over its standard deviation, w_jk ~ N(0, 1) up to sign.

    Args:
        table: the table that is to get holes.
        sources: columns k, of which at least one besides each target varies.
        targets: columns j.
        direction: signs of w_jk; random always for columns of more than two levels.
        rng: source of the weights.

    Returns:
        (N, T) of mean 0 and variance 1; the score of a column does not depend on its own values.
    """
    total = np.zeros((table.n_rows, len(targets)))
    for k in sources:
        # A generator of its own: what is drawn for one column must not move with another's levels.
        own = np.random.default_rng(rng.integers(2**63))
        features = table.features(k)
        weights = own.normal(size=(features.shape[1], len(targets)))
        if features.shape[1] == 1:
            weights = signed(weights, direction)
        weights[:, np.equal(targets, k)] = 0.0
        total += features @ weights
    return total / total.std(axis=0)


def signed(weights: NDArray[np.float64], direction: Direction) -> NDArray[np.float64]:
    """Make all weights positive ("high") or negative ("low"); leave "random" ones as they are.

    Example:
        >>> signed(np.array([-2.0, 1.0]), "low")
        array([-2., -1.])
    """
    if direction == "random":
        return weights
    return np.abs(weights) if direction == "high" else -np.abs(weights)
