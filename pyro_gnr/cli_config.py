"""What options and a configuration file say of the model; the command ``pyro-gnr config``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyro_gnr.console import errors
from pyro_gnr.options import IMPUTATIONS, parse_kinds, parse_pairs

if TYPE_CHECKING:
    from pyro_gnr import GNRImputer

__all__ = ["Wanted", "check_columns", "config", "new_imputer"]

DIRECTIONS = ("high", "low", "free")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the caller said about the model; None where nothing.

    Attributes:
        config: configuration file.
        kind: COLUMN=KIND.
        row_key: column that names the rows.
        seed: of fit and draws.
        mechanism: registered name.
        direction: of a self-masking mechanism.
        prior: registered name.
        likelihood: COLUMN=NAME.
        max_steps: most training steps.
    """

    config: Path | None = None
    kind: Sequence[str] | None = None
    row_key: str | None = None
    seed: int | None = None
    mechanism: str | None = None
    direction: str | None = None
    prior: str | None = None
    likelihood: Sequence[str] | None = None
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
        "max_steps": wanted.max_steps,
        "row_key": wanted.row_key,
        "random_state": wanted.seed,
    }
    said = {"random_state": 0, **file, **{k: v for k, v in options.items() if v is not None}}
    said["kinds"] = {**file.get("kinds", {}), **kinds}
    said["likelihoods"] = {**file.get("likelihoods", {}), **likelihoods}
    if wanted.direction is not None:
        said["mechanism"] = _directed(said.get("mechanism", "conjunction"), wanted.direction)
    return GNRImputer.from_config(said).set_params(verbose=not quiet)


def _directed(mechanism: str | dict[str, Any], direction: str) -> dict[str, Any]:
    """Say the direction of a self-masking mechanism."""
    if direction not in DIRECTIONS:
        raise ValueError(f"--direction {direction!r}: expected one of {', '.join(DIRECTIONS)}")
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


def config(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="A saved model, or a directory of imputations: print what made it.",
        ),
    ] = None,
) -> None:
    """Print a configuration file (TOML) for --config: all defaults, with what they mean."""
    with errors(before_work=True):
        from pyro_gnr.imputation.toml import template, to_toml

        if source is None:
            from pyro_gnr import GNRImputer

            typer.echo(template(GNRImputer), nl=False)
        else:
            typer.echo(to_toml(_configuration_of(source)), nl=False)


def _configuration_of(directory: Path) -> dict[str, Any]:
    """Read the configuration in the manifest of what this package wrote."""
    from pyro_gnr.imputation.storage import FORMAT, MANIFEST

    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        ours, found = manifest["format"] in (FORMAT, IMPUTATIONS), manifest["configuration"]
    except (ValueError, KeyError, TypeError, RecursionError):
        ours, found = False, None
    if not ours or not isinstance(found, dict):
        raise ValueError(f"{path} holds no configuration of pyro_gnr; name a directory it wrote")
    return found
