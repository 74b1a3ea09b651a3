"""Ordinal likelihood of columns with ordered levels."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.bernoulli import STEEPEST
from pyro_gnr.model.linear import LinearModel

__all__ = ["Ordinal"]

# Cut points are at least this far apart: no level can become impossible.
SMALLEST_STEP = 1e-3
RAREST = 1e-3


class Ordinal(Likelihood):
    r"""P(x_j <= l | u) = logit^-1(c_jl - eta_j(u)), 0 = c_j0 < c_j1 < ...: cumulative logits.

    eta_j is linear in u; where it is high, so are the levels. The cut points c_jl are parameters
    of the column, ordered because their steps are positive by construction; the first is 0, the
    intercept of eta_j places it. Columns of different numbers of levels share one distribution:
    logits beyond a column's own levels are minus infinity.

    Source: McCullagh, JRSS B 1980 (proportional odds).

    Example:
        >>> likelihood = Ordinal()
        >>> columns = [Column("a", Kind.ORDINAL, "category", levels=("low", "mid", "high"))]
        >>> likelihood.build(columns, u_dim=4)
        >>> likelihood(torch.zeros(7, 4)).probs.shape
        torch.Size([7, 1, 3])
    """

    # Pyro's OrderedLogistic subtracts probabilities, which leaves 0 far out; the logarithm of
    # the difference is exact here, and gradients reach from there.
    kinds = frozenset({Kind.ORDINAL})
    counts: Tensor

    def n_parameters(self, columns: Sequence[Column]) -> int:
        """One a column: eta. The cut points do not depend on u."""
        return len(columns)

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head and the steps between cut points, 1 each."""
        super().build(columns, u_dim)
        counts = torch.tensor([len(c.levels or ()) for c in columns])
        self.register_buffer("counts", counts, persistent=False)
        n_steps = max(int(counts.max()) - 2, 0)
        self.raw_steps = nn.Parameter(
            _raw(torch.ones(len(columns), n_steps)), requires_grad=n_steps > 0
        )

    def distribution(self, parameters: Tensor) -> dist.Categorical:
        """Give Categorical(logits), batch (..., C), from parameters eta (..., C)."""
        steps, cuts = self._steps(), self._cuts()  # (C, most - 2), (C, most - 1)
        level = torch.arange(cuts.shape[-1] + 1, device=cuts.device)
        last = self.counts[:, None] - 1
        eta = parameters.unsqueeze(-1)
        # P(l) = s(c_l - eta) s(eta - c_{l-1}) (1 - exp(c_{l-1} - c_l)), s the logistic function;
        # the first and the last level lack what they have no cut point for.
        none = torch.zeros_like(eta)
        not_above = torch.cat([logsigmoid(cuts - eta), none], -1)
        not_below = torch.cat([none, logsigmoid(eta - cuts)], -1)
        zero = steps.new_zeros(len(steps), 1)
        between = torch.cat([zero, torch.log(-torch.expm1(-steps)), zero], -1)[:, : len(level)]
        log_p = (
            torch.where(level < last, not_above, 0.0)
            + not_below
            + torch.where(level < last, between, 0.0)
        )
        logits = torch.where(level <= last, log_p, -torch.inf)
        return dist.Categorical(logits=logits, validate_args=False)

    @torch.no_grad()
    def calibrate(self, x: Tensor, visible: Tensor) -> None:
        """Place the cut points so that at u = 0 levels are as frequent as among visible cells."""
        n_cuts = self._cuts().shape[-1]
        if n_cuts == 0:
            return  # every column has one level
        n = visible.sum(0).clamp(min=1)
        below = torch.stack([(visible & (x <= level)).sum(0) / n for level in range(n_cuts)], -1)
        # Cut points beyond a column's own stay where they are, at equal distances.
        cuts = torch.logit(below.clamp(RAREST, 1.0 - RAREST))
        own = torch.arange(1, n_cuts, device=x.device) < self.counts[:, None] - 1
        steps = torch.where(own, cuts.diff(dim=-1), 1.0)
        self.raw_steps.copy_(_raw(steps.clamp(min=10 * SMALLEST_STEP)))
        self.head.bias.copy_(-cuts[:, 0])

    @torch.no_grad()
    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where the mean level, linearised at u = 0, has the slopes of the linear model."""
        below = torch.sigmoid(self._cuts() - self.head.bias[:, None])
        own = torch.arange(below.shape[-1], device=below.device) < self.counts[:, None] - 1
        slope = torch.where(own, below * (1.0 - below), 0.0).sum(-1)
        slope = scale.scale / slope.clamp(min=RAREST)
        loadings = (slope[:, None] * linear.loadings).clamp(-STEEPEST, STEEPEST)
        self._start_head(slice(None), loadings, self.head.bias.clone())

    def _steps(self) -> Tensor:
        return SMALLEST_STEP + softplus(self.raw_steps)

    def _cuts(self) -> Tensor:
        """Cut points (C, most levels - 1), of which a column uses one less than it has levels."""
        first = self.head.bias.new_zeros(len(self.counts), min(1, int(self.counts.max()) - 1))
        return torch.cat([first, self._steps().cumsum(-1)], -1)


def _raw(steps: Tensor) -> Tensor:
    """Undo `Ordinal._steps`."""
    excess = steps - SMALLEST_STEP
    return excess + torch.log(-torch.expm1(-excess))
