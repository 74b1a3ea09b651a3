"""What is said of cells that are not what training saw."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.reading import Reading, Scalar

__all__ = ["listing", "retyped", "warn_of_change"]


def listing(levels: Sequence[Scalar], most: int = 10) -> str:
    """List levels for a message, the first few if there are many."""
    shown = ", ".join(repr(v) for v in levels[:most])
    return shown if len(levels) <= most else f"{shown}, ... ({len(levels)} in all)"


def retyped(column: Column, reading: Reading, *, expected: str, got: str) -> ValueError:
    """Make the error about numbers that came for levels, or levels for numbers."""
    return ValueError(
        f"column {column.name!r} came as {got} (dtype {reading.dtype}), expected {expected} as in "
        f"training (dtype {column.dtype}): convert it."
    )


def warn_of_change(column: Column, numbers: NDArray[np.float64]) -> None:
    """Warn of numbers (n,) other than the one that the column held throughout training."""
    others = int((numbers != column.location).sum())
    if others:
        warnings.warn(
            f"column {column.name!r} was always {column.location:g} in training, but {others} "
            "cell(s) here hold another number: nothing is known about it, and it is not used.",
            UserWarning,
            stacklevel=2,
        )
