"""Pictures of sensitivity analyses: a term over departures from the model, or over mechanisms.

Where no axes are given pyplot makes the figure, so that a notebook shows it. Otherwise nothing
here touches pyplot: no figure is registered, no backend chosen, no setting changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from pyro_gnr.criticism.figures import LOOK
from pyro_gnr.imputation.pooling.words import in_percent
from pyro_gnr.imputation.sensitivity.grid import DeltaGrid
from pyro_gnr.imputation.sensitivity.ladder import Ladder

__all__ = ["plot_grid", "plot_ladder"]

BLUE, RED, GREY = "#006CC2", "#B61A51", "#555555"


def plot_grid(
    grid: DeltaGrid, term: str | None = None, *, ax: Axes | None = None, value: float = 0.0
) -> Axes:
    """Draw a term over departures; see `DeltaGrid.plot`.

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
        >>> grid = imputation.delta_grid("a ~ 1", {"a": [-1.0, 0.0, 1.0]})
        >>> plot_grid(grid).get_ylabel()
        'Intercept (95% interval)'
    """
    names = list(grid.units)
    if len(names) > 2:
        raise ValueError(f"got departures {names}, expected one or two: draw a part of the grid.")
    chosen = _chosen(list(grid["term"].unique()), term)
    part = grid[grid["term"] == chosen]
    ax = _axes() if ax is None else ax
    if len(names) == 1:
        _draw_band(ax, part.sort_values(names[0]), names[0], value)
        ax.set_ylabel(f"{chosen} ({in_percent(grid.level)} interval)")
    else:
        _draw_map(ax, part, names, chosen, value)
        ax.set_ylabel(f"{names[1]}, {grid.units[names[1]]}")
    ax.set_xlabel(f"{names[0]}, {grid.units[names[0]]}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_ladder(
    ladder: Ladder,
    term: str | None = None,
    *,
    ax: Axes | None = None,
    value: float | None = 0.0,
) -> Axes:
    """Draw a term under each mechanism; see `Ladder.plot`.

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr import GNRImputer, compare_mechanisms
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
        >>> quick = GNRImputer(max_steps=5, members=1, random_state=0, verbose=False)
        >>> names = ["ignorable", "conjunction"]
        >>> found = compare_mechanisms(X, "a ~ 1", imputer=quick, m=2, mechanisms=names)
        >>> plot_ladder(found).get_xlabel()
        'Intercept (95% interval)'
    """
    chosen = _chosen(list(ladder.index.get_level_values("term").unique()), term)
    part = ladder.xs(chosen, level="term")
    ax = _axes() if ax is None else ax
    place = np.arange(len(part))
    errors = np.stack([part["estimate"] - part["conf.low"], part["conf.high"] - part["estimate"]])
    ax.errorbar(part["estimate"].to_numpy(), place, xerr=errors, fmt="o", color=BLUE, capsize=3)
    if value is not None:
        ax.axvline(value, color=GREY, linewidth=1, linestyle=":")
    ax.set_yticks(place, _rungs(ladder, part.index), parse_math=False)
    ax.set_ylim(len(part) - 0.5, -0.5)
    ax.set_xlabel(f"{chosen} ({in_percent(ladder.level)} interval)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _axes() -> Axes:
    """Axes of a figure that pyplot knows; it takes a while to import, and chooses a backend."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(**LOOK)
    return ax


def _rungs(ladder: Ladder, names: pd.Index) -> list[str]:
    """Names of mechanisms, and how much worse than the best each fits, where that is known."""
    gaps = ladder.fit["held_out_values"] - ladder.fit["held_out_values"].max()
    labels = []
    for name in names:
        gap, error = gaps[name], ladder.fit["se_difference_values"][name]
        said = f"held-out fit {gap:.2g} \N{PLUS-MINUS SIGN} {error:.2g}"
        said = "best held-out fit" if gap == 0.0 else said
        labels.append(f"{name}\n{said}" if np.isfinite(gap) else str(name))
    return labels


def _chosen(terms: list[str], term: str | None) -> str:
    if term is None and len(terms) == 1:
        return terms[0]
    if term not in terms:
        raise ValueError(f"got term={term!r}, expected one of {terms}.")
    return term


def _draw_band(ax: Axes, part: DeltaGrid, name: str, value: float) -> None:
    ax.fill_between(part[name], part["conf.low"], part["conf.high"], color=BLUE, alpha=0.2)
    ax.plot(part[name], part["estimate"], color=BLUE, marker="o", markersize=3)
    ax.axhline(value, color=GREY, linewidth=1, linestyle=":")
    ax.axvline(0.0, color=GREY, linewidth=1)


def _colours(numbers: np.ndarray) -> dict[str, Any]:
    """Two hues about 0 where there are both signs; else a light one over what there is.

    Example:
        >>> _colours(np.array([1.0, 2.0]))["cmap"], _colours(np.array([-1.0, 2.0]))["cmap"]
        ('Wistia', 'RdBu_r')
    """
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0.0 or high <= 0.0:
        return {"cmap": "Wistia", "vmin": low, "vmax": high}
    reach = max(-low, high)
    return {"cmap": "RdBu_r", "norm": TwoSlopeNorm(0.0, -reach, reach)}


def _draw_map(ax: Axes, part: DeltaGrid, names: list[str], term: str, value: float) -> None:
    """Estimates as colours; a contour where the interval just touches `value`."""
    estimate, low, high = (
        part.pivot(index=names[1], columns=names[0], values=v)
        for v in ("estimate", "conf.low", "conf.high")
    )
    x, y = estimate.columns.to_numpy(float), estimate.index.to_numpy(float)
    numbers = estimate.to_numpy(float) - value
    mesh = ax.pcolormesh(x, y, numbers, **_colours(numbers), shading="nearest")
    against = "" if value == 0.0 else f" - {value:g}"
    ax.figure.colorbar(mesh, ax=ax, label=f"estimate of {term}{against}")
    # Positive where the interval lies on one side of the value.
    clear = np.maximum(low.to_numpy(float) - value, value - high.to_numpy(float))
    said = f"interval {'holds' if clear.max() < 0.0 else 'excludes'} {value:g} everywhere"
    if min(clear.shape) > 1 and clear.min() < 0.0 < clear.max():
        ax.contour(x, y, clear, levels=[0.0], colors="black", linewidths=1.5)
        said = f"line: the interval reaches {value:g}"
    ax.set_title(f"{said}; +: as the model says", fontsize=10, loc="left")
    ax.plot(0.0, 0.0, marker="+", color="black", markersize=12, markeredgewidth=2)
