"""What is said of imputed cells and columns: intervals, levels' probabilities, extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pyro_gnr.data import Column

if TYPE_CHECKING:
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["interval", "level_probabilities", "summary"]


def interval(imputation: MultipleImputation, level: float) -> pd.DataFrame:
    """Give a credible interval of every imputed cell; see `MultipleImputation.interval`."""
    rows, cols = imputation.table.missing
    columns = imputation.table.schema.modelled
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2])
    found = imputation.fitted.intervals(imputation.table, tails)
    bounds = imputation.table.in_units(found.quantiles)
    sets = [_smallest_set(columns[j], p, level) for j, p in zip(cols, found.levels, strict=True)]
    names = np.array([c.name for c in columns], dtype=object)
    return pd.DataFrame(
        {
            ".id": imputation.ids[rows],
            "column": names[cols],
            "lower": bounds[0],
            "upper": bounds[1],
            "levels": [s[0] for s in sets],
            "probability": [s[1] for s in sets],
        }
    )


def level_probabilities(imputation: MultipleImputation) -> pd.DataFrame:
    """Give P(level) of every imputed cell; see `MultipleImputation.level_probabilities`."""
    rows, cols = imputation.table.missing
    columns = imputation.table.schema.modelled
    counts = np.array([len(c.levels or ()) for c in columns], dtype=np.intp)[cols]
    cells = np.repeat(np.arange(len(rows)), counts)
    codes = np.arange(len(cells)) - np.repeat(counts.cumsum() - counts, counts)
    found = imputation.fitted.level_probabilities(imputation.table)
    names = np.array([c.name for c in columns], dtype=object)
    levels = [(columns[j].levels or ())[k] for j, k in zip(cols[cells], codes, strict=True)]
    return pd.DataFrame(
        {
            ".id": imputation.ids[rows[cells]],
            "column": names[cols[cells]],
            "level": pd.Series(levels, dtype=object),
            "probability": found[cells, codes],
        }
    )


def summary(imputation: MultipleImputation) -> pd.DataFrame:
    """Say by column what was imputed; see `MultipleImputation.summary`."""
    missing = ~imputation.table.observed
    counts = missing.sum(0)
    columns = np.flatnonzero(counts)
    names = [imputation.table.schema.modelled[j].name for j in columns]
    shares = [_beyond_observed(imputation, j) for j in columns.tolist()]
    found = {"n_imputed": counts[columns], "beyond_observed": np.array(shares, dtype=float)}
    return pd.DataFrame(found, index=pd.Index(names, name="column", dtype=object))


def _beyond_observed(imputation: MultipleImputation, j: int) -> float:
    """Share of a column's imputations in missing cells that are outside what was observed.

    In training or in this table, which may be a few new rows.
    """
    table, column = imputation.table, imputation.table.schema.modelled[j]
    if column.levels is not None:
        return float("nan")
    rows, cols = table.missing
    exact = table.values[table.observed[:, j] & ~table.intervals[:, j], j]
    known = table.decode(np.full(len(exact), j), exact)
    interval = table.intervals[rows, cols]
    here = table.limits[:, interval & (cols == j)].ravel()
    reach = np.concatenate([known, here, column.seen or ()])
    draws = table.in_units(imputation.draws.values)[:, ~interval & (cols == j)]
    if not (reach.size and draws.size):
        return float("nan")
    return float(((draws < reach.min()) | (draws > reach.max())).mean())


def _smallest_set(
    column: Column, probabilities: NDArray[np.float64], level: float
) -> tuple[tuple[Any, ...] | None, float]:
    """Most probable levels that together reach `level`; None for a column of numbers."""
    if column.levels is None:
        return None, float("nan")
    order = np.argsort(-probabilities[: len(column.levels)], kind="stable")
    total = probabilities[order].cumsum()
    # Probabilities add up to 1 but for rounding: the last level always suffices.
    n = min(int(np.searchsorted(total, level)) + 1, len(order))
    return tuple(column.levels[i] for i in order[:n]), float(min(total[n - 1], 1.0))
