r"""SQUAREM: fixed-point steps, such as EM's, with leaps along the path they take.

EM is slow where factors and noise share a variance between them: from 50 steps of factor analysis
2,000 rows of five columns lacked 18 nats of the likelihood's maximum, and what was imputed showed
it (`bench_coverage.py`). From theta, two steps give r = theta_1 - theta and
v = (theta_2 - theta_1) - r; the leap is theta + 2 a r + a^2 v with a = |r| / |v|, then one more
step. It is taken if the objective does not fall, and theta_2 is kept if it does.

Source: Varadhan & Roland 2008, scheme SqS3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["squarem"]

# Leaps of length 1 end at the second step. The longest allowed grows while they succeed.
LONGEST, GROWTH, LIMIT = 4.0, 4.0, 256.0


def squarem(
    step: Callable[[Tensor], tuple[Tensor, float]],
    start: Tensor,
    *,
    cycles: int,
    tolerance: float,
) -> Tensor:
    """Repeat cycles of two steps, a leap and a step.

    Args:
        step: gives the next parameters, and the objective (to be maximised) at the given ones.
        start: parameters, one vector.
        cycles: at most; each takes three steps.
        tolerance: gain of the objective in a cycle below which the search ends.

    Returns:
        The last parameters.

    Example:
        >>> slow = lambda t: (t - 0.01 * torch.tensor([1.0, 0.5]) * t, -t.square().sum().item())
        >>> far = squarem(slow, torch.tensor([1.0, 1.0]), cycles=50, tolerance=0.0)
        >>> far.norm().item() < 1e-3  # 150 plain steps come to .22, .47
        True
    """
    here, before, longest = start, -math.inf, LONGEST
    for _ in range(cycles):
        one, value = step(here)
        if value - before < tolerance:
            return one
        before = value
        two, _ = step(one)
        change = one - here
        bend = (two - one) - change
        length = (change.norm() / bend.norm().clamp(min=1e-30)).clamp(1.0, longest)
        far = here + 2 * length * change + length.square() * bend
        leapt, reached = _try(step, far)
        fell = not reached >= value  # NaN has fallen
        here = two if fell else leapt
        if length >= longest:
            longest = max(longest / GROWTH, 1.0) if fell else min(longest * GROWTH, LIMIT)
    return here


def _try(step: Callable[[Tensor], tuple[Tensor, float]], far: Tensor) -> tuple[Tensor, float]:
    """Take a step from where a leap ends, which may be nowhere."""
    try:
        return step(far)
    except torch.linalg.LinAlgError:
        return far, -math.inf
