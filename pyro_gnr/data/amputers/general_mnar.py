"""Holes that depend on all values: the protocol of IM-IWAE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from pyro_gnr.data.amputers.base import Amputer, Holes
from pyro_gnr.data.amputers.checks import (
    too_few_columns,
)
from pyro_gnr.data.rates import check_rate, soft_probabilities
from pyro_gnr.data.source import SourceTable

__all__ = ["GeneralMNAR"]


@dataclass(frozen=True)
class GeneralMNAR(Amputer):
    r"""The general MNAR protocol of IM-IWAE: holes depend on all values, their own included.

    m_nj = 1[u_n < logistic((x~_n W)_j + b_j)], W_kj ~ N(0, 1), b_j ~ N(0, 0.1^2), and one uniform
    u_n for the whole row. b_j is solved for only if a rate is asked. Rows may lose all their
    cells; the protocol drops them (``drop_empty_rows=True``).

    *Right model*: none; `Selection` comes closest. IM-IWAE is tested on it although its own
    assumption (no self-censoring) does not hold.

    Source: Xie, Xue & Wang, arXiv 2603.24771 (hxstat/IM-IWAE, simulation/sim_data.py, "general
    MNAR", linear, strong correlation).

    Example:
        >>> from pyro_gnr.data.amputation import GeneralMNAR, ampute
        >>> X = np.random.default_rng(0).normal(size=(1000, 3))
        >>> holes = ampute(X, GeneralMNAR(), drop_empty_rows=True, random_state=0)
        >>> bool(holes.observed.any(axis=1).all()), len(holes.table) < 1000
        (True, True)
    """

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Let the chance follow random combinations of all columns."""
        columns = table.columns if columns is None else columns
        features = np.column_stack([table.features(j) for j in table.columns])
        if not features.any():
            raise too_few_columns(table, "one that is not constant")
        logits = features @ rng.normal(size=(features.shape[1], len(columns)))
        b = rng.normal(scale=0.1, size=len(columns))
        u = rng.random((table.n_rows, 1))
        if rate is None:
            probabilities = special.expit(-(logits + b))
        else:
            probabilities = soft_probabilities(-logits, check_rate(rate))
        # m = 1[u < P(m = 1)] is m = 0 where 1 - u <= P(m = 0), and 1 - u is uniform, too.
        return Holes(columns, probabilities, np.repeat(u, len(columns), axis=1))
