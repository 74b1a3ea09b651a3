r"""Imputed numbers and levels moved by delta, each on the scale of the link of its kind.

Numbers are moved as they were drawn, so nothing is drawn or weighed again: the particle, its
weight and the row's other cells stay. A level is kept as often as its new probability allows and
is drawn anew otherwise (maximal coupling), so that it moves no more than it has to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.columns.kinds import Bounds

__all__ = ["FARTHEST", "OWN_UNIT", "moved_chances", "moved_levels", "moved_numbers", "unit"]

Floats = NDArray[np.float64]
# In observed standard deviations, logarithms (a factor of 20) or log-odds: far beyond what anyone
# would call plausible.
FARTHEST = 3.0
OWN_UNIT = "the column's own unit"
LOGARITHMIC = frozenset({Kind.POSITIVE, Kind.COUNT, Kind.CENSORED_LOG})


def unit(column: Column, bounds: Bounds = (-np.inf, np.inf)) -> str:
    """Say in what delta is measured for a column, in words.

    Example:
        >>> unit(Column("income", Kind.POSITIVE, "float64"))
        'log (0.1 is about 10 % more)'
    """
    if column.levels is not None or column.kind is Kind.BOUNDED or np.isfinite(bounds).all():
        return "log-odds"
    if np.isfinite(bounds).any():
        return "log of the distance from the bound"
    if column.kind in LOGARITHMIC:
        return "log (0.1 is about 10 % more)"
    return OWN_UNIT


def moved_numbers(
    column: Column,
    values: Floats,
    delta: Floats,
    *,
    bounds: Bounds = (-np.inf, np.inf),
    uniforms: Floats,
) -> Floats:
    r"""Move encoded numbers by delta on the scale of their link.

    With x in the caller's units: x + delta (identity link: continuous and censored columns);
    x exp(delta) (log link: positive columns, and censored ones on the scale of the logarithm);
    floor(x exp(delta) + v), v uniform, for counts, whose mean is multiplied by exp(delta);
    logit^-1(logit(p) + delta), p the place between the bounds, for bounded columns and those
    truncated on both sides; with one hard bound b below, b + (x - b) exp(delta), and with one
    above, b - (b - x) exp(-delta): up is up everywhere.

    Args:
        column: of numbers.
        values: (M, n) encoded values.
        delta: (M, n); where it is 0 a value stays what it is, bit for bit.
        bounds: hard bounds of its likelihood, in the caller's units.
        uniforms: (M, n) in (0, 1), for counts.

    Returns:
        (M, n) encoded values, in the column's limits.

    Example:
        >>> column = Column("age", Kind.CONTINUOUS, "float64", location=50.0, scale=10.0)
        >>> one = np.ones((1, 1))
        >>> moved_numbers(column, 0 * one, 5 * one, uniforms=one / 2).item()
        0.5
    """
    if column.kind is Kind.POSITIVE:
        moved = values * np.exp(delta)
    elif column.kind is Kind.COUNT:
        moved = np.floor(values * np.exp(delta) + uniforms)
    elif column.kind is Kind.BOUNDED:
        moved = expit(logit(values) + delta)
    elif np.isfinite(bounds).any():
        low, high = ((np.asarray(b) - column.location) / column.scale for b in bounds)
        moved = _between(values, delta, float(low), float(high))
    else:
        moved = values + delta / column.scale
    return np.where(delta == 0.0, values, moved)


def _between(values: Floats, delta: Floats, low: float, high: float) -> Floats:
    """Move encoded values that have hard bounds."""
    if np.isinf(high):
        return low + (values - low) * np.exp(delta)
    if np.isinf(low):
        return high - (high - values) * np.exp(-delta)
    share = (values - low) / (high - low)
    return low + (high - low) * expit(logit(share) + delta)


def moved_chances(chances: Floats, delta: Floats, *, ordered: bool) -> Floats:
    r"""Move probabilities of levels by delta in log-odds.

    Without an order, p'_k is proportional to p_k exp(delta_k). With one, logit P'(level > k) =
    logit P(level > k) + delta: all cumulative log-odds move alike.

    Args:
        chances: (..., S), each adding up to 1.
        delta: (..., S); ordered: (..., 1).
        ordered: whether the levels are ordinal.

    Returns:
        (..., S), adding up to 1.

    Example:
        >>> moved_chances(np.array([0.5, 0.5]), np.array([0.0, np.log(3.0)]), ordered=False)
        array([0.25, 0.75])
    """
    if not ordered:
        with np.errstate(divide="ignore"):
            logits = np.log(chances) + delta
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(odds / odds.sum(-1, keepdims=True))
    # From both ends: 1 - F loses what is rare at the top.
    below = np.cumsum(chances[..., :-1], -1)
    above = np.cumsum(chances[..., :0:-1], -1)[..., ::-1]
    with np.errstate(divide="ignore"):
        log_odds = np.log(above) - np.log(below) + delta
    edges = np.zeros((*np.broadcast_shapes(log_odds.shape[:-1]), 1))
    over = np.concatenate([edges + 1.0, expit(log_odds), edges], -1)
    return np.maximum(over[..., :-1] - over[..., 1:], 0.0)


def moved_levels(codes: Floats, chances: Floats, moved: Floats, uniforms: Floats) -> Floats:
    """Turn draws of levels with some probabilities into draws with others.

    A level k is kept with probability min(1, p'_k / p_k), else drawn from the part of p' that
    lies above p: no coupling of the two keeps more levels (maximal coupling).

    Args:
        codes: (M, n) level codes, drawn with probabilities `chances`.
        chances: (M, n, S) p, or of a shape that broadcasts.
        moved: (M, n, S) p'.
        uniforms: (M, n) in (0, 1).

    Returns:
        (M, n) level codes.

    Example:
        >>> half, certain = np.array([[[0.5, 0.5]]]), np.array([[[0.0, 1.0]]])
        >>> moved_levels(np.zeros((1, 1)), half, certain, np.full((1, 1), 0.3)).item()
        1.0
    """
    chances = np.broadcast_to(chances, moved.shape)
    at = codes.astype(np.intp)[..., None]
    own, new = (np.take_along_axis(p, at, -1)[..., 0] for p in (chances, moved))
    # A level that was drawn has a probability above 0, but for rounding.
    keep = np.minimum(new / np.maximum(own, np.finfo(float).tiny), 1.0)
    gained = np.maximum(moved - chances, 0.0).cumsum(-1)
    # Given that a level is not kept, what is left of the uniform is uniform again.
    rest = (uniforms - keep) / np.maximum(1.0 - keep, np.finfo(float).tiny)
    drawn = (gained < (rest * gained[..., -1])[..., None]).sum(-1)
    drawn = np.minimum(drawn, moved.shape[-1] - 1)
    stays = (uniforms < keep) | (gained[..., -1] == 0.0)
    return np.where(stays, codes, drawn).astype(np.float64)
