"""The columns of a training table, learnt once, and how any table is encoded by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyro_gnr.data import checks
from pyro_gnr.data.censoring import by_value
from pyro_gnr.data.columns import (
    CENSORED_KINDS,
    Bounds,
    Column,
    Kind,
    encode_column,
    ignored_column,
    learn_column,
    with_intervals,
)
from pyro_gnr.data.frames import as_frame, column_names, native_columns, snapshot
from pyro_gnr.data.keys import table_keys
from pyro_gnr.data.reading import Reading, observed_cells, read
from pyro_gnr.data.table import Cell, Table

__all__ = ["Schema"]


@dataclass(frozen=True)
class Schema:
    """The columns of a training table: kinds, levels, locations and scales.

    Attributes:
        columns: all columns in the caller's order, ignored ones included.

    Example:
        >>> import pandas as pd
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
    def learn(
        cls,
        X: Any,
        kinds: Mapping[str, str | Kind] | None = None,
        *,
        fallbacks: Mapping[str, Kind] | None = None,
    ) -> Schema:
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
            fallbacks: by name, the kinds of columns that would be refused as free text.

        Returns:
            The schema.

        Raises:
            ValueError: fewer than two rows, no column to model, duplicate names, a column
                without observed values, infinite values, free text, or a kind that is unknown,
                for an unknown column, or does not fit the values.
            TypeError: X is no table, or a column is of a dtype that cannot be modelled.
        """
        frame = as_frame(X)
        names = column_names(frame)
        chosen = checks.chosen_kinds(names, kinds or {})
        bounds = checks.chosen_bounds(kinds or {})
        checks.check_shape(frame, names, chosen)
        other = fallbacks or {}
        native = zip(names, native_columns(frame), strict=True)
        return cls(
            tuple(
                _learn(column, n, chosen.get(n), bounds=bounds.get(n), fallback=other.get(n))
                for n, column in native
            )
        )

    def encode(self, X: Any, *, row_key: str | None = None) -> Table:
        """Encode a table with the columns of this schema.

        Args:
            X: pandas or polars DataFrame, or (N, D) array of numbers.
            row_key: name of a column whose values alone name the rows (unique, none missing).
                None names a row by its content and its index label or occurrence number.

        Returns:
            The encoded table. Its schema is this one, with the table's own intervals ("<0.3")
            where training had others.

        Raises:
            ValueError: no rows; columns added, dropped, renamed, reordered or retyped; infinite
                values; a level not seen in training; an unusable `row_key`.
            TypeError: X is no table, or a column is of a dtype that cannot be modelled.

        Warns:
            UserWarning: a column without holes in training has one here.
        """
        frame = as_frame(X)
        checks.check_rows(frame)
        checks.check_names(frame, [c.name for c in self.columns])
        schema, readings = self._with_intervals(native_columns(frame))
        pairs = list(zip(schema.modelled, readings, strict=True))
        observed = np.column_stack([reading.observed for _, reading in pairs])
        checks.warn_of_new_holes(self.modelled, observed)
        return Table(
            frame=snapshot(frame),
            schema=schema,
            values=np.column_stack([encode_column(c, reading) for c, reading in pairs]),
            states=np.where(observed, Cell.OBSERVED, Cell.MISSING).astype(np.int8),
            keys=table_keys(
                frame,
                [by_value(r) if c.kind in CENSORED_KINDS else r for c, r in pairs],
                row_key=row_key,
            ),
        )

    def _with_intervals(self, native: Sequence[Any]) -> tuple[Schema, list[Reading]]:
        """Read the modelled columns; give the schema that knows of all their intervals."""
        columns, readings = list(self.columns), []
        for i, (column, series) in enumerate(zip(self.columns, native, strict=True)):
            if column.kind is Kind.IGNORE:
                continue
            readings.append(read(series, column.name))
            if column.kind in CENSORED_KINDS and readings[-1].observed.any():
                columns[i] = with_intervals(column, readings[-1])
        same = all(a is b for a, b in zip(columns, self.columns, strict=True))
        return (self if same else Schema(tuple(columns))), readings

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


def _learn(
    native: Any,
    name: str,
    kind: Kind | None,
    *,
    bounds: Bounds | None,
    fallback: Kind | None,
) -> Column:
    if kind is Kind.IGNORE:
        holes = int((~observed_cells(native)).sum())
        return ignored_column(name, dtype=str(native.dtype), holes=holes)
    return learn_column(read(native, name), kind, bounds=bounds, fallback=fallback)
