"""The command ``pyro-gnr fit``: from a table to a saved model."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.console import counted
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.options import (
    ConfigOption,
    DirectionOption,
    ForceOption,
    KindOption,
    LikelihoodOption,
    MechanismOption,
    MembersOption,
    PriorOption,
    QuietOption,
    RowKeyOption,
    SeedOption,
    StepsOption,
    TableArgument,
)
from pyro_gnr.cli.outputs import check_output
from pyro_gnr.cli.summary import training_in_words
from pyro_gnr.cli.tables import check_training_table, labelled
from pyro_gnr.cli.wanted import Wanted, new_imputer

if TYPE_CHECKING:
    from pyro_gnr import GNRImputer

__all__ = ["fit"]

ModelOption = Annotated[Path, typer.Option(metavar="DIR", help="Directory to save the model in.")]


def fit(
    table: TableArgument,
    model: ModelOption,
    config: ConfigOption = None,
    kind: KindOption = None,
    row_key: RowKeyOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    direction: DirectionOption = None,
    prior: PriorOption = None,
    likelihood: LikelihoodOption = None,
    members: MembersOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fit the model to a table and save it."""
    start = time.perf_counter()
    wanted = Wanted(
        config=config, kind=kind, row_key=row_key, seed=seed, mechanism=mechanism,
        direction=direction, prior=prior, likelihood=likelihood, members=members,
        max_steps=max_steps,
    )  # fmt: skip
    with errors():
        imputer, n_rows = _fit_and_save(table, model, wanted=wanted, force=force, quiet=quiet)
    if not quiet:
        seconds = time.perf_counter() - start
        typer.echo(
            f"{model}: {counted(n_rows, 'row')}, {training_in_words(imputer)}, {seconds:.1f} s"
        )


def _fit_and_save(
    table: Path, model: Path, *, wanted: Wanted, force: bool, quiet: bool
) -> tuple[GNRImputer, int]:
    """Give the fitted imputer and the number of rows."""
    with ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import read_table, staged
            from pyro_gnr.imputation.storage import FORMAT

            inputs = [table] if wanted.config is None else [table, wanted.config]
            check_output(model, ours=FORMAT, force=force, inputs=inputs)
            imputer = new_imputer(wanted, quiet=quiet)
            path = stack.enter_context(staged(model, replace=force))
            frame = labelled(read_table(table))
            check_training_table(frame, imputer, wanted)
        imputer.fit(frame)
        imputer.save(path)
    return imputer, len(frame)
