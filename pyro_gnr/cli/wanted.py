"""What options and a configuration file say of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_gnr.cli.options import parse_direction, parse_kinds, parse_pairs

if TYPE_CHECKING:
    from pyro_gnr import GNRImputer

__all__ = ["Wanted", "check_columns", "new_imputer"]

DIRECTIONS = ("high", "low", "free", "off")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the caller said about the model; None where nothing.

    Attributes:
        config: configuration file.
        kind: COLUMN=KIND.
        row_key: column that names the rows.
        seed: of fit and draws.
        mechanism: registered name.
        direction: of a self-masking mechanism: END, or COLUMN=END.
        prior: registered name.
        likelihood: COLUMN=NAME.
        members: fits of an ensemble.
        max_steps: most training steps.
    """

    config: Path | None = None
    kind: Sequence[str] | None = None
    row_key: str | None = None
    seed: int | None = None
    mechanism: str | None = None
    direction: Sequence[str] | None = None
    prior: str | None = None
    likelihood: Sequence[str] | None = None
    members: int | None = None
    max_steps: int | None = None

    def check_absent(self, model: Path) -> None:
        """A saved model has its configuration: but for the seed, options cannot change it."""
        given = [name for name, value in vars(self).items() if value is not None]
        names = [f"--{name.replace('_', '-')}" for name in given if name != "seed"]
        if names:
            raise ValueError(
                f"{' and '.join(names)} cannot be given with --model: {model} was fitted with its "
                "own; leave it out, or fit again"
            )


def new_imputer(wanted: Wanted, *, quiet: bool) -> GNRImputer:
    """Make an imputer: options win over the file, and the file over the defaults."""
    from pyro_gnr import GNRImputer

    kinds = parse_kinds(wanted.kind)
    words = {"option": "--likelihood", "expected": "COLUMN=NAME", "example": "income=student_t"}
    likelihoods = parse_pairs(wanted.likelihood, **words)
    # Made once for what the file says, so that what is wrong there is said of the file.
    file = {} if wanted.config is None else GNRImputer.from_config(wanted.config).to_config()
    options = {
        "mechanism": wanted.mechanism,
        "prior": wanted.prior,
        "members": wanted.members,
        "max_steps": wanted.max_steps,
        "row_key": wanted.row_key,
        "random_state": wanted.seed,
    }
    said = {"random_state": 0, **file, **{k: v for k, v in options.items() if v is not None}}
    said["kinds"] = {**file.get("kinds", {}), **kinds}
    said["likelihoods"] = {**file.get("likelihoods", {}), **likelihoods}
    direction = parse_direction(wanted.direction)
    if direction is not None:
        said["mechanism"] = _directed(said.get("mechanism", "conjunction"), direction)
    return GNRImputer.from_config(said).set_params(verbose=not quiet)


def _directed(mechanism: str | dict[str, Any], direction: str | dict[str, str]) -> dict[str, Any]:
    """Say the direction of a self-masking mechanism."""
    pairs = {"": direction} if isinstance(direction, str) else direction
    for name, end in pairs.items():
        if end not in DIRECTIONS:
            word = f"{name}={end}" if name else end
            raise ValueError(f"--direction {word!r}: expected one of {', '.join(DIRECTIONS)}")
    table = {"name": mechanism} if isinstance(mechanism, str) else mechanism
    if table["name"] != "self_masking":
        raise ValueError(
            f"--direction goes with --mechanism self_masking, but here it is {table['name']}"
        )
    return {**table, "direction": direction}


def check_columns(wanted: Wanted, imputer: GNRImputer, columns: Sequence[str]) -> None:
    """Refuse names of columns that the table does not have, where they do not come from --kind."""
    spoken = {
        "kinds": parse_kinds(wanted.kind),
        "likelihoods": parse_pairs(wanted.likelihood, option="", expected="", example=""),
    }
    for key, options in spoken.items():
        unknown = [name for name in getattr(imputer, key) or {} if name not in columns]
        file = [name for name in unknown if name not in options]
        if file:
            raise ValueError(
                f"{wanted.config}: section [{key}] has unknown columns {file}, expected some of "
                f"{list(columns)}"
            )
        if unknown and key == "likelihoods":
            raise ValueError(
                f"--likelihood names unknown columns {unknown}, expected some of {list(columns)}"
            )
    if wanted.row_key is None and imputer.row_key not in (None, *columns):
        raise ValueError(
            f"{wanted.config}: row_key is {imputer.row_key!r}, expected one of {list(columns)}"
        )
    _check_direction(wanted, imputer, columns)


def _check_direction(wanted: Wanted, imputer: GNRImputer, columns: Sequence[str]) -> None:
    """Refuse a direction for a column that is not modelled."""
    mechanism = imputer.mechanism if isinstance(imputer.mechanism, Mapping) else {}
    direction = mechanism.get("direction")
    if not isinstance(direction, Mapping):
        return
    kinds = dict(imputer.kinds or {})
    if imputer.row_key is not None:
        kinds.setdefault(imputer.row_key, "ignore")
    modelled = [name for name in columns if kinds.get(name) != "ignore"]
    unknown = [name for name in direction if name not in modelled]
    if unknown:
        where = "--direction" if wanted.direction else f"{wanted.config}: mechanism: direction"
        raise ValueError(f"{where} names {unknown}, expected modelled columns {modelled}")
