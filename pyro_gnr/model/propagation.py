r"""Expectation propagation in a factor analysis: holes tell of cells that are not seen.

f = W z + mu + e as in `linear`. What a hole tells of a cell is approximated by a Gaussian factor
(a site), such that the cell has the mean and variance that it has given the hole and all else.

Source: Minka 2001; Rasmussen & Williams 2006, section 3.6.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyro_gnr.model.linear import LinearModel, latent_posterior, outer_rows, regression

__all__ = [
    "Cells",
    "Posterior",
    "Sites",
    "average",
    "cavity_of",
    "infer",
    "matched",
    "maximise",
    "no_sites",
]

# Weakest information of a hole about its cell, and how far its factor moves in a step.
SMALLEST_PRECISION = 1e-6
DAMPING = 0.7


class Cells(NamedTuple):
    """What is known of the features.

    Attributes:
        x: (N, F) standardised features, 0 where not visible.
        visible: (N, F), 1 where the feature is seen, else 0.
        masked: (N, F), 1 where it is missing and a hole tells of its value, else 0.
    """

    x: Tensor
    visible: Tensor
    masked: Tensor


class Sites(NamedTuple):
    """Gaussian factors of the masked cells on their x: precision and value, each (N, F)."""

    precision: Tensor
    value: Tensor


class Posterior(NamedTuple):
    """z: mean (N, L) and covariance (N, L, L); W z + mu: mean and variance, each (N, F)."""

    mean: Tensor
    covariance: Tensor
    fitted: Tensor
    spread: Tensor


def no_sites(cells: Cells) -> Sites:
    """Give factors that say nothing."""
    nothing = torch.zeros_like(cells.x)
    return Sites(nothing + SMALLEST_PRECISION, nothing)


def infer(cells: Cells, sites: Sites, model: LinearModel) -> Posterior:
    """Give what is known of a row's factors, and of its cells without their noise."""
    noise = model.noise + 1.0 / sites.precision
    precision = cells.visible / model.noise + cells.masked / noise
    seen = cells.visible * cells.x + cells.masked * sites.value
    mean, covariance = latent_posterior(seen, precision, model)
    w = model.loadings
    spread = covariance.flatten(1) @ outer_rows(w).T
    return Posterior(mean, covariance, mean @ w.T + model.intercept, spread)


def cavity_of(posterior: Posterior, sites: Sites, model: LinearModel) -> tuple[Tensor, Tensor]:
    """Mean and variance of each masked x without its own factor, (N, F)."""
    own = 1.0 / (model.noise + 1.0 / sites.precision)
    without = (1.0 / posterior.spread.clamp(min=1e-9) - own).clamp(min=1e-6)
    mean = (posterior.fitted / posterior.spread.clamp(min=1e-9) - own * sites.value) / without
    return mean, 1.0 / without + model.noise


def matched(
    given_mean: Tensor, given_variance: Tensor, cavity: tuple[Tensor, Tensor], sites: Sites
) -> Sites:
    """Move factors towards those with which x has given moments, from its cavity; all (N, F)."""
    mean, variance = cavity
    precision = 1.0 / given_variance.clamp(min=1e-4 * variance) - 1.0 / variance
    precision = precision.clamp(min=SMALLEST_PRECISION)
    pull = given_mean * (precision + 1.0 / variance) - mean / variance
    new = DAMPING * precision + (1 - DAMPING) * sites.precision
    mixed = DAMPING * pull + (1 - DAMPING) * sites.precision * sites.value
    return Sites(new, mixed / new)


def maximise(
    cells: Cells,
    *,
    sites: Sites,
    model: LinearModel,
    posterior: Posterior,
    ridge: float | Tensor = 0.0,
) -> LinearModel:
    """Regress the completed features on z: E[x_j | z] = share (w z + mu) + (1 - share) value."""
    n, latent_dim = posterior.mean.shape
    covariance = posterior.covariance.flatten(1)
    z1 = torch.cat([posterior.mean, posterior.mean.new_ones(n, 1)], 1)
    second = z1.unsqueeze(-1) * z1.unsqueeze(-2)
    second[:, :latent_dim, :latent_dim] += posterior.covariance
    seen, counted = cells.visible > 0, cells.visible + cells.masked
    share = 1.0 / (1.0 + sites.precision * model.noise)
    mean = torch.where(seen, cells.x, share * posterior.fitted + (1 - share) * sites.value)
    share = torch.where(seen, 0.0, share)
    # E[x z1'] = E[x] z1' + share Cov(w z, z'), the second only for cells that are not seen.
    cross = (counted * mean).T @ z1
    carried = ((counted * share).T @ covariance).unflatten(1, posterior.covariance.shape[1:])
    cross[:, :latent_dim] += (carried @ model.loadings.unsqueeze(-1)).squeeze(-1)
    weights = regression(counted, second, cross, ridge=ridge)
    loadings = weights[:, :latent_dim]
    own = (loadings.unsqueeze(-1) * model.loadings.unsqueeze(-2)).flatten(1)
    residual = (mean - z1 @ weights.T).square() + share * model.noise
    residual = residual + share.square() * posterior.spread
    residual = residual + covariance @ outer_rows(loadings).T - 2 * share * (covariance @ own.T)
    noise = (counted * residual).sum(0) / counted.sum(0).clamp(min=1.0)
    return LinearModel(loadings, weights[:, latent_dim], noise.clamp(min=1e-6))


def average(sites: Sites, masked: Tensor) -> tuple[Tensor, Tensor]:
    """What a hole says on average: value and noise of a pseudo-observation, each (F,)."""
    total = masked.sum(0).clamp(min=1.0)
    precision = ((masked * sites.precision).sum(0) / total).clamp(min=SMALLEST_PRECISION)
    value = (masked * sites.precision * sites.value).sum(0) / total / precision
    return value, 1.0 / precision
