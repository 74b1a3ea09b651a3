"""The command ``pyro-gnr impute``: from a table to M completed ones."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.imputations import write_imputations
from pyro_gnr.cli.models import imputer_and_table
from pyro_gnr.cli.options import (
    ConfigOption,
    DirectionOption,
    ForceOption,
    KindOption,
    LikelihoodOption,
    MechanismOption,
    MembersOption,
    ModelOption,
    PriorOption,
    QuietOption,
    RowKeyOption,
    SeedOption,
    StepsOption,
    TableArgument,
    TablesOption,
)
from pyro_gnr.cli.outputs import IMPUTATIONS, check_output
from pyro_gnr.cli.summary import summarise
from pyro_gnr.cli.tables import labelled
from pyro_gnr.cli.wanted import Wanted

if TYPE_CHECKING:
    from pyro_gnr import MultipleImputation

__all__ = ["impute"]

OutputOption = Annotated[
    Path,
    typer.Option(
        metavar="OUT",
        help="A .csv or .parquet file: one long table, in which .imp 0 is the original. "
        "Any other name: a directory of M tables and a manifest.",
    ),
]


def impute(
    table: TableArgument,
    output: OutputOption,
    m: TablesOption = 20,
    model: ModelOption = None,
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
    """Write M completed tables; observed cells stay as they are."""
    start = time.perf_counter()
    wanted = Wanted(
        config=config, kind=kind, row_key=row_key, seed=seed, mechanism=mechanism,
        direction=direction, prior=prior, likelihood=likelihood, members=members,
        max_steps=max_steps,
    )  # fmt: skip
    with errors():
        imputation = _impute_and_write(
            table, output, m=m, model=model, wanted=wanted, force=force, quiet=quiet
        )
    if not quiet:
        summarise(imputation, output=output, seconds=time.perf_counter() - start)


def _impute_and_write(
    table: Path,
    output: Path,
    *,
    m: int,
    model: Path | None,
    wanted: Wanted,
    force: bool,
    quiet: bool,
) -> MultipleImputation:
    with ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged

            inputs = [path for path in (table, model, wanted.config) if path is not None]
            check_output(output, ours=IMPUTATIONS, force=force, inputs=inputs)
            path = stack.enter_context(staged(output, replace=force))
            imputer, source = imputer_and_table(table, model, wanted=wanted, quiet=quiet)
            frame = labelled(source)
        if model is None:
            imputer.fit(frame)
        imputation = imputer.impute(frame, m=m, seed=None if model is None else wanted.seed)
        write_imputations(imputation, path, source=table, index=source.index)
    return imputation
