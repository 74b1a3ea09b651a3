"""Encode a column of any table as the training table's was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.columns.censored import encode_censored
from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.kinds import CENSORED_KINDS, NUMBERS
from pyro_gnr.data.columns.levels import encode_levels
from pyro_gnr.data.columns.numbers import encode_numbers
from pyro_gnr.data.reading import Reading

__all__ = ["encode_column"]


def encode_column(column: Column, reading: Reading) -> NDArray[np.float64]:
    """Encode one column as the training table's was.

    Args:
        column: as learnt.
        reading: the same column of any table.

    Returns:
        (N,) standardised values or level codes; 0 where not observed.

    Raises:
        ValueError: a number is infinite, numbers came for levels or levels for numbers, or a
            level was not seen in training.

    Example:
        >>> from pyro_gnr.data.columns.kinds import Kind
        >>> from pyro_gnr.data.reading import read
        >>> column = Column("dose", Kind.CONTINUOUS, "float64", location=2.0, scale=0.5)
        >>> encode_column(column, read(np.array([3.0, np.nan]), "dose"))
        array([2., 0.])
    """
    if not reading.observed.any():
        return np.zeros(len(reading.observed))
    if column.kind in CENSORED_KINDS:
        return encode_censored(column, reading)
    if column.kind in NUMBERS:
        return encode_numbers(column, reading)
    return encode_levels(column, reading)
