"""The command ``pyro-gnr sensitivity``: what the answer hangs on that no data can tell."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyro_gnr.cli.answers import Answers, Question, show_answers, write
from pyro_gnr.cli.departures import parse_departures
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.models import imputer_and_table
from pyro_gnr.cli.options import (
    ConfigOption,
    DirectionOption,
    ForceOption,
    KindOption,
    MechanismOption,
    MembersOption,
    ModelOption,
    QuietOption,
    RowKeyOption,
    SeedOption,
    StepsOption,
    TableArgument,
    TablesOption,
)
from pyro_gnr.cli.outputs import SENSITIVITY, check_output
from pyro_gnr.cli.tables import labelled
from pyro_gnr.cli.wanted import Wanted

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer, MultipleImputation

__all__ = ["sensitivity"]

FormulaOption = Annotated[
    str, typer.Option(metavar="FORMULA", help="The analysis, such as 'bmi ~ age + C(sex)'.")
]
AnalysisOption = Annotated[
    str,
    typer.Option("--analysis", metavar="NAME", help="Its model in statsmodels: ols, logit, ..."),
]
DeltaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--delta",
        metavar="COLUMN=LOW:HIGH:N",
        help="Pool at N departures of the column's missing values from the model, LOW to HIGH: in "
        "its unit; in logarithms for positive columns and counts; in log-odds for levels. Two of "
        "them make a map. Or COLUMN=norm(MEAN, SD), in quotes: pool once, with a departure of "
        "that distribution.",
    ),
]
TipOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tip",
        metavar="COLUMN",
        help="Find how far the column's missing values must be off for the conclusion about "
        "--term to change. Repeatable.",
    ),
]
TermOption = Annotated[
    str | None, typer.Option(metavar="TERM", help="The term of --tip and of the pictures.")
]
ValueOption = Annotated[
    float, typer.Option(metavar="VALUE", help="Against which its interval is held.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(metavar="EXPRESSION", help="Move only rows such as 'age > 60'."),
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--category", metavar="COLUMN=LEVEL", help="Level of a column whose log-odds move."
    ),
]
LadderOption = Annotated[
    bool,
    typer.Option("--ladder", help="Fit six mechanisms and do the analysis under each of them."),
]
LevelOption = Annotated[float, typer.Option(metavar="LEVEL", help="Level of the intervals.")]
OutputOption = Annotated[
    Path | None, typer.Option(metavar="OUT", help="A directory for tables and pictures.")
]


def sensitivity(
    table: TableArgument,
    formula: FormulaOption,
    analysis: AnalysisOption = "ols",
    delta: DeltaOption = None,
    tip: TipOption = None,
    ladder: LadderOption = False,
    term: TermOption = None,
    value: ValueOption = 0.0,
    where: WhereOption = None,
    category: CategoryOption = None,
    level: LevelOption = 0.95,
    output: OutputOption = None,
    m: TablesOption = 20,
    model: ModelOption = None,
    config: ConfigOption = None,
    kind: KindOption = None,
    row_key: RowKeyOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    direction: DirectionOption = None,
    members: MembersOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask how an answer depends on what the data cannot say."""
    wanted = Wanted(
        config=config, kind=kind, row_key=row_key, seed=seed, mechanism=mechanism,
        direction=direction, members=members, max_steps=max_steps,
    )  # fmt: skip
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged
            from pyro_gnr.imputation.sensitivity.analyses import check_analysis

            place = None
            if output is not None:
                inputs = [path for path in (table, model, config) if path is not None]
                check_output(output, ours=SENSITIVITY, force=force, inputs=inputs)
                place = stack.enter_context(staged(output, replace=force))
            asked = parse_departures(delta, tip, where=where, category=category)
            question = Question(formula, analysis, level, term, value, asked)
            if not (asked.any or ladder):
                raise ValueError("nothing is asked: give --delta, --tip or --ladder")
            imputer, source = imputer_and_table(table, model, wanted=wanted, quiet=quiet)
            check_analysis(formula, source, {"model": analysis})
        answers = _answer(question, imputer, labelled(source), m=m, fit=model is None, seed=seed,
                          ladder=ladder)  # fmt: skip
        if place is not None:
            write(answers, place, question, source=table)
    if not quiet:
        show_answers(answers, question)


def _answer(
    question: Question,
    imputer: GNRImputer,
    frame: pd.DataFrame,
    *,
    m: int,
    fit: bool,
    seed: int | None,
    ladder: bool,
) -> Answers:
    from pyro_gnr.imputation.sensitivity import compare_mechanisms

    options: dict[str, Any] = {"level": question.level, "model": question.model}
    answers = Answers()
    if question.asked.any:
        if fit:
            imputer.fit(frame)
        imputation = imputer.impute(frame, m=m, seed=None if fit else seed)
        _depart(answers, question, imputation, options)
    if ladder:
        answers.ladder = compare_mechanisms(
            frame, question.formula, imputer=imputer, m=m, **options
        )
    return answers


def _depart(
    answers: Answers, question: Question, imputation: MultipleImputation, options: dict[str, Any]
) -> None:
    """Add the answers under departures from the model."""
    formula, asked = question.formula, question.asked.with_levels(imputation)
    answers.imputation = imputation
    if asked.grid:
        answers.grid = imputation.delta_grid(formula, asked.grid, **options)
    if asked.priors:
        answers.unsure = imputation.adjusted(*asked.priors).pool(formula, model=question.model)
    answers.tips = [
        imputation.tipping_point(formula, one, term=question.term, value=question.value, **options)
        for one in asked.tips
    ]
