"""Holes that depend on columns without holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyro_gnr.data.amputers.base import Amputer, Direction, Holes
from pyro_gnr.data.amputers.checks import (
    check_direction,
    check_slope,
    check_varying,
    rate_or_default,
    too_few_columns,
)
from pyro_gnr.data.amputers.scores import combinations
from pyro_gnr.data.rates import soft_probabilities
from pyro_gnr.data.source import SourceTable

__all__ = ["MAR"]


@dataclass(frozen=True)
class MAR(Amputer):
    r"""Missing at random: holes depend on other columns, which lose no cells.

    logit p_nj = b_j + slope * s_nj, where s_j is a random combination of the predictors, sum_k
    w_jk x~_k, standardised, w_jk ~ N(0, 1) up to sign; b_j is solved for the rate. Only the
    predictors need be complete.

    *Right model*: `Ignorable`.

    Attributes:
        predictors: columns that the holes depend on. None: all columns that are not among those
            named to lose cells; if none are named, a random half of the columns.
        direction: whether holes gather at "high" values of the predictors (all w_jk > 0), "low"
            ones (all w_jk < 0), or at "random" ends. Of two levels the second is the high one.
            The weights of more than two levels are random always.
        slope: log-odds for one standard deviation of s_j; positive.

    Example:
        >>> from pyro_gnr.data.amputation import MAR, ampute
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> holes = ampute(X, MAR(predictors=["x0"]), random_state=0)
        >>> round(X[~holes.observed[:, 1], 0].mean())
        1
    """

    predictors: Sequence[str] | None = None
    direction: Direction = "high"
    slope: float = 2.0

    def __post_init__(self) -> None:
        check_direction(self.direction)
        check_slope(self.slope)

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Let the chance follow a combination of the predictors."""
        predictors = self._predictors(table, columns, rng)
        if columns is None:
            columns = tuple(j for j in table.columns if j not in predictors)
        both = [table.names[j] for j in predictors if j in columns]
        if both:
            raise ValueError(
                f"the columns {both} are to lose cells and are predictors, which lose none: name "
                "them in one place only."
            )
        if not columns or not predictors:
            raise too_few_columns(table, "one that loses cells and one that predicts them")
        check_varying(table, predictors)
        observed = table.observed[:, columns]
        if not observed.any(axis=0).all():
            empty = [table.names[j] for j in np.compress(~observed.any(axis=0), columns)]
            raise ValueError(f"the columns {empty} have no cell to lose: leave them out.")
        scores = combinations(table, predictors, columns, direction=self.direction, rng=rng)
        probabilities = soft_probabilities(
            self.slope * scores, rate_or_default(rate), counted=observed
        )
        return Holes(columns, probabilities, rng.random(probabilities.shape))

    def _predictors(
        self, table: SourceTable, columns: tuple[int, ...] | None, rng: np.random.Generator
    ) -> tuple[int, ...]:
        if self.predictors is not None:
            return table.positions(self.predictors)
        if columns is not None:
            return tuple(j for j in table.columns if j not in columns and table.varies(j))
        varying = [j for j in table.columns if table.varies(j)]
        half = max(len(varying) // 2, 1)
        if len(varying) < 2:
            raise too_few_columns(table, "two that are not constant")
        return tuple(sorted(rng.choice(varying, size=half, replace=False).tolist()))
