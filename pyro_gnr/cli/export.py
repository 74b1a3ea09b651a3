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

            inputs = [path for path in (imputations, model, original) if path is not None]
            check_not_input(output, inputs)
            exchange.exporting.targets(output, overwrite=force)
            long = read_stacked(imputations, original)
            columns = [] if model is None else _columns(model)
        if not members and exchange.long.MEMBER in long:
            long = long.drop(columns=exchange.long.MEMBER)
        long, guessed = _restored(long, columns)
        written = exchange.export(long, output, columns=columns, overwrite=force)
    if not quiet:
        _say(written, guessed if output.suffix.lower() != ".parquet" else [])


def _columns(model: Path) -> list[Column]:
    from pyro_gnr import GNRImputer

    return list(GNRImputer.load(model).schema_.columns)


def _restored(long: pd.DataFrame, columns: list[Column]) -> tuple[pd.DataFrame, list[str]]:
    """Give text its levels where the model knows them; and name the imputed text if none does."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    from pyro_gnr.imputation.exchange.restoring import restore
    from pyro_gnr.imputation.exchange.variables import imputed

    holes = [] if columns else [str(name) for name in long if name in imputed(long)]
    text = [n for n in holes if is_object_dtype(long[n].dtype) or is_string_dtype(long[n].dtype)]
    return restore(long, columns), text


def _say(written: Exported, guessed: list[str]) -> None:
    for file in written.files:
        typer.echo(f"wrote {file}")
    for old, new in written.renamed.items():
        typer.echo(f"column {old!r} is called {new} there, with its own name as its label")
    if guessed:
        typer.echo(
            f"text that was imputed, taken as levels in sorted order: {', '.join(guessed)}; a "
            ".csv file says no other, --model DIR may"
        )
