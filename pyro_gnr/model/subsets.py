"""Some of a batch of distributions, so that quantiles are found only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import pyro.distributions as dist
import torch.distributions as td

from pyro_gnr.model.grids import OnGrid
from pyro_gnr.model.skew_normal import ExtendedSkewNormal, LogSkewNormal
from pyro_gnr.model.truncation import TruncatedNormal

__all__ = ["by_parameters", "subset"]


@singledispatch
def subset(distribution: td.Distribution, index: tuple[Any, ...]) -> td.Distribution | None:
    """Take some of a batch of distributions.

    Args:
        distribution: univariate, of any batch shape.
        index: into the batch.

    Returns:
        The distributions there; None for a class of which it is not known how, as by default:
        whoever asks then has to take the whole batch, which gives the same and takes longer.

    Example:
        >>> import torch
        >>> subset(td.Normal(torch.arange(4.0), 1.0), (torch.tensor([1, 3]),)).loc
        tensor([1., 3.])
    """
    return None


def by_parameters(
    cls: type[td.Distribution], *names: str, **options: Any
) -> Callable[[td.Distribution, tuple[Any, ...]], td.Distribution | None]:
    """Give what to register for a class that is determined by parameters in its batch shape.

    Args:
        cls: the class. Of a subclass with a constructor of its own nothing is taken.
        *names: parameters, each an attribute and a keyword of the constructor.
        **options: other keywords of the constructor.

    Example:
        >>> class Laplace(td.Laplace):
        ...     pass
        >>> _ = subset.register(Laplace, by_parameters(Laplace, "loc", "scale"))
    """

    def take(distribution: td.Distribution, index: tuple[Any, ...]) -> td.Distribution | None:
        if type(distribution).__init__ is not cls.__init__:
            return None
        shape = distribution.batch_shape
        chosen = {name: getattr(distribution, name).expand(shape)[index] for name in names}
        return type(distribution)(**chosen, **options)

    return take


for name, parameters in {
    "Normal": ("loc", "scale"),
    "StudentT": ("df", "loc", "scale"),
    "LogNormal": ("loc", "scale"),
    "Gamma": ("concentration", "rate"),
    "Beta": ("concentration1", "concentration0"),
    "Poisson": ("rate",),
    "NegativeBinomial": ("total_count", "logits"),
}.items():
    for library in (td, dist):  # some of Pyro's have constructors of their own
        stock = getattr(library, name)
        subset.register(stock, by_parameters(stock, *parameters, validate_args=False))
subset.register(TruncatedNormal, by_parameters(TruncatedNormal, "loc", "scale", "lower", "upper"))
subset.register(
    ExtendedSkewNormal, by_parameters(ExtendedSkewNormal, "loc", "scale", "slope", "offset")
)


@subset.register
def _(distribution: LogSkewNormal, index: tuple[Any, ...]) -> LogSkewNormal | None:
    logs = subset(distribution.logs, index)
    return LogSkewNormal(logs) if isinstance(logs, ExtendedSkewNormal) else None


@subset.register
def _(distribution: OnGrid, index: tuple[Any, ...]) -> OnGrid:
    shape = (len(distribution.nodes), *distribution.batch_shape)
    at = (slice(None), *index)
    nodes = distribution.nodes.expand(shape)[at]
    return type(distribution)(nodes, distribution.mass[at].log(), distribution.curve)
