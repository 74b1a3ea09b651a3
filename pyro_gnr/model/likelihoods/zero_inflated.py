"""What the zero-inflated likelihoods share: the distribution, and where its zeros start."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.model.subsets import subset

__all__ = ["ZeroInflated", "excess_zeros"]

# Where the share of excess zeros starts, at least and at most.
GATE_LIMITS = (0.02, 0.8)
SMALLEST = 1e-3


class ZeroInflated(dist.ZeroInflatedDistribution):
    """Pyro's distribution with `gate_logits`, which it can lose.

    Pyro's remembers the probability `gate` once a draw or a mean has asked for it. From then on
    `log_prob` is computed from it, less exactly far out, and `expand` fails.

    Example:
        >>> zeros = ZeroInflated(dist.Poisson(torch.ones(3)), gate_logits=torch.zeros(3))
        >>> zeros.sample().shape, zeros.expand((2, 3)).mean.shape
        (torch.Size([3]), torch.Size([2, 3]))
    """

    @property
    def gate(self) -> Tensor:
        """Probability of an excess zero."""
        return torch.sigmoid(self.gate_logits)


@subset.register
def _(distribution: ZeroInflated, index: tuple[Any, ...]) -> ZeroInflated | None:
    base, gate = subset(distribution.base_dist, index), distribution.gate_logits[index]
    return None if base is None else ZeroInflated(base, gate_logits=gate, validate_args=False)


def excess_zeros(mean: Tensor, zeros: Tensor) -> Tensor:
    """Share of zeros beyond a Poisson distribution's, by moments, within `GATE_LIMITS`.

    Args:
        mean: (C,) means of the counts.
        zeros: (C,) shares of zeros among them.
    """
    # The mean of what is not zero is l / (1 - exp(-l)): a fixed point for l.
    positive = mean / (1.0 - zeros).clamp(min=SMALLEST)
    rate = positive
    for _ in range(50):
        rate = positive * -torch.expm1(-rate)
    return (1.0 - mean / rate.clamp(min=SMALLEST)).clamp(*GATE_LIMITS)
