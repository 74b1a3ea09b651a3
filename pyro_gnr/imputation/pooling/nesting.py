"""Which table came from which member, and what follows for the rules of pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nesting", "as_members", "nest"]


class Nesting(NamedTuple):
    """M tables as G members of R_1, ..., R_G tables.

    Attributes:
        groups: by member, positions (R_g,) of its tables; all R_g = 1 where Rubin's rules hold.
        one_member: all tables came from one member, whose parameters were taken as known.
    """

    groups: tuple[NDArray[np.intp], ...]
    one_member: bool

    @property
    def n_members(self) -> int:
        """G as the rules count it: M where all tables came from one member."""
        return len(self.groups)

    @property
    def counts(self) -> tuple[int, ...]:
        """Tables of each member, R_1, ..., R_G."""
        return tuple(len(group) for group in self.groups)

    @property
    def per_member(self) -> float:
        """R as the rules count it: the harmonic mean of tables a member."""
        counts = self.counts
        if min(counts) == max(counts):
            return float(counts[0])  # exactly
        return len(counts) / sum(1.0 / count for count in counts)

    @property
    def m(self) -> int:
        """Number of tables."""
        return sum(self.counts)

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
    likewise, but parameter uncertainty is left out. Several tables of some of G members, as many
    of each or not: nested rules.

    Args:
        members: (M,) whole numbers, equal for tables of one member; None if each has its own.
        m: number of tables.

    Returns:
        Tables by member.

    Raises:
        ValueError: there are fewer than 2 tables, or not one member a table.

    Example:
        >>> nest([0, 0, 1, 1, 2, 2], 6).rule, nest([4, 1, 2], 3).rule, nest([0, 0], 2).one_member
        ('nested', 'rubin', True)
        >>> [group.tolist() for group in nest([1, 0, 0, 1, 1], 5).groups]
        [[1, 2], [0, 3, 4]]
    """
    if m < 2:
        raise ValueError(
            f"got {m} table(s), expected at least 2: one says nothing of what holes cost."
        )
    found = as_members(members, m)
    names = np.arange(m) if found is None else np.unique(found)
    if found is None or len(names) == 1:
        return Nesting(tuple(np.arange(m)[:, None]), one_member=found is not None)
    return Nesting(tuple(np.flatnonzero(found == name) for name in names), one_member=False)
