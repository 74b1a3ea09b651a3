"""What a prior is: the distribution of z, of which everything else is made."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral

from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

from pyro_gnr.model.guide import Encoder
from pyro_gnr.model.part import Part

__all__ = ["Prior", "check_count"]


class Prior(Part):
    """A distribution over z in R^L; abstract.

    A subclass takes only hyperparameters in its constructor (kept under their own names), makes
    its parameters in `build`, and returns p(z) from `forward`. Training departs from the factor
    analysis of the table, whose z is standard normal: a prior that starts near N(0, I) keeps
    that start.
    """

    @abstractmethod
    def build(self, latent_dim: int) -> None:
        """Make the parameters for z of `latent_dim` numbers, L >= 1."""

    def attach(self, encoder: Encoder) -> None:
        """Take note of the guide's encoder, after `build`; only a prior made of it needs to.

        An encoder that is kept becomes a submodule, shared with the guide: copy, move and save
        the two together.

        Args:
            encoder: q(z | x_o, m), built.
        """

    def start(self, x: Tensor, observed: Tensor, visible: Tensor) -> None:
        """Start from training rows, after the encoder did; by default nothing changes.

        Args:
            x: (N, D) values of some rows, in random order.
            observed: (N, D) bool, m.
            visible: (N, D) bool, True where x may be seen.
        """

    @abstractmethod
    def forward(self) -> TorchDistribution:
        """Give p(z), batch (), event (L,)."""


def check_count(name: str, value: object) -> None:
    """Check a hyperparameter that counts something.

    Raises:
        ValueError: the value is no whole number >= 1.

    Example:
        >>> check_count("components", 3)
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"got {name}={value!r}, expected a whole number >= 1.")
