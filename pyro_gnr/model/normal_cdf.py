"""The logarithm of the normal CDF, with a gradient that is right in the far tail."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["log_ndtr"]

# Below, the first terms of the tail's series are right to ten digits.
FAR = -20.0
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_ndtr(x: Tensor) -> Tensor:
    """Give log Phi(x), gradient included, for any x whose square is finite.

    In single precision the gradient of `torch.special.log_ndtr` (2.13) is 5 % off at -1e3, 65,000
    for 10,000 at -1e4 and 0.4 from -1e5 on, where a column without spread has its values.

    Example:
        >>> x = torch.tensor([-1e5, 0.0], requires_grad=True)
        >>> torch.autograd.grad(log_ndtr(x).sum(), x)[0]
        tensor([1.0000e+05, 7.9788e-01])
    """
    near, far = torch.special.log_ndtr(x.clamp(min=FAR)), x.clamp(max=FAR)
    q = far.reciprocal().square()
    series = torch.log1p(-q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q))))
    tail = -0.5 * far.square() - torch.log(-far) - HALF_LOG_2PI + series
    return torch.where(x < FAR, tail, near)
