"""Uniform numbers to draws, and values to probabilities, for any distribution the model uses.

Row-keyed randomness replaces sampling by `transport`; intervals are found with `cdf`. Where torch
has no inverse CDF: cumulative sums for levels, a search for counts (exact: the smallest whole
number whose CDF reaches the uniform), scipy's inverses on the CPU else. Of any other class that
has either an inverse CDF or a CDF, the one is found from the other by halving.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any

import numpy as np
import torch
import torch.distributions as td
from pyro.distributions import ZeroInflatedDistribution
from pyro.distributions.torch_distribution import MaskedDistribution
from scipy import special
from torch import Tensor

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.densities import PrecisionMixture, WarpedNormal
from pyro_gnr.model.inverses import probabilities, quantiles
from pyro_gnr.model.truncation import TruncatedNormal

__all__ = ["BOUND_GAP", "bracket", "cdf", "restrict", "shows_value", "smallest_count", "transport"]

# Draws of positive and bounded numbers that round to a bound are moved this far inside.
BOUND_GAP = 1e-6
SMALLEST_POSITIVE = 1e-30
# Counts are searched up to here; floats are no longer exact whole numbers beyond.
LARGEST_COUNT = 2.0**53


@singledispatch
def transport(distribution: td.Distribution, uniforms: Tensor) -> Tensor:
    """Map independent uniforms to a draw: the inverse CDF, or its multivariate counterpart.

    Args:
        distribution: batch shape B, event shape E.
        uniforms: (*B, *E) numbers in (0, 1); float64, so that tails are reached.

    Returns:
        A draw (*B, *E) in the distribution's own dtype.

    Raises:
        NotImplementedError: no such map is known for this class, and it has no CDF either.

    Example:
        >>> transport(td.Normal(1.0, 2.0), torch.tensor(0.5, dtype=torch.float64))
        tensor(1.)
    """
    try:
        found = distribution.icdf(uniforms)
    except NotImplementedError:
        found = _by_cdf(distribution, uniforms)
    return found.to(torch.get_default_dtype())


@transport.register
def _(distribution: td.Normal, uniforms: Tensor) -> Tensor:
    noise = torch.special.ndtri(uniforms).to(distribution.loc.dtype)
    return distribution.loc + distribution.scale * noise


@transport.register
def _(distribution: td.Independent, uniforms: Tensor) -> Tensor:
    return transport(distribution.base_dist, uniforms)


@transport.register
def _(distribution: MaskedDistribution, uniforms: Tensor) -> Tensor:
    return transport(distribution.base_dist, uniforms)


@transport.register
def _(distribution: PrecisionNormal, uniforms: Tensor) -> Tensor:
    noise = torch.special.ndtri(uniforms).to(distribution.loc.dtype)
    return distribution.from_noise(noise)


@transport.register
def _(distribution: PrecisionMixture, uniforms: Tensor) -> Tensor:
    return distribution.from_uniforms(uniforms)


@transport.register
def _(distribution: WarpedNormal, uniforms: Tensor) -> Tensor:
    return distribution.from_noise(torch.special.ndtri(uniforms).to(distribution.zero.dtype))


@transport.register
def _(distribution: td.MultivariateNormal, uniforms: Tensor) -> Tensor:
    noise = torch.special.ndtri(uniforms).to(distribution.loc.dtype)
    return distribution.loc + (distribution.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)


@transport.register
def _(distribution: td.Bernoulli, uniforms: Tensor) -> Tensor:
    return (uniforms > 1.0 - distribution.probs).to(distribution.probs.dtype)


@transport.register
def _(distribution: td.Categorical, uniforms: Tensor) -> Tensor:
    # Single-precision probabilities sum to a little less or more than 1: without the total, a
    # large uniform would fall beyond the last level that is possible.
    cumulative = distribution.probs.double().cumsum(-1)
    below = cumulative[..., :-1] < uniforms.unsqueeze(-1) * cumulative[..., -1:]
    return below.sum(-1)


@transport.register
def _(distribution: td.StudentT, uniforms: Tensor) -> Tensor:
    df, loc = distribution.df, distribution.loc
    quantile = special.stdtrit(df.detach().cpu().numpy(), uniforms.cpu().numpy())
    return loc + distribution.scale * torch.from_numpy(np.asarray(quantile)).to(loc)


@transport.register
def _(distribution: TruncatedNormal, uniforms: Tensor) -> Tensor:
    return distribution.icdf(uniforms)


@transport.register
def _(distribution: td.LogNormal, uniforms: Tensor) -> Tensor:
    return transport(distribution.base_dist, uniforms).exp()


@transport.register
def _(distribution: td.Gamma, uniforms: Tensor) -> Tensor:
    shape, rate = distribution.concentration, distribution.rate
    quantile = _by_scipy(special.gammaincinv, shape, uniforms) / rate.double()
    return quantile.clamp(min=SMALLEST_POSITIVE).to(rate.dtype)


@transport.register
def _(distribution: td.Beta, uniforms: Tensor) -> Tensor:
    a, b = distribution.concentration1, distribution.concentration0
    quantile = _by_scipy(special.betaincinv, a, b, uniforms)
    return quantile.clamp(BOUND_GAP, 1.0 - BOUND_GAP).to(a.dtype)


@transport.register
def _(distribution: td.Poisson, uniforms: Tensor) -> Tensor:
    return _smallest_count(distribution, uniforms).to(distribution.rate.dtype)


@transport.register
def _(distribution: td.NegativeBinomial, uniforms: Tensor) -> Tensor:
    return _smallest_count(distribution, uniforms).to(distribution.total_count.dtype)


@transport.register
def _(distribution: ZeroInflatedDistribution, uniforms: Tensor) -> Tensor:
    return _smallest_count(distribution, uniforms).to(distribution.gate.dtype)


def _smallest_count(distribution: td.Distribution, uniforms: Tensor) -> Tensor:
    return smallest_count(lambda k: cdf(distribution, k), uniforms, guess=distribution.mean)


@torch.no_grad()
def smallest_count(
    probability: Callable[[Tensor], Tensor], uniforms: Tensor, *, guess: Tensor
) -> Tensor:
    """Find the smallest whole number k >= 0 with P(X <= k) >= u, by doubling and halving.

    Args:
        probability: P(X <= k) of float64 k, elementwise.
        uniforms: u in (0, 1).
        guess: where the search begins, >= 0; broadcasts to the uniforms.

    Returns:
        k, float64, shaped as the uniforms.

    Example:
        >>> u = torch.tensor([0.3, 0.9], dtype=torch.float64)
        >>> smallest_count(lambda k: 1 - 0.5 ** (k + 1), u, guess=torch.tensor(1.0))
        tensor([0., 3.], dtype=torch.float64)
    """
    u = uniforms.double()
    # Within the limit floats are whole numbers one apart, so that halving ends.
    high = guess.double().floor().clamp(max=LARGEST_COUNT).expand_as(u)
    low = torch.full_like(u, -1.0)  # P(X <= low) < u throughout
    while (below := (probability(high) < u) & (high < LARGEST_COUNT)).any():
        low = torch.where(below, high, low)
        high = torch.where(below, (2.0 * high + 1.0).clamp(max=LARGEST_COUNT), high)
    while (unsettled := high - low > 1.0).any():
        middle = ((low + high) / 2).floor()
        below = probability(middle) < u
        low = torch.where(unsettled & below, middle, low)
        high = torch.where(unsettled & ~below, middle, high)
    return high


def _by_scipy(function: Callable[..., Any], *arguments: Tensor) -> Tensor:
    """Apply a function of scipy.special elementwise, in double precision on the CPU."""
    arrays = [a.detach().double().cpu().numpy() for a in torch.broadcast_tensors(*arguments)]
    return torch.from_numpy(np.asarray(function(*arrays))).to(arguments[0].device)


@singledispatch
def cdf(distribution: td.Distribution, value: Tensor) -> Tensor:
    """Give P(X <= value) of a univariate distribution, in the broadcast shape of both.

    Example:
        >>> cdf(td.StudentT(3.0), torch.tensor(0.0))
        tensor(0.5000)
    """
    try:
        return distribution.cdf(value)
    except NotImplementedError:
        return _by_quantiles(distribution, value).to(value.dtype)


def _by_cdf(distribution: td.Distribution, uniforms: Tensor) -> Tensor:
    """Give quantiles of a class that has none, from its CDF."""
    own = _registered(cdf, distribution)
    probability = partial(cdf, distribution) if own else distribution.cdf
    try:
        support = distribution.support
    except NotImplementedError:
        support = None
    try:
        if getattr(support, "is_discrete", False):
            return smallest_count(probability, uniforms, guess=torch.zeros_like(uniforms))
        return quantiles(probability, uniforms, support=support)
    except NotImplementedError:
        raise _neither(distribution) from None


def _by_quantiles(distribution: td.Distribution, value: Tensor) -> Tensor:
    """Give the CDF of a class that has none, from its quantiles."""
    own = _registered(transport, distribution)
    quantile = partial(transport, distribution) if own else distribution.icdf
    shape = torch.broadcast_shapes(distribution.batch_shape, value.shape)
    try:
        return probabilities(quantile, value.expand(shape))
    except NotImplementedError:
        raise _neither(distribution) from None


def _registered(function: Any, distribution: td.Distribution) -> bool:
    return function.dispatch(type(distribution)) is not function.dispatch(object)


def _neither(distribution: td.Distribution) -> NotImplementedError:
    return NotImplementedError(
        f"{type(distribution).__name__} has neither `icdf` nor `cdf`, by one of which values are "
        "drawn: give the class one, or register it as in pyro_gnr/model/transport.py."
    )


@cdf.register
def _(distribution: td.StudentT, value: Tensor) -> Tensor:
    t = (value - distribution.loc) / distribution.scale
    df = distribution.df.expand_as(t).detach().cpu().numpy()
    return torch.from_numpy(np.asarray(special.stdtr(df, t.detach().cpu().numpy()))).to(t)


@cdf.register
def _(distribution: td.Gamma, value: Tensor) -> Tensor:
    return torch.special.gammainc(distribution.concentration, distribution.rate * value)


@cdf.register
def _(distribution: td.Beta, value: Tensor) -> Tensor:
    a, b = distribution.concentration1, distribution.concentration0
    return _by_scipy(special.betainc, a, b, value).to(value.dtype)


@cdf.register
def _(distribution: td.Poisson, value: Tensor) -> Tensor:
    k, rate = torch.broadcast_tensors(value.double().floor(), distribution.rate.double())
    p = torch.special.gammaincc(k.clamp(min=0.0) + 1.0, rate)
    return torch.where(k < 0, 0.0, p).to(value.dtype)


@cdf.register
def _(distribution: td.NegativeBinomial, value: Tensor) -> Tensor:
    k = value.double().floor()
    failure = torch.sigmoid(-distribution.logits.double())
    p = _by_scipy(special.betainc, distribution.total_count, k.clamp(min=0.0) + 1.0, failure)
    return torch.where(k < 0, 0.0, p).to(value.dtype)


@cdf.register
def _(distribution: ZeroInflatedDistribution, value: Tensor) -> Tensor:
    gate = distribution.gate.double()
    p = gate + (1.0 - gate) * cdf(distribution.base_dist, value.double())
    return torch.where(value < 0, 0.0, p).to(value.dtype)


@singledispatch
def bracket(distribution: td.Distribution, probability: float) -> tuple[Tensor, Tensor]:
    """Give two numbers, in the batch shape, with the quantile of a probability between them.

    Where `transport` is the inverse CDF both are the quantile itself.

    Example:
        >>> bracket(td.Normal(1.0, 2.0), 0.5)
        (tensor(1.), tensor(1.))
    """
    at = torch.full(distribution.batch_shape, probability, dtype=torch.float64)
    found = transport(distribution, at.to(_device(distribution)))
    return found, found


def _device(distribution: td.Distribution) -> torch.device:
    """Where a distribution's parameters are."""
    tensors = (v for v in vars(distribution).values() if isinstance(v, Tensor))
    return next((t.device for t in tensors), torch.device("cpu"))


@cdf.register
def _(distribution: TruncatedNormal, value: Tensor) -> Tensor:
    return distribution.cdf(value)


@singledispatch
def restrict(distribution: td.Distribution, value: Tensor) -> td.Distribution:
    """Give p(x | what `value` says of x) where that leaves x open, as an interval does.

    Args:
        distribution: p(x), batch (..., C).
        value: observed values (..., C), codes of intervals among them.

    Returns:
        The distribution itself where values say all or nothing, as for most families.

    Example:
        >>> normal = td.Normal(0.0, 1.0)
        >>> restrict(normal, torch.tensor(0.0)) is normal
        True
    """
    return distribution


@singledispatch
def shows_value(distribution: td.Distribution, value: Tensor) -> Tensor:
    """Say which values (..., C) are such, rather than codes of what is known of a value.

    Example:
        >>> shows_value(td.Normal(0.0, 1.0), torch.tensor([1e9]))
        tensor([True])
    """
    return torch.ones_like(value, dtype=torch.bool)
