"""An analysis pooled at every point of a grid of departures from the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyro_gnr.imputation.pooling.checks import check_level
from pyro_gnr.imputation.pooling.words import in_percent, whole
from pyro_gnr.imputation.sensitivity.adjusting import column_place, told
from pyro_gnr.imputation.sensitivity.delta import Delta, as_delta, as_numbers
from pyro_gnr.imputation.sensitivity.scales import unit
from pyro_gnr.inference.progress import progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pyro_gnr.imputation.ledger import Ledger
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["DeltaGrid", "delta_grid", "delta_names"]


class DeltaGrid(pd.DataFrame):
    """Pooled answers over a grid of departures: one row a point and term.

    Columns: one for each departure ("delta income"), `term`, then those of `Pooled.summary`. Made
    by `MultipleImputation.delta_grid`; parts of it are plain pandas tables.

    Attributes:
        units: by column of departures, in what it is measured; of a departure with a `by` other
            than 1 the numbers are multiples of that.
        level: of the intervals.
        imputation: what is departed from.
        deltas: by column of departures, the departure that its numbers multiply.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
        >>> found = imputation.delta_grid("a ~ b", {"a": [-1.0, 0.0]})
        >>> found.columns.tolist()[:3], found["term"].tolist()
        (['delta a', 'term', 'estimate'], ['Intercept', 'b', 'Intercept', 'b'])
    """

    _metadata: ClassVar[list[str]] = ["units", "level", "imputation", "deltas"]
    units: Mapping[str, str]
    level: float
    imputation: MultipleImputation
    deltas: Mapping[str, Delta]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def measured(self) -> list[str]:
        """In what each departure is measured, in words."""
        return [f"{name}: in {unit}" for name, unit in self.units.items()]

    @property
    def _title(self) -> str:
        return f"one analysis under departures from the model, {in_percent(self.level)} intervals"

    def __repr__(self) -> str:
        table = whole(self, index=False)
        return "\n".join([self._title, table, *(f"- {line}" for line in self.measured)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line in self.measured)
        return f"<p>{self._title}</p>{self.to_html(index=False)}<ul>{items}</ul>"

    def plot(  # type: ignore[override]
        self, term: str | None = None, *, ax: Axes | None = None, value: float = 0.0
    ) -> Axes:
        """Draw a term over the grid: a band over one departure, a heat map over two.

        The heat map has a contour where the interval just holds `value`, and a cross at 0.

        Args:
            term: which; may be left out if there is one.
            ax: matplotlib axes; None makes a figure.
            value: of the term, against which it is held.

        Returns:
            The axes.

        Raises:
            ValueError: there is no such term, or there are more than two departures.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> ax = imputation.delta_grid("a ~ b", {"a": [-1.0, 0.0]}).plot("b")
            >>> ax.get_xlabel(), ax.get_ylabel()
            ("delta a, the column's own unit", 'b (95% interval)')
        """
        from pyro_gnr.criticism.sensitivity import plot_grid

        return plot_grid(self, term, ax=ax, value=value)

    def departures(self) -> list[dict[str, Any]]:
        """Give the departures in plain values, as `MultipleImputation.departures` does.

        Returns:
            For each column of departures what is there, and `times`, the numbers by which it was
            multiplied.
        """
        return [
            {**told(self.imputation, delta), "times": [float(v) for v in self[name].unique()]}
            for name, delta in self.deltas.items()
        ]

    def ledger(self) -> Ledger:
        """Say what the answers rest on: see `MultipleImputation.ledger`; all departures in it."""
        return replace(self.imputation.ledger(), departures=tuple(self.departures()))


def delta_names(deltas: Sequence[Delta]) -> list[str]:
    """Name departures so that all names differ.

    Example:
        >>> delta_names([Delta("a"), Delta("b", level="x"), Delta("a"), Delta("a", where="b > 1")])
        ['delta a', 'delta b[x]', 'delta a (2)', 'delta a where b > 1']
    """
    names: list[str] = []
    for delta in deltas:
        level = "" if delta.level is None else f"[{delta.level}]"
        where = f" where {delta.where}" if isinstance(delta.where, str) else ""
        plain = name = f"delta {delta.column}{level}{where}"
        copy = 1
        while name in names:
            copy += 1
            name = f"{plain} ({copy})"
        names.append(name)
    return names


def multiples(delta: Delta) -> str:
    """Say before a unit that numbers are multiples of it; nothing where `by` is 1.

    Example:
        >>> multiples(Delta("a")), multiples(Delta("a", -10.0))
        ('', 'multiples of -10, in ')
    """
    by = np.asarray(delta.by, dtype=np.float64)
    if by.ndim:
        return "multiples of the numbers by table, in "
    return "" if by == 1.0 else f"multiples of {by:g}, in "


def delta_grid(
    imputation: MultipleImputation,
    analysis: Any,
    grid: Mapping[Delta | str, ArrayLike],
    *,
    level: float = 0.95,
    **options: Any,
) -> DeltaGrid:
    """Pool an analysis at every point of a grid; see `MultipleImputation.delta_grid`."""
    check_level(level)
    axes = _axes(grid)
    deltas = [delta for delta, _ in axes]
    columns = imputation.table.schema.modelled
    places = [column_place(imputation, delta) for delta in deltas]
    bounds = imputation.fitted.model.x_given_u.bounds()
    names = delta_names(deltas)
    points = list(product(*(values for _, values in axes)))
    parts = []
    with progress(len(points), "deltas", show=imputation.fitted.show_progress) as advance:
        for point in points:
            moved = [d.times(v) for d, v in zip(deltas, point, strict=True)]
            summary = imputation.adjusted(*moved).pool(analysis, **options).summary(level)
            for place, (name, value) in enumerate(zip(names, point, strict=True)):
                summary.insert(place, name, value)
            parts.append(summary.reset_index())
            advance("")
    table = DeltaGrid(pd.concat(parts, ignore_index=True))
    table = DeltaGrid(table[[*names, *(c for c in table.columns if c not in names)]])
    table.units = {
        name: f"{multiples(delta)}{unit(columns[j], bounds[j])}"
        for name, delta, j in zip(names, deltas, places, strict=True)
    }
    table.level, table.imputation = level, imputation
    table.deltas = dict(zip(names, deltas, strict=True))
    return table


def _axes(grid: Mapping[Delta | str, ArrayLike]) -> list[tuple[Delta, list[float]]]:
    if not isinstance(grid, Mapping) or not grid:
        raise TypeError(
            f"got grid={grid!r}, expected a dict of numbers by column name or Delta, such as "
            "{'income': [-0.2, 0, 0.2]}."
        )
    axes = []
    for key, values in grid.items():
        delta = as_delta(key)
        message = f"got {values!r} for column {delta.column!r}, expected a row of finite numbers."
        found = as_numbers(values, message)
        if found.ndim != 1 or not found.size or not np.isfinite(found).all():
            raise ValueError(message)
        delta.times(1.0)  # refuses a prior before any work
        axes.append((delta, found.tolist()))
    return axes
