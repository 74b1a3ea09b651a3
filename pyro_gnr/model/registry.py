"""Names of the parts that can be swapped, for strings, the command line and saved models."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from torch import nn

from pyro_gnr.model.likelihoods import (
    Bernoulli,
    Beta,
    Categorical,
    Censored,
    Gamma,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    Poisson,
    StudentT,
    Truncated,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from pyro_gnr.model.mechanisms import (
    Conjunction,
    Ignorable,
    NoSelfCensoring,
    Selection,
    SelfMasking,
)
from pyro_gnr.model.priors import Flow, GaussianMixture, StandardNormal, VampPrior

__all__ = ["LIKELIHOODS", "MECHANISMS", "PRIORS", "describe", "rebuild", "resolve"]

PRIORS: dict[str, type[nn.Module]] = {
    "standard_normal": StandardNormal,
    "gaussian_mixture": GaussianMixture,
    "vamp": VampPrior,
    "flow": Flow,
}
LIKELIHOODS: dict[str, type[nn.Module]] = {
    "gaussian": Gaussian,
    "student_t": StudentT,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "censored": Censored,
    "truncated": Truncated,
    "log_normal": LogNormal,
    "gamma": Gamma,
    "beta": Beta,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "zero_inflated_poisson": ZeroInflatedPoisson,
    "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
    "ordinal": Ordinal,
}
MECHANISMS: dict[str, type[nn.Module]] = {
    "conjunction": Conjunction,
    "ignorable": Ignorable,
    "self_masking": SelfMasking,
    "selection": Selection,
    "no_self_censoring": NoSelfCensoring,
}

Part = TypeVar("Part", bound=nn.Module)


def resolve(template: object, names: Mapping[str, type[nn.Module]], base: type[Part]) -> Part:
    """Make a new, unbuilt part from what the user gave; the template stays as it is.

    Args:
        template: a registered name, a subclass of `base`, a `functools.partial` of one, or an
            unbuilt instance.
        names: the registry.
        base: abstract class of the part.

    Returns:
        A new instance.

    Raises:
        ValueError: there is no part of that name.
        TypeError: the template is no such part.

    Example:
        >>> from pyro_gnr.model.mechanisms import Mechanism
        >>> resolve("ignorable", MECHANISMS, Mechanism)
        Ignorable()
    """
    what = base.__name__.lower()
    if isinstance(template, str):
        if template not in names:
            raise ValueError(f"got {what} {template!r}, expected one of {sorted(names)}.")
        part: object = names[template]()
    elif isinstance(template, (type, partial)):
        part = template()
    else:
        part = copy.deepcopy(template)
    if not isinstance(part, base):
        raise TypeError(
            f"got {what} {template!r}, expected a name ({', '.join(sorted(names))}), a class, "
            f"functools.partial or instance of {base.__name__}."
        )
    return part


def describe(part: nn.Module) -> dict[str, Any]:
    """Describe a part by class name and hyperparameters, for a JSON manifest.

    Example:
        >>> describe(Gaussian(floor=0.2))
        {'class': 'Gaussian', 'arguments': {'floor': 0.2, 'ceiling': 1.0, 'heteroscedastic': True}}
    """
    parameters = inspect.signature(type(part).__init__).parameters
    arguments = {
        name: getattr(part, name)
        for name, parameter in parameters.items()
        if name != "self"
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    }
    return {"class": type(part).__name__, "arguments": arguments}


def rebuild(
    description: Mapping[str, Any],
    names: Mapping[str, type[nn.Module]],
    components: Mapping[str, type[nn.Module]],
) -> nn.Module:
    """Make an unbuilt part from `describe`; only registered or given classes are made.

    Raises:
        ValueError: the class is neither registered nor among `components`.
    """
    known = {cls.__name__: cls for cls in names.values()} | dict(components)
    name = description["class"]
    if name not in known:
        raise ValueError(
            f"the saved model uses a class {name!r} that this package does not know: load it with "
            f"components={{{name!r}: YourClass}}."
        )
    return known[name](**description["arguments"])
