"""A table as the model sees it: standardised numbers, cell states and row keys, and the way back.

Letters as everywhere: N rows, D modelled columns. `observed` is True where a cell is observed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data.censoring import CODE_BASE, read_cells
from pyro_gnr.data.columns import CENSORED_KINDS, Column, Kind, decode_levels
from pyro_gnr.data.completion import Fill, complete
from pyro_gnr.data.frames import native_columns
from pyro_gnr.data.reading import read

if TYPE_CHECKING:
    from pyro_gnr.data.schema import Schema

__all__ = ["Cell", "Table"]


class Cell(IntEnum):
    """State of a cell of a modelled column.

    Attributes:
        MISSING: no value is known.
        OBSERVED: the value is known and may be learnt from.
        HIDDEN: observed, but held out (for validation or overimputation): the value is known to
            `Table.values`, the model must not see it, and the mechanism still counts it observed.
    """

    MISSING = 0
    OBSERVED = 1
    HIDDEN = 2


@dataclass(frozen=True, eq=False)
class Table:
    """A table as the model sees it, with what is needed to write it back.

    Attributes:
        frame: the caller's object (pandas or polars DataFrame, or array), never modified.
        schema: how it was encoded.
        values: (N, D) float64; numbers in the units of their columns (`Column.location` and
            `scale`) or level codes 0, 1, ...; 0 where missing; where an interval is known,
            `CODE_BASE` plus its place in `Column.intervals`.
        states: (N, D) int8 of `Cell`.
        keys: (N,) uint64 row keys.

    Example:
        >>> from pyro_gnr.data.schema import Schema
        >>> X = pd.DataFrame({"dose": [1.0, None, 3.0], "arm": ["a", "b", None]})
        >>> table = Schema.learn(X).encode(X)
        >>> table.missing
        (array([1, 2]), array([0, 1]))
        >>> table.fill(np.array([0.5, 1.0])).values.tolist()
        [[1.0, 'a'], [2.5, 'b'], [3.0, 'b']]
    """

    frame: Any
    schema: Schema
    values: NDArray[np.float64]
    states: NDArray[np.int8]
    keys: NDArray[np.uint64]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(N, D), True where the cell is observed, hidden ones included."""
        return self.states != Cell.MISSING

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(N, D), True where the cell is observed and not hidden."""
        return self.states == Cell.OBSERVED

    @cached_property
    def intervals(self) -> NDArray[np.bool_]:
        """(N, D), True where an observed cell is known only to lie in an interval."""
        censored = np.array([bool(c.intervals) for c in self.schema.modelled])
        return censored & (self.values >= CODE_BASE)

    @cached_property
    def incomplete(self) -> NDArray[np.bool_]:
        """(N, D), True where a number or level is to be found: missing cells and intervals."""
        return (self.states == Cell.MISSING) | self.intervals

    @cached_property
    def missing(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and modelled columns of the `incomplete` cells, row by row; each (n_missing,)."""
        rows, cols = np.nonzero(self.incomplete)
        return rows, cols

    @cached_property
    def limits(self) -> NDArray[np.float64]:
        """Limits (2, n_missing) of the `incomplete` cells, caller's units; infinite if missing."""
        rows, cols = self.missing
        limits = np.tile([[-np.inf], [np.inf]], len(rows))
        for j, column in enumerate(self.schema.modelled):
            mine = np.flatnonzero((cols == j) & self.intervals[rows, cols])
            if len(mine):
                places = (self.values[rows[mine], j] - CODE_BASE).astype(np.intp)
                limits[:, mine] = np.array(column.intervals)[places].T
        return limits

    def hide(
        self, cells: float | NDArray[np.bool_], rng: np.random.Generator | None = None
    ) -> Table:
        """Hold observed cells out.

        Args:
            cells: the fraction in [0, 1] of the visible cells to hide, chosen at random, or an
                (N, D) bool array, True where to hide (cells that are not visible stay as they
                are).
            rng: source of the random choice; needed for a fraction.

        Returns:
            A table with these cells HIDDEN; values and keys are shared with this one.

        Raises:
            ValueError: the fraction is outside [0, 1] or the array's shape is not (N, D).
            TypeError: the array is not boolean, or a fraction came without `rng`.
        """
        states = self.states.copy()
        if np.ndim(cells):
            chosen = np.asarray(cells)
            if chosen.dtype != np.bool_:
                raise TypeError(f"got cells of dtype {chosen.dtype}, expected bool.")
            if chosen.shape != states.shape:
                raise ValueError(f"got cells of shape {chosen.shape}, expected {states.shape}.")
            states[chosen & self.visible] = Cell.HIDDEN
            return replace(self, states=states)
        if not 0.0 <= float(cells) <= 1.0:
            raise ValueError(f"got fraction {cells}, expected a number in [0, 1].")
        if rng is None:
            raise TypeError("got no rng, expected a numpy.random.Generator for a fraction.")
        visible = np.flatnonzero(self.visible)
        n_hidden = round(float(cells) * len(visible))
        states.flat[rng.choice(visible, size=n_hidden, replace=False)] = Cell.HIDDEN
        return replace(self, states=states)

    def decode(self, cols: NDArray[np.integer], values: np.ndarray) -> NDArray[np.float64]:
        """Bring encoded values into the caller's units.

        Args:
            cols: (n,) modelled columns.
            values: (..., n) encoded values.

        Returns:
            (..., n) numbers in the caller's units, rounded for integer columns and counts, and
            within the limits of their columns; level columns stay codes.

        Example:
            >>> from pyro_gnr.data.schema import Schema
            >>> table = Schema.learn(np.array([[1.0], [3.0]])).encode(np.array([[1.0]]))
            >>> table.decode(np.array([0, 0]), np.array([-1.0, 0.5]))
            array([1. , 2.5])
        """
        columns = self.schema.modelled
        location = np.array([c.location for c in columns])[cols]
        scale = np.array([c.scale for c in columns])[cols]
        whole = np.array([c.whole for c in columns])[cols]
        low, high = np.array([c.limits for c in columns]).reshape(-1, 2)[cols].T
        numbers = np.asarray(values, dtype=np.float64) * scale + location
        log = np.array([c.kind is Kind.CENSORED_LOG for c in columns])[cols]
        numbers[..., log] = np.exp(numbers[..., log])
        return np.clip(np.where(whole, np.rint(numbers), numbers), low, high)

    def in_units(self, values: np.ndarray) -> NDArray[np.float64]:
        """Decode values (..., n_missing) of the `incomplete` cells; none leaves its interval."""
        decoded = self.decode(self.missing[1], values)
        return np.clip(decoded, self.limits[0], self.limits[1])

    def original(self) -> Any:
        """Give the caller's table, its text columns of numbers and intervals as numbers.

        They are what such a column is where it is completed: floats, NaN (null in polars) where
        the cell is missing or an interval. All else is the caller's own.
        """
        whole = np.arange(len(self.states))
        fills = {j: Fill(whole, v) for j, v in self._known_numbers.items()}
        frame = complete(self.frame, fills) if fills else self.frame
        if fills and not isinstance(frame, (pd.DataFrame, np.ndarray)):
            names = [frame.columns[j] for j in fills]
            frame = frame.with_columns([frame[name].fill_nan(None) for name in names])
        return frame

    @cached_property
    def _known_numbers(self) -> dict[int, NDArray[np.float64]]:
        """Numbers (N,) of the censored columns that came as text, by place; NaN elsewhere."""
        found = {}
        natives = native_columns(self.frame)
        for place, (column, native) in enumerate(zip(self.schema.columns, natives, strict=True)):
            if column.kind in CENSORED_KINDS:
                reading = read(native, column.name)
                if reading.numbers is None:
                    found[place] = read_cells(reading).numbers
        return found

    def interval_texts(self) -> dict[str, NDArray[np.object_]]:
        """Give the caller's text (N,) of interval cells, None elsewhere, by censored column."""
        natives = native_columns(self.frame)
        cells = dict(zip((c.name for c in self.schema.modelled), self.intervals.T, strict=True))
        texts = {}
        for place in self._known_numbers:
            name = self.schema.columns[place].name
            texts[name] = np.full(len(self.states), None, dtype=object)
            texts[name][cells[name]] = np.asarray(natives[place], dtype=object)[cells[name]]
        return texts

    def fill(self, values: np.ndarray) -> Any:
        """Complete the caller's table.

        Args:
            values: (n_missing,) encoded values of the missing cells, in the order of `missing`.

        Returns:
            An object of the caller's type. Observed cells, index, column names and order, dtypes
            and categories are unchanged; hidden cells keep their own values; an array comes back
            as floats, and so does a text column of numbers and intervals, whose interval cells
            get numbers.

        Raises:
            ValueError: the values have another shape, are not finite, or are no level codes
                where level codes are needed.
        """
        rows, cols = self.missing
        values = self._checked(np.asarray(values, dtype=np.float64), cols)
        decoded = self.in_units(values)
        order = np.argsort(cols, kind="stable")
        parts = np.split(order, np.searchsorted(cols[order], np.arange(1, self.states.shape[1])))
        fills = {}
        places = [i for i, c in enumerate(self.schema.columns) if c.kind is not Kind.IGNORE]
        for place, column, part in zip(places, self.schema.modelled, parts, strict=True):
            if place in self._known_numbers:
                numbers = self._known_numbers[place].copy()
                numbers[rows[part]] = decoded[part]
                fills[place] = Fill(np.arange(len(numbers)), numbers)
            elif len(part):
                fills[place] = _fill(column, rows[part], decoded[part])
        return complete(self.frame, fills)

    def index_labels(self) -> pd.Index:
        """Give the (N,) labels of the rows for reports: the pandas index, or 0..N-1."""
        if isinstance(self.frame, pd.DataFrame):
            return self.frame.index
        return pd.RangeIndex(len(self.states))

    def _checked(self, values: np.ndarray, cols: NDArray[np.intp]) -> np.ndarray:
        if values.shape != cols.shape:
            raise ValueError(
                f"got values of shape {values.shape}, expected {cols.shape}: one for each "
                "missing cell, in the order of Table.missing."
            )
        counts = np.array(
            [np.inf if c.levels is None else len(c.levels) for c in self.schema.modelled]
        )
        level = np.isfinite(counts)[cols]
        codes = values[level]
        if not np.isfinite(values).all() or (codes != np.rint(codes)).any() or (codes < 0).any():
            raise ValueError("got values that are not finite or no level codes (0, 1, ...).")
        if (codes >= counts[cols][level]).any():
            raise ValueError("got level codes beyond the levels of their columns.")
        return values


def _fill(column: Column, rows: NDArray[np.intp], decoded: NDArray[np.float64]) -> Fill:
    """Numbers as they are, and levels for codes."""
    if column.levels is None:
        return Fill(rows, decoded)
    return Fill(rows, decode_levels(column, decoded), column.levels)
