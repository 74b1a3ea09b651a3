"""Holes that depend on all values but their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyro_gnr.data.amputers.base import Amputer, Direction, Holes
from pyro_gnr.data.amputers.checks import (
    check_direction,
    check_slope,
    check_weight,
    rate_or_default,
    too_few_columns,
)
from pyro_gnr.data.amputers.scores import combinations
from pyro_gnr.data.rates import soft_probabilities
from pyro_gnr.data.source import SourceTable

__all__ = ["NoSelfCensoring"]


@dataclass(frozen=True)
class NoSelfCensoring(Amputer):
    r"""No self-censoring (MNAR): holes depend on all *other* values, missing ones among them.

    logit p_nj = b_j + slope * (s_nj + noise * v_n) / sqrt(1 + noise^2), where s_j is a random
    combination of the other columns, sum_{k != j} w_jk x~_k, standardised, w_jk ~ N(0, 1) up to
    sign, and v_n ~ N(0, 1) is the row's own; b_j is solved for the rate.

    *Right model*: `NoSelfCensoring`.

    Attributes:
        slope: log-odds for one standard deviation; positive.
        noise: weight of the row's normal against the other columns; 0 or more.
        direction: signs of w_jk: "high" (all positive), "low" or "random"; random always for
            columns of more than two levels.

    Source: Xie, Xue & Wang, arXiv 2603.24771.

    Example:
        >>> from pyro_gnr.data.amputation import NoSelfCensoring, ampute
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> p = ampute(X, NoSelfCensoring(), random_state=0).probabilities
        >>> other = np.column_stack([X[:, 0], X[::-1, 1], X[:, 2]])
        >>> q = ampute(other, NoSelfCensoring(), random_state=0).probabilities
        >>> [bool(np.allclose(p[:, j], q[:, j])) for j in range(3)]
        [False, True, False]
    """

    slope: float = 2.0
    noise: float = 0.5
    direction: Direction = "random"

    def __post_init__(self) -> None:
        check_direction(self.direction)
        check_slope(self.slope)
        check_weight("noise", self.noise)

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Let the chance follow the other columns and the row's own normal."""
        columns = table.columns if columns is None else columns
        varying = [j for j in table.columns if table.varies(j)]
        alone = [table.names[j] for j in columns if not set(varying) - {j}]
        if alone:
            raise too_few_columns(table, f"one besides {alone[0]!r} that is not constant")
        others = combinations(table, varying, columns, direction=self.direction, rng=rng)
        v = rng.normal(size=(table.n_rows, 1))
        scores = self.slope * (others + self.noise * v) / np.hypot(1.0, self.noise)
        probabilities = soft_probabilities(scores, rate_or_default(rate))
        return Holes(columns, probabilities, rng.random(probabilities.shape))
