"""Schema and table: the caller's data as standardised numbers, cell states and row keys.

Letters as everywhere: N rows, D modelled columns. `observed` is True where a cell is observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import checks, completion, frames, keys
from pyro_gnr.data.censoring import CODE_BASE, by_value, read_cells
from pyro_gnr.data.columns import (
    CENSORED_KINDS,
    Bounds,
    Column,
    Kind,
    encode_column,
    ignored_column,
    learn_column,
)

__all__ = ["Cell", "Column", "Kind", "Schema", "Table"]


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


@dataclass(frozen=True)
class Schema:
    """The columns of a training table: kinds, levels, locations and scales.

    Attributes:
        columns: all columns in the caller's order, ignored ones included.

    Example:
        >>> X = pd.DataFrame({"dose": [1.0, None, 3.0], "arm": ["a", "b", None]})
        >>> schema = Schema.learn(X)
        >>> [(c.name, str(c.kind), c.holes) for c in schema.columns]
        [('dose', 'continuous', 1), ('arm', 'binary', 1)]
        >>> schema.encode(X).values
        array([[-1.,  0.],
               [ 0.,  1.],
               [ 1.,  0.]])
    """

    columns: tuple[Column, ...]

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The D columns that the model sees, in the caller's order."""
        return tuple(c for c in self.columns if c.kind is not Kind.IGNORE)

    @classmethod
    def learn(cls, X: Any, kinds: Mapping[str, str | Kind] | None = None) -> Schema:
        """Learn the schema of a training table.

        Args:
            X: pandas or polars DataFrame, or (N, D) array of numbers.
            kinds: how to model some columns, by name: "continuous", "positive", "bounded" (or
                "bounded(0, 20)"), "count", "binary", "categorical", "ordinal", "censored",
                "censored_log" or "ignore"; see `Kind`. Others go by dtype and values: booleans,
                strings and categories are categorical (binary with two levels; ordinal with more
                if pandas calls the categories ordered); numbers are continuous (binary if the
                observed ones are exactly 0 and 1). Strings that are all numbers or intervals
                ("<0.5", ">100", "0.2-0.5", "[0.2, 0.5]"), with at least one of either, are
                censored; on the scale of the logarithm ("censored_log") if all are positive and
                some have a limit above only, as limits of detection have.

        Returns:
            The schema.

        Raises:
            ValueError: fewer than two rows, no column to model, duplicate names, a column
                without observed values, infinite values, free text, or a kind that is unknown,
                for an unknown column, or does not fit the values.
            TypeError: X is no table, or a column is of a dtype that cannot be modelled.
        """
        frame = frames.as_frame(X)
        names = frames.column_names(frame)
        chosen = checks.chosen_kinds(names, kinds or {})
        bounds = checks.chosen_bounds(kinds or {})
        checks.check_shape(frame, names, chosen)
        native = zip(names, frames.native_columns(frame), strict=True)
        return cls(
            tuple(_learn(column, n, chosen.get(n), bounds=bounds.get(n)) for n, column in native)
        )

    def encode(self, X: Any, *, row_key: str | None = None) -> Table:
        """Encode a table with the columns of this schema.

        Args:
            X: pandas or polars DataFrame, or (N, D) array of numbers.
            row_key: name of a column whose values alone name the rows (unique, none missing).
                None names a row by its content and its index label or occurrence number.

        Returns:
            The encoded table.

        Raises:
            ValueError: no rows; columns added, dropped, renamed, reordered or retyped; infinite
                values; a level not seen in training; an unusable `row_key`.
            TypeError: X is no table, or a column is of a dtype that cannot be modelled.

        Warns:
            UserWarning: a column without holes in training has one here.
        """
        frame = frames.as_frame(X)
        checks.check_rows(frame)
        checks.check_names(frame, [c.name for c in self.columns])
        native = frames.native_columns(frame)
        pairs = [
            (column, frames.read(series, column.name))
            for column, series in zip(self.columns, native, strict=True)
            if column.kind is not Kind.IGNORE
        ]
        observed = np.column_stack([reading.observed for _, reading in pairs])
        checks.warn_of_new_holes(self.modelled, observed)
        return Table(
            frame=frames.snapshot(frame),
            schema=self,
            values=np.column_stack([encode_column(c, reading) for c, reading in pairs]),
            states=np.where(observed, Cell.OBSERVED, Cell.MISSING).astype(np.int8),
            keys=keys.table_keys(
                frame,
                [by_value(r) if c.kind in CENSORED_KINDS else r for c, r in pairs],
                row_key=row_key,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-able description, for `from_dict`."""
        return {"columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Schema:
        """Rebuild a schema from `to_dict`.

        Raises:
            ValueError: the description is not one of a schema.

        Example:
            >>> schema = Schema.learn(np.array([[1.0], [2.0]]))
            >>> Schema.from_dict(schema.to_dict()) == schema
            True
        """
        columns = description.get("columns") if isinstance(description, Mapping) else None
        if not isinstance(columns, (list, tuple)):
            raise ValueError("got a broken description of a schema: no list of columns.")
        return cls(tuple(Column.from_dict(column) for column in columns))


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
        fills = {j: completion.Fill(whole, v) for j, v in self._known_numbers.items()}
        frame = completion.complete(self.frame, fills) if fills else self.frame
        if fills and not isinstance(frame, (pd.DataFrame, np.ndarray)):
            names = [frame.columns[j] for j in fills]
            frame = frame.with_columns([frame[name].fill_nan(None) for name in names])
        return frame

    @cached_property
    def _known_numbers(self) -> dict[int, NDArray[np.float64]]:
        """Numbers (N,) of the censored columns that came as text, by place; NaN elsewhere."""
        found = {}
        natives = frames.native_columns(self.frame)
        for place, (column, native) in enumerate(zip(self.schema.columns, natives, strict=True)):
            if column.kind in CENSORED_KINDS:
                reading = frames.read(native, column.name)
                if reading.numbers is None:
                    found[place] = read_cells(reading).numbers
        return found

    def interval_texts(self) -> dict[str, NDArray[np.object_]]:
        """Give the caller's text (N,) of interval cells, None elsewhere, by censored column."""
        natives = frames.native_columns(self.frame)
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
                fills[place] = completion.Fill(np.arange(len(numbers)), numbers)
            elif len(part):
                values_in_units = _in_units(column, decoded[part])
                fills[place] = completion.Fill(rows[part], values_in_units, column.levels or ())
        return completion.complete(self.frame, fills)

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


def _in_units(column: Column, decoded: NDArray[np.float64]) -> np.ndarray:
    """Replace codes by levels; numbers stay."""
    if column.levels is None:
        return decoded
    levels = np.empty(len(column.levels), dtype=object)
    levels[:] = column.levels
    return levels[decoded.astype(np.intp)]


def _learn(native: Any, name: str, kind: Kind | None, *, bounds: Bounds | None) -> Column:
    if kind is Kind.IGNORE:
        holes = int((~frames.observed_cells(native)).sum())
        return ignored_column(name, dtype=str(native.dtype), holes=holes)
    return learn_column(frames.read(native, name), kind, bounds=bounds)
