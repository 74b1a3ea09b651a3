"""A table as the makers of holes see it: columns by position, read when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data import checks, frames
from pyro_gnr.data.columns import Kind, encode_column, learn_column
from pyro_gnr.data.reading import Reading, Scalar, observed_cells, read

__all__ = ["SourceTable"]


@dataclass(frozen=True, eq=False)
class SourceTable:
    """A table that is to get holes.

    A column's values are read when a mechanism asks for them, and must be complete then. Columns
    that are only to lose cells may be of any dtype, and have holes.

    Attributes:
        frame: the caller's pandas or polars DataFrame, or (N, D) array.
        names: of the D columns: str() of the caller's names; x0, x1, ... for arrays.
        kinds: how the caller wants columns seen, by name.

    Example:
        >>> import pandas as pd
        >>> X = pd.DataFrame({"a": [1.0, 3.0], "id": [7, 8]})
        >>> table = SourceTable.of(X, {"id": "ignore"})
        >>> table.columns, table.positions(["id"])
        ((0,), (1,))
        >>> table.features(0)
        array([[-1.],
               [ 1.]])
    """

    frame: Any
    names: tuple[str, ...]
    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, X: Any, kinds: Mapping[str, str | Kind] | None = None) -> SourceTable:
        """Take a table.

        Args:
            X: pandas or polars DataFrame, or (N, D) array of numbers.
            kinds: as in `GNRImputer`; columns of kind "ignore" stay out of it, unless they are
                named among those that lose cells.

        Raises:
            ValueError: fewer than two rows, no column, duplicate names, or an unknown kind.
            TypeError: X is no table.
        """
        frame = frames.as_frame(X)
        names = frames.column_names(frame)
        chosen = checks.chosen_kinds(names, kinds or {})
        checks.check_shape(frame, names, chosen)
        return cls(frame, names, chosen)

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.frame)

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the columns that are not ignored."""
        return tuple(j for j in range(len(self.names)) if not self._ignored(j))

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(N, D), False where the table has a hole of its own."""
        cells = [observed_cells(c) for c in frames.native_columns(self.frame)]
        return np.stack(cells, axis=1)

    def positions(self, columns: Sequence[Any]) -> tuple[int, ...]:
        """Find columns that the caller names.

        Args:
            columns: names, or for an array also positions.

        Returns:
            Their positions, in the table's order.

        Raises:
            ValueError: a name is unknown, given twice, or none is given.
            TypeError: `columns` is a single string.
        """
        if isinstance(columns, str):
            raise TypeError(f"got the columns {columns!r}, expected a list: [{columns!r}].")
        array = isinstance(self.frame, np.ndarray)
        whole = (int, np.integer)
        names = [f"x{c}" if array and isinstance(c, whole) else str(c) for c in columns]
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(
                f"got unknown columns {unknown}, expected some of {list(self.names)}."
            )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"got the columns {names}, expected one or more, each once.")
        return tuple(sorted(self.names.index(name) for name in names))

    def numbers(self, j: int) -> NDArray[np.float64]:
        """Give the (N,) numbers of a column, in the caller's units.

        Raises:
            ValueError: the column has holes, levels, or infinite numbers.
            TypeError: its dtype cannot be read.
        """
        reading = self._reading(j)
        numbers = reading.as_numbers()
        if numbers is None or self.kinds.get(self.names[j]) is Kind.CATEGORICAL:
            raise ValueError(
                f"column {self.names[j]!r} holds levels, expected numbers: name others."
            )
        if not np.isfinite(numbers).all():
            raise ValueError(f"column {self.names[j]!r} holds infinite numbers: mend them first.")
        return numbers

    def holds_numbers(self, j: int) -> bool:
        """Tell whether a column holds numbers that are not called levels; it may have holes."""
        try:
            reading = read(frames.native_columns(self.frame)[j], self.names[j])
        except TypeError:  # dates and the like
            return False
        return reading.as_numbers() is not None and self._kind(j) is not Kind.CATEGORICAL

    def levels(self, j: int) -> tuple[NDArray[np.intp], tuple[Scalar, ...]]:
        """Give the (N,) codes and the levels of a column; every number of a column is a level.

        Raises:
            ValueError: the column has holes.
            TypeError: its dtype cannot be read.
        """
        return self._reading(j).as_levels()

    def has_levels(self, j: int) -> bool:
        """Tell whether the column is seen as levels rather than as numbers or ordered levels."""
        column = learn_column(self._reading(j), self._kind(j))
        return column.levels is not None and column.kind is not Kind.ORDINAL

    def features(self, j: int) -> NDArray[np.float64]:
        """Give a column as numbers of mean 0, whose variances add up to 1.

        Returns:
            (N, 1) standardised values (divisor N) of numbers, of two levels, and of the places of
            ordered levels; (N, levels) standardised indicators over the square root of their
            number for more levels; zeros for a constant column.

        Raises:
            ValueError: the column has holes, is free text, has infinite numbers, or does not fit
                its kind.
            TypeError: its dtype cannot be read.
        """
        reading = self._reading(j)
        column = learn_column(reading, self._kind(j))
        values = encode_column(column, reading)
        n_levels = len(column.levels or ())
        if n_levels > 2 and column.kind is not Kind.ORDINAL:
            return _standardised(values[:, None] == np.arange(n_levels)) / np.sqrt(n_levels)
        return values[:, None] if column.levels is None else _standardised(values[:, None])

    def varies(self, j: int) -> bool:
        """Tell whether a column has more than one value."""
        return bool(self.features(j).any())

    def _ignored(self, j: int) -> bool:
        return self.kinds.get(self.names[j]) is Kind.IGNORE

    def _kind(self, j: int) -> Kind | None:
        return self.kinds.get(self.names[j])

    def _reading(self, j: int) -> Reading:
        if self._ignored(j):
            raise ValueError(
                f"column {self.names[j]!r} is ignored, but the holes would depend on its values: "
                "give it another kind, or leave it out."
            )
        reading = read(frames.native_columns(self.frame)[j], self.names[j])
        if reading.holes:
            raise ValueError(
                f"column {self.names[j]!r} has {reading.holes} missing cell(s), but the holes "
                "would depend on its values: drop those rows, choose other columns, or leave it "
                f"out with kinds={{{self.names[j]!r}: 'ignore'}}.{self._incomplete(besides=j)}"
            )
        return reading

    def _incomplete(self, *, besides: int) -> str:
        """Say which other columns may be refused next."""
        holes = (~self.observed).sum(axis=0)
        others = [self.names[k] for k in self.columns if k != besides and holes[k]]
        return f" Other incomplete columns: {others}." if others else ""


def _standardised(values: NDArray[Any]) -> NDArray[np.float64]:
    centred = values - values.mean(axis=0)
    scale = values.std(axis=0)
    return np.asarray(centred / np.where(scale > 0.0, scale, 1.0), dtype=np.float64)
