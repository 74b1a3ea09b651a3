"""Configurations as TOML: one that there is, and a commented template of all defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from pyro_gnr.data import Kind
from pyro_gnr.imputation.configuration import NONE, SECTIONS, defaults
from pyro_gnr.model.assemble import FUSIONS
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = ["template", "to_toml"]

WIDTH = 97
HEADER = (
    "Configuration of pyro_gnr, for `pyro-gnr fit --config FILE` and `GNRImputer.from_config`. "
    "These are the defaults; leave out what you do not change. Lines with # say what a key means, "
    "or show one that is not set."
)
NOTES = {
    "mechanism": f"Why cells are missing: {', '.join(MECHANISMS)}; with arguments as in "
    '{ name = "self_masking", direction = "high" }. No data can test it.',
    "prior": f"Distribution of the latent z: {', '.join(PRIORS)}; with arguments likewise.",
    "latent_dim": "Numbers in z, >= 1; if not set, one less than the features, at most 16, or "
    "three for each pattern of columns that are missing together.",
    "hidden": "Units in the hidden layers of decoder and encoder; 0 makes both linear.",
    "fusion": f"How the layer u follows from z: {', '.join(FUSIONS)}.",
    "particles": "Importance samples of a row in training.",
    "renyi_order": "Order of the training bound; 0 is the importance-weighted one, 1 the ELBO.",
    "gradient": "Estimator of its gradient: iwae, dreg (order 0) or stl.",
    "mask_weight": "Weight of the holes in training, >= 0; imputation always uses 1.",
    "members": "Fits of an ensemble, for the uncertainty of parameters; 1 is faster without it.",
    "max_steps": "Gradient steps at most.",
    "batch_size": "Rows a step.",
    "learning_rate": "Of Adam at the start; it falls to 0 along a cosine.",
    "validation": f"What is held out to stop early: rows, cells or {NONE}.",
    "validation_fraction": "Share of the rows or observed cells held out, in (0, 1).",
    "patience": "Evaluations, 100 steps apart, without progress before training stops.",
    "imputation_particles": "Importance samples of a row in imputation, shared among members.",
    "row_key": "Column that identifies rows; it is carried along and not modelled.",
    "random_state": "Seed of fit and draws; if not set, the command line takes 0, Python any.",
    "likelihoods": "Distributions of single columns, others go by kind: "
    + ", ".join(LIKELIHOODS)
    + ".",
    "kinds": "Kinds of single columns, others are seen: " + ", ".join(Kind) + ".",
}
EXAMPLES: dict[str, Any] = {
    "latent_dim": 8,
    "row_key": "id",
    "random_state": 0,
    "likelihoods": {"income": "student_t", "dose": {"name": "truncated", "lower": 0.0}},
    "kinds": {"ward": "categorical", "visit date": "ignore"},
}


def to_toml(config: Mapping[str, Any]) -> str:
    """Write a configuration: plain keys first, then a section for each table.

    Args:
        config: of text, numbers, booleans, lists and tables, as `GNRImputer.to_config` gives it.

    Raises:
        ValueError: a value is None, or of another sort: TOML has none.

    Example:
        >>> print(to_toml({"hidden": 64, "mechanism": {"name": "self_masking", "slope": 2.0}}))
        hidden = 64
        <BLANKLINE>
        [mechanism]
        name = "self_masking"
        slope = 2.0
        <BLANKLINE>
    """
    plain = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    blocks = ["".join(_line(key, value) for key, value in plain.items())]
    for key, table in config.items():
        if isinstance(table, Mapping):
            lines = "".join(_line(k, v) for k, v in table.items())
            blocks.append(f"[{_key(key)}]\n{lines}")
    return "\n".join(block for block in blocks if block)


def template(cls: type[GNRImputer]) -> str:
    """Write all keys with their defaults and what they mean; it reads as the defaults."""
    known = defaults(cls)
    blocks = [_comment(HEADER)]
    blocks += [_entry(key, value) for key, value in known.items() if key not in SECTIONS]
    blocks += [_entry(key, None) for key in known if key in SECTIONS]
    return "\n".join(blocks)


def _entry(key: str, value: Any) -> str:
    """One key with its note; what has no default is shown as a comment."""
    if value is not None:
        return _comment(NOTES[key]) + _line(key, value)
    example = to_toml({key: EXAMPLES[key]})
    return _comment(NOTES[key]) + "".join(f"# {line}\n" for line in example.splitlines())


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in wrap(text, WIDTH, break_on_hyphens=False))


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(key, value)}\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _text(text: str) -> str:
    """Quote as JSON does, which TOML reads; but it wants DEL escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(key, v) for v in value)}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(k)} = {_value(f'{key}.{k}', v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    raise ValueError(f"got {key}={value!r}, which TOML cannot say: write JSON.")
