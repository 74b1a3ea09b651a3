"""Features: the columns of x as standardised numbers, one for each level of a categorical one.

A number goes to the scale on which a linear model makes sense: the logarithm of a positive one,
the log-odds of a bounded one, log(1 + x) of a count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    "Units",
    "bend",
    "curve_masks",
    "feature_counts",
    "interval_limits",
    "natural",
    "unnatural",
]

# Kinds that have a natural scale of their own.
CURVED = (Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT)
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


def interval_middles(columns: Sequence[Column]) -> Tensor:
    """Give the mean of a standard normal in each of `interval_limits`, (n, C)."""
    lower, upper = interval_limits(columns)
    zero, one = torch.zeros(()).double(), torch.ones(()).double()
    return TruncatedNormal(zero, one, lower=lower, upper=upper).mean


def _have_intervals(columns: Sequence[Column]) -> Tensor:
    return torch.tensor([bool(c.intervals) for c in columns])


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


def unnatural(y: Tensor, kind: Kind) -> Tensor:
    """Give the values of one kind that `natural` brings to some numbers.

    Example:
        >>> unnatural(torch.tensor([0.0, 2.1972]), Kind.BOUNDED)
        tensor([0.5000, 0.9000])
    """
    if kind is Kind.POSITIVE:
        return y.exp()
    if kind is Kind.BOUNDED:
        return torch.sigmoid(y)
    return y.expm1() if kind is Kind.COUNT else y


class Units(NamedTuple):
    """A map of columns to numbers without units: (natural(x_j) - centre_j) / spread_j.

    Attributes:
        kinds: (D,) kinds of the columns.
        masks: (3, D) bool, which columns are of each kind in `CURVED`; see `curve_masks`.
        centre: (D,).
        spread: (D,), > 0.

    Example:
        >>> kinds = (Kind.POSITIVE,)
        >>> units = Units(kinds, curve_masks(kinds), torch.tensor([1.0]), torch.tensor([2.0]))
        >>> units(torch.tensor([1.0])), units.back(torch.tensor([-0.5]))
        (tensor([-0.5000]), tensor([1.]))
    """

    kinds: tuple[Kind, ...]
    masks: Tensor
    centre: Tensor
    spread: Tensor

    @property
    def curved(self) -> bool:
        """Whether `natural` changes any of the columns."""
        return not frozenset(CURVED).isdisjoint(self.kinds)

    def of(self, columns: Tensor) -> Units:
        """Give the map of some columns (n,)."""
        kinds = tuple(self.kinds[j] for j in columns.tolist())
        return Units(kinds, self.masks[:, columns], self.centre[columns], self.spread[columns])

    def __call__(self, x: Tensor) -> Tensor:
        """Map values (..., D)."""
        return (bend(x, self.kinds, self.masks, natural) - self.centre) / self.spread

    def back(self, y: Tensor) -> Tensor:
        """Give the values (..., D) that are mapped to some numbers; may be infinite."""
        return bend(self.centre + self.spread * y, self.kinds, self.masks, unnatural)


def curve_masks(kinds: Sequence[Kind]) -> Tensor:
    """Say which columns are of each kind in `CURVED`, (3, D)."""
    return torch.tensor([[kind is curved for kind in kinds] for curved in CURVED])


def bend(
    x: Tensor, kinds: Sequence[Kind], masks: Tensor, curve: Callable[[Tensor, Kind], Tensor]
) -> Tensor:
    """Apply a map such as `natural` to values (..., D), to each column by its kind."""
    if len(present := set(kinds)) == 1:  # as in a block: nothing to choose
        return curve(x, *present)
    for kind, mine in zip(CURVED, masks, strict=True):
        if kind in present:
            x = torch.where(mine, curve(x, kind), x)
    return x


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
    curves: Tensor

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
        self.register_buffer("middles", interval_middles(columns), persistent=False)
        self.register_buffer("censored", _have_intervals(columns), persistent=False)
        self.has_intervals = bool(self.censored.any())
        kinds = [columns[j].kind for j in column.tolist()]
        self._kinds = tuple(kinds)
        self.register_buffer("curves", curve_masks(kinds), persistent=False)
        logs = torch.tensor([k in (Kind.POSITIVE, Kind.BOUNDED) for k in kinds])
        floor = torch.where(logs, SMALLEST_NATURAL_SCALE, SMALLEST_SCALE)
        self.register_buffer("smallest", floor, persistent=False)
        self.register_buffer("mean", torch.zeros(len(column)))
        self.register_buffer("scale", torch.ones(len(column)))

    @property
    def out_dim(self) -> int:
        """F, the number of features."""
        return len(self.column)

    def learn_intervals(self, columns: Sequence[Column]) -> None:
        """Know the intervals of the same columns in another table."""
        self.middles = interval_middles(columns).to(self.middles)
        self.censored = _have_intervals(columns).to(self.censored)
        self.has_intervals = bool(self.censored.any())

    def raw(self, x: Tensor) -> Tensor:
        """Give the features (..., F) of x (..., D) before they are standardised."""
        value = self._numbers(x)[..., self.column]
        value = bend(value, self._kinds, self.curves, natural)
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
