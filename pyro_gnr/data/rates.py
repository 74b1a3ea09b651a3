"""Probabilities with a given mean: the intercept, or the threshold, that makes it so.

Letters here: N rows, T columns that lose cells; `scores` (N, T) say how much more likely a cell
is to be missing than others in its column.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Link", "check_link", "check_rate", "hard_probabilities", "soft_probabilities"]

Link = Literal["logit", "probit"]
# Inverse link and link.
_LINKS = {"logit": (special.expit, special.logit), "probit": (special.ndtr, special.ndtri)}
# Each step halves the bracket; most columns are as close as this after 40 of them.
_STEPS, _CLOSE = 200, 1e-12


def check_rate(rate: float, *, floor: float = 0.0) -> float:
    """Refuse a missing rate that cannot be reached.

    Args:
        rate: expected share of missing cells in a column.
        floor: least probability of a cell to be missing, and to be observed.

    Raises:
        ValueError: the rate is not in (floor, 1 - floor).
        TypeError: the rate is no number.

    Example:
        >>> check_rate(0.3)
        0.3
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)):
        raise TypeError(f"got rate {rate!r}, expected a number between 0 and 1.")
    if not 0.0 < rate < 1.0:
        raise ValueError(f"got rate {rate!r}, expected a number between 0 and 1, both excluded.")
    if not floor < rate < 1.0 - floor:
        raise ValueError(
            f"got rate {rate!r} with positivity {floor!r}, expected a rate between {floor:g} and "
            f"{1.0 - floor:g}: lower positivity, or choose another rate."
        )
    return float(rate)


def check_link(link: str) -> None:
    """Refuse an unknown link.

    Raises:
        ValueError: it is neither "logit" nor "probit".
    """
    if link not in _LINKS:
        raise ValueError(f"got link {link!r}, expected one of {sorted(_LINKS)}.")


def soft_probabilities(
    scores: NDArray[np.float64],
    rate: float,
    *,
    link: Link = "logit",
    floor: float = 0.0,
    counted: NDArray[np.bool_] | bool = True,
) -> NDArray[np.float64]:
    r"""Solve the intercept of each column, so that the expected rate is the one asked for.

    p_nj = floor + (1 - 2 floor) F(b_j + score_nj), with b_j such that the mean of p_nj over the
    cells of column j that are counted is the rate.

    The mean rises in b_j, and b_j lies between F^-1 of the rate (freed of the floor) minus the
    largest and minus the smallest score of the column: bisection from there cannot fail.

    Args:
        scores: (N, T), finite.
        rate: in (floor, 1 - floor).
        link: F is the logistic function ("logit") or the standard normal cdf ("probit").
        floor: in [0, 0.5).
        counted: (N, T), True in at least one cell of each column: those that the rate is of.

    Returns:
        (N, T) probabilities; the mean of each column's counted cells is the rate up to rounding.

    Example:
        >>> p = soft_probabilities(np.array([[-1.0], [0.0], [4.0]]), 0.3)
        >>> round(float(p.mean()), 9)
        0.3
    """
    inverse, forward = _LINKS[link]
    inner = (rate - floor) / (1.0 - 2.0 * floor)
    low, high = forward(inner) - scores.max(axis=0), forward(inner) - scores.min(axis=0)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        chances = inverse(middle + scores)
        excess = chances.mean(axis=0, where=counted) - inner
        # A column that is done stays as it is: its intercept must not depend on other columns.
        low = np.where(excess <= -_CLOSE, middle, low)
        high = np.where(excess >= _CLOSE, middle, high)
        if (np.abs(excess) < _CLOSE).all():
            break
    return floor + (1.0 - 2.0 * floor) * chances


def hard_probabilities(scores: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Let the cells with the highest scores go missing, as many as the rate says.

    The limit of `soft_probabilities` for an infinite slope: 1 above a threshold, 0 below it. The
    cells at the threshold share what is left of the rate, so that it is met exactly.

    Args:
        scores: (N, T).
        rate: in (0, 1).

    Returns:
        (N, T) probabilities; the mean of each column is the rate up to rounding.

    Example:
        >>> hard_probabilities(np.array([[1.0], [3.0], [2.0], [2.0]]), 0.5).ravel()
        array([0. , 1. , 0.5, 0.5])
    """
    columns = []
    for column in scores.T:
        _, place, counts = np.unique(-column, return_inverse=True, return_counts=True)
        before = np.cumsum(counts) - counts  # cells with higher scores
        share = np.clip((rate * len(column) - before) / counts, 0.0, 1.0)
        columns.append(share[place])
    return np.column_stack(columns)
