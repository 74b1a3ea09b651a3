r"""The predictive mixture sum_k w_k p(x_j | u_k) of every cell: point, quantiles, levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyro_gnr.model.likelihoods.beta import OpenBeta
from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.likelihoods.censored import CensoredNormal
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated
from pyro_gnr.model.skew_normal import ExtendedSkewNormal, LogSkewNormal
from pyro_gnr.model.tilting import Atoms, Tilted
from pyro_gnr.model.transport import bracket, cdf, smallest_count
from pyro_gnr.model.truncation import TruncatedNormal

__all__ = ["Mixture", "Particles"]

# Halvings of the bracket: 2^-30 of its width is below float32's resolution.
BISECTIONS = 30
POSITIVE = (constraints.positive, constraints.nonnegative)
# By what some of a batch of distributions can be taken.
PARAMETERS: dict[type, tuple[str, ...]] = {
    dist.Normal: ("loc", "scale"),
    dist.StudentT: ("df", "loc", "scale"),
    dist.LogNormal: ("loc", "scale"),
    dist.Gamma: ("concentration", "rate"),
    OpenBeta: ("concentration1", "concentration0"),
    dist.Poisson: ("rate",),
    dist.NegativeBinomial: ("total_count", "logits"),
}


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

    def quantiles(self, probabilities: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Give quantiles (Q, N, D) by bisection of the mixture's CDF; NaN for levels.

        Those of counts are whole: the smallest number whose CDF reaches the probability.

        Args:
            probabilities: (Q,), each in (0, 1).
            wanted: (N, D) bool, False where quantiles are not needed (they may be NaN, which
                saves time); None wants all.
        """
        parts = []
        for block in self.columns.blocks:
            shape = (len(probabilities), self.weights.shape[1], len(block.columns))
            part = self.weights.new_full(shape, torch.nan)
            if not has_levels(block.distribution):
                cells = part[0].isnan() if wanted is None else wanted[:, block.columns]
                self._fill(part, block.distribution, probabilities, cells)
            parts.append(part)
        return self.columns.side_by_side(parts)

    def _fill(
        self, part: Tensor, distribution: Distribution, probabilities: Tensor, cells: Tensor
    ) -> None:
        """Write quantiles of some cells (N, C) into a part (Q, N, C)."""
        rows, cols = cells.nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        chosen = _select(distribution, (slice(None), rows, cols))
        for q, p in enumerate(probabilities.tolist()):
            if chosen is None:
                part[q] = _quantile(self.weights.unsqueeze(-1), distribution, p).to(part)
            else:
                part[q, rows, cols] = _quantile(self.weights[:, rows], chosen, p).to(part)

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


def has_levels(distribution: Distribution) -> bool:
    """Say whether a distribution has finitely many values, such as the levels of a column."""
    return bool(distribution.has_enumerate_support)


def _quantile(weights: Tensor, distribution: Distribution, p: float) -> Tensor:
    """Quantile over the first dimension of weights and batch."""
    support = distribution.support
    assert support is not None  # every univariate distribution has one
    if support.is_discrete:
        return _count_quantile(weights, distribution, p)
    # The mixture's quantile lies between the smallest and the largest of the particles'.
    smallest, largest = bracket(distribution, p)
    low, high = smallest.amin(0), largest.amax(0)
    # Particles can disagree by orders of magnitude about positive numbers.
    logarithmic = support in POSITIVE
    if logarithmic:
        low, high = low.log(), high.log()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        value = middle.exp() if logarithmic else middle
        below = (weights * cdf(distribution, value)).sum(0) < p
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    middle = (low + high) / 2
    return middle.exp() if logarithmic else middle


def _count_quantile(weights: Tensor, distribution: Distribution, p: float) -> Tensor:
    mean = (weights * distribution.mean).sum(0)
    found = smallest_count(
        lambda k: (weights * cdf(distribution, k)).sum(0),
        torch.full_like(mean, p, dtype=torch.float64),
        guess=mean,
    )
    return found.to(mean.dtype)


def _select(distribution: Distribution, index: tuple[Any, ...]) -> Distribution | None:
    """Take some of a batch; None where it is not known how, such as for a class of the user's."""
    if type(distribution) is ZeroInflated:
        base = _select(distribution.base_dist, index)
        gate = distribution.gate_logits[index]
        return None if base is None else ZeroInflated(base, gate_logits=gate, validate_args=False)
    if isinstance(distribution, CensoredNormal):
        distribution = distribution.normal
    if isinstance(distribution, TruncatedNormal):
        loc, scale, lower, upper = (
            getattr(distribution, n)[index] for n in ("loc", "scale", "lower", "upper")
        )
        return TruncatedNormal(loc, scale, lower=lower, upper=upper)
    if isinstance(distribution, ExtendedSkewNormal):
        parts = (distribution.loc, distribution.scale, distribution.slope, distribution.offset)
        return ExtendedSkewNormal(*(part[index] for part in parts))
    if isinstance(distribution, LogSkewNormal):
        logs = _select(distribution.logs, index)
        assert isinstance(logs, ExtendedSkewNormal)
        return LogSkewNormal(logs)
    if isinstance(distribution, (Tilted, Atoms)):
        shape = (len(distribution.nodes), *distribution.batch_shape)
        nodes = distribution.nodes.expand(shape)[(slice(None), *index)]
        log_mass = distribution.mass[(slice(None), *index)].log()
        return type(distribution)(nodes, log_mass)
    names = PARAMETERS.get(type(distribution))
    if names is None:
        return None
    chosen = {n: getattr(distribution, n).expand(distribution.batch_shape)[index] for n in names}
    return type(distribution)(**chosen, validate_args=False)
