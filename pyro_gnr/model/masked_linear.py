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
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.normal_cdf import log_ndtr
from pyro_gnr.model.propagation import (
    Cells,
    Posterior,
    Sites,
    average,
    cavity_of,
    infer,
    matched,
    maximise,
    no_sites,
)
from pyro_gnr.model.skew_normal import ExtendedSkewNormal

__all__ = ["MaskedLinear", "flat_support", "masked_factor_analysis"]

# Slopes are kept where the likelihood is not flat; in observed standard deviations.
GENTLEST, STEEPEST = 0.05, 30.0
STEP, STEPS_OF_SLOPES = 0.05, 5


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


class _Reasons(NamedTuple):
    """Phi(|c| (sign x - threshold)), the chance to be missing; each (F,)."""

    sign: Tensor
    log_slope: Tensor
    threshold: Tensor

    @property
    def slope(self) -> Tensor:
        return self.sign * self.log_slope.exp()


@torch.no_grad()
def masked_factor_analysis(
    cells: Cells,
    *,
    sign: Tensor,
    start: LinearModel,
    slope: float = 1.0,
    steps: int = 60,
    smallest_noise: float | Tensor = 0.01,
) -> MaskedLinear:
    """Fit the model by EM with expectation propagation.

    Args:
        cells: the features.
        sign: (F,) 1 where high values go missing, -1 where low ones do, 0 where the value does
            not matter.
        start: linear model of the visible cells.
        slope: |c| at the start, at the last value seen. A gentle one grows where the data ask
            for it; a steep one reads any end of the observed values as a threshold.
        steps: EM steps.
        smallest_noise: floor of the noise variances.

    Returns:
        The fitted model.
    """
    cells, model = cells._replace(masked=cells.masked * (sign != 0)), start
    reasons, sites = _first_reasons(cells, sign, slope), no_sites(cells)
    own = cells.masked.sum(0) > 0
    adam = torch.optim.Adam(reasons[1:], lr=STEP, maximize=True)
    for _ in range(steps):
        posterior = infer(cells, sites, model)
        cavity = cavity_of(posterior, sites, model)
        sites = _moved(cells, sites, cavity, reasons)
        model = maximise(cells, sites=sites, model=model, posterior=posterior)
        floor = torch.as_tensor(smallest_noise).to(model.noise)
        model = model._replace(noise=torch.maximum(model.noise, floor))
        for _ in range(STEPS_OF_SLOPES):
            _ascend(adam, cells, cavity, reasons, own)
        reasons.log_slope.clamp_(math.log(GENTLEST), math.log(STEEPEST))
    value, noise = average(sites, cells.masked)
    return MaskedLinear(
        model,
        torch.where(own, reasons.slope, 0.0),
        sign * reasons.threshold,
        value,
        noise,
        _support(cells, sites, model, reasons),
    )


def flat_support(cells: Cells, model: LinearModel) -> Tensor:
    """Give `MaskedLinear.support` of a chance to be missing that is the same for all values."""
    posterior = infer(cells._replace(masked=torch.zeros_like(cells.x)), no_sites(cells), model)
    shown, holes = cells.visible.sum(0), cells.masked.sum(0)
    rate = (holes / (shown + holes).clamp(min=1.0)).clamp(1e-6, 1 - 1e-6)
    reasons = holes * rate.log() + shown * (1 - rate).log()
    return reasons + (cells.visible * _left_out(cells.x, posterior, model)).sum(0)


def _first_reasons(cells: Cells, sign: Tensor, slope: float) -> _Reasons:
    edge = torch.where(cells.visible > 0, sign * cells.x, -torch.inf).amax(0)
    threshold = torch.where(edge.isfinite(), edge, 0.0)
    return _Reasons(sign, torch.full_like(sign, slope).log(), threshold)


def _support(cells: Cells, sites: Sites, model: LinearModel, reasons: _Reasons) -> Tensor:
    posterior = infer(cells, sites, model)
    density = cells.visible * _left_out(cells.x, posterior, model)
    return _log_chance(cells, cavity_of(posterior, sites, model), reasons) + density.sum(0)


def _left_out(x: Tensor, posterior: Posterior, model: LinearModel) -> Tensor:
    """Log p(x_j | the row's other cells) of visible cells, (N, F), before m_j is known."""
    own = 1.0 / model.noise
    spread = 1.0 / (1.0 / posterior.spread.clamp(min=1e-9) - own).clamp(min=1e-6)
    mean = spread * (posterior.fitted / posterior.spread.clamp(min=1e-9) - own * x)
    return Normal(mean, (spread + model.noise).sqrt(), validate_args=False).log_prob(x)


def _moved(cells: Cells, sites: Sites, cavity: tuple[Tensor, Tensor], reasons: _Reasons) -> Sites:
    """Move the factors; a cell that is not masked has none, one that is not a number waits."""
    slope = reasons.slope
    moved = _tilt(cavity, sites, slope=slope, offset=slope * reasons.sign * reasons.threshold)
    sound = (cells.masked > 0) & moved.precision.isfinite() & moved.value.isfinite()
    return Sites(*(torch.where(sound, new, old) for new, old in zip(moved, sites, strict=True)))


def _tilt(cavity: tuple[Tensor, Tensor], sites: Sites, *, slope: Tensor, offset: Tensor) -> Sites:
    """Factors with which x has the moments that it has given the hole."""
    mean, variance = cavity
    given = ExtendedSkewNormal(mean, variance.sqrt(), slope, offset)
    return matched(given.mean, given.variance, cavity, sites)


def _log_chance(cells: Cells, cavity: tuple[Tensor, Tensor], reasons: _Reasons) -> Tensor:
    """Log-probabilities of holes and no holes, summed over rows, (F,)."""
    sign, log_slope, threshold = reasons
    mean, variance, c = sign * cavity[0], cavity[1], log_slope.exp()
    t = c * (mean - threshold) * (1.0 + c.square() * variance).rsqrt()
    holes = cells.masked * log_ndtr(t)
    shown = cells.visible * log_ndtr(-c * (sign * cells.x - threshold))
    return (holes + shown).sum(0)


def _ascend(
    adam: torch.optim.Adam,
    cells: Cells,
    cavity: tuple[Tensor, Tensor],
    reasons: _Reasons,
    own: Tensor,
) -> None:
    """Take a step of the reasons, in place; those of features that mask nothing stay."""
    with torch.enable_grad():
        live = [p.detach().requires_grad_() for p in reasons[1:]]
        total = _log_chance(cells, cavity, _Reasons(reasons.sign, *live)).sum()
        grads = torch.autograd.grad(total, live)
    for p, g in zip(reasons[1:], grads, strict=True):
        p.grad = torch.where(own, g, 0.0)
    adam.step()
