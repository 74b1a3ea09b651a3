"""What a mechanism is: the distribution of the holes."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

from pyro_gnr.model.linear import LinearModel

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

    # Whether `start` makes use of a linear model of m; the guide then starts from it, too.
    starts_linear: ClassVar[bool] = False

    def start(self, linear: LinearModel, scale: Tensor) -> None:
        """Start from a linear model of m; by default a mechanism stays as it was built.

        Args:
            linear: of m, each column standardised.
            scale: (D,) standard deviations by which they were.
        """

    @abstractmethod
    def forward(
        self, u: Tensor, x: Tensor | None, observed: Tensor | None = None
    ) -> TorchDistribution | None:
        """Give p(m | u, x), event (D,); None where the holes are ignored.

        Args:
            u: (..., H).
            x: (..., D), complete, while the model simulates; None where rows with holes are
                given: what is missing would have to be integrated out, which no mechanism here
                does yet. A mechanism that needs x fails there rather than being silently wrong.
            observed: (N, D); None while the model simulates.
        """
