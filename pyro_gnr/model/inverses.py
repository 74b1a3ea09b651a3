"""Quantiles where only the CDF is known, and the CDF where only quantiles are: by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["probabilities", "quantiles"]

Map = Callable[[Tensor], Tensor]

# Halvings of a range of 140 units: 1e-10 of one remains, beyond single precision.
HALVINGS = 40
# Searches end here: sinh and exp reach 1e30 and 1e-30, the log-odds 1e-6 of an interval.
REACH, REACH_INSIDE = 69.0, 13.8
# And searches for a probability here: in double precision 1 - Phi(8) is the last but 0.
REACH_SCORE = 8.0


@torch.no_grad()
def quantiles(cdf: Map, uniforms: Tensor, *, support: Any = None) -> Tensor:
    """Find the x with P(X <= x) = u of a continuous distribution.

    Args:
        cdf: P(X <= x) of float64 x, elementwise, in the shape of the uniforms.
        uniforms: u in (0, 1).
        support: constraint whose bounds, if it has any, x stays within; None for all numbers.

    Returns:
        x, float64, shaped as the uniforms.

    Example:
        >>> u = torch.tensor([0.9, 0.975], dtype=torch.float64)
        >>> quantiles(torch.special.ndtr, u)
        tensor([1.2816, 1.9600], dtype=torch.float64)
    """
    place, reach = _line(support)
    u = uniforms.double()
    return place(_largest(lambda t: cdf(place(t)) < u, torch.full_like(u, reach)))


@torch.no_grad()
def probabilities(icdf: Map, value: Tensor) -> Tensor:
    """Find P(X <= x), the largest p whose quantile is at most x.

    Args:
        icdf: quantile of float64 p, elementwise, in the shape of x.
        value: x.

    Returns:
        p in (0, 1), float64, shaped as x.

    Example:
        >>> probabilities(torch.special.ndtri, torch.tensor([0.0, 1.96]))
        tensor([0.5000, 0.9750], dtype=torch.float64)
    """
    ndtr = torch.special.ndtr
    end = torch.full_like(value, REACH_SCORE, dtype=torch.float64)
    return ndtr(_largest(lambda t: icdf(ndtr(t)) <= value, end))


def _largest(holds: Map, end: Tensor) -> Tensor:
    """Find the largest t in (-end, end) up to which something holds."""
    low, high = -end, end
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = holds(middle)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def _line(support: Any) -> tuple[Map, float]:
    """A rising map of (-reach, reach) into a support, as dense near bounds as numbers are."""
    support = getattr(support, "base_constraint", support)  # that of a mixture's components
    lower, upper = (getattr(support, f"{end}_bound", None) for end in ("lower", "upper"))
    if lower is not None and upper is not None:
        return lambda t: lower + (upper - lower) * torch.sigmoid(t), REACH_INSIDE
    if lower is not None:
        return lambda t: lower + t.exp(), REACH
    if upper is not None:
        return lambda t: upper - (-t).exp(), REACH
    return torch.sinh, REACH
