"""What is said of cells that are not what training saw, or not what their kind holds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.digits import exact
from pyro_gnr.data.reading import Reading, Scalar

__all__ = ["listing", "retyped", "warn_of_change", "warn_of_measurements", "warn_of_negative"]


def listing(levels: Sequence[Scalar], most: int = 10) -> str:
    """List levels for a message, the first few if there are many."""
    # Whole numbers come as floats from columns with holes.
    whole = (int(v) if isinstance(v, float) and v.is_integer() else v for v in levels[:most])
    shown = ", ".join(map(repr, whole))
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
            f"column {column.name!r} was always {exact(column.location)} in training, but "
            f"{others} cell(s) here hold another number: nothing is known about it, and it is not "
            "used.",
            UserWarning,
            stacklevel=2,
        )


def warn_of_negative(name: str) -> None:
    """Warn of a positive quantity with limits of detection that is modelled as normal."""
    warnings.warn(
        f"column {name!r} holds positive numbers and limits of detection, but kind 'censored' is "
        "normal, so that values imputed below a limit can be negative: say "
        f"kinds={{{name!r}: 'censored_log'}} for a quantity that is above 0.",
        UserWarning,
        stacklevel=2,
    )


def warn_of_measurements(name: str, kind: str, levels: Sequence[Scalar]) -> None:
    """Warn of so many different numbers with decimals that they are hardly levels."""
    warnings.warn(
        f"column {name!r} has {len(levels)} different numbers with decimals "
        f"({listing(levels, most=3)}) for kind {kind!r}: each is a level of its own, and nothing "
        "between them is imputed. Say 'continuous' or 'positive' for what is measured.",
        UserWarning,
        stacklevel=2,
    )
