"""On which table an analysis failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["on_table"]


@contextmanager
def on_table(i: int, m: int) -> Iterator[None]:
    """Add to any error, whose type stays, on which of M tables it was, 0 <= i < M.

    Example:
        >>> try:
        ...     with on_table(0, 20):
        ...         1 / 0
        ... except ZeroDivisionError as error:
        ...     error.__notes__
        ['This was on table 1 of 20.']
    """
    try:
        yield
    except Exception as error:
        error.add_note(f"This was on table {i + 1} of {m}.")
        raise
