"""What a sensitivity analysis asks and answers: tables, pictures and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pyro_gnr.cli.console import as_table, number, show
from pyro_gnr.cli.departures import Departures
from pyro_gnr.cli.imputations import made_by
from pyro_gnr.cli.outputs import SENSITIVITY, json_text

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import MultipleImputation
    from pyro_gnr.imputation.pooling import Pooled
    from pyro_gnr.imputation.sensitivity import DeltaGrid, Ladder, TippingPoint

__all__ = ["Answers", "Question", "show_answers", "write"]


@dataclass
class Question:
    """What is asked: an analysis, and what it is held against."""

    formula: str
    model: str
    level: float
    term: str | None
    value: float
    asked: Departures = field(default_factory=Departures)


@dataclass
class Answers:
    """What was found; None where it was not asked."""

    imputation: MultipleImputation | None = None
    grid: DeltaGrid | None = None
    unsure: Pooled | None = None
    tips: Sequence[TippingPoint] = ()
    ladder: Ladder | None = None


def write(answers: Answers, place: Path, question: Question, *, source: Path) -> None:
    """Write tables and pictures, and a manifest that names them and says what made them."""
    from pyro_gnr.data.files import digest
    from pyro_gnr.imputation.storage import MANIFEST

    place.mkdir(exist_ok=True)
    _write_answers(answers, place, question)
    files = {path.name: digest(path) for path in sorted(place.iterdir())}
    manifest = {"format": SENSITIVITY, **_told(answers, question, source), "files": files}
    (place / MANIFEST).write_text(json_text(manifest), encoding="utf-8")


def _told(answers: Answers, question: Question, source: Path) -> dict[str, Any]:
    """Say what was asked, of what, and what the answers rest on."""
    from pyro_gnr.data.files import digest
    from pyro_gnr.imputation.versions import versions

    asked = {"formula": question.formula, "analysis": question.model, "level": question.level,
             "term": question.term, "value": question.value}  # fmt: skip
    told = {**asked, "source": {"name": source.name, "sha256": digest(source)}}
    told["versions"] = versions()
    if answers.imputation is not None:
        told |= made_by(answers.imputation, source)
    if answers.grid is not None:
        told["grid"] = answers.grid.departures()
    if answers.unsure is not None:
        told["unsure"] = list(answers.unsure.ledger().departures)
        told["unsure_rule"], told["unsure_notes"] = answers.unsure.title, answers.unsure.notes
    if answers.ladder is not None:
        told["ladder"] = {name: one.to_dict() for name, one in answers.ladder.ledger().items()}
        told["failed"] = answers.ladder.failed
    return told


def _write_answers(answers: Answers, place: Path, question: Question) -> None:
    from pyro_gnr.data.files import write_table

    if answers.grid is not None:
        write_table(answers.grid, place / "grid.csv")
        if len(answers.grid.units) <= 2:
            _draw(answers.grid, place / "grid.png", question)
    if answers.unsure is not None:
        write_table(answers.unsure.summary(question.level).reset_index(), place / "unsure.csv")
    if answers.tips:
        text = "\n".join(map(str, answers.tips)) + "\n"
        numbers = json_text([tip.to_dict() for tip in answers.tips])
        (place / "tipping_points.txt").write_text(text, encoding="utf-8")
        (place / "tipping_points.json").write_text(numbers, encoding="utf-8")
    if answers.ladder is not None:
        write_table(answers.ladder.reset_index(), place / "ladder.csv")
        write_table(answers.ladder.fit.reset_index(), place / "fit.csv")
        _draw(answers.ladder, place / "ladder.png", question)


def _draw(found: DeltaGrid | Ladder, path: Path, question: Question) -> None:
    """Draw the term; the last one of the analysis if none is named."""
    from pyro_gnr.criticism.figures import new_figure

    terms = found["term"] if "term" in found else found.index.get_level_values("term")
    figure = new_figure()
    term = question.term or str(terms[len(terms) - 1])
    found.plot(term, ax=figure.add_subplot(), value=question.value)
    figure.savefig(path)


def show_answers(answers: Answers, question: Question) -> None:
    """Print tables and sentences."""
    if answers.grid is not None:
        _show_table("departures from the model", answers.grid, keys=len(answers.grid.units) + 1)
        for line in answers.grid.measured:
            typer.echo(line)
    if answers.unsure is not None:
        typer.echo(answers.unsure.title)
        _show_table("unsure of the model", answers.unsure.summary(question.level).reset_index())
        for note in answers.unsure.notes:
            typer.echo(note)
    for tip in answers.tips:
        typer.echo(str(tip))
    if answers.ladder is not None:
        from pyro_gnr.imputation.sensitivity.ladder import CANNOT_DECIDE

        _show_table(f"{question.formula}, by mechanism", answers.ladder.reset_index(), keys=2)
        _show_fit(answers.ladder.fit)
        for name, error in answers.ladder.failed.items():
            typer.echo(f"{name} failed: {error}")
        typer.echo(CANNOT_DECIDE)


def _show_fit(fit: pd.DataFrame) -> None:
    """Print the bounds of held-out rows as differences to the best: fit.csv has all numbers."""
    columns = [
        "mechanism", "values: to the best", "values and holes: to the best", "k > 0.7", "beyond",
    ]  # fmt: skip
    bounds = {what: fit[f"held_out_{what}"] for what in ("values", "values_and_holes")}
    gaps = [(b - b.max(), fit[f"se_difference_{what}"]) for what, b in bounds.items()]
    rows = [
        [
            str(name),
            *(_gap(gap[name], error[name]) for gap, error in gaps),
            f"{fit['pareto_k'][name]:.1%}",
            f"{fit['beyond_observed'][name]:.1%}",
        ]
        for name in fit.index
    ]
    title = "fit of held-out rows, nats a row, which cannot decide"
    show(as_table(title, columns, rows))


def _gap(gap: float, error: float) -> str:
    if math.isnan(gap):
        return "-"
    return "best" if gap == 0.0 else f"{gap:.3f} \N{PLUS-MINUS SIGN} {error:.3f}"


def _show_table(title: str, table: pd.DataFrame, *, keys: int = 1) -> None:
    names = list(map(str, table.columns))
    rows = [
        [
            number(v, name) if isinstance(v, float) else v
            for v, name in zip(row, names, strict=True)
        ]
        for row in table.itertuples(index=False)
    ]
    show(as_table(title, names, rows, keys=keys))
