"""What is printed: counts in words, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["counted", "rich_table", "show"]


def counted(n: int, noun: str) -> str:
    """Give a number and its noun, in the plural where there is not one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


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
