"""The one description of an imputer: a plain dict, which a TOML or JSON file can hold.

Its keys are the arguments of `GNRImputer` that say what the model is and how it is trained; not
`device`, `verbose` and `callback`, which belong to the machine and the moment. The estimator, the
command line, saved models and what is written of imputations share it.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from pyro_gnr.data.columns import as_kind
from pyro_gnr.data.spelling import did_you_mean
from pyro_gnr.imputation.settings import check_settings, is_whole
from pyro_gnr.model.likelihoods import Likelihood
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import (
    LIKELIHOODS,
    MECHANISMS,
    PRIORS,
    describe,
    plain,
    rebuild,
    resolve,
)

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = [
    "check_components",
    "configuration",
    "configuration_of_fit",
    "configured",
    "defaults",
    "read",
]

Classes = Mapping[str, type[nn.Module]]

LOCAL = ("device", "n_jobs", "verbose", "callback")
SECTIONS = ("kinds", "likelihoods")  # one entry a column; without entries they say nothing
# TOML has no word for None, and to leave `validation` out means "rows".
NONE = "none"
HELD_OUT = ("rows", "cells", NONE)
LARGEST_SEED = 2**32 - 1
REGISTRIES: dict[str, tuple[Classes, type[Any]]] = {
    "mechanism": (MECHANISMS, Mechanism),
    "prior": (PRIORS, Prior),
    "likelihoods": (LIKELIHOODS, Likelihood),
}


def defaults(cls: type[GNRImputer]) -> dict[str, Any]:
    """Give the keys of a configuration, in order, and their defaults.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> defaults(GNRImputer)["hidden"]
        128
    """
    parameters = inspect.signature(cls).parameters
    return {name: p.default for name, p in parameters.items() if name not in LOCAL}


def configuration(imputer: GNRImputer) -> dict[str, Any]:
    """Describe an imputer's arguments as they are now; see `GNRImputer.to_config`."""
    return _configuration(imputer, imputer.random_state, strict=True)


def configuration_of_fit(imputer: GNRImputer, seed: int) -> dict[str, Any]:
    """Describe a fit: as `configuration`, with the seed that it drew or was given.

    A part of the user's own class that has no plain description is only named: that is no reason
    not to fit it.
    """
    return _configuration(imputer, seed, strict=False)


def _configuration(imputer: GNRImputer, random_state: object, *, strict: bool) -> dict[str, Any]:
    found = {name: getattr(imputer, name) for name in defaults(type(imputer))}
    found["random_state"] = random_state
    found["validation"] = NONE if imputer.validation is None else imputer.validation
    for slot in ("mechanism", "prior"):
        found[slot] = _described(found[slot], slot, strict=strict)
    found["likelihoods"] = {
        column: _described(template, "likelihoods", strict=strict)
        for column, template in (imputer.likelihoods or {}).items()
    }
    found["kinds"] = dict(imputer.kinds or {})
    known = {key: _named(key, value) for key, value in found.items()}
    return {key: value for key, value in known.items() if value is not None and value != {}}


def _described(template: Any, slot: str, *, strict: bool) -> Any:
    """Give names and tables as they are; of anything else, the part that it makes.

    TOML has no word for None: a table with one in it says it as its part does, or leaves it out.
    """
    if isinstance(template, str) or (isinstance(template, Mapping) and not _says_none(template)):
        return template
    names, base = REGISTRIES[slot]
    if isinstance(template, Mapping):
        described = describe(resolve(template, names, base), names)
        return {key: described[key] for key in map(str, template) if key in described}
    part = template if isinstance(template, base) else resolve(template, names, base)
    try:
        return describe(part, names)
    except (TypeError, ValueError):
        if strict:
            raise
        return {"name": type(part).__name__}


def _says_none(value: Any) -> bool:
    """Whether there is None in a table, or in a table in it."""
    if isinstance(value, Mapping):
        return any(_says_none(inner) for inner in value.values())
    return value is None


def _named(key: str, value: Any) -> Any:
    try:
        return plain(value)
    except TypeError as error:
        raise TypeError(f"{key}: {error}") from error


def read(path: str | Path) -> dict[str, Any]:
    """Read a configuration file; what is in it is not checked.

    Args:
        path: of a .toml or .json file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file; names it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".json"):
        raise ValueError(f"got the file {str(path)!r}, expected the ending .toml or .json.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no {suffix[1:].upper()} file: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {found!r}, expected keys and values.")
    return found


def check_components(components: object) -> None:
    """Refuse what are no classes by name.

    Raises:
        TypeError: it is no mapping, or holds something else.
    """
    if not isinstance(components, Mapping) or not all(
        isinstance(name, str) and isinstance(cls, type) for name, cls in components.items()
    ):
        raise TypeError(
            f"got components={components!r}, expected a dict of your classes by name, such as "
            "{'Laplace': Laplace}."
        )


def configured(
    cls: type[GNRImputer], config: str | Path | Mapping[str, Any], components: Classes
) -> GNRImputer:
    """Make an imputer from its description; see `GNRImputer.from_config`."""
    check_components(components)
    if isinstance(config, Mapping):
        return _checked(cls, config, components)
    found = read(config)
    try:
        return _checked(cls, found, components)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{config}: {error}") from error


def _checked(cls: type[GNRImputer], config: Mapping[str, Any], components: Classes) -> GNRImputer:
    known = defaults(cls)
    for key in config:
        if key not in known:
            near = did_you_mean(str(key), known)
            raise ValueError(f"got key {key!r}, expected some of {list(known)}{near}.")
    imputer = cls(**{key: _argument(key, value, components) for key, value in config.items()})
    check_settings(imputer)
    return imputer


def _argument(key: str, value: Any, components: Classes) -> Any:
    """Check what `check_settings` leaves to the table, or to Python's types."""
    if key in ("mechanism", "prior"):
        return _part(key, key, value, components)
    value = _named(key, value) if key != "likelihoods" else value
    if key == "validation" and value not in (*HELD_OUT, None):
        raise ValueError(f"got validation={value!r}, expected one of {list(HELD_OUT)}.")
    if value is None or (key == "validation" and value == NONE):
        return None
    if key in SECTIONS:
        return _section(key, value, components) or None
    if key == "random_state" and not (is_whole(value, least=0) and value <= LARGEST_SEED):
        raise ValueError(f"got random_state={value!r}, expected a whole number in [0, 2^32).")
    if key == "row_key" and not isinstance(value, str):
        raise ValueError(f"got row_key={value!r}, expected the name of a column.")
    return value


def _section(key: str, value: Any, components: Classes) -> dict[str, Any]:
    """Check what is said of single columns."""
    if not isinstance(value, Mapping):
        raise TypeError(f"got {key}={value!r}, expected values by column name.")
    if key == "likelihoods":
        return {str(c): _part(f"{key}.{c}", key, v, components) for c, v in value.items()}
    for column, kind in value.items():
        if not isinstance(kind, str):
            raise TypeError(f"kinds.{column}: got {kind!r}, expected the name of a kind.")
        as_kind(kind, column)
    return dict(value)


def _part(key: str, slot: str, template: Any, components: Classes) -> Any:
    """Try a template; one of the user's own class becomes an instance, others stay plain."""
    names, base = REGISTRIES[slot]
    try:
        part = rebuild(template, names, components, base)
    except (ValueError, TypeError) as error:
        sort = TypeError if isinstance(error, TypeError) else ValueError
        raise sort(f"{key}: {error}") from error
    return plain(template) if type(part) in names.values() else part
