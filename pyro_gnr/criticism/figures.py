"""How figures of ours look; pyplot knows nothing of them."""

from __future__ import annotations

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["LOOK", "new_figure"]

# Arguments of `Figure`, which `pyplot.subplots` takes, too; the size is in inches.
LOOK: dict[str, Any] = {
    "figsize": (7.2, 4.6),
    "dpi": 120,
    "layout": "constrained",
    "facecolor": "white",
}


def new_figure() -> Figure:
    """Make a figure that can be saved.

    Example:
        >>> new_figure().get_dpi()
        120
    """
    figure = Figure(**LOOK)
    FigureCanvasAgg(figure)
    return figure
