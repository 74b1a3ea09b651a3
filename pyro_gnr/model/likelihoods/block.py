"""The likelihood of a mixed table: blocks of columns of one kind, in one distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from pyro.distributions.score_parts import ScoreParts
from pyro.distributions.torch_distribution import MaskedDistribution, TorchDistribution
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from pyro_gnr.data.columns.kinds import Bounds
from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.transport import restrict, shows_value, transport

__all__ = ["Block", "BlockLikelihood", "Columnwise"]


class Block(NamedTuple):
    """A distribution, batch (..., C), and the positions (C,) of its columns in the table.

    `filler` is a value with finite density, to stand in cells that are not seen.
    """

    distribution: Distribution
    columns: Tensor
    filler: float = 0.0


class Columnwise(TorchDistribution):
    r"""Independent columns, each block with its own family: prod_j p_j(x_j), batch (..., D).

    Args:
        blocks: disjoint blocks that together hold columns 0, ..., D - 1.
        order: (D,) place of each column among the blocks' columns laid side by side.

    Example:
        >>> from torch.distributions import Bernoulli, Normal
        >>> normal = Block(Normal(torch.zeros(5, 1), 1.0), torch.tensor([1]))
        >>> coin = Block(Bernoulli(torch.full((5, 1), 0.5)), torch.tensor([0]))
        >>> Columnwise([normal, coin], torch.tensor([1, 0])).log_prob(torch.zeros(5, 2)).shape
        torch.Size([5, 2])
    """

    arg_constraints = {}
    support = constraints.real
    has_rsample = False

    def __init__(self, blocks: Sequence[Block], order: Tensor) -> None:
        self.blocks = list(blocks)
        self.order = order
        lead = self.blocks[0].distribution.batch_shape[:-1]
        super().__init__(torch.Size((*lead, len(order))), validate_args=False)

    def side_by_side(self, parts: Sequence[Tensor]) -> Tensor:
        """Put the blocks' parts (..., C) into the order of the columns, (..., D)."""
        together = parts[0] if len(parts) == 1 else torch.cat(list(parts), -1)
        return together[..., self.order]

    def expand(self, batch_shape: Shape, _instance: Columnwise | None = None) -> Columnwise:
        """Broadcast to a larger batch shape (..., D)."""
        lead = torch.Size(batch_shape)[:-1]
        blocks = [
            b._replace(distribution=b.distribution.expand((*lead, len(b.columns))))
            for b in self.blocks
        ]
        return Columnwise(blocks, self.order)

    def mask(self, mask: Tensor | bool) -> MaskedDistribution:
        """Give the columns with log p_j = 0 in the cells where the mask (..., D) is False."""
        return super().mask(mask) if isinstance(mask, bool) else MaskedColumns(self, mask)

    def filled(self, value: Tensor, seen: Tensor) -> Tensor:
        """Put harmless values into the cells of values (..., D) where `seen` (..., D) is False."""
        fillers = [value.new_full((len(b.columns),), b.filler) for b in self.blocks]
        return torch.where(seen, value, self.side_by_side(fillers))

    def log_prob(self, value: Tensor) -> Tensor:
        """Give log p_j(x_j), (..., D), for values (..., D)."""
        return self.side_by_side(
            [b.distribution.log_prob(value[..., b.columns]) for b in self.blocks]
        )

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., D)."""
        return self._float([b.distribution.sample(torch.Size(sample_shape)) for b in self.blocks])

    def transport(self, uniforms: Tensor) -> Tensor:
        """Map uniforms (..., D) to a draw (..., D), column by column."""
        return self._float(
            [transport(b.distribution, uniforms[..., b.columns]) for b in self.blocks]
        )

    def restricted(self, value: Tensor) -> Columnwise:
        """Give p(x | what values (..., D) leave open of x), column by column."""
        blocks = [
            Block(restrict(b.distribution, value[..., b.columns]), b.columns) for b in self.blocks
        ]
        return Columnwise(blocks, self.order)

    def exact(self, value: Tensor) -> Tensor:
        """Say which values (..., D) are numbers or levels, and not codes of intervals."""
        return self.side_by_side(
            [shows_value(b.distribution, value[..., b.columns]) for b in self.blocks]
        )

    def _float(self, parts: Sequence[Tensor]) -> Tensor:
        return self.side_by_side([part.to(torch.get_default_dtype()) for part in parts])


class MaskedColumns(MaskedDistribution):
    """Columns of which some cells do not count, whatever stands in them.

    Pyro's mask drops log p_j after it was computed: a density that is infinite or not defined at
    what stands in an unseen cell (the logarithm of 0) would still make the gradients NaN. Here
    such cells hold a harmless value before log p_j is computed.

    Made by `Columnwise.mask`.
    """

    def mask(self, mask: Tensor | bool) -> MaskedDistribution:
        """Drop more cells."""
        if isinstance(mask, bool):
            return super().mask(mask)
        return MaskedColumns(self.base_dist, self._mask & mask)

    def log_prob(self, value: Tensor) -> Tensor:
        """Give log p_j(x_j) of the cells that count and 0 for others, (..., D)."""
        return super().log_prob(self.base_dist.filled(value, self._mask))

    def score_parts(self, value: Tensor) -> ScoreParts:
        """Give what Pyro's score-function estimators ask for, likewise."""
        return super().score_parts(self.base_dist.filled(value, self._mask))


@transport.register
def _(distribution: Columnwise, uniforms: Tensor) -> Tensor:
    return distribution.transport(uniforms)


@restrict.register
def _(distribution: Columnwise, value: Tensor) -> Columnwise:
    return distribution.restricted(value)


class BlockLikelihood(nn.Module):
    """p(x | u) of a mixed table: one likelihood a block of columns.

    Args:
        likelihoods: built likelihoods.
        columns: for each of them the positions of its columns; together 0, ..., D - 1.
    """

    order: Tensor

    def __init__(
        self, likelihoods: Sequence[Likelihood], columns: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        self.likelihoods = nn.ModuleList(likelihoods)
        for i, positions in enumerate(columns):
            self.register_buffer(f"columns_{i}", torch.tensor(positions), persistent=False)
        order = torch.tensor([j for positions in columns for j in positions]).argsort()
        self.register_buffer("order", order, persistent=False)

    def parts(self) -> list[Likelihood]:
        """Give the likelihoods, in the order of `positions`."""
        return list(self.likelihoods)  # type: ignore[arg-type]

    def positions(self, i: int) -> Tensor:
        """Give the positions (C,) of the columns of the i-th likelihood."""
        return self.get_buffer(f"columns_{i}")

    def bounds(self) -> list[Bounds]:
        """Give the hard bounds of each of the D columns, in the caller's units."""
        found: list[Bounds] = [(-math.inf, math.inf)] * len(self.order)
        for i, like in enumerate(self.parts()):
            for j in self.positions(i).tolist():
                found[j] = like.bounds
        return found

    def scale_scores(self, u: Tensor, x: Tensor, *, visible: Tensor) -> Tensor:
        """Give d log p(x_j | u) / d log s_j and minus its derivative, (2, ..., D).

        Both are 0 in hidden cells and in columns whose likelihood has no scale s_j.

        Args:
            u: (..., H).
            x: (N, D).
            visible: (N, D) bool.
        """
        found = u.new_zeros(2, *u.shape[:-1], len(self.order))
        for i, like in enumerate(self.parts()):
            if isinstance(like, LocationScale):
                at = self.positions(i)
                known = torch.where(visible[:, at], x[:, at], like.filler)
                found[..., at] = torch.stack(like.scale_score(u, known)) * visible[:, at]
        return found

    def inflate(self, factor: Tensor) -> None:
        """Multiply the scales of columns that have one by (D,)."""
        for i, like in enumerate(self.parts()):
            if isinstance(like, LocationScale):
                like.inflate(factor[self.positions(i)])

    def forward(self, u: Tensor) -> Columnwise:
        """Give p(x | u), batch (..., D), for u (..., H)."""
        blocks = [
            Block(like(u), self.positions(i), like.filler) for i, like in enumerate(self.parts())
        ]
        return Columnwise(blocks, self.order)
