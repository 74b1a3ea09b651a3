"""The command ``pyro-gnr export``: completed tables for R, Stata and SPSS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.completed import read_stacked
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.options import ForceOption, QuietOption
from pyro_gnr.cli.outputs import check_not_input

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr.data import Column
    from pyro_gnr.imputation.exchange import Exported

__all__ = ["export"]

ImputationsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="IMPUTATIONS",
        help="What impute wrote: a long table with .imp, or a directory of tables.",
        show_default=False,
    ),
]
OutputArgument = Annotated[
    Path,
    typer.Argument(
        metavar="OUTPUT",
        help="A .parquet or .csv file for R, .dta for Stata, .sav for SPSS (needs pyreadstat).",
        show_default=False,
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="The saved model, which knows the levels that a .csv file lost."
    ),
]
OriginalOption = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="The table that was imputed, for a directory of tables."),
]
MembersOption = Annotated[
    bool,
    typer.Option("--members", help="Say in a column which fitted member made each table."),
]


def export(
    imputations: ImputationsArgument,
    output: OutputArgument,
    model: ModelOption = None,
    original: OriginalOption = None,
    members: MembersOption = False,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write completed tables for R, Stata or SPSS, and the commands that read them.

    In R, for OUTPUT people.parquet:

    library(mice)
    long <- as.data.frame(arrow::read_parquet("people.parquet"))
    imp <- as.mids(long)
    """
    with errors():
        with errors(before_work=True):
            from pyro_gnr.imputation import exchange
            from pyro_gnr.imputation.exchange.restoring import restore

            inputs = [path for path in (imputations, model, original) if path is not None]
            check_not_input(output, inputs)
            exchange.exporting.targets(output, overwrite=force)
            long = read_stacked(imputations, original)
            columns = [] if model is None else _columns(model)
        fitted = exchange.reading.members_of(long)
        if not members and exchange.long.MEMBER in long:
            long = long.drop(columns=exchange.long.MEMBER)
        long = restore(long, columns)
        written = exchange.export(long, output, columns=columns, members=fitted, overwrite=force)
    if not quiet:
        lost = model is None and _is_csv(imputations)
        _say(written, _guess(long, columns, output), lost=lost)
        note = exchange.rubin.rubin_note(fitted)
        if note is not None:
            typer.echo(f"note: {note}")


def _columns(model: Path) -> list[Column]:
    from pyro_gnr import GNRImputer

    return list(GNRImputer.load(model).schema_.columns)


def _guess(long: pd.DataFrame, columns: list[Column], output: Path) -> list[str]:
    """Name the columns whose text became levels of which nothing says the order."""
    from pyro_gnr.imputation.exchange.variables import guessed, imputed

    ending, found = output.suffix.lower(), guessed(long, {c.name: c for c in columns})
    if ending == ".csv":  # R takes complete text as it is
        found = [name for name in found if name in imputed(long)]
    return found if ending != ".parquet" else []


def _is_csv(imputations: Path) -> bool:
    """Whether the tables, or the first one of a directory, went through a .csv file."""
    from pyro_gnr.cli.outputs import is_file

    if is_file(imputations):
        return imputations.suffix.lower() == ".csv"
    return any(imputations.glob("imputation_*.csv"))


def _say(written: Exported, guess: list[str], *, lost: bool) -> None:
    for file in written.files:
        typer.echo(f"wrote {file}")
    for old, new in written.renamed.items():
        typer.echo(f"column {old!r} is called {new} there, with its own name as its label")
    if guess:
        order = "; a .csv file keeps no other order, --model DIR may know one" if lost else ""
        typer.echo(f"text taken as levels in sorted order: {', '.join(guess)}{order}")
