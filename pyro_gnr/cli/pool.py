"""The command ``pyro-gnr pool``: an analysis of M completed tables, pooled."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.completed import read_completed
from pyro_gnr.cli.console import rich_table, show
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.options import ForceOption, QuietOption
from pyro_gnr.cli.outputs import check_file

if TYPE_CHECKING:
    from pyro_gnr.imputation.pooling import Pooled

__all__ = ["pool"]

CompletedArgument = Annotated[
    Path,
    typer.Argument(
        metavar="COMPLETED",
        help="What impute wrote: a directory of tables, or a long table with .imp.",
        show_default=False,
    ),
]
FormulaOption = Annotated[
    str, typer.Option(metavar="FORMULA", help="The analysis, such as 'bmi ~ age + C(sex)'.")
]
ModelOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Its model in statsmodels: ols, logit, poisson, mnlogit, phreg, ..."
    ),
]
TestOption = Annotated[
    list[str] | None,
    typer.Option(
        "--test",
        metavar="TERM",
        help="A term, or a column with several, for one test that all named are 0. Repeatable.",
    ),
]
LevelOption = Annotated[
    float, typer.Option(metavar="LEVEL", help="Level of the confidence intervals.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="A .csv or .parquet file for the pooled table."),
]


UNKNOWN = (
    "the table has no column .member: each table was taken to have a fit of its own; if fits made "
    "several, or one made all, standard errors are too small"
)


def pool(
    completed: CompletedArgument,
    formula: FormulaOption,
    model: ModelOption = "ols",
    test: TestOption = None,
    level: LevelOption = 0.95,
    output: OutputOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Do an analysis on each completed table and pool the estimates."""
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged, write_table
            from pyro_gnr.imputation.pooling import pool as pool_tables

            place = None
            if output is not None:
                check_file(output, force=force, inputs=[completed])
                place = stack.enter_context(staged(output, replace=force))
            tables, members = read_completed(completed)
        pooled = pool_tables(tables, formula, model=model, members=members)
        summary = pooled.summary(level)
        lines = _tested(pooled, test)
        if place is not None:
            rest = pooled.drop(columns=["estimate", "df", "fmi"])
            write_table(summary.join(rest).reset_index(), place)
    if not quiet:
        _show(pooled, level, lines if members is not None else [*lines, UNKNOWN])


def _tested(pooled: Pooled, terms: list[str] | None) -> list[str]:
    """Say what came out of a test of several terms."""
    if not terms:
        return []
    found = pooled.wald(terms)
    return [
        f"{', '.join(terms)} all 0: D1 = {found.statistic:.3f} on {found.df1} and "
        f"{found.df2:.1f} degrees of freedom, p = {found.p_value:.3g}"
    ]


def _show(pooled: Pooled, level: float, lines: list[str]) -> None:
    """Print the pooled table, tests and notes."""
    summary = pooled.summary(level)
    names = ["term", *summary.columns]
    rows = [
        (str(term), *(f"{value:.4g}" for value in values))
        for term, values in zip(summary.index, summary.to_numpy(), strict=True)
    ]
    typer.echo(pooled.title)
    show(rich_table(f"estimates, {level:.0%} intervals", names, rows))
    for line in [*lines, *pooled.notes]:
        typer.echo(line)
