"""Names of the parts that can be swapped, for strings, the command line and saved models."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from pyro_gnr.data.spelling import did_you_mean
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
from pyro_gnr.model.part import Part, hyperparameters
from pyro_gnr.model.priors import Flow, GaussianMixture, StandardNormal, VampPrior

__all__ = [
    "LIKELIHOODS",
    "MECHANISMS",
    "PRIORS",
    "describe",
    "plain",
    "rebuild",
    "resolve",
]

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
EVERY: dict[str, type[nn.Module]] = {**PRIORS, **LIKELIHOODS, **MECHANISMS}

# What `vars` holds of any part, besides its own attributes.
OF_EVERY_PART = frozenset(vars(Part()))

Made = TypeVar("Made", bound=nn.Module)


def resolve(template: object, names: Mapping[str, type[nn.Module]], base: type[Made]) -> Made:
    """Make a new, unbuilt part from what the user gave; the template stays as it is.

    Args:
        template: a registered name; a table {"name": registered name, argument: value, ...}; a
            subclass of `base`, a `functools.partial` of one, or an unbuilt instance.
        names: the registry.
        base: abstract class of the part.

    Returns:
        A new instance.

    Raises:
        ValueError: there is no part of that name, it takes no such argument, or no such value.
        TypeError: the template is no such part, or a class that wants arguments.

    Example:
        >>> from pyro_gnr.model.mechanisms import Mechanism
        >>> resolve("ignorable", MECHANISMS, Mechanism)
        Ignorable()
        >>> resolve({"name": "self_masking", "slope": 2.0}, MECHANISMS, Mechanism).slope
        2.0
    """
    what = base.__name__.lower()
    if isinstance(template, str):
        part: object = _known(template, names, what)()
    elif isinstance(template, Mapping):
        part = _from_table(template, names, what)
    elif isinstance(template, (type, partial)):
        part = _called(template, what)
    else:
        part = copy.deepcopy(template)
    if not isinstance(part, base):
        raise TypeError(
            f"got {what} {template!r}, expected a name ({', '.join(sorted(names))}), a table "
            f"{{'name': ...}}, a class, functools.partial or instance of {base.__name__}."
        )
    return part


def describe(part: nn.Module, names: Mapping[str, type[nn.Module]] = EVERY) -> dict[str, Any]:
    """Describe a part by a table that `resolve` takes: its name and all its hyperparameters.

    A part of the user's own class has the name of its class; `rebuild` wants that class. What is
    None by default and is None is left out, so that TOML can say it.

    Args:
        part: built or not.
        names: the registry of its slot; by default all that are registered.

    Raises:
        ValueError: a class of the user's own has the name of one of ours, or an argument "name",
            or does not keep its arguments.
        TypeError: a hyperparameter is no plain value, or is not there.

    Example:
        >>> describe(Gaussian(floor=0.2))
        {'name': 'gaussian', 'floor': 0.2, 'ceiling': 1.0, 'heteroscedastic': True}
    """
    described = plain(_table(part, names))
    if isinstance(part, Part):
        _check_kept(part)
    return described


def rebuild(
    template: str | Mapping[str, Any],
    names: Mapping[str, type[nn.Module]],
    components: Mapping[str, type[nn.Module]],
    base: type[Made] = nn.Module,  # type: ignore[assignment]
) -> Made:
    """Make an unbuilt part from `describe`; only registered or given classes are made.

    Args:
        template: a registered name, the name of a class in `components`, or a table with it.
        names: the registry of the slot.
        components: classes of the user's own, by class name.
        base: abstract class of the slot.

    Raises:
        ValueError: the class is neither registered nor among `components`, or as `resolve`.
        TypeError: the template is neither a name nor a table, or the part no `base`.
    """
    what = base.__name__.lower()
    if not isinstance(template, (str, Mapping)):
        raise TypeError(
            f"got {what} {template!r}, expected a name, such as {next(iter(names))!r}, or a table "
            "of a name and arguments."
        )
    name = template if isinstance(template, str) else template.get("name")
    known = {**components, **names}
    if isinstance(name, str) and name not in known:
        raise ValueError(
            f"got {what} {name!r}, expected one of {sorted(known)}{did_you_mean(name, known)}; "
            f"a class of your own comes in by components={{{name!r}: YourClass}}."
        )
    return resolve(template, known, base)


def plain(value: Any) -> Any:
    """Copy a value into what JSON and TOML have: dicts, lists, strings, numbers, booleans.

    Args:
        value: nested mappings, lists and tuples of strings, numbers (also numpy's), booleans and
            None.

    Raises:
        TypeError: there is something else.

    Example:
        >>> plain({"a": (1, np.float64(0.5), None)})
        {'a': [1, 0.5, None]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return str(value)  # of an enumeration, its value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise TypeError(f"got {value!r}, which cannot be written as JSON or TOML.")


def _known(name: str, names: Mapping[str, type[nn.Module]], what: str) -> type[nn.Module]:
    if name not in names:
        near = did_you_mean(name, names)
        raise ValueError(f"got {what} {name!r}, expected one of {sorted(names)}{near}.")
    return names[name]


def _called(template: type | partial[Any], what: str) -> object:
    """Call a class or partial; what its constructor has against that is said of the part."""
    try:
        return template()
    except TypeError as error:
        made = template.func if isinstance(template, partial) else template
        name = getattr(made, "__name__", repr(made))
        raise TypeError(
            f"got {what} {name}, which cannot be made as it was given: {error}. Pass an instance, "
            f"{name}(...), or functools.partial({name}, ...), with its arguments."
        ) from error


def _from_table(
    table: Mapping[Any, Any], names: Mapping[str, type[nn.Module]], what: str
) -> nn.Module:
    """Make a part from its name and arguments, after a look at both."""
    arguments = {str(key): value for key, value in table.items()}
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(
            f"got {what} {dict(table)!r}, expected 'name' in it: one of {sorted(names)}."
        )
    cls = _known(name, names, what)
    defaults = hyperparameters(cls)
    for argument in arguments:
        if argument not in defaults:
            near = did_you_mean(argument, defaults)
            takes = f"expected some of {list(defaults)}" if defaults else "which takes none"
            raise ValueError(f"got argument {argument!r} of {what} {name!r}, {takes}{near}.")
    try:
        return cls(**copy.deepcopy(arguments))
    except TypeError as error:
        odd = [_oddity(key, value, defaults[key]) for key, value in arguments.items()]
        reason = ", ".join(filter(None, odd)) or str(error).rstrip(".")
        raise TypeError(f"got {what} {dict(table)!r}: {reason}.") from error


def _oddity(name: str, value: object, default: object) -> str:
    """Say that a value is of another sort than the argument's default, or nothing."""
    for sort, words in ((bool, "true or false"), (Real, "a number"), (str, "text")):
        if isinstance(default, sort):
            return "" if isinstance(value, sort) else f"{name} is {value!r}, expected {words}"
    return ""


def _check_kept(part: Part) -> None:
    """Refuse a part that is not the same when it is made from what it keeps of its arguments."""
    who = f"your class {type(part).__name__!r}"
    advice = "keep arguments of the constructor under their own names, as they came"
    with torch.random.fork_rng(devices=[]):
        first = part.made_again()
        said = hyperparameters(first)
        try:
            second = type(part)(**copy.deepcopy(said))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{who} cannot be made from what it keeps of its arguments, {said} ({error}): "
                f"{advice}."
            ) from error
    one, other = _plain_attributes(first), _plain_attributes(second)
    for name, value in one.items():
        if value != other.get(name):
            raise ValueError(
                f"{who} keeps {said} of its arguments; made from these, its {name} is "
                f"{other.get(name)} and not {value}: {advice}."
            )


def _plain_attributes(part: Part) -> dict[str, str]:
    """Attributes that are plain values, as they are written, but those of every part."""
    found = {}
    for name, value in vars(part).items():
        if name not in OF_EVERY_PART:
            with contextlib.suppress(TypeError):
                found[name] = repr(plain(value))
    return found


def _table(part: nn.Module, names: Mapping[str, type[nn.Module]]) -> dict[str, Any]:
    """Name and hyperparameters of a part, not yet plain."""
    registered = {cls: name for name, cls in names.items()}
    cls, defaults, arguments = type(part), hyperparameters(type(part)), hyperparameters(part)
    name = registered.get(cls, cls.__name__)
    if cls not in registered and name in {*names, *(ours.__name__ for ours in names.values())}:
        raise ValueError(
            f"your class {name!r} has the name of one of this package's, which would be loaded "
            "instead: rename it."
        )
    if "name" in arguments:
        raise ValueError(
            f"your class {name!r} has an argument 'name', which is what names the class in a "
            "configuration: rename it."
        )
    said = {k: v for k, v in arguments.items() if not (v is None and defaults[k] is None)}
    return {"name": name, **said}
