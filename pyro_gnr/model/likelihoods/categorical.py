"""Categorical likelihood of columns with unordered levels."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.bernoulli import STEEPEST, steepened
from pyro_gnr.model.linear import LinearModel

__all__ = ["Categorical"]


class Categorical(Likelihood):
    r"""x_j | u ~ Categorical(softmax(eta_j1(u), ..., eta_jn(u))) for a column of n levels.

    Columns of different numbers of levels share one distribution: logits beyond a column's own
    levels are minus infinity.

    Example:
        >>> likelihood = Categorical()
        >>> columns = [Column("a", Kind.CATEGORICAL, "str", levels=("p", "q", "r"))]
        >>> likelihood.build(columns, u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).probs.shape
        torch.Size([7, 1, 3])
    """

    kinds = frozenset({Kind.CATEGORICAL, Kind.BINARY})
    natural_kind = Kind.CATEGORICAL
    place: Tensor
    valid: Tensor
    feature: Tensor
    opposite: Tensor
    binary: Tensor

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """One a level."""
        return sum(_n_levels(c) for c in columns)

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head and the map from its outputs to (C, most levels)."""
        super().build(columns, u_dim)
        counts = torch.tensor([_n_levels(c) for c in columns])
        level = torch.arange(int(counts.max()))
        valid = level < counts[:, None]
        first = counts.cumsum(0) - counts
        self.register_buffer("valid", valid, persistent=False)
        self.register_buffer(
            "place", torch.where(valid, first[:, None] + level, 0), persistent=False
        )
        # The feature of each level; a binary column has one, that of its second level.
        binary = torch.tensor([c.kind is Kind.BINARY for c in columns])
        features = torch.where(binary, 1, counts)
        column = torch.repeat_interleave(torch.arange(len(columns)), counts)
        own = torch.arange(len(column)) - first[column]
        feature = (features.cumsum(0) - features)[column] + torch.where(binary[column], 0, own)
        self.register_buffer("feature", feature, persistent=False)
        self.register_buffer("binary", binary[column], persistent=False)
        self.register_buffer("opposite", binary[column] & (own == 0), persistent=False)

    def distribution(self, parameters: Tensor) -> dist.Categorical:
        """Give Categorical(logits), batch (..., C), from parameters (..., P)."""
        logits = torch.where(self.valid, parameters[..., self.place], -torch.inf)
        return dist.Categorical(logits=logits, validate_args=False)

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where the log-probabilities, linearised at the mean, agree with the model.

        Those of a binary column then differ by the log-odds that `Bernoulli` starts from.
        """
        p = scale.mean[self.feature]
        p = torch.where(self.opposite, 1.0 - p, p).clamp(1e-3, 1 - 1e-3)
        slope = torch.where(self.opposite, -1.0, 1.0) * scale.scale[self.feature] / p
        loadings = (slope[:, None] * linear.loadings[self.feature]).clamp(-STEEPEST, STEEPEST)
        bias = p.log()
        two = self.binary
        odds, spread = steepened(
            (slope / (1.0 - p))[two, None] * linear.loadings[self.feature[two]]
        )
        loadings[two], bias[two] = (1.0 - p)[two, None] * odds, spread * bias[two]
        self._start_head(slice(None), loadings, bias)


def _n_levels(column: Column) -> int:
    return len(column.levels or ())
