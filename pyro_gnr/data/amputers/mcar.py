"""Holes completely at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyro_gnr.data.amputers.base import Amputer, Holes
from pyro_gnr.data.amputers.checks import (
    rate_or_default,
)
from pyro_gnr.data.source import SourceTable

__all__ = ["MCAR"]


@dataclass(frozen=True)
class MCAR(Amputer):
    """Missing completely at random: p_nj = rate, whatever the values. No column need be complete.

    *Right model*: `Ignorable`; every other one is right, too, but has more to learn.

    Attributes:
        blocks: lists of columns that go missing together, such as the answers to one page of a
            questionnaire; other columns lose cells independently.

    Example:
        >>> from pyro_gnr.data.amputation import MCAR, ampute
        >>> holes = ampute(np.zeros((4, 3)), MCAR(blocks=[["x0", "x1"]]), random_state=1)
        >>> (holes.observed[:, 0] == holes.observed[:, 1]).all()
        np.True_
    """

    blocks: Sequence[Sequence[str]] | None = None

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Give every cell the same chance; a block shares its uniform number."""
        columns = table.columns if columns is None else columns
        shape = (table.n_rows, len(columns))
        uniforms = rng.random(shape)
        for block in self._blocks(table, columns):
            uniforms[:, block] = uniforms[:, block[:1]]
        return Holes(columns, np.full(shape, rate_or_default(rate)), uniforms)

    def _blocks(self, table: SourceTable, columns: tuple[int, ...]) -> list[list[int]]:
        """Find the blocks among the columns that lose cells."""
        blocks = [table.positions(block) for block in self.blocks or ()]
        members = [j for block in blocks for j in block]
        outside = sorted({table.names[j] for j in members if j not in columns})
        if outside or len(set(members)) < len(members):
            raise ValueError(
                f"got blocks {self.blocks!r}, expected columns that lose cells, each in one block."
                + (f" {outside} lose none." if outside else "")
            )
        return [[columns.index(j) for j in block] for block in blocks]
