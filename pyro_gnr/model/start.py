"""Where training starts: a linear model of the visible cells and of the holes, by EM."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyro_gnr.model.directions import directed_factor_analysis
from pyro_gnr.model.features import Features, FeatureScale
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Encoder, Guide
from pyro_gnr.model.hole_factors import HoleFactors, hole_factor_analysis
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.linear import EARLY, LinearModel, factor_analysis
from pyro_gnr.model.masked_linear import MaskedLinear
from pyro_gnr.model.mechanisms.ignorable import Ignorable
from pyro_gnr.model.powers import bent, unbent
from pyro_gnr.model.propagation import Cells

__all__ = ["START_ROWS", "LinearStart", "linear_start", "place", "start"]

# Rows that the linear start is fitted to: more take time and change little that training does not.
START_ROWS = 4096

# Floors of the factor model's noise variances, features having variance 1. A logistic likelihood
# with the slopes that `Bernoulli` and `Categorical` start from has, at z = 0, the curvature of a
# Gaussian with noise variance 1: less would make the guide far surer than the model is.
# At the maximum of the likelihood noises of 0 are common, and training from there ended at larger
# errors (concrete: RMSE .623 with a floor of .01, .615 with .05).
SMALLEST_NOISE, SMALLEST_AT_MAXIMUM = 0.01, 0.05
LEVEL_NOISE = 1.0


class LinearStart(NamedTuple):
    """The linear model that training starts from.

    Attributes:
        values: of the features, (F, L).
        holes: of the holes, for a mechanism that makes use of it.
        masked: of features that are missing by their own values, and of these holes.
        shares: (F,) missing share of each of those, else 0.
        state: of the generator before the EM steps: a start of other rows that begins there ends
            near this one (`pyro_gnr.model.restart`).
    """

    values: LinearModel
    state: Tensor
    holes: HoleFactors | None = None
    masked: MaskedLinear | None = None
    shares: Tensor | None = None


@torch.no_grad()
def start(
    model: GNR,
    guide: Guide,
    x: Tensor,
    visible: Tensor,
    *,
    generator: torch.Generator,
    observed: Tensor | None = None,
) -> tuple[LinearStart, Tensor]:
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

    Returns:
        The linear model, and the places (n,) of the rows that it was fitted to.
    """
    rows = torch.randperm(len(x), generator=generator)[:START_ROWS].to(x.device)
    guide.encoder.features.fit(x, visible)
    model.m_given_ux.calibrate(guide.encoder.features)
    for i, likelihood in enumerate(model.x_given_u.parts()):
        mine = model.x_given_u.positions(i)
        likelihood.calibrate(x[:, mine], visible[:, mine])
    some = None if observed is None else observed[rows]
    linear = linear_start(
        model, guide.encoder, x[rows], visible[rows], observed=some, generator=generator
    )
    if linear.masked is not None:
        _widen(model, guide.encoder.features, linear.values)
    place(model, guide, linear)
    model.prior.start(x[rows], (visible if observed is None else observed)[rows], visible[rows])
    return linear, rows


def linear_start(
    model: GNR,
    encoder: Encoder,
    x: Tensor,
    visible: Tensor,
    *,
    observed: Tensor | None,
    generator: torch.Generator,
    like: LinearStart | None = None,
) -> LinearStart:
    """Fit the linear model that suits the mechanism.

    Args:
        model: whose mechanism and likelihoods are calibrated.
        encoder: of the guide, with the features' scales.
        x: (N, D) values.
        visible: (N, D) bool.
        observed: (N, D) bool, m; None leaves the holes out.
        generator: CPU generator for the start of the EM steps.
        like: a start of other rows, from whose `state` the generator departs: holes get as many
            factors, no column another direction, and the steps are the same.
    """
    # A mechanism that does not count leaves all directions to the values.
    holes = None if observed is None or model.mask_weight == 0 else observed
    linear = _linear(model, encoder, x, visible, holes=holes, generator=generator, like=like)
    signs = None if holes is None else model.m_given_ux.signs()
    if holes is None or signs is None:
        return linear
    # Columns whose direction is to be found take part, whatever was found of them.
    cells = _own_cells(encoder, x, visible, holes, signs)
    if not cells.masked.any() if like is None else like.masked is None:
        return linear
    if like is not None and like.masked is not None:
        signs = _found(encoder.features, signs, like.masked)
    fit = _masked_fit(model, encoder, cells, signs=signs, linear=linear, generator=generator)
    shares = cells.masked.mean(0) * (fit.slope != 0)
    return linear._replace(values=fit.linear, masked=fit, shares=shares)


@torch.no_grad()
def place(model: GNR, guide: Guide, linear: LinearStart) -> None:
    """Set what model and guide have of a linear model; what is calibrated stays as it is."""
    encoder, mechanism = guide.encoder, model.m_given_ux
    if linear.holes is not None:
        mechanism.start(linear.holes.slopes, linear.holes.intercept)
        encoder.start_holes(linear.holes)
    if linear.masked is not None and linear.shares is not None:
        _place_own(model, encoder.features, linear.masked)
        encoder.start_masked(linear.masked, linear.shares)
    encoder.start(linear.values)
    _place_values(model, encoder.features, linear.values)


def _linear(
    model: GNR,
    encoder: Encoder,
    x: Tensor,
    visible: Tensor,
    *,
    holes: Tensor | None,
    generator: torch.Generator,
    like: LinearStart | None,
) -> LinearStart:
    """Factor analysis of the features, with that of the holes where the mechanism starts at it."""
    state = generator.get_state()
    features, seen = encoder.features(x, visible)
    latent_dim = encoder.directions.shape[1]
    mechanism = model.m_given_ux
    ignored = holes is None or isinstance(mechanism, Ignorable)
    floor = _floor(encoder.features, SMALLEST_AT_MAXIMUM if ignored else SMALLEST_NOISE)
    if holes is None or not mechanism.starts_linear:
        fit = factor_analysis(
            features,
            seen,
            latent_dim=latent_dim,
            steps=None if ignored else EARLY,
            smallest_noise=floor,
            generator=generator,
        )
        return LinearStart(fit, state)
    found = hole_factor_analysis(
        features,
        seen,
        holes,
        latent_dim=latent_dim,
        own=None if like is None or like.holes is None else like.holes.own,
        smallest_noise=floor,
        generator=generator,
    )
    return LinearStart(found.values, state, found)


def _found(features: Features, signs: Tensor, masked: MaskedLinear) -> Tensor:
    """Directions (D,) with those in place that were to be found, and were."""
    of_columns = torch.zeros_like(signs)
    of_columns[features.column] = masked.slope.sign()
    return torch.where(signs.isnan(), of_columns, signs)


def _floor(features: Features, smallest: float) -> Tensor:
    return torch.where(features.discrete, LEVEL_NOISE, smallest)


def _place_values(model: GNR, features: Features, linear: LinearModel) -> None:
    for i, likelihood in enumerate(model.x_given_u.parts()):
        members = torch.isin(features.column, model.x_given_u.positions(i)).nonzero()[:, 0]
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
    linear: LinearStart,
    generator: torch.Generator,
) -> MaskedLinear:
    """Fit features that mask themselves, on scales on which likelihoods' tails are normal ones."""
    features = encoder.features
    floor = _floor(features, SMALLEST_NOISE)
    q = _powers(model, features) * features.scale * cells.masked.any(0)
    first = linear.values
    if q.any():
        cells = cells._replace(x=bent(cells.x, q))
        first = factor_analysis(
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
        start=first,
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


def _place_own(model: GNR, features: Features, fit: MaskedLinear) -> None:
    """Set a mechanism of the cells' own values."""
    numbers = (fit.slope != 0).nonzero()[:, 0]
    mean, scale = features.mean[numbers], features.scale[numbers]
    model.m_given_ux.start_own(
        features.column[numbers],
        slope=fit.slope[numbers] / scale,
        threshold=fit.threshold[numbers] * scale + mean,
    )


def _widen(model: GNR, features: Features, linear: LinearModel) -> None:
    """Scales are bounded in observed standard deviations; those of complete columns are larger."""
    spread = (linear.loadings.square().sum(1) + linear.noise).sqrt()
    for i, likelihood in enumerate(model.x_given_u.parts()):
        if isinstance(likelihood, LocationScale):
            likelihood.widen(spread[torch.isin(features.column, model.x_given_u.positions(i))])
