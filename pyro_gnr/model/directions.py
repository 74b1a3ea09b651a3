"""By which tail of its values each column masks itself, where that is to be found.

Three explanations of a column's holes are compared: its own high or low values, chance alone, and
the visible values of other columns. A likelihood of observed data can tell them apart only as far
as the shape of the distribution is believed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.masked_linear import MaskedLinear, flat_support, masked_factor_analysis
from pyro_gnr.model.propagation import Cells

__all__ = ["directed_factor_analysis"]

# Of the least squares by which other columns explain holes, a row.
RIDGE = 1e-3
NEWTON_STEPS = 25


@torch.no_grad()
def directed_factor_analysis(
    cells: Cells,
    *,
    sign: Tensor,
    start: LinearModel,
    slope: float = 1.0,
    steps: int = 60,
    smallest_noise: float | Tensor = 0.01,
) -> MaskedLinear:
    """Fit `masked_factor_analysis` with the best direction for each column without one.

    Args:
        cells: the features.
        sign: (F,) 1, -1 or 0, see there; NaN where the best of the three is to be found: 0 for
            a column whose holes other columns explain better, and for all of them if that is
            so on the whole (by AIC).
        start: linear model of the visible cells.
        slope: |c| at the start.
        steps: EM steps.
        smallest_noise: floor of the noise variances.

    Returns:
        The fitted model.
    """

    def fit(sign: Tensor) -> MaskedLinear:
        return masked_factor_analysis(
            cells, sign=sign, start=start, slope=slope, steps=steps, smallest_noise=smallest_noise
        )

    if not sign.isnan().any():
        return fit(sign)
    # Each column by itself: what the others assume matters little to which tail is cut off.
    high, low = (fit(sign.nan_to_num(s)) for s in (1.0, -1.0))
    support = torch.maximum(high.support, low.support)
    free = sign.isnan() & (cells.masked.sum(0) > 0)
    earned = _earned(cells, support - flat_support(cells, start), free)
    best = torch.where(high.support >= low.support, 1.0, -1.0).to(sign)
    best = torch.where(free, torch.where(earned, best, 0.0), sign.nan_to_num(1.0))
    return high if torch.equal(best, sign.nan_to_num(1.0)) else fit(best)


def _earned(cells: Cells, gain: Tensor, free: Tensor) -> Tensor:
    """Whether a direction is worth what it takes, (F,), by what it gains in log-likelihood.

    A threshold takes two numbers more than a constant chance; reasons that lie in other columns
    take one each. A wrong threshold is worse than none, so that it has to win twice: in its own
    column, and on the whole, which says more than noisy single columns do.
    """
    n, n_features = cells.x.shape
    gain, others = gain - 2.0, _gain_of_others(cells) - (n_features - 1)
    return (gain > math.log(n) - 2.0) & (gain > others) & (gain[free].sum() > others[free].sum())


def _gain_of_others(cells: Cells) -> Tensor:
    """How well the visible values of other features predict each feature's holes, (F,).

    A log-likelihood beside that of a constant chance, of a logistic regression on one number: the
    least-squares prediction by features that are 0 where they are not seen. Each is without its
    own feature, by downdating one inverse.
    """
    n, n_features = cells.x.shape
    design = torch.cat([cells.x * cells.visible, cells.x.new_ones(n, 1)], 1)
    ridge = torch.full_like(design[0], RIDGE * n)
    ridge[-1] = 0.0
    inverse = torch.linalg.inv(design.T @ design + ridge.diag())
    weights = inverse @ (design.T @ cells.masked)
    own = torch.arange(n_features, device=design.device)
    weights = weights - inverse[:, :n_features] * (weights[own, own] / inverse[own, own])
    score = design @ weights
    score = (score - score.mean(0)) / score.std(0).clamp(min=1e-6)
    rate = cells.masked.mean(0).clamp(1e-6, 1 - 1e-6)
    flat = n * (rate * rate.log() + (1 - rate) * (1 - rate).log())
    gain = _log_likelihood(*_logistic(score, cells.masked), score, cells.masked) - flat
    return torch.where(cells.masked.any(0), gain, 0.0)


def _logistic(score: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Intercepts and slopes (F,) of logistic regressions of m on a score, both (N, F)."""
    intercept = torch.logit(m.mean(0).clamp(1e-3, 1 - 1e-3))
    slope = torch.zeros_like(intercept)
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(intercept + slope * score)
        v = (p * (1 - p)).clamp(min=1e-6)
        a, b, c = v.sum(0), (v * score).sum(0), (v * score.square()).sum(0) + RIDGE
        g, h = (m - p).sum(0), ((m - p) * score).sum(0)
        det = (a * c - b.square()).clamp(min=1e-9)
        intercept = intercept + ((c * g - b * h) / det).clamp(-1.0, 1.0)
        slope = slope + ((a * h - b * g) / det).clamp(-1.0, 1.0)
    return intercept, slope


def _log_likelihood(intercept: Tensor, slope: Tensor, score: Tensor, m: Tensor) -> Tensor:
    log_odds = intercept + slope * score
    return (m * logsigmoid(log_odds) + (1 - m) * logsigmoid(-log_odds)).sum(0)
