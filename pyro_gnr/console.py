"""What the command line says: tables, summaries and errors, in the words of its options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    from pyro_gnr import GNRImputer, MultipleImputation
    from pyro_gnr.data.table import Column

__all__ = [
    "as_options",
    "columns_table",
    "comparison",
    "counted",
    "errors",
    "hints",
    "imputed_cells",
    "patterns_table",
    "rich_table",
    "show",
    "show_warning",
    "summarise",
    "training_in_words",
    "unreliable_rows",
]

PATTERNS_SHOWN = 12
FEW_VALUES = 20  # whole numbers with at most this many distinct values may be labels
FEW_CELLS = 10  # a mean or share of fewer imputed cells says little
EXTRAPOLATED = 0.5  # share of a column's imputed values beyond its observed ones that is said
ASSUMPTIONS = {
    "Conjunction": "holes depend on what the columns share",
    "Ignorable": "holes depend on observed values only",
    "SelfMasking": "a cell is missing because of its own value",
    "Selection": "holes depend on all values of their row, on missing ones too",
    "NoSelfCensoring": "holes depend on what the columns share and on all values but their own",
}
# Python's words for what are options here.
KINDS_ARGUMENT = re.compile(r"""kinds=(\{(['"]).*?\2: (?:'[^']+'|\.\.\.)\})""")
OWN_CLASS = re.compile(r"comes in by components=\{.*?\}")
ARGUMENTS = {
    "kinds names": "--kind names",
    "row_key column": "--row-key column",
    "or row_key=None": "or leave --row-key out",
    "row_key=": "--row-key ",
}


def imputed_cells(imputation: MultipleImputation) -> dict[str, int]:
    """Imputed cells by column, for the columns that have any."""
    _, cols = imputation.table.missing
    names = [column.name for column in imputation.table.schema.modelled]
    return {name: n for j, name in enumerate(names) if (n := int((cols == j).sum()))}


def unreliable_rows(imputation: MultipleImputation) -> int:
    """Count the rows whose weights say too little about their own error."""
    from pyro_gnr.imputation.multiple import RELIABLE_K

    rows = imputation.diagnostics
    return int(((rows["pareto_k"] > RELIABLE_K) & (rows["n_imputed"] > 0)).sum())


def comparison(imputation: MultipleImputation) -> pd.DataFrame:
    """Mean (or share of the most frequent level) of observed and of imputed cells, by column."""
    import pandas as pd

    table = imputation.table
    frames, rows = list(imputation), []
    for j, column in enumerate(table.schema.modelled):
        observed = table.observed[:, j]
        if observed.all():
            continue
        seen = table.frame[column.name][observed]
        imputed = pd.concat([frame[column.name][~observed] for frame in frames])
        statistic = "mean"
        if column.levels is not None:
            level = seen.mode()[0]
            seen, imputed, statistic = seen == level, imputed == level, f"share of {level}"
        numbers = (round(float(seen.mean()), 3), round(float(imputed.mean()), 3))
        missing = int((~observed).sum())
        note = f"fewer than {FEW_CELLS} cells" if missing < FEW_CELLS else ""
        rows.append((column.name, str(column.kind), missing, statistic, *numbers, note))
    names = ["column", "kind", "missing", "statistic", "observed", "imputed", "note"]
    return pd.DataFrame(rows, columns=names)


def summarise(imputation: MultipleImputation, *, output: Path, seconds: float) -> None:
    """Print what was made, under which assumption, and how far to trust it."""
    from pyro_gnr.imputation.multiple import RELIABLE_K

    cells, rows = imputed_cells(imputation), len(imputation.table.keys)
    typer.echo(
        f"{output}: {counted(imputation.m, 'table')} of {counted(rows, 'row')}, "
        f"{counted(sum(cells.values()), 'cell')} imputed in {counted(len(cells), 'column')}, "
        f"{seconds:.1f} s"
    )
    typer.echo(_mechanism(imputation))
    if cells:
        show(
            rich_table(
                "imputed cells",
                ["column", "cells", "share"],
                [(name, f"{n:,}", f"{n / rows:.1%}") for name, n in cells.items()],
            )
        )
    typer.echo(f"{counted(unreliable_rows(imputation), 'row')} with Pareto k above {RELIABLE_K}")
    for line in _extrapolated(imputation):
        typer.echo(line)


def _extrapolated(imputation: MultipleImputation) -> Iterator[str]:
    """Columns of a self-masking model whose imputed values hardly meet observed ones."""
    from pyro_gnr.model.mechanisms import SelfMasking

    if isinstance(imputation.fitted.model.m_given_ux, SelfMasking):
        for name, share in imputation.summary()["beyond_observed"].items():
            if share > EXTRAPOLATED:
                yield (
                    f"{name}: {share:.0%} of imputed values are beyond all observed ones; "
                    "extrapolated: rests on the mechanism and the likelihood's tail alone"
                )


def _mechanism(imputation: MultipleImputation) -> str:
    from pyro_gnr.model.mechanisms import SelfMasking

    mechanism = imputation.fitted.model.m_given_ux
    name, assumption = type(mechanism).__name__, ASSUMPTIONS.get(type(mechanism).__name__, "")
    if isinstance(mechanism, SelfMasking) and mechanism.direction in ("high", "low"):
        assumption += f", the {mechanism.direction}er the more often"
    return f"mechanism: {name} ({f'{assumption}; ' if assumption else ''}no data can test it)"


def training_in_words(imputer: GNRImputer) -> str:
    """Steps run, and the one whose weights were kept if a held-out bound chose it."""
    history = imputer.history_
    run = imputer.n_steps_ if history.empty else int(history["step"].iloc[-1])
    if history.empty or not history["validation"].notna().any():
        return counted(run, "step")
    return f"{counted(run, 'step')}, best held-out bound at {imputer.n_steps_:,}"


def counted(n: int, noun: str) -> str:
    """Give a number and its noun, in the plural where there is not one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def columns_table(frame: pd.DataFrame, columns: Mapping[str, Column]) -> RichTable:
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
    return rich_table("columns", ["column", "type", "kind", "values", "missing", "share"], rows)


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


def hints(
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
            yield f"{name}: an id? {_kind_option(name, 'ignore')}"
            continue
        may_be = []
        if whole and distinct <= FEW_VALUES:
            may_be.append(f"say {_kind_option(name, 'categorical')} if these are labels")
        # Not below 0 itself, but a normal distribution with its mean and deviation is.
        if cells.min() >= 0 and columns[name].location < 2 * columns[name].scale:
            if cells.min() > 0:
                may_be.append(f"{_kind_option(name, 'positive')} keeps imputations above 0")
            elif whole:
                may_be.append(f"say {_kind_option(name, 'count')} if it counts something")
        if may_be:
            yield f"{name}: {'; '.join(may_be)}"


def _kind_option(name: str, kind: str) -> str:
    return f"--kind {shlex.quote(f'{name}={kind}')}"


def patterns_table(frame: pd.DataFrame) -> RichTable:
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
    return rich_table("missing together", ["rows", "share", "columns"], rows)


def rich_table(title: str, names: Iterable[str], rows: Iterable[Sequence[object]]) -> RichTable:
    """Make a table for `show`."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        right = name in ("missing", "share", "rows", "cells", "observed", "imputed", "expected")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def show(table: RichTable) -> None:
    """Print a table."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a file or a pipe has no width of its own
    console.print(table)


@contextmanager
def errors(*, before_work: bool = False) -> Iterator[None]:
    """Turn what a user can mend into a line on stderr and an exit status.

    ValueError and TypeError speak of the call or the table (2). An OSError does so before the work
    starts (2), later the machine failed (1), as does a fit that diverges.
    """
    try:
        yield
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        typer.echo(f"pyro-gnr: {as_options(text)}", err=True)
        usage = isinstance(error, (ValueError, TypeError)) or (
            before_work and isinstance(error, OSError)
        )
        raise typer.Exit(2 if usage else 1) from None


def as_options(text: str) -> str:
    """Say --kind id=ignore where the package says kinds={'id': 'ignore'}, and so on."""

    def option(match: re.Match[str]) -> str:
        [(name, kind)] = ast.literal_eval(match[1]).items()
        return _kind_option(name, "..." if kind is ... else kind)

    text = KINDS_ARGUMENT.sub(option, text)
    text = OWN_CLASS.sub("can be used in Python only", text)
    for argument, here in ARGUMENTS.items():
        text = text.replace(argument, here)
    return text


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line; takes the place of `warnings.showwarning`."""
    typer.echo(f"pyro-gnr: warning: {message}", err=True)
