"""Pictures of an imputation: what was imputed against what was observed.

Nothing here touches pyplot: no figure is registered, no backend chosen, no setting changed.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend

from pyro_gnr.criticism.checks import (
    Densities,
    Shares,
    incomplete_columns,
    observed_against_imputed,
)
from pyro_gnr.criticism.figures import new_figure
from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["plot_column", "plot_imputations"]

# Blue is observed and red is imputed, as in R's mice; the two differ to the colour-blind too.
OBSERVED = "#006CC2"
IMPUTED = "#B61A51"
GREY = "#555555"
# At most this many draws get a tick of their own below the curves.
MOST_TICKS = 400
LONGEST_LABEL = 28
# Longer labels than this are written beside bars that lie down; more letters than this below
# upright bars are written at an angle.
LONGEST_UPRIGHT = 10
MOST_UPRIGHT = 60
LEGEND = (
    "observed",
    "imputed, one table",
    "all tables",
    "values",
    "imputed, mean",
    "range of the tables",
)
LONGEST_FILE_NAME = 60


def plot_imputations(imputation: MultipleImputation, directory: Path | str) -> list[Path]:
    """Draw one picture, observed against imputed, for each column with missing cells.

    Args:
        imputation: M completed tables.
        directory: where the PNG files go; made if it is not there. Files of the same names are
            replaced.

    Returns:
        The files, in the order of the columns. They are named after the columns as far as file
        names can be.

    Raises:
        OSError: the directory cannot be made or written to.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
        >>> with TemporaryDirectory() as directory:
        ...     [path.name for path in plot_imputations(imputation, directory)]
        ['x1.png']
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    columns = incomplete_columns(imputation.table)
    paths = [directory / f"{name}.png" for name in _file_names(columns)]
    for column, path in zip(columns, paths, strict=True):
        figure = new_figure()
        plot_column(imputation, column, figure.add_subplot())
        with warnings.catch_warnings():
            # A name in a script that the font lacks: boxes in the title, and a picture still.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
            figure.savefig(path)
    return paths


def plot_column(imputation: MultipleImputation, column: str, ax: Axes) -> Axes:
    """Draw one column, observed (blue) against imputed (red), into axes of yours.

    Numbers are drawn as densities, a thin line for each imputation; levels, and whole numbers
    that take few values, as shares, with the range over the imputations. The numbers are those
    of `pyro_gnr.criticism.checks.observed_against_imputed`.

    Args:
        imputation: M completed tables.
        column: name of a modelled column with missing cells.
        ax: matplotlib axes.

    Returns:
        The axes.

    Raises:
        ValueError: nothing was imputed in a column of that name.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
        >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3)
        >>> plot_column(imputation, "x1", new_figure().add_subplot()).get_ylabel()
        'share of cells (%)'
    """
    numbers = observed_against_imputed(imputation, column)
    if isinstance(numbers, Shares):
        _draw_shares(numbers, ax)
    else:
        _draw_densities(numbers, ax)
    _dress(ax, column, numbers.n_observed, numbers.n_imputed, imputation.m)
    return ax


def _draw_densities(numbers: Densities, ax: Axes) -> None:
    if numbers.observed is not None:
        x, y = numbers.observed
        ax.fill_between(x, y, color=OBSERVED, alpha=0.12, linewidth=0)
        ax.plot(x, y, color=OBSERVED, linewidth=2.2, label="observed")
    for i, curve in enumerate(numbers.imputed):
        label = "imputed, one table" if i == 0 else None
        ax.plot(*curve, color=IMPUTED, linewidth=0.6, alpha=0.45, label=label)
    if numbers.pooled is not None:
        ax.plot(*numbers.pooled, color=IMPUTED, linewidth=2.2, label="all tables")
    low, high = numbers.limits
    margin = 0.02 * (high - low) or 0.5
    ax.set_xlim(low - margin, high + margin)
    top = 1.06 * _top(numbers)
    ax.set_ylim(0, top)
    if numbers.draws.size <= MOST_TICKS or numbers.pooled is None:
        _draw_rug(numbers, ax, top)
    ax.set_xlabel(f"value, in the units of the table{_beyond(numbers)}", fontsize=11)
    ax.set_ylabel("density", fontsize=11)


def _draw_rug(numbers: Densities, ax: Axes, top: float) -> None:
    """Draw a tick for each imputed value, in a strip of its own below the curves."""
    ticks = numbers.draws.ravel()
    ends = (-0.08 * top, -0.02 * top)
    ax.vlines(ticks, *ends, color=IMPUTED, alpha=0.6, linewidth=0.8, label="values")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_ylim(-0.1 * top, top)


def _top(numbers: Densities) -> float:
    """Height of the axes: thin curves through few cells may leave it, the thick ones may not."""
    thick = [c.density.max() for c in (numbers.observed, numbers.pooled) if c is not None]
    thin = [c.density.max() for c in numbers.imputed]
    return min(max([*thick, *thin], default=1.0), 1.5 * max(thick, default=1.0))


def _beyond(numbers: Densities) -> str:
    observed, imputed = numbers.outside
    if not (observed or imputed):
        return ""
    return f"\n(beyond the axis: {observed:,} observed, {imputed:,} imputed)"


def _draw_shares(numbers: Shares, ax: Axes) -> None:
    labels = [_short(label) for label in numbers.labels]
    across = max(map(len, labels)) > LONGEST_UPRIGHT
    place = np.arange(len(labels))
    mean, low, high = (100 * f(numbers.imputed, axis=0) for f in (np.mean, np.min, np.max))
    bars, lines = (ax.barh, ax.hlines) if across else (ax.bar, ax.vlines)
    bars(place - 0.2, 100 * numbers.observed, 0.36, color=OBSERVED, label="observed")
    bars(place + 0.2, mean, 0.36, color=IMPUTED, label="imputed, mean")
    if numbers.n_imputed > 1:  # a single cell is a level or is not: its range says nothing
        lines(place + 0.2, low, high, color="black", linewidth=1.2, label="range of the tables")
    _label_bars(ax, labels, across=across)
    share, value = (ax.set_xlabel, ax.set_ylabel) if across else (ax.set_ylabel, ax.set_xlabel)
    share("share of cells (%)", fontsize=11)
    if numbers.nearest:
        value("value (imputed ones in between count at the nearer)", fontsize=11)


def _label_bars(ax: Axes, labels: list[str], *, across: bool) -> None:
    place = np.arange(len(labels))
    if across:
        ax.set_yticks(place, labels, parse_math=False)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        return
    ax.set_xticks(place, labels, parse_math=False)
    if sum(map(len, labels)) > MOST_UPRIGHT:
        for label in ax.get_xticklabels():
            label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")


def _dress(ax: Axes, column: str, n_observed: int, n_imputed: int, m: int) -> None:
    """Add title, counts and legend above the axes, where nothing is drawn; sizes in points."""
    ax.set_title(_short(column, 60), loc="left", fontsize=14, pad=40, parse_math=False)
    tables = f" in each of {m:,} tables" if m > 1 else ""
    counts = f"{n_observed:,} cells observed, {n_imputed:,} imputed{tables}"
    note = ax.annotate(
        counts,
        (0, 1),
        (0, 25),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=10.5,
        color=GREY,
    )
    legend = _legend(ax)
    # The title's distance keeps their place; counted too, they would make small axes smaller.
    for artist in (note, legend):
        artist.set_in_layout(False)
    ax.tick_params(labelsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def _legend(ax: Axes) -> Legend:
    """Add a legend in one line, in an order of its own, between title and axes."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: LEGEND.index(labels[i]))
    return ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(labels),
        frameon=False,
        fontsize=9.5,
        borderpad=0.2,
        columnspacing=1.2,
        handlelength=1.5,
    )


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    """Keep a text on one line; of a long one both ends, as many names differ in the last word."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}\N{HORIZONTAL ELLIPSIS}{text[-tail:]}"


def _file_names(columns: tuple[str, ...]) -> list[str]:
    """Make file names that any system takes, without an ending; different for every column."""
    names: list[str] = []
    taken: set[str] = set()
    for column in columns:
        safe = re.sub(r"[^\w.-]+", "_", column)[:LONGEST_FILE_NAME].strip("._-") or "column"
        name, copy = safe, 1
        while name.casefold() in taken:  # some systems do not tell A from a
            copy += 1
            name = f"{safe}_{copy}"
        taken.add(name.casefold())
        names.append(name)
    return names
