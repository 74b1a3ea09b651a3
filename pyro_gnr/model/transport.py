"""Uniform numbers to draws, and values to probabilities, for any distribution the model uses.

Row-keyed randomness replaces sampling by `transport`; intervals are found with `cdf`. Where torch
has no inverse CDF: cumulative sums for discrete distributions, scipy's inverses on the CPU else.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import torch
import torch.distributions as td
from pyro.distributions.torch_distribution import MaskedDistribution
from scipy import special
from torch import Tensor

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.densities import PrecisionMixture, WarpedNormal

__all__ = ["cdf", "transport"]


@singledispatch
def transport(distribution: td.Distribution, uniforms: Tensor) -> Tensor:
    """Map independent uniforms to a draw: the inverse CDF, or its multivariate counterpart.

    Args:
        distribution: batch shape B, event shape E.
        uniforms: (*B, *E) numbers in (0, 1); float64, so that tails are reached.

    Returns:
        A draw (*B, *E) in the distribution's own dtype.

    Raises:
        NotImplementedError: no such map is known for this class.

    Example:
        >>> transport(td.Normal(1.0, 2.0), torch.tensor(0.5, dtype=torch.float64))
        tensor(1.)
    """
    return distribution.icdf(uniforms).to(torch.get_default_dtype())


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


@singledispatch
def cdf(distribution: td.Distribution, value: Tensor) -> Tensor:
    """Give P(X <= value) of a univariate distribution, in the broadcast shape of both.

    Example:
        >>> cdf(td.StudentT(3.0), torch.tensor(0.0))
        tensor(0.5000)
    """
    return distribution.cdf(value)


@cdf.register
def _(distribution: td.StudentT, value: Tensor) -> Tensor:
    t = (value - distribution.loc) / distribution.scale
    df = distribution.df.expand_as(t).detach().cpu().numpy()
    return torch.from_numpy(np.asarray(special.stdtr(df, t.detach().cpu().numpy()))).to(t)
