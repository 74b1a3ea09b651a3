r"""Factor analysis of values and of their holes, which have factors of their own.

x_f = w_f' s + mu_f + e_f as in `linear`, and m_j = 1 where y_j = a_j' (s, t) + b_j + N(0, 1) > 0,
a probit. Values load on the shared factors s only, holes on s and on their own factors t. What m_j
says of y_j is approximated by a Gaussian factor whose moments agree: expectation propagation, all
cells at once.

Without t, columns that are missing together (nobody without a blood sample has any blood value)
make one of the values' factors into "was missing". Along it the likelihood is flat, or nearly,
since no one with those values was ever seen at its other end: what is imputed there is one or two
standard deviations off, for no reason. With t they are explained by a factor that moves no value,
and the values' factors are left to holes that go with values that were seen.

Source: Minka 2001 (expectation propagation); Albert & Chib 1993 (y of a probit).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pyro_gnr.model.linear import EARLY, LinearModel, factor_analysis
from pyro_gnr.model.normal_cdf import LOG_ROOT_TAU, log_ndtr
from pyro_gnr.model.propagation import (
    Cells,
    Sites,
    average,
    cavity_of,
    infer,
    matched,
    maximise,
    no_sites,
)

__all__ = ["HoleFactors", "hole_factor_analysis", "hole_patterns", "own_factors"]

# Prior precision, a row, of a loading that is to stay 0.
FIXED = 1e6
# The same of a hole on a factor of the values, times its strength w' psi^-1 w: a factor that
# hardly shows in the values is no reason for holes, but free to become one.
HOLE_RIDGE, WEAKEST = 0.01, 1e-3
# The same of a hole on a factor of the holes: what values explain they are to explain. On
# simulated tables 0 left a fifth of a standard deviation to t where one factor, weak in the
# values, drives all holes, and 0.1 left blocks by chance to s.
OWN_RIDGE = 0.02
# Of the factors, one in so many at most is left to the holes; of two, one. Where there is one
# factor, it is the values', and the holes' own one is left out once the others have been found
# beside it.
ONE_IN = 3
# Holes that a column must have to take part, or a tenth of a small table's rows: two columns with
# less that share one are no pattern.
FEWEST = 10
# Rates of columns in which hardly a cell, or nearly all, are missing.
SMALLEST_RATE = 1e-3
# Of an eigenvalue over 1: where a factor is asked for, loadings of 0 would never grow.
SMALLEST_EXCESS = 1e-2


class HoleFactors(NamedTuple):
    """A linear model of values, and a probit one of the holes, of the same factors.

    Attributes:
        values: of the features, (F, L).
        slopes: (D, L) a; 0 for a column without holes, or hardly any.
        intercept: (D,) b.
        value: (2, D) mean of what m_j = 0 and m_j = 1 say of y_j, as pseudo-observations.
        noise: (2, D) variance of these, beside that of y_j, which is 1.
        own: number of factors that are left to the holes.
    """

    values: LinearModel
    slopes: Tensor
    intercept: Tensor
    value: Tensor
    noise: Tensor
    own: int


def own_factors(m: Tensor, most: int, *, exactly: int | None = None) -> Tensor:
    """Give the first loadings of the factors that are left to the holes, (D, K).

    K is the number of eigenvalues of the holes' correlation matrix that holes by chance would not
    give: above the edge (1 + sqrt(D / N))^2 of Marchenko & Pastur 1967. Loadings are the
    eigenvectors, as long as the eigenvalue exceeds 1.

    Args:
        m: (N, D), 1 where observed, else 0.
        most: K at most.
        exactly: K, whatever the eigenvalues; one fewer than columns at most.

    Example:
        >>> sick = torch.rand(500, 1, generator=torch.Generator().manual_seed(0)) < 0.3
        >>> own_factors((~sick).float().expand(-1, 4), most=3).shape
        torch.Size([4, 1])
    """
    n, n_columns = m.shape
    centred = m - m.mean(0)
    scaled = centred / centred.square().mean(0).clamp(min=SMALLEST_RATE).sqrt()
    values, vectors = torch.linalg.eigh(scaled.T @ scaled / n)
    edge = (1 + math.sqrt(n_columns / n)) ** 2
    k = min(int((values > edge).sum()), most) if exactly is None else exactly
    k = min(k, max(n_columns - 1, 0))
    top = slice(n_columns - k, n_columns)
    return vectors[:, top] * (values[top] - 1.0).clamp(min=SMALLEST_EXCESS).sqrt()


def hole_patterns(observed: Tensor) -> int:
    """Count the factors that holes ask for, were there as many; see `own_factors`.

    Args:
        observed: (N, D) bool, m.

    Example:
        >>> chances = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
        >>> hole_patterns((chances < 0.7).repeat(1, 3))  # columns 1, 3, 5 and columns 2, 4, 6
        2
    """
    m = observed[:, _have_holes(observed)]
    return own_factors(m.to(torch.get_default_dtype()), most=m.shape[1]).shape[1]


def _have_holes(observed: Tensor) -> Tensor:
    """Whether a column has holes enough to take part, (D,)."""
    return (~observed).sum(0) >= min(FEWEST, max(len(observed) // 10, 1))


@torch.no_grad()
def hole_factor_analysis(
    features: Tensor,
    visible: Tensor,
    observed: Tensor,
    *,
    latent_dim: int,
    own: int | None = None,
    steps: int = 60,
    smallest_noise: float | Tensor = 0.01,
    generator: torch.Generator,
) -> HoleFactors:
    """Fit the model by EM with expectation propagation, from the values' own factor analysis.

    Args:
        features: (N, F) standardised features, 0 where not visible.
        visible: (N, F), 1 where the feature is seen, else 0.
        observed: (N, D) bool, m.
        latent_dim: L, shared factors and the holes' own ones (`own_factors`), which are
            a third of them at most, or one of two.
        own: number of the latter, if it is known: rows drawn with repetition look more alike.
        steps: EM steps, after those of the values alone.
        smallest_noise: floor of the noise variances of the values, one number or (F,).
        generator: source of the random start.

    Returns:
        The fitted model.
    """
    with_holes = _have_holes(observed)
    m = observed[:, with_holes].to(features.dtype)
    most = max(latent_dim // ONE_IN, 1)
    first = own_factors(m, most=most, exactly=own)
    values = factor_analysis(
        features,
        visible,
        latent_dim=max(latent_dim - first.shape[1], 1),
        steps=EARLY,
        smallest_noise=smallest_noise,
        generator=generator,
    )
    level = torch.special.ndtri(m.mean(0).clamp(SMALLEST_RATE, 1 - SMALLEST_RATE))
    model, ridge = _with_holes(values, level, own=first)
    cells, n_features = _side_by_side(features, visible, m), features.shape[1]
    floor = torch.ones_like(model.noise)
    floor[:n_features] = torch.as_tensor(smallest_noise)
    sites = no_sites(cells)
    for _ in range(steps):
        posterior = infer(cells, sites, model)
        sites = _truncated(cavity_of(posterior, sites, model), sites, m)
        model = maximise(cells, sites=sites, model=model, posterior=posterior, ridge=ridge)
        model = _kept(model, level, floor=floor)
    model = model._replace(loadings=model.loadings[:, :latent_dim])
    return _of_all_columns(model, sites, m, with_holes=with_holes, own=first.shape[1])


def _with_holes(values: LinearModel, level: Tensor, *, own: Tensor) -> tuple[LinearModel, Tensor]:
    """Put holes by chance and factors of theirs beside values; and give the ridge of all.

    `level` (D,) is Phi^-1 of the observed rates.
    """
    n_features, shared = values.loadings.shape
    loadings = level.new_zeros(n_features + len(level), shared + own.shape[1])
    scaled = values.loadings / values.noise.sqrt()[:, None]
    strength, axes = torch.linalg.eigh(scaled.T @ scaled)
    loadings[:n_features, :shared] = values.loadings @ axes
    loadings[n_features:, shared:] = own
    ridge = torch.zeros_like(loadings)
    ridge[:n_features, shared:] = FIXED
    ridge[n_features:, shared:] = OWN_RIDGE
    ridge[n_features:, :shared] = HOLE_RIDGE / strength.clamp(min=WEAKEST)
    intercept = torch.cat([values.intercept, level])
    noise = torch.cat([values.noise, torch.ones_like(level)])
    return LinearModel(loadings, intercept, noise), ridge


def _kept(model: LinearModel, level: Tensor, *, floor: Tensor) -> LinearModel:
    """Keep noise above its floors, 1 for a probit, and each column's rate of holes as it is.

    P(m_j = 1) = Phi(b_j / sqrt(1 + |a_j|^2)); EM alone takes long to get there if a_j is steep.
    """
    n_features = len(model.noise) - len(level)
    noise, intercept = torch.maximum(model.noise, floor), model.intercept.clone()
    noise[n_features:] = 1.0
    slopes = model.loadings[n_features:]
    intercept[n_features:] = level * (1.0 + slopes.square().sum(1)).sqrt()
    return model._replace(noise=noise, intercept=intercept)


def _side_by_side(features: Tensor, visible: Tensor, m: Tensor) -> Cells:
    """Features, and after them the y of the holes: never seen, and m tells of each."""
    nothing, all_of_it = torch.zeros_like(m), torch.ones_like(m)
    return Cells(
        torch.cat([features, nothing], 1),
        torch.cat([visible, nothing], 1),
        torch.cat([torch.zeros_like(features), all_of_it], 1),
    )


def _truncated(cavity: tuple[Tensor, Tensor], sites: Sites, m: Tensor) -> Sites:
    """Move the factors of the y: above 0 where observed, below where not."""
    n_features = sites.value.shape[1] - m.shape[1]
    mean, variance = (part[:, n_features:] for part in cavity)
    sign, sd = 2.0 * m - 1.0, variance.sqrt()
    k = sign * mean / sd
    ratio = (-0.5 * k.square() - LOG_ROOT_TAU - log_ndtr(k)).exp()
    given = mean + sign * sd * ratio, variance * (1.0 - ratio * (k + ratio))
    own = Sites(*(part[:, n_features:] for part in sites))
    moved = matched(*given, (mean, variance), own)
    return Sites(
        *(torch.cat([a[:, :n_features], b], 1) for a, b in zip(sites, moved, strict=True))
    )


def _of_all_columns(
    model: LinearModel, sites: Sites, m: Tensor, *, with_holes: Tensor, own: int
) -> HoleFactors:
    """Take features and holes apart again; what holes say is averaged over rows."""
    n_features = len(model.noise) - m.shape[1]
    places = torch.arange(len(model.noise), device=m.device)
    holes = model.take(places[n_features:])
    told = Sites(*(part[:, n_features:] for part in sites))
    of_holes, of_others = average(told, 1.0 - m), average(told, m)
    value, noise = (torch.stack(pair) for pair in zip(of_holes, of_others, strict=True))
    intercept, value, noise = (
        _spread(part, with_holes) for part in (holes.intercept, value, noise)
    )
    slopes = _spread(holes.loadings.T, with_holes).T
    return HoleFactors(model.take(places[:n_features]), slopes, intercept, value, noise, own)


def _spread(part: Tensor, with_holes: Tensor) -> Tensor:
    """Put what is of columns with holes in the places of all columns, 0 elsewhere; last dim."""
    out = part.new_zeros(*part.shape[:-1], len(with_holes))
    out[..., with_holes] = part
    return out
