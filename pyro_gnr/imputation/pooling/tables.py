"""M completed tables, in any of the forms that they come in, and the members that made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["tables_and_members"]


def tables_and_members(tables: Any, members: Any = None) -> tuple[Sequence[Any], Any]:
    """Give tables as a sequence; and members, those that the tables remember if none are given.

    Args:
        tables: an iterable of completed tables; a `MultipleImputation`, which makes its tables
            when asked; or what `read_long` gives.
        members: (M,) or None.

    Raises:
        TypeError: it is one table, or nothing that has tables.

    Example:
        >>> tables_and_members(iter([[1.0], [2.0]]), [0, 1])
        ([[1.0], [2.0]], [0, 1])
    """
    if hasattr(tables, "columns") or isinstance(tables, (str, Mapping)):
        raise TypeError(f"got one {type(tables).__name__}, expected a list of M completed tables.")
    if members is None:
        members = getattr(tables, "members", None)
    found = getattr(tables, "completed", tables)
    if hasattr(found, "__getitem__"):
        return found, members  # as it is: an imputation makes its tables one at a time
    if not isinstance(found, Iterable):
        raise TypeError(f"got {found!r}, expected a list of M completed tables.")
    return list(found), members
