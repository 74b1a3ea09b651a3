"""The command ``pyro-gnr config``: a configuration file, of the defaults or of what was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.outputs import IMPUTATIONS

__all__ = ["config"]


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
