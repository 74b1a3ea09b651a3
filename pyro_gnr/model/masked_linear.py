r"""Factor analysis of rows whose cells are missing because of their own value.

f = W z + mu + e as in `linear`, and P(x_j missing | x_j) = Phi(c_j (x_j - b_j)). What a hole says
about its x_j (that it lies beyond a soft threshold) is approximated by a Gaussian factor whose
moments agree: expectation propagation, all cells at once. EM then gives W, mu, psi from the
completed moments, and b, c by a few gradient steps on the holes' own likelihood.

The likelihood of a self-masking model has a poor optimum, too: observed values with a shifted
mean and a slope near 0. Gradient steps from a factor analysis of the observed cells end there.

Source: Minka 2001 (expectation propagation); Rasmussen & Williams 2006, section 3.6 (moments).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from pyro_gnr.model.linear import LinearModel, outer_rows, regression
from pyro_gnr.model.skew_normal import ExtendedSkewNormal

__all__ = ["MaskedLinear", "masked_factor_analysis"]

# Weakest information of a hole about its value, and how far its factor moves in a step.
SMALLEST_PRECISION = 1e-6
DAMPING = 0.7
# Slopes are kept where the likelihood is not flat; in observed standard deviations.
GENTLEST, STEEPEST = 0.05, 30.0
STEP = 0.05


class MaskedLinear(NamedTuple):
    """A linear model and what makes its cells missing.

    Attributes:
        linear: of the features.
        slope: (F,) c; its sign is the direction, 0 where a feature does not mask itself.
        threshold: (F,) b, in the features' units.
        value: (F,) mean of what the holes say of their values, as pseudo-observations.
        noise: (F,) variance of these, beside that of the feature.
        support: (F,) log p(x_j, m_j | the row's other cells) summed over rows: how well the
            direction explains the values that are left and the share that is not.
    """

    linear: LinearModel
    slope: Tensor
    threshold: Tensor
    value: Tensor
    noise: Tensor
    support: Tensor


class _Sites(NamedTuple):
    """Gaussian factors of the masked cells on their x: precision and value, each (N, F)."""

    precision: Tensor
    value: Tensor


class _Posterior(NamedTuple):
    """z: mean (N, L) and covariance (N, L, L); W z + mu: mean and variance, each (N, F)."""

    mean: Tensor
    covariance: Tensor
    fitted: Tensor
    spread: Tensor


@torch.no_grad()
def masked_factor_analysis(
    features: Tensor,
    visible: Tensor,
    masked: Tensor,
    *,
    sign: Tensor,
    start: LinearModel,
    slope: float = 1.0,
    steps: int = 60,
    smallest_noise: float | Tensor = 0.01,
) -> MaskedLinear:
    """Fit the model by EM with expectation propagation.

    Args:
        features: (N, F) standardised features, 0 where not visible.
        visible: (N, F), 1 where the feature is seen, else 0.
        masked: (N, F), 1 where it is missing by its own value, else 0.
        sign: (F,) 1 where high values go missing, -1 where low ones do, 0 where the value does
            not matter; NaN where the best of the three is to be found.
        start: linear model of the visible cells.
        slope: |c| at the start, at the last value seen. A gentle one grows where the data ask
            for it; a steep one reads any end of the observed values as a threshold.
        steps: EM steps.
        smallest_noise: floor of the noise variances.

    Returns:
        The fitted model.
    """
    fit = partial(
        _fit,
        features,
        visible,
        masked,
        start=start,
        slope=slope,
        steps=steps,
        smallest_noise=smallest_noise,
    )
    if not sign.isnan().any():
        return fit(sign=sign)
    # Each column by itself: what the others assume matters little to which tail is cut off.
    high, low = (fit(sign=sign.nan_to_num(s)) for s in (1.0, -1.0))
    best = torch.where(high.support >= low.support, 1.0, -1.0).to(sign)
    # A threshold takes two more numbers than a constant chance, and has to earn them.
    needed = _flat_support(features, visible, masked, start) + math.log(len(features))
    best = torch.where(torch.maximum(high.support, low.support) > needed, best, 0.0)
    best = torch.where(sign.isnan() & (masked.sum(0) > 0), best, sign.nan_to_num(1.0))
    return high if torch.equal(best, sign.nan_to_num(1.0)) else fit(sign=best)


def _flat_support(x: Tensor, visible: Tensor, masked: Tensor, model: LinearModel) -> Tensor:
    """`MaskedLinear.support` of a chance to be missing that is the same for all values."""
    nothing = _Sites(torch.full_like(x, SMALLEST_PRECISION), torch.zeros_like(x))
    posterior = _infer(x, visible, torch.zeros_like(x), sites=nothing, model=model)
    shown, holes = visible.sum(0), masked.sum(0)
    rate = (holes / (shown + holes).clamp(min=1.0)).clamp(1e-6, 1 - 1e-6)
    reasons = holes * rate.log() + shown * (1 - rate).log()
    return reasons + (visible * _left_out(x, posterior, model)).sum(0)


def _fit(
    x: Tensor,
    visible: Tensor,
    masked: Tensor,
    *,
    sign: Tensor,
    start: LinearModel,
    slope: float,
    steps: int,
    smallest_noise: float | Tensor,
) -> MaskedLinear:
    model, masked = start, masked * (sign != 0)
    own = masked.sum(0) > 0
    log_slope = torch.full_like(sign, slope).log()
    edge = torch.where(visible > 0, sign * x, -torch.inf).amax(0)
    threshold = torch.where(edge.isfinite(), edge, 0.0)  # of sign * x
    adam = _Adam((log_slope, threshold))
    sites = _Sites(torch.full_like(x, SMALLEST_PRECISION), torch.zeros_like(x))
    for _ in range(steps):
        signed = sign * log_slope.exp()
        posterior = _infer(x, visible, masked, sites=sites, model=model)
        cavity = _cavity(posterior, sites, model)
        moved = _tilt(cavity, sites, slope=signed, offset=signed * sign * threshold)
        # Only masked cells have a factor; one that is not a number waits for another step.
        sound = (masked > 0) & moved.precision.isfinite() & moved.value.isfinite()
        sites = _Sites(
            *(torch.where(sound, new, old) for new, old in zip(moved, sites, strict=True))
        )
        model = _maximise(x, visible, masked, sites=sites, model=model, posterior=posterior)
        model = model._replace(
            noise=torch.maximum(model.noise, torch.as_tensor(smallest_noise).to(model.noise))
        )
        adam.step(_slopes(x, visible, masked, cavity=cavity, sign=sign), own)
        log_slope.clamp_(math.log(GENTLEST), math.log(STEEPEST))
    posterior = _infer(x, visible, masked, sites=sites, model=model)
    reasons = _slopes(x, visible, masked, cavity=_cavity(posterior, sites, model), sign=sign)(
        log_slope, threshold
    )
    density = visible * _left_out(x, posterior, model)
    value, noise = _average(sites, masked)
    return MaskedLinear(
        model,
        torch.where(own, sign * log_slope.exp(), 0.0),
        sign * threshold,
        value,
        noise,
        reasons + density.sum(0),
    )


def _average(sites: _Sites, masked: Tensor) -> tuple[Tensor, Tensor]:
    """What a hole says on average: value and noise of a pseudo-observation, each (F,)."""
    total = masked.sum(0).clamp(min=1.0)
    precision = ((masked * sites.precision).sum(0) / total).clamp(min=SMALLEST_PRECISION)
    value = (masked * sites.precision * sites.value).sum(0) / total / precision
    return value, 1.0 / precision


def _left_out(x: Tensor, posterior: _Posterior, model: LinearModel) -> Tensor:
    """Log p(x_j | the row's other cells) of visible cells, (N, F), before m_j is known."""
    own = 1.0 / model.noise
    spread = 1.0 / (1.0 / posterior.spread.clamp(min=1e-9) - own).clamp(min=1e-6)
    mean = spread * (posterior.fitted / posterior.spread.clamp(min=1e-9) - own * x)
    return Normal(mean, (spread + model.noise).sqrt(), validate_args=False).log_prob(x)


def _infer(
    x: Tensor, visible: Tensor, masked: Tensor, *, sites: _Sites, model: LinearModel
) -> _Posterior:
    noise = model.noise + 1.0 / sites.precision
    precision = visible / model.noise + masked / noise
    seen = visible * x + masked * sites.value
    w = model.loadings
    outer = outer_rows(w)
    eye = torch.eye(w.shape[1], dtype=x.dtype, device=x.device)
    factor = (precision @ outer).unflatten(1, eye.shape) + eye
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(factor))
    pull = (precision * (seen - model.intercept)) @ w
    mean = (covariance @ pull.unsqueeze(-1)).squeeze(-1)
    return _Posterior(
        mean, covariance, mean @ w.T + model.intercept, covariance.flatten(1) @ outer.T
    )


def _cavity(posterior: _Posterior, sites: _Sites, model: LinearModel) -> tuple[Tensor, Tensor]:
    """Mean and variance of each masked x without its own factor, (N, F)."""
    own = 1.0 / (model.noise + 1.0 / sites.precision)
    without = (1.0 / posterior.spread.clamp(min=1e-9) - own).clamp(min=1e-6)
    mean = (posterior.fitted / posterior.spread.clamp(min=1e-9) - own * sites.value) / without
    return mean, 1.0 / without + model.noise


def _tilt(
    cavity: tuple[Tensor, Tensor], sites: _Sites, *, slope: Tensor, offset: Tensor
) -> _Sites:
    """Factors with which x has the moments that it has given the hole."""
    mean, variance = cavity
    given = ExtendedSkewNormal(mean, variance.sqrt(), slope, offset)
    precision = 1.0 / given.variance.clamp(min=1e-4 * variance) - 1.0 / variance
    precision = precision.clamp(min=SMALLEST_PRECISION)
    pull = given.mean * (precision + 1.0 / variance) - mean / variance
    new = DAMPING * precision + (1 - DAMPING) * sites.precision
    mixed = DAMPING * pull + (1 - DAMPING) * sites.precision * sites.value
    return _Sites(new, mixed / new)


def _maximise(
    x: Tensor,
    visible: Tensor,
    masked: Tensor,
    *,
    sites: _Sites,
    model: LinearModel,
    posterior: _Posterior,
) -> LinearModel:
    """Regress the completed features on z: E[x_j | z] = share (w z + mu) + (1 - share) value."""
    n, latent_dim = posterior.mean.shape
    z1 = torch.cat([posterior.mean, posterior.mean.new_ones(n, 1)], 1)
    second = z1.unsqueeze(-1) * z1.unsqueeze(-2)
    second[:, :latent_dim, :latent_dim] += posterior.covariance
    counted = visible + masked
    share = 1.0 / (1.0 + sites.precision * model.noise)
    mean = torch.where(visible > 0, x, share * posterior.fitted + (1 - share) * sites.value)
    # E[x z1'] = E[x] z1' + share Cov(w z, z'), the second only for cells that are not seen.
    share = torch.where(visible > 0, 0.0, share)
    cross = (counted * mean).T @ z1
    carried = ((counted * share).T @ posterior.covariance.flatten(1)).unflatten(
        1, posterior.covariance.shape[1:]
    )
    cross[:, :latent_dim] += (carried @ model.loadings.unsqueeze(-1)).squeeze(-1)
    weights = regression(counted, second, cross)
    variance = share * model.noise + share.square() * posterior.spread
    loadings = weights[:, :latent_dim]
    outer = outer_rows(loadings)
    own = (loadings.unsqueeze(-1) * model.loadings.unsqueeze(-2)).flatten(1)
    covariance = posterior.covariance.flatten(1)
    residual = (mean - z1 @ weights.T).square() + variance
    residual = residual + covariance @ outer.T - 2 * share * (covariance @ own.T)
    noise = (counted * residual).sum(0) / counted.sum(0).clamp(min=1.0)
    return LinearModel(loadings, weights[:, latent_dim], noise.clamp(min=1e-6))


def _slopes(
    x: Tensor, visible: Tensor, masked: Tensor, *, cavity: tuple[Tensor, Tensor], sign: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Log-probabilities of holes and no holes, (F,), as a function of log |c| and sign b."""
    mean, variance = (sign * cavity[0], cavity[1])

    def objective(log_slope: Tensor, threshold: Tensor) -> Tensor:
        c = log_slope.exp()
        t = c * (mean - threshold) * (1.0 + c.square() * variance).rsqrt()
        holes = masked * torch.special.log_ndtr(t)
        shown = visible * torch.special.log_ndtr(-c * (sign * x - threshold))
        return (holes + shown).sum(0)

    return objective


class _Adam:
    """Ascent of a few parameters in place, without a module around them."""

    def __init__(self, parameters: tuple[Tensor, ...]) -> None:
        self.parameters = parameters
        self.inner = torch.optim.Adam(parameters, lr=STEP, maximize=True)

    def step(
        self, objective: Callable[[Tensor, Tensor], Tensor], active: Tensor, *, times: int = 5
    ) -> None:
        for _ in range(times):
            with torch.enable_grad():
                live = [p.detach().requires_grad_() for p in self.parameters]
                grads = torch.autograd.grad(objective(*live).sum(), live)
            for p, g in zip(self.parameters, grads, strict=True):
                p.grad = torch.where(active, g, 0.0)
            self.inner.step()
