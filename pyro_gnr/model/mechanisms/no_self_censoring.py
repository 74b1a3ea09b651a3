"""No self-censoring: holes depend on the other columns and on the latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

from pyro_gnr.data import Column
from pyro_gnr.model.features import Features
from pyro_gnr.model.mechanisms.base import Mechanism, coins, inverse_rates

__all__ = ["NoSelfCensoring"]


class NoSelfCensoring(Mechanism):
    r"""logit P(m_j = 1 | u, x) = a_j + w_j' f(x_{-j}) + v_j' u: all columns but its own, and u.

    Missing values are drawn from p(x | u) for each particle, and weighted by how well they
    explain the holes of the other columns.

    *Identified* where, given the latent and the other columns, no cell is missing because of its
    own value, and every cell has a chance to be observed. It contains `Conjunction` (w = 0).
    *Fails, undetectably*, under self-masking, which it excludes by what it is.

    Source: Xie, Xue & Wang 2026 (arXiv 2603.24771), who give the holes a latent of their own;
        here u serves both.

    Example:
        >>> from pyro_gnr.data import Kind
        >>> columns = [Column(name, Kind.CONTINUOUS, "float64") for name in "ab"]
        >>> mechanism = NoSelfCensoring()
        >>> mechanism.build(columns, 4, rates=torch.tensor([0.8, 0.5]))
        >>> mechanism(torch.zeros(7, 4), torch.zeros(7, 2)).batch_shape
        torch.Size([7])
    """

    assumption = "holes depend on what the columns share and on all values but their own"
    has_holes: Tensor
    others: Tensor

    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make the weights, all 0 at the start, and the intercepts at the observed rates."""
        self.features = Features(columns)
        self.head = nn.Linear(u_dim, len(columns))
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(inverse_rates(rates))
        self.weight = nn.Parameter(torch.zeros(len(columns), self.features.out_dim))
        others = self.features.column != torch.arange(len(columns))[:, None]
        self.register_buffer("others", others, persistent=False)
        self.register_buffer("has_holes", rates < 1.0)

    def calibrate(self, features: Features) -> None:
        """Standardise the values as the guide does."""
        self.features.load_state_dict(features.state_dict())

    def forward(self, u: Tensor, x: Tensor | None) -> TorchDistribution:
        """Give independent Bernoullis, event (D,), for a complete x."""
        assert x is not None
        features, _ = self.features(x, torch.ones_like(x, dtype=torch.bool))
        return coins(self.head(u) + features @ (self.weight * self.others).T, self.has_holes)
