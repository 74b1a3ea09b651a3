"""Simulated tables with holes whose whole story is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.rates import check_rate, soft_probabilities

__all__ = ["SharedLatentData", "simulate_shared_latent"]


class SharedLatentData(NamedTuple):
    """A complete table, its holes, and the latent behind both.

    Attributes:
        complete: (N, D) values.
        observed: (N, D) bool, True where the cell is observed (m = 1).
        probabilities: (N, D), P(m_nj = 0 | z_n).
        z: (N, L) latents.
        loadings: (D, L), a_j, each of length 1.
        mask_loadings: (D, L), g_j, each of length 1.

    Example:
        >>> simulate_shared_latent(5, 3, random_state=0).table.shape
        (5, 3)
    """

    complete: NDArray[np.float64]
    observed: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    z: NDArray[np.float64]
    loadings: NDArray[np.float64]
    mask_loadings: NDArray[np.float64]

    @property
    def table(self) -> NDArray[np.float64]:
        """(N, D) values with NaN where they are missing."""
        return np.where(self.observed, self.complete, np.nan)


def simulate_shared_latent(
    n: int,
    d: int,
    *,
    latents: int = 2,
    idiosyncratic: float = 0.5,
    rate: float = 0.3,
    slope: float = 2.0,
    positivity: float = 0.02,
    aligned: bool = True,
    random_state: int | np.random.Generator | None = None,
) -> SharedLatentData:
    r"""Simulate z -> x and z -> m, both linear: the conjunction model with known parameters.

    z_n ~ N(0, I), L = latents;
    x_nj = sqrt(1 - idiosyncratic) a_j'z_n + sqrt(idiosyncratic) e_nj, e_nj ~ N(0, 1), |a_j| = 1;
    P(m_nj = 0 | z_n) = positivity + (1 - 2 positivity) logistic(b_j + slope * g_j'z_n), |g_j| = 1.

    Every column has mean 0 and variance 1. b_j is solved for, so that the expected rate of these
    N rows is the one asked for. Values and holes are independent given z, so `Conjunction` is
    exactly right and `Ignorable` wrong. The less idiosyncratic the columns, the more of z, and so
    of the missing values, the observed cells tell; with a share of 1 the values know nothing of z
    and the holes are completely at random with respect to them.

    Args:
        n: N, rows.
        d: D, columns.
        latents: L, 1 or more.
        idiosyncratic: share in [0, 1] of each column's variance that is its own.
        rate: expected share of missing cells in each column.
        slope: log-odds for one standard deviation of g_j'z; 0 (MCAR) or more.
        positivity: least chance of a cell to go missing, and to stay; in [0, 0.5).
        aligned: whether g_j = a_j (the shared part of the value drives its own hole: high values
            go missing) or an independent random direction.
        random_state: the same seed makes the same data; a generator is used and advanced.

    Raises:
        ValueError: an argument is out of its range.

    Source: Lim, Rashid, Oliva & Ibrahim, arXiv 2101.07357, simulate holes from the latent of the
    data, too.

    Example:
        >>> data = simulate_shared_latent(1000, 4, rate=0.2, random_state=0)
        >>> [round(float(p), 6) for p in data.probabilities.mean(axis=0)]
        [0.2, 0.2, 0.2, 0.2]
    """
    _check(n=n, d=d, latents=latents)
    _check_ranges(idiosyncratic=idiosyncratic, slope=slope, positivity=positivity)
    rate = check_rate(rate, floor=positivity)
    rng = np.random.default_rng(random_state)
    z = rng.normal(size=(n, latents))
    a, g = _unit(rng.normal(size=(d, latents))), _unit(rng.normal(size=(d, latents)))
    g = a if aligned else g
    own = rng.normal(size=(n, d))
    x = np.sqrt(1.0 - idiosyncratic) * z @ a.T + np.sqrt(idiosyncratic) * own
    probabilities = soft_probabilities(slope * z @ g.T, rate, floor=positivity)
    observed = rng.random((n, d)) >= probabilities
    return SharedLatentData(x, observed, probabilities, z, a, g)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1 or count != int(count):
            raise ValueError(f"got {name} {count!r}, expected a whole number, 1 or more.")


def _check_ranges(*, idiosyncratic: float, slope: float, positivity: float) -> None:
    if not 0.0 <= idiosyncratic <= 1.0:
        raise ValueError(f"got idiosyncratic {idiosyncratic!r}, expected a number in [0, 1].")
    if not 0.0 <= slope < np.inf:
        raise ValueError(f"got slope {slope!r}, expected a finite number, 0 or more.")
    if not 0.0 <= positivity < 0.5:
        raise ValueError(f"got positivity {positivity!r}, expected a number in [0, 0.5).")
