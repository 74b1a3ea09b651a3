r"""How much wider a member's noise is in rows that it was not fitted to.

A fit lies close to its rows: with p parameters a column the noise variance of least squares is
short by p/n of itself, and that of a member of an ensemble by 2p/n, as it lies close to the
weights of its rows, too. Draws are then too narrow, by a few percent: ranks of removed cells show
it, the coverage of intervals hardly. Where the fit is a network, stopped early, p is not its
number of weights. The ensemble knows it: where a row weighs more, what it says of the noise falls.
With omega_gn the weight of row n in member g, and S_gn = d log p(row n) / d log s_j there (of a
normal r^2 - 1, r the standardised residual),

    k_j = - sum_n Cov_g(omega_gn, S_gn), over the rows that show column j,
    p_j = (k_j - q_j) / c_j,  c_j = -E[dS / d log s_j],  q_j = -E[S dS / d log s_j] / c_j.

k_j is the optimism of Efron, in units of S; q_j is what s_j itself adds to it, which does not make
it small (of a normal without latents c = q = 2). As p_j is uncertain, and wild where latents leave
little to say of s_j, p is the median of all columns, and c_j a quarter of what it is without
latents at least. Scales are multiplied by exp(p / n_j), at most by a tenth, and so variances by
about 1 + 2p / n_j: where more is asked for, terms of second order and errors of p are as large.

Source: Efron 2004, JASA 99 (optimism as a covariance); Efron & Tibshirani 1993, ch. 17.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from pyro_gnr.data import Table
from pyro_gnr.imputation.fitted import FittedModel
from pyro_gnr.imputation.settings import evenly_spaced

__all__ = ["lost_parameters", "without_optimism"]

# Rows that are looked at, at most: of more, p/n is next to nothing.
ROWS = 1000
# A column with fewer of them says nothing of p.
FEWEST = 10
# Least of c, so that a column that says next to nothing of its scale asks for no p without end.
LEAST_CURVATURE = 0.5
# Most that a scale grows on the logarithm.
MOST = 0.1


def without_optimism(fitted: FittedModel, table: Table, weights: Tensor) -> FittedModel:
    """Give an ensemble whose noise is as wide as new rows would show it.

    Args:
        fitted: an ensemble.
        table: the training table.
        weights: (G, N) of its rows in each member.
    """
    rows = evenly_spaced(len(table.keys), ROWS)
    scores, curvature = fitted.scale_scores(table, rows).cpu().double()
    visible = torch.from_numpy(table.visible)
    p = lost_parameters(
        weights[:, rows].double(), scores, curvature=curvature, visible=visible[rows],
        share=len(rows) / len(table.keys),
    )  # fmt: skip
    factor = (p / visible.sum(0).clamp(min=1)).clamp(max=MOST).exp()
    members = copy.deepcopy(fitted.members)
    for member in members:
        member.model.x_given_u.inflate(factor.to(fitted.device))
    return replace(fitted, members=members)


def lost_parameters(
    weights: Tensor, scores: Tensor, *, curvature: Tensor, visible: Tensor, share: float = 1.0
) -> float:
    """Give p, the parameters of a column by which noise is too small; at least 0.

    Args:
        weights: (G, N) of rows in members.
        scores: (G, N, D) S; 0 in hidden cells, and in columns without a scale.
        curvature: (G, N, D) -dS / d log s_j, likewise.
        visible: (N, D) bool.
        share: of the rows that members were fitted to these N are.

    Example:
        A mean of 200 numbers, and their standard deviation:

        >>> rng = torch.Generator().manual_seed(0)
        >>> weights = torch.empty(500, 200).exponential_(generator=rng)
        >>> weights = weights / weights.mean(1, keepdim=True)
        >>> x = torch.randn(200, generator=rng)
        >>> centred = x - (weights * x).mean(1, keepdim=True)
        >>> r2 = (centred**2 / (weights * centred**2).mean(1, keepdim=True)).unsqueeze(-1)
        >>> every = torch.ones(200, 1, dtype=torch.bool)
        >>> p = lost_parameters(weights, r2 - 1, curvature=2 * r2, visible=every)
        >>> round(p, 1)
        1.0
    """
    counts = visible.sum(0)
    c = (curvature.mean(0).sum(0) / counts.clamp(min=1)).clamp(min=LEAST_CURVATURE)
    q = (scores * curvature).mean(0).sum(0) / counts.clamp(min=1) / c
    centred = scores - scores.mean(0)
    k = -torch.einsum("gn,gnd->d", weights - weights.mean(0), centred) / (len(weights) - 1)
    p = (k / share - q) / c
    known = (counts >= FEWEST) & curvature.any(0).any(0) & p.isfinite()
    return max(0.0, p[known].quantile(0.5).item()) if known.any() else 0.0
