"""Which table came from which member, and what follows for the rules of pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nesting", "as_members", "nest"]


class Nesting(NamedTuple):
    """M tables as G members of R tables each.

    Attributes:
        groups: (G, R) positions of tables; R = 1 where Rubin's rules hold.
        one_member: all tables came from one member, whose parameters were taken as known.
    """

    groups: NDArray[np.intp]
    one_member: bool

    @property
    def n_members(self) -> int:
        """G as the rules count it: M where all tables came from one member."""
        return self.groups.shape[0]

    @property
    def per_member(self) -> int:
        """R as the rules count it."""
        return self.groups.shape[1]

    @property
    def m(self) -> int:
        """Number of tables."""
        return self.groups.size

    @property
    def rule(self) -> str:
        """Name of the rules: `rubin` or `nested`."""
        return "nested" if self.per_member > 1 else "rubin"


def as_members(members: Sequence[int] | NDArray[Any] | None, m: int) -> NDArray[np.intp] | None:
    """Check members, whole numbers (M,), one a table.

    Raises:
        ValueError: there are not M of them, or some are no whole numbers.
    """
    if members is None:
        return None
    found = np.asarray(members)
    if found.shape != (m,) or found.dtype.kind not in "iu":
        raise ValueError(
            f"got members={members!r}, expected a whole number for each of {m} tables."
        )
    return found.astype(np.intp)


def nest(members: Sequence[int] | NDArray[Any] | None, m: int) -> Nesting:
    """Choose the rules for M tables by the members that they came from.

    Each table of its own member, or no word of members: Rubin's rules. All of one member:
    likewise, but parameter uncertainty is left out. R tables of each of G members: nested rules.

    Args:
        members: (M,) whole numbers, equal for tables of one member; None if each has its own.
        m: number of tables.

    Returns:
        Tables by member.

    Raises:
        ValueError: there are fewer than 2 tables, not one member a table, or members have
            different numbers of tables.

    Example:
        >>> nest([0, 0, 1, 1, 2, 2], 6).rule, nest([4, 1, 2], 3).rule, nest([0, 0], 2).one_member
        ('nested', 'rubin', True)
        >>> nest([1, 0, 0, 1], 4).groups.tolist()
        [[1, 2], [0, 3]]
    """
    if m < 2:
        raise ValueError(
            f"got {m} table(s), expected at least 2: one says nothing of what holes cost."
        )
    found = as_members(members, m)
    if found is None:
        return Nesting(np.arange(m)[:, None], one_member=False)
    _, counts = np.unique(found, return_counts=True)
    if len(counts) == 1:
        return Nesting(np.arange(m)[:, None], one_member=True)
    if counts.min() != counts.max():
        raise ValueError(
            f"got members with {counts.min()} to {counts.max()} tables, expected the same number "
            f"of each: impute a multiple of {len(counts)} tables."
        )
    return Nesting(np.argsort(found, kind="stable").reshape(len(counts), -1), one_member=False)
