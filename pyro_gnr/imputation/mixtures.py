r"""The predictive mixture sum_k w_k p(x_j | u_k) of every cell: point, quantiles, levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.subsets import subset
from pyro_gnr.model.transport import bracket, cdf, smallest_count

__all__ = ["Blend", "Mixture", "Particles", "blend"]

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

    def given(self, values: Tensor, cells: Tensor) -> Mixture:
        """Condition on some cells: each weight is multiplied by their density.

        Args:
            values: (N, D).
            cells: (N, D) bool, which of them are known.
        """
        columns = self.columns
        density = columns.log_prob(columns.filled(values, cells))
        gain = torch.where(cells, density, 0.0).sum(-1).nan_to_num(nan=-torch.inf)
        weights = (self.weights.log() + gain).softmax(0)
        # Where no particle can have made them, they say nothing.
        return Mixture(torch.where(weights.isnan(), self.weights, weights), columns)

    def column_chances(self, j: int) -> Tensor:
        """Give P(level), (N, levels), of one column of levels."""
        block = next(b for b in self.columns.blocks if (b.columns == j).any())
        place = int((block.columns == j).nonzero())
        return self._levels(block.distribution)[..., place].T

    def quantiles(self, probabilities: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Give quantiles (Q, N, D) by bisection of the mixture's CDF; NaN for levels.

        Those of counts are whole: the smallest number whose CDF reaches the probability.

        Args:
            probabilities: (Q,), each in (0, 1).
            wanted: (N, D) bool, False where quantiles are not needed (they may be NaN, which
                saves time); None wants all.
        """
        return _quantiles((self,), probabilities, wanted)

    def _levels(self, distribution: Distribution) -> Tensor:
        """P(level) under the mixture, (levels, N, C)."""
        support = distribution.enumerate_support(expand=False)
        return torch.stack(
            [(self.weights.unsqueeze(-1) * distribution.log_prob(v).exp()).sum(0) for v in support]
        )


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
        return _modes_or(means, self.level_probabilities(most)) if most else means

    def level_probabilities(self, most: int) -> Tensor:
        """Give P(level), (N, D, most); NaN for numbers, 0 beyond a column's own levels."""
        weights = self.weights.unsqueeze(-1)
        found = [(weights * (self.values == level)).sum(0) for level in range(most)]
        shape = (*self.values.shape[1:], most)
        stacked = torch.stack(found, -1) if found else self.weights.new_zeros(shape)
        return torch.where((self.levels > 0)[:, None], stacked, torch.nan)

    def quantiles(self, probabilities: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Give quantiles (Q, N, D) of the weighted points, wanted or not; NaN for levels."""
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


class Blend(NamedTuple):
    """The same of several mixtures in equal parts, those of an ensemble's members.

    Attributes:
        parts: mixtures of the same cells.
    """

    parts: tuple[Mixture, ...]

    def point(self) -> Tensor:
        """Give means of numbers and modes of levels, (N, D)."""
        means = torch.stack([part.point() for part in self.parts]).mean(0)
        blocks = self.parts[0].columns.blocks
        most = max((_count_levels(block.distribution) for block in blocks), default=0)
        return _modes_or(means, self.level_probabilities(most)) if most else means

    def level_probabilities(self, most: int) -> Tensor:
        """Give P(level), (N, D, most); NaN for numbers, 0 beyond a column's own levels."""
        return torch.stack([part.level_probabilities(most) for part in self.parts]).mean(0)

    def quantiles(self, probabilities: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Give quantiles as those of a `Mixture`, by bisection of the mean CDF."""
        return _quantiles(self.parts, probabilities, wanted)


def blend(parts: Sequence[Mixture | Particles]) -> Mixture | Particles | Blend:
    """Mix in equal parts what members of an ensemble say of the same cells.

    Example:
        >>> one, two = torch.tensor([[1.0]]), torch.tensor([[[1.0]]])
        >>> levels = torch.tensor([0])
        >>> halves = [Particles(one, two, levels), Particles(one, 3 * two, levels)]
        >>> blend(halves).point()
        tensor([[2.]])
    """
    if len(parts) == 1:
        return parts[0]
    points = [part for part in parts if isinstance(part, Particles)]
    if points:
        weights = torch.cat([part.weights for part in points]) / len(points)
        return Particles(weights, torch.cat([part.values for part in points]), points[0].levels)
    return Blend(tuple(part for part in parts if isinstance(part, Mixture)))


def has_levels(distribution: Distribution) -> bool:
    """Say whether a distribution has finitely many values, such as the levels of a column."""
    return bool(distribution.has_enumerate_support)


def _modes_or(means: Tensor, chances: Tensor) -> Tensor:
    """Modes of columns with levels, whose chances (N, D, S) are numbers, and means of others."""
    modes = chances.nan_to_num().argmax(-1).to(means.dtype)
    return torch.where(chances[..., 0].isnan(), means, modes)


def _count_levels(distribution: Distribution) -> int:
    return len(distribution.enumerate_support(expand=False)) if has_levels(distribution) else 0


def _quantiles(
    mixtures: Sequence[Mixture], probabilities: Tensor, wanted: Tensor | None
) -> Tensor:
    """Quantiles (Q, N, D) of mixtures in equal parts."""
    first = mixtures[0]
    parts = []
    for i, block in enumerate(first.columns.blocks):
        shape = (len(probabilities), first.weights.shape[1], len(block.columns))
        part = first.weights.new_full(shape, torch.nan)
        if not has_levels(block.distribution):
            cells = part[0].isnan() if wanted is None else wanted[:, block.columns]
            own = [(m.weights, m.columns.blocks[i].distribution) for m in mixtures]
            _fill(part, own, probabilities, cells)
        parts.append(part)
    return first.columns.side_by_side(parts)


# Weights (K, ...) and the batch of distributions that they weigh.
Weighted = tuple[Tensor, Distribution]


def _fill(part: Tensor, own: list[Weighted], probabilities: Tensor, cells: Tensor) -> None:
    """Write quantiles of some cells (N, C) into a part (Q, N, C)."""
    rows, cols = cells.nonzero(as_tuple=True)
    if len(rows) == 0:
        return
    index = (slice(None), rows, cols)
    chosen = [(w[:, rows], s) for w, d in own if (s := subset(d, index)) is not None]
    for q, p in enumerate(probabilities.tolist()):
        if len(chosen) < len(own):
            part[q] = _quantile([(w.unsqueeze(-1), d) for w, d in own], p).to(part)
        else:
            part[q, rows, cols] = _quantile(chosen, p).to(part)


def _mean(own: Sequence[Weighted], of: Callable[[Distribution], Tensor]) -> Tensor:
    """Mean over particles and members."""
    total = sum((w * of(d)).sum(0) for w, d in own)
    assert isinstance(total, Tensor)
    return total / len(own)


def _quantile(own: Sequence[Weighted], p: float) -> Tensor:
    """Quantile over members and the first dimension of weights and batch."""
    support = own[0][1].support
    assert support is not None  # every univariate distribution has one
    if support.is_discrete:
        return _count_quantile(own, p)
    # The mixture's quantile lies between the smallest and the largest of the particles'.
    ends = [bracket(distribution, p) for _, distribution in own]
    low = torch.stack([smallest.amin(0) for smallest, _ in ends]).amin(0)
    high = torch.stack([largest.amax(0) for _, largest in ends]).amax(0)
    # Particles can disagree by orders of magnitude about positive numbers.
    logarithmic = support in POSITIVE
    if logarithmic:
        low, high = low.log(), high.log()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        value = middle.exp() if logarithmic else middle
        below = _mean(own, partial(_cdf_at, value)) < p
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    middle = (low + high) / 2
    return middle.exp() if logarithmic else middle


def _cdf_at(value: Tensor, distribution: Distribution) -> Tensor:
    return cdf(distribution, value)


def _count_quantile(own: Sequence[Weighted], p: float) -> Tensor:
    mean = _mean(own, lambda distribution: distribution.mean)
    found = smallest_count(
        lambda k: _mean(own, partial(_cdf_at, k)),
        torch.full_like(mean, p, dtype=torch.float64),
        guess=mean,
    )
    return found.to(mean.dtype)
