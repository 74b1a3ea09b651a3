"""Features: the columns of x as standardised numbers, one for each level of a categorical one.

A number goes to the scale on which a linear model makes sense: the logarithm of a positive one,
the log-odds of a bounded one, log(1 + x) of a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.data.columns.column import NUDGE, POSITIVE_LIMITS
from pyro_gnr.model.truncation import NO_LIMIT, TruncatedNormal

__all__ = [
    "FeatureScale",
    "Features",
    "NaturalScale",
    "feature_counts",
    "interval_limits",
    "natural",
]

# A rare level has a standard deviation near 0: without a floor its feature would be huge.
SMALLEST_SCALE = 0.1
# Logarithms and log-odds of numbers that hardly differ are small, and not rare.
SMALLEST_NATURAL_SCALE = 1e-3


class FeatureScale(NamedTuple):
    """Observed mean and (floored) standard deviation of each feature; each (F,)."""

    mean: Tensor
    scale: Tensor


def feature_counts(columns: Sequence[Column]) -> list[int]:
    """Give the number of features of each column: its levels if categorical, else 1."""
    return [len(c.levels or ()) if c.kind is Kind.CATEGORICAL else 1 for c in columns]


def interval_limits(columns: Sequence[Column]) -> Tensor:
    """Give the standardised limits of all intervals, (2, n, C), n >= 1, float64.

    Columns with fewer intervals than others have rows of them without limits; an infinite limit
    is `NO_LIMIT`.

    Example:
        >>> column = Column("a", Kind.CENSORED, "str", scale=2.0, intervals=((1.0, 3.0),))
        >>> interval_limits([column]).tolist()
        [[[0.5]], [[1.5]]]
    """
    most = max(1, *(len(c.intervals) for c in columns))
    limits = np.full((2, most, len(columns)), [[[-np.inf]], [[np.inf]]])
    for j, column in enumerate(columns):
        if column.intervals:
            own = column.standardised(np.array(column.intervals)).T
            limits[:, : own.shape[1], j] = own
    return torch.from_numpy(limits.clip(-NO_LIMIT, NO_LIMIT))


def natural(x: Tensor, kind: Kind) -> Tensor:
    """Bring values of one kind to the scale on which a linear model makes sense; finite for any.

    log(x) of positive numbers, log(x / (1 - x)) of bounded ones, log(1 + x) of counts; values of
    other kinds stay as they are.

    Args:
        x: encoded values.
        kind: of their column.

    Example:
        >>> natural(torch.tensor([0.5, 0.9]), Kind.BOUNDED)
        tensor([0.0000, 2.1972])
    """
    if kind is Kind.POSITIVE:
        return x.clamp(*POSITIVE_LIMITS).log()
    if kind is Kind.BOUNDED:
        return torch.logit(x.clamp(NUDGE, 1.0 - NUDGE))
    return x.clamp(min=0.0).log1p() if kind is Kind.COUNT else x


class NaturalScale(NamedTuple):
    """A map of columns to numbers without units: (natural(x_j) - centre_j) / spread_j.

    Attributes:
        kinds: (D,) kinds of the columns.
        centre: (D,).
        spread: (D,), > 0.

    Example:
        >>> scale = NaturalScale((Kind.POSITIVE,), torch.tensor([1.0]), torch.tensor([2.0]))
        >>> scale(torch.tensor([1.0]))
        tensor([-0.5000])
    """

    kinds: tuple[Kind, ...]
    centre: Tensor
    spread: Tensor

    @property
    def curved(self) -> frozenset[Kind]:
        """Kinds among the columns that `natural` changes."""
        return frozenset({Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT}.intersection(self.kinds))

    def of(self, columns: Tensor) -> NaturalScale:
        """Give the map of some columns (n,)."""
        kinds = tuple(self.kinds[j] for j in columns.tolist())
        return NaturalScale(kinds, self.centre[columns], self.spread[columns])

    def __call__(self, x: Tensor) -> Tensor:
        """Map values (..., D)."""
        for kind in self.curved:
            mine = torch.tensor([k is kind for k in self.kinds], device=x.device)
            x = torch.where(mine, natural(x, kind), x)
        return (x - self.centre) / self.spread


class Features(nn.Module):
    r"""Map of (x, visible) to standardised features and their visibility.

    f = (t(x_j) - mean_f) / scale_f for a column of numbers (t as in `natural`), two levels or
    ordered levels, (1[x_j = l] - mean_f) / scale_f for each level l of a categorical one; 0 where
    the cell is not visible. A cell known to lie in an interval counts as its mean there, under the
    normal that its column is standardised by.

    Args:
        columns: the D modelled columns.

    Example:
        >>> features = Features([Column("a", Kind.CATEGORICAL, "str", levels=("p", "q", "r"))])
        >>> x, visible = torch.tensor([[2.0], [0.0]]), torch.tensor([[True], [False]])
        >>> features(x, visible)[0]
        tensor([[0., 0., 1.],
                [0., 0., 0.]])
    """

    column: Tensor
    level: Tensor
    discrete: Tensor
    middles: Tensor
    censored: Tensor
    mean: Tensor
    scale: Tensor
    smallest: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        counts = feature_counts(columns)
        column = torch.repeat_interleave(torch.arange(len(columns)), torch.tensor(counts))
        level = torch.cat(
            [
                torch.arange(n) if c.kind is Kind.CATEGORICAL else torch.tensor([-1])
                for c, n in zip(columns, counts, strict=True)
            ]
        )
        self.register_buffer("column", column, persistent=False)
        self.register_buffer("level", level, persistent=False)
        levels = torch.tensor([c.levels is not None for c in columns])
        self.register_buffer("discrete", levels[column], persistent=False)
        lower, upper = interval_limits(columns)
        normal = TruncatedNormal(
            torch.zeros(()).double(), torch.ones(()).double(), lower=lower, upper=upper
        )
        self.register_buffer("middles", normal.mean, persistent=False)
        censored = torch.tensor([bool(c.intervals) for c in columns])
        self.register_buffer("censored", censored, persistent=False)
        self.has_intervals = bool(censored.any())
        kinds = [columns[j].kind for j in column.tolist()]
        self._curved = [k for k in (Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT) if k in kinds]
        for kind in self._curved:
            of_kind = torch.tensor([k is kind for k in kinds])
            self.register_buffer(f"is_{kind}", of_kind, persistent=False)
        logs = torch.tensor([k in (Kind.POSITIVE, Kind.BOUNDED) for k in kinds])
        floor = torch.where(logs, SMALLEST_NATURAL_SCALE, SMALLEST_SCALE)
        self.register_buffer("smallest", floor, persistent=False)
        self.register_buffer("mean", torch.zeros(len(column)))
        self.register_buffer("scale", torch.ones(len(column)))

    @property
    def out_dim(self) -> int:
        """F, the number of features."""
        return len(self.column)

    def raw(self, x: Tensor) -> Tensor:
        """Give the features (..., F) of x (..., D) before they are standardised."""
        value = self._numbers(x)[..., self.column]
        for kind in self._curved:
            value = torch.where(self.get_buffer(f"is_{kind}"), natural(value, kind), value)
        return torch.where(self.level < 0, value, (value == self.level).to(x.dtype))

    def _numbers(self, x: Tensor) -> Tensor:
        """Give x with a number in place of each code of an interval."""
        if not self.has_intervals:
            return x
        coded = self.censored & (x >= CODE_BASE)
        place = torch.where(coded, x - CODE_BASE, 0.0).long()
        middles = self.middles[place, torch.arange(x.shape[-1], device=x.device)]
        return torch.where(coded, middles.to(x.dtype), x)

    def fit(self, x: Tensor, visible: Tensor) -> FeatureScale:
        """Learn mean and scale from the visible cells of x (N, D); kept in the state dict."""
        seen = visible[:, self.column]
        raw = self.raw(x)
        total = seen.sum(0).clamp(min=1)
        mean = torch.where(seen, raw, 0.0).sum(0) / total
        variance = torch.where(seen, raw - mean, 0.0).square().sum(0) / total
        self.mean.copy_(mean)
        self.scale.copy_(torch.maximum(variance.sqrt(), self.smallest))
        return FeatureScale(self.mean, self.scale)

    def forward(self, x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Give features (N, F), 0 where not visible, and their visibility (N, F) as numbers."""
        seen = visible[..., self.column]
        standardised = (self.raw(x) - self.mean) / self.scale
        return torch.where(seen, standardised, 0.0), seen.to(x.dtype)
