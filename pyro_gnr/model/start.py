"""Where training starts: a linear model of the visible cells and of the holes, by EM."""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_gnr.model.directions import directed_factor_analysis
from pyro_gnr.model.features import Features, FeatureScale
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Encoder, Guide
from pyro_gnr.model.hole_factors import hole_factor_analysis
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.linear import EARLY, LinearModel, factor_analysis
from pyro_gnr.model.masked_linear import MaskedLinear
from pyro_gnr.model.mechanisms.ignorable import Ignorable
from pyro_gnr.model.powers import bent, unbent
from pyro_gnr.model.propagation import Cells

__all__ = ["start"]

# Rows that the linear start is fitted to: more change nothing but the time.
START_ROWS = 4096

# Floors of the factor model's noise variances, features having variance 1. A logistic likelihood
# with the slopes that `Bernoulli` and `Categorical` start from has, at z = 0, the curvature of a
# Gaussian with noise variance 1: less would make the guide far surer than the model is.
# At the maximum of the likelihood noises of 0 are common, and training from there ended at larger
# errors (concrete: RMSE .623 with a floor of .01, .615 with .05).
SMALLEST_NOISE, SMALLEST_AT_MAXIMUM = 0.01, 0.05
LEVEL_NOISE = 1.0


@torch.no_grad()
def start(
    model: GNR,
    guide: Guide,
    x: Tensor,
    visible: Tensor,
    *,
    generator: torch.Generator,
    observed: Tensor | None = None,
) -> None:
    """Start model and guide at a linear model of the visible cells and of the holes.

    For `Conjunction` that is the factor analysis of values and holes together, in which holes have
    factors of their own. If they were left out, their slopes would start at 0 and grow along the
    first latent direction that happens to correlate with them, one that values use, and the values
    of people with holes would be extrapolated along it. For mechanisms of a cell's own value it is
    `masked_factor_analysis`, for others the factor analysis of the values.

    Args:
        model: from `assemble`; its linear paths become the factor model.
        guide: from `assemble`; becomes that model's posterior.
        x: (N, D) values.
        visible: (N, D) bool.
        generator: CPU generator for the rows and the start of the EM steps.
        observed: (N, D) bool, m; None leaves the mechanism as it was built.
    """
    rows = torch.randperm(len(x), generator=generator)[:START_ROWS].to(x.device)
    encoder, mechanism = guide.encoder, model.m_given_ux
    encoder.features.fit(x, visible)
    mechanism.calibrate(encoder.features)
    # A mechanism that does not count leaves all directions to the values.
    holes = None if observed is None or model.mask_weight == 0 else observed
    some = None if holes is None else holes[rows]
    linear = _linear(model, encoder, x[rows], visible[rows], holes=some, generator=generator)
    signs = None if holes is None else mechanism.signs()
    if holes is not None and signs is not None:
        cells = _own_cells(encoder, x[rows], visible[rows], holes[rows], signs)
        if cells.masked.any():
            fit = _masked_fit(
                model, encoder, cells, signs=signs, linear=linear, generator=generator
            )
            linear = _start_masked(model, encoder, cells, fit)
    encoder.start(linear)
    _start_values(model, encoder, x, visible, linear)
    model.prior.start(x[rows], (visible if observed is None else observed)[rows], visible[rows])


def _linear(
    model: GNR,
    encoder: Encoder,
    x: Tensor,
    visible: Tensor,
    *,
    holes: Tensor | None,
    generator: torch.Generator,
) -> LinearModel:
    """Factor analysis of the features, with that of the holes where the mechanism starts at it."""
    features, seen = encoder.features(x, visible)
    latent_dim = encoder.directions.shape[1]
    mechanism = model.m_given_ux
    ignored = holes is None or isinstance(mechanism, Ignorable)
    floor = _floor(encoder.features, SMALLEST_AT_MAXIMUM if ignored else SMALLEST_NOISE)
    if holes is None or not mechanism.starts_linear:
        return factor_analysis(
            features,
            seen,
            latent_dim=latent_dim,
            steps=None if ignored else EARLY,
            smallest_noise=floor,
            generator=generator,
        )
    fit = hole_factor_analysis(
        features, seen, holes, latent_dim=latent_dim, smallest_noise=floor, generator=generator
    )
    mechanism.start(fit.slopes, fit.intercept)
    encoder.start_holes(fit)
    return fit.values


def _floor(features: Features, smallest: float) -> Tensor:
    return torch.where(features.discrete, LEVEL_NOISE, smallest)


def _start_values(
    model: GNR, encoder: Encoder, x: Tensor, visible: Tensor, linear: LinearModel
) -> None:
    features = encoder.features
    for i, likelihood in enumerate(model.x_given_u.parts()):
        mine = model.x_given_u.positions(i)
        members = torch.isin(features.column, mine).nonzero()[:, 0]
        likelihood.calibrate(x[:, mine], visible[:, mine])
        scale = FeatureScale(features.mean[members], features.scale[members])
        likelihood.start(linear.take(members), scale)


def _own_cells(
    encoder: Encoder, x: Tensor, visible: Tensor, observed: Tensor, signs: Tensor
) -> Cells:
    """The features, and which of them may be missing by their own values."""
    features, seen = encoder.features(x, visible)
    column = encoder.features.column
    own = (signs[column] != 0) & ~encoder.features.discrete
    return Cells(features, seen, (~observed[:, column] & own).to(x.dtype))


def _masked_fit(
    model: GNR,
    encoder: Encoder,
    cells: Cells,
    *,
    signs: Tensor,
    linear: LinearModel,
    generator: torch.Generator,
) -> MaskedLinear:
    """Fit features that mask themselves, on scales on which likelihoods' tails are normal ones."""
    features = encoder.features
    floor = _floor(features, SMALLEST_NOISE)
    q = _powers(model, features) * features.scale * cells.masked.any(0)
    if q.any():
        cells = cells._replace(x=bent(cells.x, q))
        linear = factor_analysis(
            cells.x,
            cells.visible,
            latent_dim=encoder.directions.shape[1],
            steps=EARLY,
            smallest_noise=floor,
            generator=generator,
        )
    fit = directed_factor_analysis(
        cells,
        sign=torch.where(features.discrete, 0.0, signs[features.column]),
        start=linear,
        slope=model.m_given_ux.first_slope,
        smallest_noise=floor,
    )
    return unbent(fit, q)


def _powers(model: GNR, features: Features) -> Tensor:
    """Give `Likelihood.power` of each feature's column, (F,)."""
    powers = torch.zeros_like(features.scale)
    for i, likelihood in enumerate(model.x_given_u.parts()):
        mine = torch.isin(features.column, model.x_given_u.positions(i))
        powers[mine] = likelihood.power
    return powers


def _start_masked(model: GNR, encoder: Encoder, cells: Cells, fit: MaskedLinear) -> LinearModel:
    """Start a mechanism of the cells' own values; give the linear model of complete columns."""
    features = encoder.features
    numbers = (fit.slope != 0).nonzero()[:, 0]
    mean, scale = features.mean[numbers], features.scale[numbers]
    model.m_given_ux.start_own(
        features.column[numbers],
        slope=fit.slope[numbers] / scale,
        threshold=fit.threshold[numbers] * scale + mean,
    )
    encoder.start_masked(fit, cells.masked.mean(0) * (fit.slope != 0))
    _widen(model, encoder, fit)
    return fit.linear


def _widen(model: GNR, encoder: Encoder, fit: MaskedLinear) -> None:
    """Scales are bounded in observed standard deviations; those of complete columns are larger."""
    spread = (fit.linear.loadings.square().sum(1) + fit.linear.noise).sqrt()
    for i, likelihood in enumerate(model.x_given_u.parts()):
        if isinstance(likelihood, LocationScale):
            members = torch.isin(encoder.features.column, model.x_given_u.positions(i))
            likelihood.widen(spread[members])
