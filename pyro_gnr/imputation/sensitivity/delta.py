"""One departure from the imputation model: a column, how far, and whose cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.alignment import as_truth_values, in_row_order
from pyro_gnr.data.frames import column_names
from pyro_gnr.data.reading import Scalar
from pyro_gnr.imputation.departures import described, in_words, prior_in_words, rows_in_words
from pyro_gnr.imputation.settings import is_number, is_whole

__all__ = ["Delta", "as_delta", "as_numbers"]

Rows = str | Callable[[Any], Any] | Sequence[bool] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Delta:
    """A column's missing values are `by` more, on the scale of its link, than the model says.

    Cells that are observed, or known to lie in an interval, stay what they are.

    Args:
        column: name of a modelled column.
        by: how far: one number; M numbers, one a table; or a prior with `ppf` (such as
            `scipy.stats.norm(0, 2)`), of which each table gets a draw. In the column's own unit
            for continuous and censored columns; in logarithms for positive ones, counts and
            "censored_log" (log 2 doubles); in log-odds for levels and bounded columns, those of a
            level given the row's other cells, imputed ones among them. With hard bounds of a
            truncated likelihood: log of the distance from one, log-odds between two.
        level: of a column of levels without an order, the level whose log-odds change; the last
            one of a binary column if None. Ordinal levels all move up together: none is named.
        where: whose cells: rows as a pandas expression ("age > 60"), as a function of a completed
            table that gives N truth values (both see each completed table as it was before), or as
            N truth values (a Series goes by its row labels); None: all.

    Raises:
        ValueError: `by` is empty, not finite, or no row of numbers.
        TypeError: `by` is none of the above.

    Example:
        >>> Delta("income", -0.5, where="age > 60")
        Delta(column='income', by=-0.5, where='age > 60')
    """

    column: str
    by: Any = 1.0
    level: Scalar | None = None
    where: Rows | None = None

    def __post_init__(self) -> None:
        # Numbers that name a table's columns go by their digits here.
        object.__setattr__(self, "column", str(self.column))
        if self.has_prior:
            return
        found = as_numbers(
            self.by,
            f"got by={self.by!r} for column {self.column!r}, expected a number, one number a "
            "table, or a distribution with ppf, such as scipy.stats.norm(0, 1).",
        )
        if found.ndim > 1 or not found.size or not np.isfinite(found).all():
            raise ValueError(
                f"got by={self.by!r} for column {self.column!r}, expected finite numbers."
            )

    @property
    def has_prior(self) -> bool:
        """Whether `by` is a distribution."""
        return hasattr(self.by, "ppf")

    @property
    def differs(self) -> bool:
        """Whether tables may be moved by different numbers."""
        return self.has_prior or bool(np.ptp(self.by) > 0)

    def __str__(self) -> str:
        return in_words(described(self))

    def __repr__(self) -> str:
        # Of distributions, functions and arrays the names: their own texts hold addresses.
        plain = described(self)
        by, where = plain["by"], plain["where"]
        parts = [f"column={self.column!r}", f"by={prior_in_words(by) if self.has_prior else by}"]
        if self.level is not None:
            parts.append(f"level={plain['level']!r}")
        if where is not None:
            rows = repr(where) if isinstance(where, str) else f"<{rows_in_words(where)}>"
            parts.append(f"where={rows}")
        return f"Delta({', '.join(parts)})"

    def times(self, factor: float) -> Delta:
        """Give the same departure, so many times as far.

        Raises:
            TypeError: `by` is a prior.
        """
        if self.has_prior:
            raise TypeError(
                f"got a prior for column {self.column!r}, expected a number: a grid or a search "
                "sets how far the departure goes."
            )
        return replace(self, by=np.asarray(self.by, dtype=np.float64) * factor)

    def values(self, m: int, seed: int, place: int = 0) -> NDArray[np.float64]:
        """Give `by` for each of M tables, (M,).

        Of a prior these are draws, one from each of M slices of equal probability in random
        order: M tables show its spread better than independent draws would. Departures in other
        places of a list are independent.

        Raises:
            ValueError: `by` has another length than M.
        """
        if self.has_prior:
            rng = np.random.default_rng([seed, crc32(self.column.encode()), place])
            slices = (rng.permutation(m) + rng.random(m)) / m
            return np.asarray(self.by.ppf(slices), dtype=np.float64)
        found = np.asarray(self.by, dtype=np.float64)
        if found.ndim and len(found) != m:
            raise ValueError(
                f"got {len(found)} numbers by={self.by!r} for column {self.column!r}, expected "
                f"one, or one for each of {m} tables."
            )
        return np.broadcast_to(found, (m,))

    def settled(self, m: int, seed: int, place: int = 0) -> Delta:
        """Give the same departure with the mean of what M tables are moved by for all of them."""
        return replace(self, by=float(self.values(m, seed, place).mean()))

    def code(self, column: Column) -> int | None:
        """Give the code of the level whose log-odds change; None of numbers and ordinal levels.

        Raises:
            ValueError: a level is needed, not known, or has no use.
        """
        levels = column.levels
        if levels is None or column.kind is Kind.ORDINAL:
            if self.level is not None:
                raise ValueError(
                    f"got level={self.level!r} for column {self.column!r} of kind "
                    f"'{column.kind}', which takes none: "
                    f"{'levels move together' if levels else 'it holds numbers'}."
                )
            return None
        if self.level is None and column.kind is Kind.BINARY:
            return len(levels) - 1
        if self.level not in levels:
            raise ValueError(
                f"got level={self.level!r} for column {self.column!r}, expected one of "
                f"{list(levels)}: the one whose log-odds change, as in "
                f"Delta({self.column!r}, level={levels[-1]!r})."
            )
        return levels.index(self.level)

    def rows(self, table: Any) -> NDArray[np.bool_]:
        """Say for each row of a completed table whether its cell is meant.

        Args:
            table: completed, of the caller's type.

        Raises:
            ValueError: `where` does not give N truth values, or gives them with other row labels
                than the table's; says what it gave.
        """
        if self.where is None:
            return np.ones(len(table), dtype=bool)
        if isinstance(self.where, str):
            found = self._evaluated(table)
        else:
            found = self.where(table) if callable(self.where) else self._given(table)
        rows = as_truth_values(in_row_order(found, table, f"where for column {self.column!r}"))
        if rows.shape != (len(table),) or rows.dtype != np.bool_:
            said = f"={self.where!r}" if isinstance(self.where, str) else ""
            raise ValueError(
                f"where{said} for column {self.column!r} gave {rows.dtype} of shape "
                f"{rows.shape}, expected {len(table)} truth values."
            )
        return rows

    def _given(self, table: Any) -> Any:
        """The caller's truth values; their labels are of another table than an array."""
        given: Any = self.where
        unlabelled = isinstance(given, pd.Series) and not isinstance(table, pd.DataFrame)
        if unlabelled and not given.index.equals(pd.RangeIndex(len(given))):
            raise ValueError(
                f"where for column {self.column!r} has row labels, but the table, "
                f"{type(table).__name__}, has none that they could be matched with: give an "
                "array (.to_numpy()) in the order of the table's rows."
            )
        return given

    def _evaluated(self, table: Any) -> Any:
        if isinstance(table, np.ndarray):
            table = pd.DataFrame(table, columns=column_names(table))
        elif not isinstance(table, pd.DataFrame):
            table = table.to_pandas()
        try:
            return table.eval(self.where)
        except Exception as error:
            raise ValueError(
                f"cannot evaluate where={self.where!r} for column {self.column!r}: {error} "
                "(expected a pandas expression of the table's columns, such as 'age > 60'; "
                "`names with spaces` go in backticks)."
            ) from error


def as_numbers(given: Any, message: str) -> NDArray[np.float64]:
    """Give numbers as an array; text and truth values, which numpy would read, are none.

    Raises:
        TypeError: there is something else than numbers; says `message`.

    Example:
        >>> as_numbers([1, np.float64(0.5)], "expected numbers.").tolist()
        [1.0, 0.5]
    """
    try:
        cells = np.asarray(given, dtype=object)
        dates = np.asarray(given).dtype.kind in "mM"  # these are whole numbers as objects
        if dates or not all(is_number(value) for value in cells.flat):
            raise TypeError(message)
        return cells.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(message) from error


def as_delta(delta: Delta | str | int) -> Delta:
    """Give a departure of one unit for a column's name.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(delta, str) or is_whole(delta, least=0):
        return Delta(str(delta))
    if not isinstance(delta, Delta):
        raise TypeError(f"got {delta!r}, expected a Delta or the name of a column.")
    return delta
