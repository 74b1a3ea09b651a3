r"""Factor analysis of incomplete rows: the linear model in closed form where training starts.

The linear-Gaussian relative of GNR, f = W z + mu + e with z ~ N(0, I), e ~ N(0, diag(psi)), has
exact EM steps when cells are missing (Ghahramani & Hinton 1996; Ilin & Raiko 2010). A second of
EM gives a start that thousands of gradient steps take long to reach, and its exact posterior
is the start of the guide.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["LinearModel", "factor_analysis", "latent_posterior", "outer_rows", "regression"]

# Keeps the M step defined for a feature that no row shows.
SMALLEST_GRAM = 1e-3


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
    steps: int = 50,
    smallest_noise: float | Tensor = 0.01,
    generator: torch.Generator,
) -> LinearModel:
    """Fit factor analysis to incomplete rows by EM, missing cells integrated out exactly.

    Args:
        features: (N, F) standardised features, 0 where not visible.
        visible: (N, F), 1 where the feature is seen, else 0.
        latent_dim: L.
        steps: EM steps.
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
    start = torch.randn(n_features, latent_dim, generator=generator, dtype=torch.float32)
    model = LinearModel(
        0.3 * start.to(features),
        torch.zeros_like(features[0]),
        torch.ones_like(features[0]),
    )
    for _ in range(steps):
        model = _em_step(features, visible, model, floor=smallest_noise)
    return model


def _em_step(
    x: Tensor, visible: Tensor, model: LinearModel, *, floor: float | Tensor
) -> LinearModel:
    mean, covariance = latent_posterior(x, visible / model.noise, model)
    n, latent_dim = mean.shape
    z1 = torch.cat([mean, mean.new_ones(n, 1)], 1)
    second = z1.unsqueeze(-1) * z1.unsqueeze(-2)
    second[:, :latent_dim, :latent_dim] += covariance
    weights = regression(visible, second, (visible * x).T @ z1)
    loadings = weights[:, :latent_dim]
    spread = covariance.flatten(1) @ outer_rows(loadings).T
    residual = visible * ((x - z1 @ weights.T).square() + spread)
    noise = residual.sum(0) / visible.sum(0).clamp(min=1.0)
    return LinearModel(
        loadings, weights[:, latent_dim], torch.maximum(noise, torch.as_tensor(floor).to(noise))
    )


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
    latent_dim = model.loadings.shape[1]
    eye = torch.eye(latent_dim, dtype=values.dtype, device=values.device)
    factor = (precision @ outer_rows(model.loadings)).unflatten(1, eye.shape) + eye
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(factor))
    pull = (precision * (values - model.intercept)) @ model.loadings
    return (covariance @ pull.unsqueeze(-1)).squeeze(-1), covariance


def outer_rows(loadings: Tensor) -> Tensor:
    """Give w_f w_f' of every feature as a row, (F, L * L), for loadings (F, L)."""
    return (loadings.unsqueeze(-1) * loadings.unsqueeze(-2)).flatten(1)
