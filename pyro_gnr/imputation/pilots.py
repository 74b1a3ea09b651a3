"""How many pilot runs the importance posteriors of a fitted model need.

Found once, on rows of the training table, and kept with the model: were it found anew for each
table, or row by row, a row's imputations would hang on others, or on the luck of its particles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyro_gnr.data import Table
from pyro_gnr.imputation.fitted import FittedModel
from pyro_gnr.imputation.ledger import MOST_ROWS, RELIABLE_K
from pyro_gnr.imputation.settings import evenly_spaced

__all__ = ["with_pilots"]

# A pilot costs as much as imputing without one. A second has seldom changed more than a few rows.
MOST = 2
# Rows of the training table that are looked at, at most.
ROWS = 256
# A pilot has to leave so many of those with unreliable weights at most.
GAIN = 0.75


def with_pilots(fitted: FittedModel, table: Table) -> FittedModel:
    """Give a fitted model the pilots that its incomplete training rows ask for.

    Args:
        fitted: the model; its first member is looked at.
        table: the training table.
    """
    incomplete = np.flatnonzero(table.incomplete.any(1))
    rows = incomplete[evenly_spaced(len(incomplete), ROWS)]
    best, share = fitted, _unreliable(fitted, table, rows)
    for pilots in range(1, MOST + 1):
        if share <= MOST_ROWS:
            break
        tried = replace(fitted, pilots=pilots)
        left = _unreliable(tried, table, rows)
        if left <= GAIN * share:
            best, share = tried, left
    return best


def _unreliable(fitted: FittedModel, table: Table, rows: np.ndarray) -> float:
    """Give the share of rows whose weights are not reliable; 0 of no rows."""
    return float((fitted.pareto_k(table, rows) > RELIABLE_K).mean()) if len(rows) else 0.0
