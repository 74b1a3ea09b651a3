"""The conjunction mechanism: holes and values both come from the latent, in parallel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

from pyro_gnr.data import Column
from pyro_gnr.model.mechanisms.base import LOGIT_PER_PROBIT, Mechanism, coins, inverse_rates

__all__ = ["Conjunction"]


class Conjunction(Mechanism):
    r"""p(m | u) = prod_j Bernoulli(m_j; logit^-1(eta_j(u))): GNR's conjunction model.

    x and m are independent given u, so missing values integrate out exactly.

    *Identified* when holes are driven by what the columns share (the latent: a class, a factor,
    health, activity) and every cell had a chance to be observed, p(m_j = 1 | u) > 0.
    *Fails, undetectably*, where a cell is missing because of its own value beyond what the other
    columns and holes tell (self-masking of an idiosyncratic column): then the observed data are
    fitted perfectly and still imputed wrongly. No likelihood and no mask accuracy can show it.

    Source: Chen, Xu, Wang & Yang, CIKM 2023 (arXiv 2308.08158).

    Example:
        >>> from pyro_gnr.data import Kind
        >>> columns = [Column("a", Kind.CONTINUOUS, "float64") for _ in range(2)]
        >>> mechanism = Conjunction()
        >>> mechanism.build(columns, 4, rates=torch.tensor([0.8, 1.0]))
        >>> m = mechanism(torch.zeros(7, 4), torch.zeros(7, 2))
        >>> m.batch_shape, m.event_shape
        (torch.Size([7]), torch.Size([2]))
    """

    has_holes: Tensor
    assumption = "holes depend on what the columns share"
    missing_x = "unused"
    starts_linear = True

    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make one head a column, constant at its observed rate at the start."""
        self.head = nn.Linear(u_dim, len(rates))
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(inverse_rates(rates))
        self.register_buffer("has_holes", rates < 1.0)

    @torch.no_grad()
    def start(self, slopes: Tensor, intercept: Tensor) -> None:
        """Start at a probit of the factors: its curve is that of a steeper logit."""
        self.head.weight[:, : slopes.shape[1]] = LOGIT_PER_PROBIT * slopes
        # A column with hardly a hole among the rows that the start has seen keeps its rate.
        started = (slopes != 0).any(1)
        self.head.bias.copy_(torch.where(started, LOGIT_PER_PROBIT * intercept, self.head.bias))

    def forward(self, u: Tensor, x: Tensor | None) -> TorchDistribution:
        """Give independent Bernoullis, event (D,); x plays no part."""
        return coins(self.head(u), self.has_holes)
