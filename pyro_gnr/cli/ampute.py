"""The command ``pyro-gnr ampute``: holes in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pyro_gnr.cli.console import as_table, counted, show
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.options import (
    ForceOption,
    KindOption,
    QuietOption,
    TableArgument,
    parse_direction,
    parse_kinds,
    split_pair,
)
from pyro_gnr.cli.outputs import check_file

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr.data.amputation import Amputation, Amputer

__all__ = ["ampute"]

OutputOption = Annotated[
    Path, typer.Option(metavar="OUT", help="A .csv or .parquet file: the table with holes.")
]
HolesOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Why cells go missing: mcar (completely at random), mar (depends on other columns, "
        "which lose none), self_masking (on the own value), hard_self_masking (the highest "
        "values), above_mean (the UCI protocol of not-MIWAE), shared_latent (on what the columns "
        "share), no_self_censoring (on all other values), general_mnar (the protocol of IM-IWAE).",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Expected share of its observed cells that a column loses; 0.3 if not given, "
        "but above_mean and general_mnar then have what they give.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="COLUMN",
        help="A column that loses cells. Repeatable; if none, the mechanism chooses: all columns, "
        "as a rule, ids and dates, too (--kind id=ignore leaves one out).",
    ),
]
DirectionOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[COLUMN=]END",
        help="Which end goes missing, or drives the holes: high, low or random (one is drawn). "
        "For self_masking and hard_self_masking also by column, repeatable: these columns lose "
        "cells; with --column it has to name them, too, and others that it names are off, they "
        "lose cells at random.",
    ),
]
SlopeOption = Annotated[
    float | None,
    typer.Option(
        metavar="C", help="Log-odds for one standard deviation of what drives the holes."
    ),
]
LinkOption = Annotated[
    str | None, typer.Option(metavar="LINK", help="For self_masking: logit or probit.")
]
LevelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--level",
        metavar="COLUMN=LEVEL",
        help="For self_masking and hard_self_masking: a level that is more likely to go missing. "
        "Repeatable.",
    ),
]
OffsetOption = Annotated[
    float | None,
    typer.Option(
        metavar="SD", help="For above_mean: threshold minus mean, in standard deviations."
    ),
]
PredictorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--predictor",
        metavar="COLUMN",
        help="For mar: a column that the holes depend on. Repeatable.",
    ),
]
BlockOption = Annotated[
    list[str] | None,
    typer.Option(
        "--block",
        metavar="COLUMN,COLUMN",
        help="For mcar: columns that go missing together, such as the answers to one page of a "
        "questionnaire; names with a comma cannot be said. Repeatable.",
    ),
]
LatentsOption = Annotated[
    int | None, typer.Option(metavar="L", help="For shared_latent: number of components.")
]
NoiseOption = Annotated[
    float | None,
    typer.Option(
        metavar="SD",
        help="For shared_latent and no_self_censoring: weight of what no column tells.",
    ),
]
PositivityOption = Annotated[
    float | None,
    typer.Option(
        metavar="P", help="For shared_latent: least chance of a cell to go missing, and to stay."
    ),
]
DropOption = Annotated[
    bool, typer.Option("--drop-empty-rows", help="Leave out rows with nothing observed.")
]
MaskOption = Annotated[
    Path | None,
    typer.Option(
        metavar="MASK", help="A .csv or .parquet file: 1 where a cell is observed, 0 where not."
    ),
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="The same seed, the same holes.")
]


class Files(NamedTuple):
    """What is read and what is written; no mask where None."""

    table: Path
    output: Path
    mask: Path | None


class Plan(NamedTuple):
    """What the caller said about the holes, whatever their mechanism; None where nothing."""

    rate: float | None
    columns: Sequence[str] | None
    kinds: Sequence[str] | None
    drop_empty_rows: bool
    seed: int


def ampute(
    table: TableArgument,
    output: OutputOption,
    mechanism: HolesOption = "mcar",
    rate: RateOption = None,
    column: ColumnOption = None,
    direction: DirectionOption = None,
    slope: SlopeOption = None,
    link: LinkOption = None,
    level: LevelOption = None,
    offset: OffsetOption = None,
    predictor: PredictorOption = None,
    block: BlockOption = None,
    latents: LatentsOption = None,
    noise: NoiseOption = None,
    positivity: PositivityOption = None,
    kind: KindOption = None,
    drop_empty_rows: DropOption = False,
    mask: MaskOption = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make holes in a table, for tests and simulation studies.

    A column must be complete where its values decide what goes missing: none for mcar, the
    predictors for mar, those that lose cells for self_masking, hard_self_masking and above_mean,
    all that are not ignored for the others. Holes elsewhere stay.
    """
    words = {"direction": direction, "link": link, "positivity": positivity}
    numbers = {"slope": slope, "offset": offset, "latents": latents, "noise": noise}
    blocks = [names.split(",") for names in block or ()] or None
    options = {**words, **numbers, "levels": level, "predictors": predictor, "blocks": blocks}
    plan = Plan(rate=rate, columns=column, kinds=kind, drop_empty_rows=drop_empty_rows, seed=seed)
    with errors():
        made = _ampute(Files(table, output, mask), mechanism, options, plan=plan, force=force)
    if not quiet:
        _summarise(made, output)


def _ampute(
    files: Files, mechanism: str, options: Mapping[str, Any], *, plan: Plan, force: bool
) -> Amputation:
    """Make the holes and write what is asked for."""
    with ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr import ampute as make_holes
            from pyro_gnr.data.files import read_table, staged, write_table

            ends, levels = parse_direction(options["direction"]), _levels(options["levels"])
            amputer = _amputer(mechanism, {**options, "direction": ends, "levels": levels})
            _check_files(files, force=force)
            outputs = [path for path in (files.output, files.mask) if path]
            places = [stack.enter_context(staged(path, replace=force)) for path in outputs]
            made = make_holes(
                read_table(files.table),
                amputer,
                rate=plan.rate,
                columns=plan.columns,
                kinds=parse_kinds(plan.kinds),
                drop_empty_rows=plan.drop_empty_rows,
                random_state=plan.seed,
            )
        for frame, path in zip((made.table, _mask(made)), places, strict=False):
            write_table(frame, path)
    return made


def _levels(pairs: Sequence[str] | None) -> dict[str, list[str]] | None:
    """Parse COLUMN=LEVEL."""
    words = {"option": "--level", "expected": "COLUMN=LEVEL", "example": "arm=placebo"}
    levels: dict[str, list[str]] = {}
    for pair in pairs or ():
        name, level = split_pair(pair, **words)
        levels.setdefault(name, []).append(level)
    return levels or None


def _amputer(name: str, options: Mapping[str, object]) -> Amputer:
    """Make a mechanism with the options that were given; refuse those it does not have."""
    import inspect

    from pyro_gnr.data.amputation import MECHANISMS
    from pyro_gnr.data.spelling import did_you_mean

    if name not in MECHANISMS:
        near = did_you_mean(name, MECHANISMS)
        raise ValueError(f"--mechanism {name!r}: expected one of {', '.join(MECHANISMS)}{near}")
    given = {option: value for option, value in options.items() if value is not None}
    own = inspect.signature(MECHANISMS[name]).parameters
    flags = {"levels": "level", "predictors": "predictor", "blocks": "block"}
    foreign = [f"--{flags.get(option, option)}" for option in given if option not in own]
    if foreign:
        raise ValueError(f"{' and '.join(foreign)} cannot be given with --mechanism {name}")
    return MECHANISMS[name](**given)


def _check_files(files: Files, *, force: bool) -> None:
    table, output, mask = files
    check_file(output, force=force, inputs=[table])
    if mask is not None:
        check_file(mask, force=force, inputs=[table])
        if mask.resolve() == output.resolve():
            raise ValueError(f"--mask and --output both name {str(mask)!r}; name two files")


def _mask(made: Amputation) -> pd.DataFrame:
    """1 where a cell is observed, 0 where it is not, with the table's names and index."""
    import pandas as pd

    observed = made.observed.astype("int8")
    return pd.DataFrame(observed, columns=made.table.columns, index=made.table.index)


def _summarise(made: Amputation, output: Path) -> None:
    """Print how many cells were removed, and how many were expected to be."""
    before = (made.observed | made.removed).sum(axis=0)
    parts = [
        counted(len(made.observed), "row"),
        f"{counted(int(made.removed.sum()), 'cell')} removed",
        f"{counted(len(made.empty_rows), 'row')} with nothing observed",
    ]
    if own := int((~made.observed & ~made.removed).sum()):
        parts.insert(2, f"{counted(own, 'cell')} missing before")
    typer.echo(f"{output}: {', '.join(parts)}")
    counts = zip(made.removed.sum(axis=0), made.probabilities.sum(axis=0), before, strict=True)
    rows = [
        (name, f"{removed:,}", f"{removed / n:.1%}", f"{expected / n:.1%}")
        for name, (removed, expected, n) in zip(made.table.columns, counts, strict=True)
        if expected > 0.0
    ]
    show(as_table("holes", ["column", "removed", "share", "expected"], rows))
