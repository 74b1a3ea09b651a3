"""What a sensitivity analysis asks and answers: tables, pictures and words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pyro_gnr.cli.console import rich_table, show
from pyro_gnr.cli.outputs import SENSITIVITY

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import Delta
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
    grid: dict[Delta | str, list[float]] = field(default_factory=dict)
    tips: Sequence[Delta] = ()


@dataclass
class Answers:
    """What was found; None where it was not asked."""

    grid: DeltaGrid | None = None
    tips: Sequence[TippingPoint] = ()
    ladder: Ladder | None = None


def write(answers: Answers, place: Path, question: Question) -> None:
    """Write tables and pictures, and a manifest that names them."""
    from pyro_gnr.data.files import digest, write_table
    from pyro_gnr.imputation.storage import MANIFEST

    place.mkdir(exist_ok=True)
    if answers.grid is not None:
        write_table(answers.grid, place / "grid.csv")
        if len(answers.grid.units) <= 2:
            _draw(answers.grid, place / "grid.png", question)
    if answers.tips:
        text = "\n".join(map(str, answers.tips))
        (place / "tipping_points.txt").write_text(text + "\n", encoding="utf-8")
    if answers.ladder is not None:
        write_table(answers.ladder.reset_index(), place / "ladder.csv")
        write_table(answers.ladder.fit.reset_index(), place / "fit.csv")
        _draw(answers.ladder, place / "ladder.png", question)
    files = {path.name: digest(path) for path in sorted(place.iterdir())}
    manifest = {"format": SENSITIVITY, "formula": question.formula, "files": files}
    (place / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _draw(found: DeltaGrid | Ladder, path: Path, question: Question) -> None:
    """Draw the term; the last one of the analysis if none is named."""
    from matplotlib.figure import Figure

    terms = found["term"] if "term" in found else found.index.get_level_values("term")
    figure = Figure(figsize=(7.2, 4.6), dpi=120, layout="constrained", facecolor="white")
    term = question.term or str(terms[len(terms) - 1])
    found.plot(term, ax=figure.add_subplot(), value=question.value)
    figure.savefig(path)


def show_answers(answers: Answers, question: Question) -> None:
    """Print tables and sentences."""
    if answers.grid is not None:
        _show_table("departures from the model", answers.grid)
    for tip in answers.tips:
        typer.echo(str(tip))
    if answers.ladder is not None:
        from pyro_gnr.imputation.sensitivity.ladder import CANNOT_DECIDE

        _show_table(f"{question.formula}, by mechanism", answers.ladder.reset_index())
        _show_table("fit, which cannot decide", answers.ladder.fit.reset_index())
        for name, error in answers.ladder.failed.items():
            typer.echo(f"{name} failed: {error}")
        typer.echo(CANNOT_DECIDE)


def _show_table(title: str, table: pd.DataFrame) -> None:
    rows = [
        [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
        for row in table.itertuples(index=False)
    ]
    show(rich_table(title, table.columns, rows))
