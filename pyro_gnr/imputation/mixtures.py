r"""The predictive mixture sum_k w_k p(x_j | u_k) of every cell: point, quantiles, levels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.transport import cdf, smallest_count, transport

__all__ = ["Mixture"]

# Halvings of the bracket: 2^-30 of its width is below float32's resolution.
BISECTIONS = 30
POSITIVE = (constraints.positive, constraints.nonnegative)


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
        """Give quantiles (Q, N, D) by bisection of the mixture's CDF; NaN for levels.

        Those of counts are whole: the smallest number whose CDF reaches the probability.
        """
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
        support = distribution.support
        assert support is not None  # every univariate distribution has one
        if support.is_discrete:
            return self._count_quantile(distribution, p)
        at = self.weights.new_full(distribution.batch_shape, p, dtype=torch.float64)
        own = transport(distribution, at)
        low, high = own.amin(0), own.amax(0)
        # Particles can disagree by orders of magnitude about positive numbers.
        logarithmic = support in POSITIVE
        if logarithmic:
            low, high = low.log(), high.log()
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self._cdf(distribution, middle.exp() if logarithmic else middle) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        middle = (low + high) / 2
        return middle.exp() if logarithmic else middle

    def _count_quantile(self, distribution: Distribution, p: float) -> Tensor:
        mean = (self.weights.unsqueeze(-1) * distribution.mean).sum(0)
        found = smallest_count(
            lambda k: self._cdf(distribution, k),
            mean.new_full(mean.shape, p, dtype=torch.float64),
            guess=mean,
        )
        return found.to(mean.dtype)

    def _cdf(self, distribution: Distribution, value: Tensor) -> Tensor:
        return (self.weights.unsqueeze(-1) * cdf(distribution, value)).sum(0)


def has_levels(distribution: Distribution) -> bool:
    """Say whether a distribution has finitely many values, such as the levels of a column."""
    return bool(distribution.has_enumerate_support)
