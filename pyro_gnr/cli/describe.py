"""The command ``pyro-gnr describe``: columns, kinds, and which cells are missing together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.console import Table, as_table, counted, show
from pyro_gnr.cli.errors import errors, kind_option
from pyro_gnr.cli.options import KindOption, TableArgument, parse_kinds
from pyro_gnr.cli.tables import learn

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr.data import Column

__all__ = ["describe"]

PATTERNS_SHOWN = 12
FEW_VALUES = 20  # whole numbers with at most this many distinct values may be labels


def describe(
    table: TableArgument,
    kind: KindOption = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Changes nothing here: nothing is drawn."),
    ] = None,
) -> None:
    """Show columns, their kinds, and which cells are missing together.

    Exit status 2 if a column cannot be modelled as it is; what to do is said for each.
    """
    with errors(before_work=True):
        from pyro_gnr.data.files import read_table

        kinds = parse_kinds(kind)
        frame = read_table(table)
        columns, problems = learn(frame, kinds)
        missing = frame.isna()
        cells, complete = int(missing.to_numpy().sum()), int((~missing.any(axis=1)).sum())
        typer.echo(
            f"{table.name}: {counted(len(frame), 'row')}, {counted(frame.shape[1], 'column')}, "
            f"{counted(cells, 'missing cell')} ({cells / max(missing.size, 1):.1%}), "
            f"{counted(complete, 'complete row')}"
        )
        show(_columns_table(frame, columns))
        for hint in _hints(frame, columns, kinds):
            typer.echo(hint)
        if cells:
            show(_patterns_table(frame))
        if problems:
            raise ValueError("\n".join(problems))


def _columns_table(frame: pd.DataFrame, columns: Mapping[str, Column]) -> Table:
    """Tabulate columns, kinds, values and missing cells."""
    rows = []
    for name in frame.columns:
        column = columns.get(str(name))
        holes = int(frame[name].isna().sum())
        rows.append(
            (
                name,
                str(frame[name].dtype),
                "see below" if column is None else str(column.kind),
                "" if column is None else _values(column, frame[name]),
                f"{holes:,}",
                f"{holes / max(len(frame), 1):.1%}",
            )
        )
    return as_table("columns", ["column", "type", "kind", "values", "missing", "share"], rows)


def _values(column: Column, cells: pd.Series) -> str:
    if column.levels is not None:
        more = len(column.levels) - 4
        return ", ".join(map(str, column.levels[:4])) + (f" and {more} more" if more > 0 else "")
    if column.kind == "ignore":
        return ""
    if column.intervals:
        limits = ", ".join(f"{low:g} to {high:g}" for low, high in column.intervals[:4])
        more = len(column.intervals) - 4
        return f"numbers, or in {limits}" + (f" and {more} more" if more > 0 else "")
    numbers = cells.dropna().astype(float)
    low, high = (
        str(int(value)) if column.whole else f"{float(value):.4g}"
        for value in (numbers.min(), numbers.max())
    )
    bounds = f"bounds {column.location:g} to {column.location + column.scale:g}, "
    return (
        f"{bounds if column.kind == 'bounded' else ''}mean {numbers.mean():.4g}, "
        f"sd {numbers.std(ddof=0):.3g}, min {low}, max {high}, {numbers.nunique():,} distinct"
    )


def _hints(
    frame: pd.DataFrame, columns: Mapping[str, Column], kinds: Mapping[str, str]
) -> Iterator[str]:
    """What columns of numbers may be besides that, where the caller has not said it."""
    for label in frame.columns:
        name = str(label)
        if name in kinds or name not in columns or columns[name].kind != "continuous":
            continue
        cells = frame[label].dropna()
        distinct, whole = cells.nunique(), bool((cells % 1 == 0).all())
        if distinct < 2:
            continue
        if whole and distinct == len(cells):
            yield f"{name}: an id? {kind_option(name, 'ignore')}"
            continue
        may_be = []
        if whole and distinct <= FEW_VALUES:
            may_be.append(f"say {kind_option(name, 'categorical')} if these are labels")
        # Not below 0 itself, but a normal distribution with its mean and deviation is.
        if cells.min() >= 0 and columns[name].location < 2 * columns[name].scale:
            if cells.min() > 0:
                may_be.append(f"{kind_option(name, 'positive')} keeps imputations above 0")
            elif whole:
                may_be.append(f"say {kind_option(name, 'count')} if it counts something")
        if may_be:
            yield f"{name}: {'; '.join(may_be)}"


def _patterns_table(frame: pd.DataFrame) -> Table:
    """The most frequent sets of columns that are missing together."""
    import numpy as np

    missing = frame.isna()
    names = missing.columns[missing.any()].astype(str).to_numpy()
    patterns, counts = np.unique(missing.to_numpy()[:, missing.any()], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown, rest = order[:PATTERNS_SHOWN], counts[order[PATTERNS_SHOWN:]]
    labels = [(int(counts[i]), ", ".join(names[patterns[i]]) or "(none)") for i in shown]
    if len(rest):
        labels.append((int(rest.sum()), f"({counted(len(rest), 'other pattern')})"))
    rows = [(f"{n:,}", f"{n / len(frame):.1%}", label) for n, label in labels]
    return as_table("missing together", ["rows", "share", "columns"], rows)
