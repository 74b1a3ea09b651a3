r"""Factor analysis of incomplete rows: the linear model in closed form where training starts.

The linear-Gaussian relative of GNR, f = W z + mu + e with z ~ N(0, I), e ~ N(0, diag(psi)), has
exact EM steps when cells are missing (Ghahramani & Hinton 1996; Ilin & Raiko 2010). A second of
EM, accelerated, gives a start that thousands of gradient steps take long to reach, and its exact
posterior is the start of the guide.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyro_gnr.model.squarem import squarem

__all__ = [
    "EARLY",
    "LinearModel",
    "factor_analysis",
    "latent_posterior",
    "outer_rows",
    "regression",
]

# Keeps the M step defined for a feature that no row shows.
SMALLEST_GRAM = 1e-3
# Cycles of three EM steps at most, and the nats a row that each has to gain.
CYCLES, TOLERANCE = 100, 1e-5
# EM steps of the values where holes count. Stopped early, few factors explain the values, and most
# of their variance is noise. At the maximum hardly a column has noise, and holes may go with each
# one's own value: with 2,000 rows that lost cells by one factor, a mean was a standard error off.
EARLY = 50


class LinearModel(NamedTuple):
    """Loadings W (F, L), intercept mu (F,), noise variance psi (F,) of standardised features."""

    loadings: Tensor
    intercept: Tensor
    noise: Tensor

    def take(self, features: Tensor) -> LinearModel:
        """Select some features, given their positions (n,)."""
        return LinearModel(self.loadings[features], self.intercept[features], self.noise[features])


def factor_analysis(
    features: Tensor,
    visible: Tensor,
    *,
    latent_dim: int,
    steps: int | None = None,
    smallest_noise: float | Tensor = 0.01,
    generator: torch.Generator,
) -> LinearModel:
    """Fit factor analysis to incomplete rows by EM, missing cells integrated out exactly.

    Args:
        features: (N, F) standardised features, 0 where not visible.
        visible: (N, F), 1 where the feature is seen, else 0.
        latent_dim: L.
        steps: EM steps; None goes on to the maximum, accelerated by `squarem`.
        smallest_noise: floor of the noise variances, one number or (F,); without it a Heywood
            case ends at 0.
        generator: source of the random start.

    Returns:
        The fitted linear model.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> z = torch.randn(500, 1, generator=g)
        >>> x = z @ torch.tensor([[0.9, 0.8, -0.9]]) + 0.4 * torch.randn(500, 3, generator=g)
        >>> fit = factor_analysis(x, torch.ones(500, 3), latent_dim=1, generator=g)
        >>> torch.allclose(fit.noise.sqrt(), torch.tensor(0.4), atol=0.05)
        True
    """
    n_features = features.shape[1]
    floor = torch.as_tensor(smallest_noise).to(features).expand(n_features)
    start = torch.randn(n_features, latent_dim, generator=generator, dtype=torch.float32)
    first = LinearModel(
        0.3 * start.to(features), torch.zeros_like(floor), torch.ones_like(floor).maximum(floor)
    )

    def step(flat: Tensor) -> tuple[Tensor, float]:
        new, value = _em_step(features, visible, _unflatten(flat, floor), floor=floor)
        return _flatten(new), value

    flat = _flatten(first)
    if steps is None:
        return _unflatten(squarem(step, flat, cycles=CYCLES, tolerance=TOLERANCE), floor)
    for _ in range(steps):
        flat, _ = step(flat)
    return _unflatten(flat, floor)


def _flatten(model: LinearModel) -> Tensor:
    """Give all parameters as a vector, ((L + 2) F,): noise as a logarithm, so that it may leap."""
    return torch.cat([model.loadings.flatten(), model.intercept, model.noise.log()])


def _unflatten(flat: Tensor, floor: Tensor) -> LinearModel:
    n_features = len(floor)
    loadings, rest = flat[: -2 * n_features], flat[-2 * n_features :]
    intercept, log_noise = rest.chunk(2)
    return LinearModel(
        loadings.unflatten(0, (n_features, -1)), intercept, log_noise.exp().maximum(floor)
    )


def _em_step(
    x: Tensor, visible: Tensor, model: LinearModel, *, floor: Tensor
) -> tuple[LinearModel, float]:
    """Give the next model, and the mean log-likelihood of a row, but for constants, of this."""
    precision = visible / model.noise
    factor, pull = _factored(x, precision, model)
    covariance = torch.cholesky_inverse(factor)
    mean = (covariance @ pull.unsqueeze(-1)).squeeze(-1)
    value = _mean_log_likelihood(x - model.intercept, precision, factor, pull=pull, mean=mean)
    n, latent_dim = mean.shape
    z1 = torch.cat([mean, mean.new_ones(n, 1)], 1)
    second = z1.unsqueeze(-1) * z1.unsqueeze(-2)
    second[:, :latent_dim, :latent_dim] += covariance
    weights = regression(visible, second, (visible * x).T @ z1)
    loadings = weights[:, :latent_dim]
    spread = covariance.flatten(1) @ outer_rows(loadings).T
    residual = visible * ((x - z1 @ weights.T).square() + spread)
    noise = residual.sum(0) / visible.sum(0).clamp(min=1.0)
    return LinearModel(loadings, weights[:, latent_dim], noise.maximum(floor)), value


def _mean_log_likelihood(
    centred: Tensor, precision: Tensor, factor: Tensor, *, pull: Tensor, mean: Tensor
) -> float:
    """Mean over rows of log N(x; mu, W W' + psi) + log(2 pi) / 2 a visible cell (Woodbury)."""
    squares = (precision * centred.square()).sum(1) - (pull * mean).sum(1)
    log_noise = -torch.where(precision > 0, precision, 1.0).log().sum(1)
    log_det = log_noise + 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
    return -0.5 * (squares + log_det).mean().item()


def regression(
    counted: Tensor, second: Tensor, cross: Tensor, *, ridge: float | Tensor = 0.0
) -> Tensor:
    """Regress features on (z, 1), (F, L + 1), from expected moments.

    Args:
        counted: (N, F), 1 where a cell counts.
        second: (N, L + 1, L + 1), E[z1 z1'] of each row.
        cross: (F, L + 1), sum over rows of E[x z1'].
        ridge: prior precision of a loading for each row that counts, one number or (F, L); the
            intercept is free.
    """
    eye = torch.eye(second.shape[-1], dtype=second.dtype, device=second.device)
    gram = (counted.T @ second.flatten(1)).unflatten(1, eye.shape) + SMALLEST_GRAM * eye
    prior = torch.zeros_like(cross)
    prior[:, :-1] = counted.sum(0)[:, None] * ridge
    return torch.linalg.solve(gram + torch.diag_embed(prior), cross)


def latent_posterior(
    values: Tensor, precision: Tensor, model: LinearModel
) -> tuple[Tensor, Tensor]:
    """Give mean (N, L) and covariance (N, L, L) of z.

    Args:
        values: (N, F) of the features.
        precision: (N, F) with which they tell of W z + mu; 0 where nothing is known.
        model: W and mu.
    """
    factor, pull = _factored(values, precision, model)
    covariance = torch.cholesky_inverse(factor)
    return (covariance @ pull.unsqueeze(-1)).squeeze(-1), covariance


def _factored(values: Tensor, precision: Tensor, model: LinearModel) -> tuple[Tensor, Tensor]:
    """Give the Cholesky factor (N, L, L) of the precision P of z, and P times its mean, (N, L)."""
    latent_dim = model.loadings.shape[1]
    eye = torch.eye(latent_dim, dtype=values.dtype, device=values.device)
    inner = (precision @ outer_rows(model.loadings)).unflatten(1, eye.shape) + eye
    return torch.linalg.cholesky(inner), (precision * (values - model.intercept)) @ model.loadings


def outer_rows(loadings: Tensor) -> Tensor:
    """Give w_f w_f' of every feature as a row, (F, L * L), for loadings (F, L)."""
    return (loadings.unsqueeze(-1) * loadings.unsqueeze(-2)).flatten(1)
