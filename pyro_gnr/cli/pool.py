"""The command ``pyro-gnr pool``: an analysis of M completed tables, pooled."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.completed import read_completed
from pyro_gnr.cli.console import as_table, number, show
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.options import ForceOption, QuietOption
from pyro_gnr.cli.outputs import check_file, is_file
from pyro_gnr.cli.pooled import write_pooled

if TYPE_CHECKING:
    from pyro_gnr.imputation.pooling import Pooled
    from pyro_gnr.imputation.pooling.wald import PooledTest

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
# --model is the older name; in other commands that is a saved imputer.
AnalysisOption = Annotated[
    str,
    typer.Option(
        "--analysis",
        "--model",
        metavar="NAME",
        help="Its model in statsmodels: ols, logit, poisson, mnlogit, phreg, ...",
    ),
]
CovarianceOption = Annotated[
    str | None,
    typer.Option(
        "--cov-type",
        metavar="NAME",
        help="Covariance of each table's estimates, as statsmodels' fit takes it: HC3, ...",
    ),
]
FreedomOption = Annotated[
    float | None,
    typer.Option(
        "--dfcom",
        metavar="DF",
        help="Degrees of freedom for complete data, instead of the analysis' own.",
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
    typer.Option(
        metavar="OUT",
        help="A .csv or .parquet file for the pooled table; notes, test and what made the tables "
        "go into a .json file beside it.",
    ),
]

UNKNOWN = (
    "the table has no column .member: each table was taken to have a fit of its own; if fits made "
    "several, or one made all, standard errors are too small"
)

UNTOLD = (
    "a long table does not say what made it: pool a directory that impute wrote for mechanism, "
    "checks and seed to be kept with the answer"
)


def pool(
    completed: CompletedArgument,
    formula: FormulaOption,
    analysis: AnalysisOption = "ols",
    cov_type: CovarianceOption = None,
    dfcom: FreedomOption = None,
    test: TestOption = None,
    level: LevelOption = 0.95,
    output: OutputOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Do an analysis on each completed table and pool the estimates."""
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged
            from pyro_gnr.imputation.pooling import pool as pool_tables
            from pyro_gnr.imputation.pooling.checks import check_level

            places = None
            if output is not None:
                check_file(output, force=force, inputs=[completed])
                beside = stack.enter_context(staged(output.with_suffix(".json"), replace=force))
                places = (stack.enter_context(staged(output, replace=force)), beside)
            tables, members = read_completed(completed)
        robust = None if cov_type is None else {"cov_type": cov_type}
        pooled = pool_tables(
            tables, formula, model=analysis, fit_options=robust, dfcom=dfcom, members=members
        )
        check_level(level)
        tested = pooled.wald(test) if test else None
        notes = pooled.notes if members is not None else [UNKNOWN, *pooled.notes]
        if is_file(completed):
            notes = [*notes, UNTOLD]
        if places is not None:
            asked = {"formula": formula, "analysis": analysis, "cov_type": cov_type,
                     "dfcom": dfcom, "level": level, "test": test}  # fmt: skip
            write_pooled(
                pooled, places, asked=asked, completed=completed, tested=tested, notes=notes
            )
    if not quiet:
        _show(pooled, level, [*_in_words(tested, test), *notes])


def _in_words(found: PooledTest | None, terms: list[str] | None) -> list[str]:
    """Say what came out of a test of several terms."""
    if found is None or not terms:
        return []
    return [f"{', '.join(terms)} all 0: {found}"]


def _show(pooled: Pooled, level: float, lines: list[str]) -> None:
    """Print the pooled table, tests and notes."""
    from pyro_gnr.imputation.pooling.words import in_percent

    summary = pooled.summary(level)
    names = ["term", *summary.columns]
    rows = [
        (term, *map(number, values, summary.columns))
        for term, values in zip(summary.index, summary.to_numpy(), strict=True)
    ]
    typer.echo(pooled.title)
    show(as_table(f"estimates, {in_percent(level)} intervals", names, rows))
    for line in lines:
        typer.echo(line)
