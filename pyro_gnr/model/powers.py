r"""Powers under which a tail is about that of a normal, for the linear start of self-masking.

A normal whose upper tail is cut off is skewed to the left, as the logarithm of a gamma number is
by itself: on that scale a linear model reads the skewness as a tail that is missing, and its own
tail, exponentiated, is far too heavy. The cube root of a gamma number (Wilson & Hilferty 1931) has
about a normal's tails. For a feature f, standardised logarithms, a power p of the number itself
is, up to place and scale,

    w = (exp(q f) - 1) / q,   q = p scale,

which near the mean is f.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_gnr.model.masked_linear import MaskedLinear

__all__ = ["bent", "unbent"]

# Below this q is 0, and w is f.
STRAIGHTEST = 1e-6
# 1 + q w, the power itself: 0 where f is minus infinity.
SMALLEST_POWER = 0.05


def bent(f: Tensor, q: Tensor) -> Tensor:
    """Give w (..., F) of features (..., F), for q (F,).

    Example:
        >>> bent(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0]))
        tensor([0., 1.])
    """
    straight = q.abs() < STRAIGHTEST
    safe = torch.where(straight, 1.0, q)
    return torch.where(straight, f, torch.expm1(safe * f) / safe)


def unbent(fit: MaskedLinear, q: Tensor) -> MaskedLinear:
    """Give, for features f, about what a fit says of w: linear where a number is about the mean.

    Args:
        fit: to w.
        q: (F,).
    """
    linear = fit.linear
    rate = 1.0 / _power(linear.intercept, q)  # df / dw
    noise = linear.noise * rate.square()
    middle = _back(linear.intercept, q) - 0.5 * q * noise  # E[f] at z = 0, to second order
    linear = linear._replace(
        loadings=linear.loadings * rate[:, None], intercept=middle, noise=noise
    )
    return fit._replace(
        linear=linear,
        slope=fit.slope * _power(fit.threshold, q),
        threshold=_back(fit.threshold, q),
        value=_back(fit.value, q),
        noise=fit.noise * rate.square(),
    )


def _power(w: Tensor, q: Tensor) -> Tensor:
    return (1.0 + q * w).clamp(min=SMALLEST_POWER)


def _back(w: Tensor, q: Tensor) -> Tensor:
    straight = q.abs() < STRAIGHTEST
    return torch.where(straight, w, _power(w, q).log() / torch.where(straight, 1.0, q))
