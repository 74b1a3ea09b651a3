r"""The predictive mixture sum_k w_k p(x_j | u_k) of every cell: point, quantiles, levels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.transport import bracket, cdf

__all__ = ["Mixture", "Particles"]

# Halvings of the bracket: 2^-30 of its width is below float32's resolution.
BISECTIONS = 30


class Mixture(NamedTuple):
    """Mixture over particles of the columns of N rows.

    Attributes:
        weights: (K, N), each row sums to 1.
        columns: batch (K, N, D).

    Example:
        >>> from torch.distributions import Normal
        >>> from pyro_gnr.model.likelihoods.block import Block
        >>> block = Block(Normal(torch.tensor([[[0.0]], [[4.0]]]), 1.0), torch.tensor([0]))
        >>> mixture = Mixture(torch.tensor([[0.5], [0.5]]), Columnwise([block], torch.tensor([0])))
        >>> mixture.point()
        tensor([[2.]])
        >>> round(mixture.quantiles(torch.tensor([0.5])).item(), 3)
        2.0
    """

    weights: Tensor
    columns: Columnwise

    def point(self) -> Tensor:
        """Give means of numbers and modes of levels, (N, D)."""
        parts = []
        for block in self.columns.blocks:
            if has_levels(block.distribution):
                parts.append(self._levels(block.distribution).argmax(0).to(self.weights.dtype))
            else:
                parts.append((self.weights.unsqueeze(-1) * block.distribution.mean).sum(0))
        return self.columns.side_by_side(parts)

    def level_probabilities(self, most: int) -> Tensor:
        """Give P(level), (N, D, most); NaN for numbers, 0 beyond a column's own levels."""
        parts = []
        for block in self.columns.blocks:
            n_rows, n = self.weights.shape[1], len(block.columns)
            if has_levels(block.distribution):
                found = self._levels(block.distribution)
                part = torch.zeros(most, n_rows, n, dtype=found.dtype, device=found.device)
                part[: min(most, len(found))] = found[:most]
            else:
                part = self.weights.new_full((most, n_rows, n), torch.nan)
            parts.append(part)
        return self.columns.side_by_side(parts).movedim(0, -1)

    def quantiles(self, probabilities: Tensor) -> Tensor:
        """Give quantiles (Q, N, D) by bisection of the mixture's CDF; NaN for levels."""
        parts = []
        for block in self.columns.blocks:
            if has_levels(block.distribution):
                shape = (len(probabilities), self.weights.shape[1], len(block.columns))
                parts.append(self.weights.new_full(shape, torch.nan))
            else:
                found = [self._quantile(block.distribution, p) for p in probabilities.tolist()]
                parts.append(torch.stack(found))
        return self.columns.side_by_side(parts)

    def _levels(self, distribution: Distribution) -> Tensor:
        """P(level) under the mixture, (levels, N, C)."""
        support = distribution.enumerate_support(expand=False)
        return torch.stack(
            [(self.weights.unsqueeze(-1) * distribution.log_prob(v).exp()).sum(0) for v in support]
        )

    def _quantile(self, distribution: Distribution, p: float) -> Tensor:
        # The mixture's quantile lies between the smallest and the largest of the particles'.
        smallest, largest = bracket(distribution, p)
        low, high = smallest.amin(0), largest.amax(0)
        weights = self.weights.unsqueeze(-1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = (weights * cdf(distribution, middle)).sum(0) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2


class Particles(NamedTuple):
    """The same of values that were drawn with the particles: a mixture of points.

    Attributes:
        weights: (K, N), each row sums to 1.
        values: (K, N, D) completed rows.
        levels: (D,) number of levels of each column; 0 for numbers.

    Example:
        >>> values = torch.tensor([[[0.0]], [[4.0]]])
        >>> Particles(torch.tensor([[0.25], [0.75]]), values, torch.tensor([0])).point()
        tensor([[3.]])
    """

    weights: Tensor
    values: Tensor
    levels: Tensor

    def point(self) -> Tensor:
        """Give means of numbers and modes of levels, (N, D)."""
        means = (self.weights.unsqueeze(-1) * self.values).sum(0)
        most = int(self.levels.max())
        if most == 0:
            return means
        modes = self.level_probabilities(most).nan_to_num().argmax(-1).to(means.dtype)
        return torch.where(self.levels > 0, modes, means)

    def level_probabilities(self, most: int) -> Tensor:
        """Give P(level), (N, D, most); NaN for numbers, 0 beyond a column's own levels."""
        weights = self.weights.unsqueeze(-1)
        found = [(weights * (self.values == level)).sum(0) for level in range(most)]
        shape = (*self.values.shape[1:], most)
        stacked = torch.stack(found, -1) if found else self.weights.new_zeros(shape)
        return torch.where((self.levels > 0)[:, None], stacked, torch.nan)

    def quantiles(self, probabilities: Tensor) -> Tensor:
        """Give quantiles (Q, N, D) of the weighted points; NaN for levels."""
        ordered, order = self.values.movedim(0, -1).sort(-1)
        weights = self.weights.T.unsqueeze(1).expand(order.shape).gather(-1, order)
        below = weights.double().cumsum(-1)
        below = (below / below[..., -1:]).contiguous()
        found = []
        for p in probabilities.tolist():
            at = torch.full_like(below[..., :1], p)
            i = torch.searchsorted(below, at).clamp(max=below.shape[-1] - 1)
            found.append(ordered.gather(-1, i).squeeze(-1))
        return torch.where(self.levels > 0, torch.nan, torch.stack(found))


def has_levels(distribution: Distribution) -> bool:
    """Say whether a distribution has finitely many values, such as the levels of a column."""
    return bool(distribution.has_enumerate_support)
