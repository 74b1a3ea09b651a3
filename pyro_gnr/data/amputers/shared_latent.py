"""Holes that depend on what the columns share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.amputers.base import Amputer, Direction, Holes
from pyro_gnr.data.amputers.checks import (
    check_direction,
    check_slope,
    check_weight,
    rate_or_default,
)
from pyro_gnr.data.amputers.scores import signed
from pyro_gnr.data.rates import soft_probabilities
from pyro_gnr.data.source import SourceTable

__all__ = ["SharedLatent"]


@dataclass(frozen=True)
class SharedLatent(Amputer):
    r"""Holes driven by what the columns share (MNAR): a latent factor behind values and holes.

    t_n are the first principal components of the standardised table, each of variance 1;
    z_n = (t_n + noise * e_n) / sqrt(1 + noise^2), e_n ~ N(0, I);
    p_nj = positivity + (1 - 2 positivity) logistic(b_j + slope * g_j'z_n), |g_j| = 1;
    b_j is solved for the rate. Given z the holes tell nothing about the values.

    *Right model*: `Conjunction`, as far as its latent learns z (see `simulate_shared_latent` for
    data in which it is exactly right).

    Attributes:
        latents: number of principal components.
        noise: standard deviation of what in z the columns do not tell; 0 or more.
        slope: log-odds for one standard deviation of g_j'z; positive.
        positivity: least chance of any cell to go missing, and to stay; in [0, 0.5).
        direction: signs of g_j: "high" (all positive: rows lose many cells or few), "low" (all
            negative), or "random".

    Source: Lim, Rashid, Oliva & Ibrahim, arXiv 2101.07357, simulate holes from a latent, too.

    Example:
        >>> from pyro_gnr.data.amputation import SharedLatent, ampute
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> p = ampute(X, SharedLatent(positivity=0.05), random_state=0).probabilities
        >>> bool(p.min() >= 0.05 and p.max() <= 0.95)
        True
    """

    latents: int = 1
    noise: float = 0.5
    slope: float = 2.0
    positivity: float = 0.02
    direction: Direction = "random"

    def __post_init__(self) -> None:
        check_direction(self.direction)
        check_slope(self.slope)
        check_weight("noise", self.noise)
        if self.latents < 1 or self.latents != int(self.latents):
            raise ValueError(f"got latents {self.latents!r}, expected a whole number, 1 or more.")
        if not 0.0 <= self.positivity < 0.5:
            raise ValueError(f"got positivity {self.positivity!r}, expected a number in [0, 0.5).")

    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Let the chance follow the latent."""
        columns = table.columns if columns is None else columns
        t = self._components(table)
        z = (t + self.noise * rng.normal(size=t.shape)) / np.hypot(1.0, self.noise)
        g = signed(rng.normal(size=(self.latents, len(columns))), self.direction)
        scores = self.slope * z @ (g / np.linalg.norm(g, axis=0))
        rate = rate_or_default(rate, floor=self.positivity)
        probabilities = soft_probabilities(scores, rate, floor=self.positivity)
        return Holes(columns, probabilities, rng.random(probabilities.shape))

    def _components(self, table: SourceTable) -> NDArray[np.float64]:
        """Give the first principal components, (N, latents), each of variance 1."""
        features = np.column_stack([table.features(j) for j in table.columns])
        variances, axes = np.linalg.eigh(features.T @ features / len(features))
        n_components = int((variances > 1e-9 * max(variances.max(), 1e-9)).sum())
        if n_components < self.latents:
            raise ValueError(
                f"got latents {self.latents}, but the table has {n_components} principal "
                "component(s): ask for fewer, or give columns that vary."
            )
        axes, variances = axes[:, ::-1][:, : self.latents], variances[::-1][: self.latents]
        # An eigenvector's sign is the library's whim.
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
        return features @ (axes * np.sign(largest)) / np.sqrt(variances)
