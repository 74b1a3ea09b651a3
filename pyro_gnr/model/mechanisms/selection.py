"""Selection: the chance of a hole depends on all of the row's values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

from pyro_gnr.data import Column
from pyro_gnr.model.conditionals import tanh_network
from pyro_gnr.model.features import Features
from pyro_gnr.model.mechanisms.base import LOGIT_PER_PROBIT, Mechanism, coins, inverse_rates

__all__ = ["Selection"]


class Selection(Mechanism):
    r"""logit P(m_j = 1 | x) = r_j(x), linear in all columns, its own included.

    Missing values are drawn from p(x | u) for each particle, and weighted by how well they
    explain the holes. Training starts at self-masking where a column's own value explains its
    holes better than the other columns do, in that column and in all on the whole, see
    `model.directions`.

    *Identified* rarely: each column's own effect, the other columns' effects and a flexible
    p(x | u) can stand in for one another. Its authors call it agnostic and report that it is often
    led astray. *Fails* silently in the same way as self-masking does, and with more freedom to.
    Prefer it only where the holes depend on several values and no simpler mechanism is credible.

    Args:
        hidden: units in the two hidden layers of a network that is added to r; 0 leaves it linear.

    Raises:
        ValueError: `hidden` is no whole number >= 0.

    Source: Ipsen, Mattei & Frellsen 2021 (arXiv 2006.12871), "agnostic".

    Example:
        >>> from pyro_gnr.data import Kind
        >>> columns = [Column(name, Kind.CONTINUOUS, "float64") for name in "ab"]
        >>> mechanism = Selection()
        >>> mechanism.build(columns, 4, rates=torch.tensor([0.8, 1.0]))
        >>> mechanism(torch.zeros(7, 4), torch.zeros(7, 2)).batch_shape
        torch.Size([7])
    """

    assumption = "holes depend on all values of their row, on missing ones too"
    has_holes: Tensor

    def __init__(self, *, hidden: int = 0) -> None:
        super().__init__()
        given: object = hidden
        if not (isinstance(given, (int, np.integer)) and given >= 0) or isinstance(given, bool):
            raise ValueError(f"got hidden={hidden!r}, expected a whole number >= 0.")
        self.hidden = hidden

    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make r, constant at the observed rates at the start."""
        self.features = Features(columns)
        n_in, n_out = self.features.out_dim, len(columns)
        self.linear = nn.Linear(n_in, n_out)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(inverse_rates(rates))
        hidden = self.hidden
        self.network = tanh_network(n_in, n_out, hidden, zero=True) if hidden else None
        self.register_buffer("has_holes", rates < 1.0)

    def calibrate(self, features: Features) -> None:
        """Standardise the values as the guide does."""
        self.features.load_state_dict(features.state_dict())

    def signs(self) -> Tensor:
        """The own value's direction is to be found."""
        return torch.where(self.has_holes, torch.nan, 0.0)

    @torch.no_grad()
    def start_own(self, columns: Tensor, *, slope: Tensor, threshold: Tensor) -> None:
        """Start some columns, see `Mechanism`, with the logistic for the normal CDF."""
        first = torch.searchsorted(self.features.column, columns)
        mean, scale = self.features.mean[first], self.features.scale[first]
        self.linear.weight[columns, first] = -LOGIT_PER_PROBIT * slope * scale
        self.linear.bias[columns] = LOGIT_PER_PROBIT * slope * (threshold - mean)

    def forward(self, u: Tensor, x: Tensor | None) -> TorchDistribution:
        """Give independent Bernoullis, event (D,), for a complete x; u plays no part."""
        assert x is not None
        features, _ = self.features(x, torch.ones_like(x, dtype=torch.bool))
        log_odds = self.linear(features)
        if self.network is not None:
            log_odds = log_odds + self.network(features)
        return coins(log_odds, self.has_holes)
