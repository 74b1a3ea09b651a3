"""What is printed: counts in words, numbers, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

__all__ = ["Table", "as_table", "counted", "number", "show"]

WIDEST_CELL = 30  # characters; a longer text may be broken between words
WIDTH = 120  # of a file or a pipe, which have none of their own; more where numbers need it
RIGHT = frozenset({"missing", "share", "rows", "cells", "observed", "imputed", "expected"})


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: above it.
        names: of its columns.
        rows: of cells.
        keys: how many columns, from the left, say what a row is about.
    """

    title: str
    names: list[str]
    rows: list[list[str]]
    keys: int


def counted(n: int, noun: str) -> str:
    """Give a number and its noun, in the plural where there is not one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def number(value: float, name: str = "") -> str:
    """Give a number in four significant digits, a p-value in three.

    Example:
        >>> number(12.34567), number(0.0000152712, "p.value")
        ('12.35', '1.53e-05')
    """
    return f"{value:.3g}" if name == "p.value" else f"{value:.4g}"


def as_table(
    title: str, names: Iterable[str], rows: Iterable[Iterable[object]], *, keys: int = 1
) -> Table:
    """Make a table for `show`."""
    cells = [[str(cell) for cell in row] for row in rows]
    return Table(title, list(names), cells, keys)


def show(table: Table) -> None:
    """Print a table so that no number is broken: in blocks of columns on a narrow terminal.

    Every block repeats the columns that say what a row is about. A file or a pipe gets the whole
    width.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal:
        for block in _blocks(table, console):
            console.print(_rich_table(block, keys_break=not _fits(block, console)))
    else:
        console.width = max(WIDTH, _least_width(table, console))
        console.print(_rich_table(table))


def _blocks(table: Table, console: Console) -> list[Table]:
    """Split the columns so that each part is as narrow as the console, if that can be."""
    keys, rest = range(table.keys), range(table.keys, len(table.names))
    parts: list[list[int]] = []
    for j in rest:
        if parts and _fits(_of_columns(table, [*keys, *parts[-1], j]), console):
            parts[-1].append(j)
        else:
            parts.append([j])
    blocks = [_of_columns(table, [*keys, *part]) for part in parts or [[]]]
    return [blocks[0], *(b._replace(title=f"{b.title}, continued") for b in blocks[1:])]


def _of_columns(table: Table, places: Sequence[int]) -> Table:
    rows = [[row[j] for j in places] for row in table.rows]
    return table._replace(names=[table.names[j] for j in places], rows=rows)


def _fits(table: Table, console: Console) -> bool:
    return _least_width(table, console) <= console.width


def _least_width(table: Table, console: Console) -> int:
    """Characters that a table takes if nothing is broken but long text between its words."""
    from rich.measure import Measurement

    options = console.options.update(width=100_000)
    return Measurement.get(console, options, _rich_table(table)).minimum


def _rich_table(table: Table, *, keys_break: bool = False) -> RichTable:
    """Give the table of rich; `keys_break`: what a row is about may be broken anywhere."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.markup import escape
    from rich.table import Table as RichTable

    found = RichTable(title=table.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for j, name in enumerate(table.names):
        widest = max(cell_len(text) for text in [name, *(row[j] for row in table.rows)])
        whole = widest <= WIDEST_CELL and not (keys_break and j < table.keys)
        found.add_column(
            escape(name),
            justify="right" if name in RIGHT else "left",
            overflow="fold",
            no_wrap=whole,
            min_width=widest if whole else None,
        )
    for row in table.rows:
        found.add_row(*map(escape, row))
    return found
