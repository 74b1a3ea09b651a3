"""Priors p(z) of the latent variable."""

from __future__ import annotations

from abc import abstractmethod

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["Prior", "StandardNormal"]


class Prior(nn.Module):
    """A distribution over z in R^L; abstract.

    A subclass takes only hyperparameters in its constructor (kept under their own names), makes
    its parameters in `build`, and returns p(z) from `forward`.
    """

    @abstractmethod
    def build(self, latent_dim: int) -> None:
        """Make the parameters for z of `latent_dim` numbers."""

    @abstractmethod
    def forward(self) -> dist.TorchDistribution:
        """Give p(z), batch (), event (L,)."""


class StandardNormal(Prior):
    r"""The standard normal prior p(z) = N(0, I).

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
