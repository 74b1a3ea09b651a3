"""The program and its commands."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Annotated

import typer

from pyro_gnr.cli.ampute import ampute
from pyro_gnr.cli.config import config
from pyro_gnr.cli.demo import demo
from pyro_gnr.cli.describe import describe
from pyro_gnr.cli.errors import show_warning
from pyro_gnr.cli.export import export
from pyro_gnr.cli.fit import fit
from pyro_gnr.cli.impute import impute
from pyro_gnr.cli.pool import pool
from pyro_gnr.cli.sensitivity import sensitivity

__all__ = ["app", "main"]

app = typer.Typer(
    name="pyro-gnr",
    help="Multiple imputation of tables whose holes may not be random.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; the entry point of the ``pyro-gnr`` script."""
    warnings.showwarning = show_warning  # this process is ours
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pyro-gnr {version('pyro-gnr')}")
        raise typer.Exit


@app.callback()
def _options(
    wanted: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Multiple imputation of tables whose holes may not be random."""


for command in (describe, fit, impute, export, pool, sensitivity, config, ampute, demo):
    app.command()(command)
