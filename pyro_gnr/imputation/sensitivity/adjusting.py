"""Delta adjustment: imputations moved away from what the model says, without refitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation.departures import described
from pyro_gnr.imputation.sensitivity.delta import Delta
from pyro_gnr.imputation.sensitivity.scales import (
    FARTHEST,
    OWN_UNIT,
    moved_chances,
    moved_levels,
    moved_numbers,
    unit,
)
from pyro_gnr.inference.randomness import keyed_uniforms

if TYPE_CHECKING:
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["adjusted_values", "column_place", "settled", "told"]

Floats = NDArray[np.float64]
LARGEST_WHOLE = 2.0**63  # of the widest type


def adjusted_values(imputation: MultipleImputation, deltas: Sequence[Delta]) -> Floats:
    """Give the imputations (M, n_missing), encoded, with departures from the model.

    Several departures of one cell add up on the scale of its link.

    Raises:
        ValueError: a departure names no modelled column, or does not suit it.
    """
    places = [column_place(imputation, delta) for delta in deltas]
    columns = imputation.table.schema.modelled
    codes = [d.code(columns[j]) for d, j in zip(deltas, places, strict=True)]
    sizes = [
        _sizes(imputation, delta, i, j)
        for i, (delta, j) in enumerate(zip(deltas, places, strict=True))
    ]
    values = imputation.draws.values.copy()
    cols = imputation.table.missing[1]
    plain = _plain(imputation)
    for j in dict.fromkeys(places):
        cells = np.flatnonzero((cols == j) & plain)
        own = [i for i, place in enumerate(places) if place == j]
        parts = [(codes[i], sizes[i][:, cells]) for i in own]
        values[:, cells] = _moved(imputation, j, cells, parts)
    return values


def settled(imputation: MultipleImputation) -> MultipleImputation:
    """Give the same tables with departures that are the same in all of them: their means.

    What then varies between tables is what holes leave open if the departures are known.
    """
    before = imputation.before
    if before is None:
        return imputation
    m, seed = imputation.m, before.fitted.seed
    found = before.adjusted(*(d.settled(m, seed, i) for i, d in enumerate(imputation.deltas)))
    rule = imputation.constraints
    return found if rule is None or found.constraints is not None else found.constrained_by(rule)


def column_place(imputation: MultipleImputation, delta: Delta) -> int:
    """Give the place of a departure's column among the modelled ones.

    Raises:
        ValueError: there is no such column, it is constant, or has no missing cell.
    """
    columns = imputation.table.schema.modelled
    names = [c.name for c in columns]
    if delta.column not in names:
        raise ValueError(f"got column {delta.column!r}, expected a modelled one of {names}.")
    j = names.index(delta.column)
    if columns[j].scale == 0.0 or len(columns[j].levels or "xx") < 2:
        raise ValueError(f"column {delta.column!r} had one value in training: it cannot be moved.")
    if not ((imputation.table.missing[1] == j) & _plain(imputation)).any():
        raise ValueError(
            f"column {delta.column!r} has no missing cell in this table: nothing would move."
        )
    return j


def told(imputation: MultipleImputation, delta: Delta) -> dict[str, Any]:
    """Give a departure in plain values, as the ledger tells it.

    Args:
        imputation: what is departed from.
        delta: the departure.

    Returns:
        What `described` gives; `unit`, in what it is measured; and `rows`, how many `where`
        chooses, incomplete or not (the mean over tables, in which they may differ), None for all.
    """
    j = column_place(imputation, delta)
    column = imputation.table.schema.modelled[j]
    bounds = imputation.fitted.model.x_given_u.bounds()[j]
    rows = None
    if delta.where is not None:
        rows = float(np.mean([delta.rows(table).sum() for table in imputation]))
    return {**described(delta), "unit": unit(column, bounds), "rows": rows}


def _plain(imputation: MultipleImputation) -> NDArray[np.bool_]:
    """Missing cells (n_missing,) of which no interval is known."""
    return np.asarray(~imputation.table.intervals[imputation.table.missing])


def _sizes(imputation: MultipleImputation, delta: Delta, i: int, j: int) -> Floats:
    """How far each missing cell would move, were it in the i-th departure's column j."""
    by = delta.values(imputation.m, imputation.fitted.seed, i)
    rows, cols = imputation.table.missing
    if delta.where is None:
        return np.broadcast_to(by[:, None], (len(by), len(rows)))
    meant = np.stack([delta.rows(table) for table in imputation])[:, rows]
    if not meant[:, cols == j].any():
        raise ValueError(
            f"where={delta.where!r} meets no missing cell of column {delta.column!r}: nothing "
            "would move."
        )
    return by[:, None] * meant


def _moved(
    imputation: MultipleImputation,
    j: int,
    cells: NDArray[np.intp],
    parts: Sequence[tuple[int | None, Floats]],
) -> Floats:
    """Move the cells of one column; `parts` are the codes of levels and sizes (M, n)."""
    table, column = imputation.table, imputation.table.schema.modelled[j]
    values = imputation.draws.values[:, cells]
    keys = torch.from_numpy(table.keys[table.missing[0][cells]].view(np.int64))
    uniforms = keyed_uniforms(
        keys, values.shape, seed=imputation.fitted.seed, site=f"delta {column.name}", row_dim=1
    ).numpy()
    if column.levels is None:
        delta = np.sum([size for _, size in parts], axis=0)
        bounds = imputation.fitted.model.x_given_u.bounds()[j]
        with np.errstate(over="ignore", invalid="ignore"):
            moved = moved_numbers(column, values, delta, bounds=bounds, uniforms=uniforms)
            _check_size(column, moved, delta, unit(column, bounds))
        return moved
    ordered = column.kind is Kind.ORDINAL
    delta = np.zeros((*values.shape, 1 if ordered else len(column.levels)))
    for code, size in parts:
        delta[..., 0 if code is None else code] += size
    chances = imputation.level_chances(j)
    moved = moved_chances(chances, delta, ordered=ordered)
    found = moved_levels(values, chances, moved, uniforms)
    return np.where((delta == 0.0).all(-1), values, found)


def _check_size(column: Column, moved: Floats, delta: Floats, measured: str) -> None:
    """Refuse departures that lead out of all numbers, or whole ones out of all integer types.

    Raises:
        ValueError: one does; says in what it is measured, and what is sensible.
    """
    found = np.abs(column.to_units(moved))
    fits = found < LARGEST_WHOLE if column.whole else np.isfinite(found)
    far = (delta != 0.0) & ~fits
    if not far.any():
        return
    worst = delta[far].flat[np.argmax(np.abs(delta[far]))]
    if measured == OWN_UNIT:
        sensible = f"a few of its observed standard deviations, of {column.scale:.4g} each"
    else:
        sensible = (
            f"a number from -{FARTHEST:g} to {FARTHEST:g}: log(2) = 0.69 doubles, {FARTHEST:g} is "
            f"a factor of {np.exp(FARTHEST):.0f}"
        )
    became = "larger than any integer type holds" if column.whole else "infinite"
    raise ValueError(
        f"a delta of {worst:+.4g} is too large for column {column.name!r}: imputations became "
        f"{became}. It is in {measured}; expected {sensible}."
    )
