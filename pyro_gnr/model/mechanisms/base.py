"""What a mechanism is: the distribution of the holes."""

from __future__ import annotations

from abc import abstractmethod

from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

__all__ = ["Mechanism"]


class Mechanism(nn.Module):
    """p(m | u, x), m = 1 where a cell is observed; abstract.

    A subclass takes hyperparameters only in its constructor (kept under their own names), makes
    its parameters in `build`, and returns the distribution of m from `forward`.
    """

    @abstractmethod
    def build(self, u_dim: int, rates: Tensor) -> None:
        """Make the parameters.

        Args:
            u_dim: H.
            rates: (D,) observed share of each column in training, in (0, 1]; a column with rate
                1 has no hole to learn from and carries no factor.
        """

    @abstractmethod
    def forward(
        self, u: Tensor, x: Tensor, observed: Tensor | None = None
    ) -> TorchDistribution | None:
        """Give p(m | u, x), event (D,); None where the holes are ignored.

        Args:
            u: (..., H).
            x: (..., D); where `observed` is given, 0 in cells that are not observed.
            observed: (N, D); None while the model generates from complete x.
        """
