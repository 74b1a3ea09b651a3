"""Imputations made consistent: derived columns, draws rejected, rows repaired, with a count."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import Kind
from pyro_gnr.data.alignment import as_truth_values, in_row_order
from pyro_gnr.data.columns import encode_column
from pyro_gnr.data.completion import Fill, complete
from pyro_gnr.data.frames import native_columns
from pyro_gnr.data.reading import observed_cells, read
from pyro_gnr.imputation.fitted import member_seed
from pyro_gnr.imputation.settings import is_whole

if TYPE_CHECKING:
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["Constraints", "Derived", "check_constraints", "constrained_parts"]

Floats = NDArray[np.float64]
# Seeds of draws anew: this many members' seeds lie between them, more than an ensemble has.
APART = 1_000_003
# So many draws of a row that are all inconsistent suggest that none will be consistent.
MANY_DRAWS = 20


@dataclass(frozen=True, eq=False)
class Constraints:
    """What imputations have to satisfy, and what that took.

    Attributes:
        derive: by column, the function of a completed table that gives its missing cells.
        keep: a function of a completed table that says which rows are consistent.
        repair: a function of a completed table that gives it back with consistent rows.
        tries: how often an inconsistent row is drawn anew.
        redrawn: rows of all M tables together that were drawn anew.
        repaired: of these, rows that no draw made consistent and `repair` changed.
        inconsistent: rows of all tables that are inconsistent to the end.
        in_all_draws: rows (of N) that are inconsistent in each draw of each table, and count M
            times in `inconsistent`: probably for what is observed in them, which is never drawn.
            0 where there are fewer than 20 draws of a row, which suggest nothing.
    """

    derive: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    keep: Callable[[Any], Any] | None = None
    repair: Callable[[Any], Any] | None = None
    tries: int = 20
    redrawn: int = 0
    repaired: int = 0
    inconsistent: int = 0
    in_all_draws: int = 0

    def __repr__(self) -> str:
        # The fields hold functions, whose texts are addresses.
        return f"<Constraints: {self}>"

    def __str__(self) -> str:
        derived = f"{', '.join(self.derive)} derived; " if self.derive else ""
        always = f"; {self.always}" if self.in_all_draws else ""
        return (
            f"{derived}{self.redrawn:,} rows drawn anew, {self.repaired:,} repaired, "
            f"{self.inconsistent:,} still inconsistent (of all tables together){always}"
        )

    @property
    def always(self) -> str:
        """Say how many rows no draw made consistent, and what that suggests."""
        n = self.in_all_draws
        rows, their = ("1 row was", "its") if n == 1 else (f"{n:,} rows were", "their")
        return (
            f"{rows} inconsistent in all draws of all tables: probably {their} observed values "
            "are, which no draw changes"
        )


class Derived(dict[int, tuple[NDArray[np.intp], list[np.ndarray]]]):
    """Cells of columns that are not modelled: by place their rows, and M arrays of values."""

    def fill(self, frame: Any, i: int) -> Any:
        """Write them into completed table i."""
        fills = {place: Fill(rows, values[i]) for place, (rows, values) in self.items()}
        return complete(frame, fills) if fills else frame


def check_constraints(imputation: MultipleImputation, rule: Constraints) -> None:
    """Refuse constraints that cannot be.

    Raises:
        ValueError: a column is not in the table, nothing is asked, or `tries` is out of range.
        TypeError: what should be a function is none.
    """
    names = [c.name for c in imputation.table.schema.columns]
    unknown = [name for name in rule.derive if name not in names]
    if unknown:
        raise ValueError(
            f"got derived columns {unknown}, expected some of {names}: what is not in the table "
            "can be computed in the analysis."
        )
    for name, function in {**rule.derive, "keep": rule.keep, "repair": rule.repair}.items():
        if function is not None and not callable(function):
            raise TypeError(f"got {function!r} for {name!r}, expected a function of a table.")
    if not (rule.derive or rule.keep or rule.repair):
        raise ValueError("got no constraint: give derive, keep or repair.")
    if not is_whole(rule.tries, least=0):
        raise ValueError(f"got tries={rule.tries!r}, expected a whole number >= 0.")


def constrained_parts(
    imputation: MultipleImputation, rule: Constraints
) -> tuple[Floats, Derived, Constraints]:
    """Give encoded imputations, cells of columns that are not modelled, and the counts.

    Raises:
        ValueError: a function of the caller's gives something else than it should.
    """
    work = _Work(imputation, rule)
    for i in range(imputation.m):
        work.derive(i)
    bad = work.inconsistent()
    for attempt in range(rule.tries if rule.keep else 0):
        if not bad.any():
            break
        work.redraw(bad, attempt)
        bad = work.inconsistent()
    if rule.repair is not None:
        work.repair(bad if rule.keep else np.ones_like(bad))
        bad = work.inconsistent()
    enough = imputation.m * (rule.tries + 1) >= MANY_DRAWS
    counts = replace(
        rule,
        redrawn=rule.redrawn + int(work.redrawn.sum()),
        repaired=rule.repaired + work.repaired,
        inconsistent=int(bad.sum()),
        in_all_draws=int(bad.all(0).sum()) if enough else 0,
    )
    if counts.inconsistent:
        always = f" {counts.always}." if counts.in_all_draws else ""
        warnings.warn(
            f"{counts.inconsistent:,} rows (of {bad.size:,} in all tables) are inconsistent after "
            f"{rule.tries} {'try' if rule.tries == 1 else 'tries'}: see `constraints`, and "
            f"`repair`.{always}",
            stacklevel=4,
        )
    return work.values, work.derived, counts


class _Work:
    """Imputations while they are made consistent."""

    def __init__(self, imputation: MultipleImputation, rule: Constraints) -> None:
        self.imputation, self.rule, self.table = imputation, rule, imputation.table
        self.values = imputation.draws.values.copy()
        columns = self.table.schema.columns
        self.names = [c.name for c in columns]
        self.modelled = [c.name for c in self.table.schema.modelled]
        natives = native_columns(self.table.frame)
        self.derived = Derived()
        for name in rule.derive:
            place = self.names.index(name)
            if columns[place].kind is Kind.IGNORE:
                rows = np.flatnonzero(~observed_cells(natives[place]))
                self.derived[place] = (rows, [np.empty(0)] * imputation.m)
        self.redrawn = np.zeros((imputation.m, len(self.table.keys)), dtype=bool)
        self.repaired = 0

    def frame(self, i: int) -> Any:
        """Completed table i; derived cells of columns that are not modelled only if known."""
        known = Derived({p: c for p, c in self.derived.items() if len(c[1][i]) == len(c[0])})
        return known.fill(self.table.fill(self.values[i]), i)

    def derive(self, i: int) -> None:
        """Compute derived columns of table i, one after the other."""
        for name, function in self.rule.derive.items():
            self._take(i, name, function(self.frame(i)), f"the derived column {name!r}")

    def _take(self, i: int, name: str, column: Any, what: str) -> None:
        """Take the missing cells of a derived column."""
        found = _series(in_row_order(column, self.table.frame, what), len(self.table.keys), what)
        place = self.names.index(name)
        if place in self.derived:
            rows = self.derived[place][0]
            self._check_known(found.iloc[rows], what)
            self.derived[place][1][i] = found.to_numpy()[rows]
        else:
            j = self.modelled.index(name)
            self._encode(i, j, np.flatnonzero(self.table.missing[1] == j), found, what)

    def _encode(
        self, i: int, j: int, cells: NDArray[np.intp], column: pd.Series[Any], what: str
    ) -> None:
        """Write some cells of a modelled column, from the whole column of the caller's."""
        part = column.iloc[self.table.missing[0][cells]].reset_index(drop=True)
        self._check_known(part, what)
        name = self.modelled[j]
        if len(part):
            self.values[i, cells] = encode_column(self.table.schema.modelled[j], read(part, name))

    def _check_known(self, part: pd.Series[Any], what: str) -> None:
        if part.isna().any():
            raise ValueError(
                f"{what} has {int(part.isna().sum())} missing value(s) where a cell is to be "
                "filled, expected none: it may rest on a column that is not complete."
            )

    def inconsistent(self) -> NDArray[np.bool_]:
        """Rows (M, N) that `keep` does not accept; complete ones cannot be helped and pass."""
        open_rows: NDArray[np.bool_] = np.array(self.table.incomplete.any(1))
        for rows, _ in self.derived.values():
            open_rows[rows] = True
        bad: NDArray[np.bool_] = np.zeros((self.imputation.m, len(open_rows)), dtype=np.bool_)
        if self.rule.keep is not None:
            for i in range(self.imputation.m):
                given = self.rule.keep(self.frame(i))
                kept = as_truth_values(in_row_order(given, self.table.frame, "keep's result"))
                if kept.shape != open_rows.shape or kept.dtype != np.bool_:
                    raise ValueError(
                        f"keep gave {kept.dtype} of shape {kept.shape}, expected "
                        f"{len(open_rows)} truth values, True where a row is consistent."
                    )
                bad[i] = ~kept & open_rows
        return bad

    def redraw(self, bad: NDArray[np.bool_], attempt: int) -> None:
        """Draw inconsistent rows anew; the others of a table stay."""
        rows = np.flatnonzero(bad.any(0) & self.table.incomplete.any(1))
        if not len(rows):
            return
        fitted, table = self.imputation.fitted, self.table
        seed = member_seed(fitted.seed, APART * (attempt + 1))
        part = replace(
            table, values=table.values[rows], states=table.states[rows], keys=table.keys[rows]
        )
        drawn = replace(fitted, seed=seed, show_progress=False).draw(part, self.imputation.m)
        cells = np.isin(table.missing[0], rows)
        fresh = bad[:, table.missing[0]]
        self.values[:, cells] = np.where(fresh[:, cells], drawn.values, self.values[:, cells])
        self.redrawn |= bad
        for i in np.flatnonzero(bad.any(1)).tolist():
            self.derive(i)

    def repair(self, bad: NDArray[np.bool_]) -> None:
        """Let the caller mend inconsistent rows; observed cells must stay."""
        for i in np.flatnonzero(bad.any(1)).tolist():
            # Of its own, since a function may well write into what it gets.
            before, after = self.frame(i), self.rule.repair(self.frame(i))  # type: ignore[misc]
            if type(after) is not type(before) or after.shape != before.shape:
                raise ValueError(
                    f"repair gave {type(after).__name__} of shape {np.shape(after)}, expected "
                    f"the completed table, {type(before).__name__} of shape {before.shape}."
                )
            after = in_row_order(after, before, "repair's result")
            mended = np.zeros(len(self.table.keys), dtype=bool)
            pairs = zip(native_columns(before), native_columns(after), strict=True)
            for name, (old, new) in zip(self.names, pairs, strict=True):
                mended |= self._mend(i, name, _changed(old, new), new, bad[i])
            self.repaired += int(mended.sum())
            self.derive(i)

    def _mend(
        self, i: int, name: str, changed: NDArray[np.bool_], column: Any, bad: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Take the cells of inconsistent rows that were changed; give the rows (N,)."""
        mended = np.zeros_like(bad)
        if not changed.any() or name not in self.modelled:
            return mended
        j = self.modelled.index(name)
        if (changed & ~self.table.incomplete[:, j]).any():
            raise ValueError(
                f"repair changed observed cells of column {name!r} in table {i + 1}, expected "
                "imputed ones only."
            )
        mended = changed & bad
        cells = np.flatnonzero((self.table.missing[1] == j) & mended[self.table.missing[0]])
        self._encode(i, j, cells, _series(column, len(bad), name), f"the repaired column {name!r}")
        return mended


def _changed(old: Any, new: Any) -> NDArray[np.bool_]:
    """Where two columns differ, (N,)."""
    a, b = (pd.Series(np.asarray(column, dtype=object)) for column in (old, new))
    return np.asarray(~((a == b) | (a.isna() & b.isna())), dtype=bool)


def _series(column: Any, n: int, what: str) -> pd.Series[Any]:
    """What the caller computed, as a column of N cells."""
    found = column.to_pandas() if hasattr(column, "to_pandas") else column
    if np.shape(found) != (n,):
        raise ValueError(f"{what} has shape {np.shape(found)}, expected ({n},): a value a row.")
    return found if isinstance(found, pd.Series) else pd.Series(found)
