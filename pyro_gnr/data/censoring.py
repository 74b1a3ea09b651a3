r"""Cells known only to lie in an interval: "<0.5", ">100", "0.2-0.5", "[0.2, 0.5]".

An interval cell is observed, but what is known is lower <= x <= upper. It is encoded as
`CODE_BASE` plus the position of its interval among the column's, exact in single precision.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.reading import Reading, Scalar

__all__ = [
    "ACCEPTED",
    "CODE_BASE",
    "Cells",
    "Interval",
    "by_value",
    "is_censored",
    "parse",
    "read_cells",
]

Interval = tuple[float, float]

# Codes of interval cells begin here: standardised numbers stay below, and whole numbers up to
# 2^24 are exact in single precision.
CODE_BASE = 2.0**20

ACCEPTED = "'0.7', '1e-3', '<0.5', '<=0.5', '>100', '>=100', '0.2-0.5' or '[0.2, 0.5]'"

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(_NUMBER)
_LIMIT = re.compile(rf"(<=|>=|[<>≤≥])\s*({_NUMBER})")
_RANGE = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})")
_BRACKETS = re.compile(rf"[\[(]\s*({_NUMBER}|-inf)\s*[,;]\s*({_NUMBER}|\+?inf)\s*[\])]")


class Cells(NamedTuple):
    """A column of numbers and intervals.

    Attributes:
        numbers: (N,) numbers; NaN where the cell is missing or an interval.
        codes: (N,) positions in `intervals`; -1 elsewhere.
        intervals: distinct intervals (lower, upper), ascending; limits may be infinite.
    """

    numbers: NDArray[np.float64]
    codes: NDArray[np.intp]
    intervals: tuple[Interval, ...]


def parse(text: str) -> Interval | None:
    """Read a number (lower = upper) or an interval; blanks are allowed, None if it is neither.

    Whether an interval holds its ends plays no part.

    Example:
        >>> parse("0.7"), parse(" <= 5e-1"), parse("> 100"), parse("(0.2, 0.5]"), parse("n.d.")
        ((0.7, 0.7), (-inf, 0.5), (100.0, inf), (0.2, 0.5), None)
    """
    text = text.strip()
    if match := _LIMIT.fullmatch(text):
        limit = float(match[2])
        lower, upper = (-math.inf, limit) if match[1] in "<=≤" else (limit, math.inf)
    elif match := _RANGE.fullmatch(text) or _BRACKETS.fullmatch(text):
        lower, upper = float(match[1]), float(match[2])
    elif _PLAIN.fullmatch(text):
        lower = upper = float(text)
    else:
        return None
    # A number too large for a float has become infinite.
    known = math.isfinite(lower) or math.isfinite(upper)
    return (lower, upper) if known and lower <= upper and lower < math.inf else None


def is_censored(reading: Reading) -> bool:
    """Say whether a text column holds numbers and intervals and nothing else.

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr.data.reading import read
        >>> is_censored(read(pd.Series(["0.7", "<0.5", None]), "crp"))
        True
        >>> is_censored(read(pd.Series(["18-64", ">64"]), "age group"))
        False
    """
    if not reading.text or not any(isinstance(v, str) for v in reading.labels):
        return False
    found = set()
    for label in reading.labels:
        cell = _parsed(label)
        if cell is None:
            return False
        found.add(cell[0] == cell[1])
    return len(found) == 2


def read_cells(reading: Reading) -> Cells:
    """Read a column of numbers and intervals; plain numbers will do.

    Raises:
        ValueError: a cell is neither; the message names it and what is accepted.

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr.data.reading import read
        >>> cells = read_cells(read(pd.Series(["0.7", "<0.5", None, ">100"]), "crp"))
        >>> cells.intervals
        ((-inf, 0.5), (100.0, inf))
        >>> cells.codes.tolist()
        [-1, 0, -1, 1]
    """
    n = len(reading.observed)
    if reading.numbers is not None:
        numbers = np.where(reading.observed, reading.numbers, np.nan)
        return Cells(numbers, np.full(n, -1), ())
    codes = np.full(n, -1) if reading.codes is None else reading.codes
    # Categories may have labels that no cell holds.
    held = set(codes.tolist())
    parsed = [_parsed(v) if i in held else (0.0, 0.0) for i, v in enumerate(reading.labels)]
    wrong = [v for v, cell in zip(reading.labels, parsed, strict=True) if cell is None]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ValueError(
            f"column {reading.name!r} holds {wrong[0]!r}{more}, expected a number or an interval, "
            f"such as {ACCEPTED}: correct it, set it to missing, or choose another kind."
        )
    cells = [cell for cell in parsed if cell is not None]
    intervals = tuple(sorted({cell for cell in cells if cell[0] < cell[1]}))
    position = {interval: i for i, interval in enumerate(intervals)}
    known = [cell[0] if cell[0] == cell[1] else math.nan for cell in cells]
    places = [position.get(cell, -1) for cell in cells]
    # The last entry is that of missing cells, whose code is -1.
    return Cells(np.array([*known, math.nan])[codes], np.array([*places, -1])[codes], intervals)


def by_value(reading: Reading) -> Reading:
    """Give a text column's labels as numbers and limits, so that "0.70" and 0.7 are one.

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr.data.reading import read
        >>> by_value(read(pd.Series(["0.70", "< 0.5"]), "crp")).labels
        (0.7, '-inf to 0.5')
    """
    labels = []
    for label in reading.labels:
        lower, upper = _parsed(label) or (math.nan, math.nan)
        labels.append(lower if lower == upper else f"{lower} to {upper}")
    return replace(reading, labels=tuple(labels))


def _parsed(label: Scalar) -> Interval | None:
    if isinstance(label, str):
        return parse(label)
    number = float(label)
    valid = math.isfinite(number) and not isinstance(label, bool)
    return (number, number) if valid else None
