"""The standard normal prior."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.model.priors.base import Prior

__all__ = ["StandardNormal"]


class StandardNormal(Prior):
    r"""The standard normal prior p(z) = N(0, I).

    *Choose it* unless there is a reason not to: the decoder can bend it into other shapes, the
    linear start is exact under it, and it is the prior of the paper. *Costs* nothing.

    Source: Kingma & Welling, ICLR 2014 (arXiv 1312.6114).

    Example:
        >>> prior = StandardNormal()
        >>> prior.build(3)
        >>> prior().event_shape
        torch.Size([3])
    """

    zero: Tensor

    def build(self, latent_dim: int) -> None:
        """Set L."""
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> dist.Independent:
        """Give N(0, I), event (L,)."""
        return dist.Normal(self.zero, torch.ones_like(self.zero), validate_args=False).to_event(1)
