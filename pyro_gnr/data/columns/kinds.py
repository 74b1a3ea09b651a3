"""How a column can be modelled, and how a user says so."""

from __future__ import annotations

import re
from enum import StrEnum

import numpy as np

__all__ = ["CENSORED_KINDS", "NUMBERS", "Bounds", "Kind", "as_bounds", "as_kind"]

# The lowest and the highest number that a bounded column can hold, in the caller's units.
Bounds = tuple[float, float]

BOUNDED_PATTERN = re.compile(r"bounded\(\s*([^\s,()]+)\s*,\s*([^\s,()]+)\s*\)")


class Kind(StrEnum):
    """How a column is modelled.

    Attributes:
        CONTINUOUS: real numbers, standardised by the observed mean and standard deviation.
        BINARY: at most two levels.
        CATEGORICAL: levels without an order.
        CENSORED: numbers, of which some are known only to lie in an interval ("<0.5", ">100",
            "0.2-0.5"); standardised by the normal under which all cells are likeliest.
            Normal: what is imputed below a limit can be negative.
        CENSORED_LOG: the same on the scale of the logarithm, for positive quantities, which stay
            above 0. The default where all is positive and there is a limit of detection.
        POSITIVE: numbers above 0, in multiples of the observed mean.
        BOUNDED: numbers between known bounds, mapped to (0, 1). Said as "bounded(0, 20)", or as
            "bounded" alone where all observed numbers lie in [0, 1], or in [0, 100].
        COUNT: whole numbers 0, 1, 2, ...
        ORDINAL: levels with an order: numbers, an ordered category (pandas) or an Enum (polars).
        IGNORE: not modelled; goes through untouched.
    """

    CONTINUOUS = "continuous"
    BINARY = "binary"
    CATEGORICAL = "categorical"
    POSITIVE = "positive"
    BOUNDED = "bounded"
    COUNT = "count"
    ORDINAL = "ordinal"
    CENSORED = "censored"
    CENSORED_LOG = "censored_log"
    IGNORE = "ignore"


CENSORED_KINDS = frozenset({Kind.CENSORED, Kind.CENSORED_LOG})
# Kinds whose cells are numbers; the cells of others are levels, or numbers and intervals.
NUMBERS = frozenset({Kind.CONTINUOUS, Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT})


def as_kind(kind: str | Kind, name: str) -> Kind:
    """Read a kind that the user gave for a column.

    Raises:
        ValueError: there is no such kind; the message lists the valid ones.

    Example:
        >>> as_kind("binary", "smoker")
        <Kind.BINARY: 'binary'>
        >>> as_kind("bounded(0, 20)", "score")
        <Kind.BOUNDED: 'bounded'>
    """
    if as_bounds(kind, name) is not None:
        return Kind.BOUNDED
    try:
        return Kind(kind)
    except ValueError:
        valid = ", ".join(repr(str(k)) for k in Kind)
        raise ValueError(
            f"got kind {kind!r} for column {name!r}, expected one of {valid}; bounds are said as "
            "'bounded(0, 20)'."
        ) from None


def as_bounds(kind: str | Kind, name: str) -> Bounds | None:
    """Read the bounds in "bounded(low, high)"; None where the kind brings none.

    Raises:
        ValueError: they are no two finite numbers, the lower one first.

    Example:
        >>> as_bounds("bounded(0, 20)", "score"), as_bounds("bounded", "score")
        ((0.0, 20.0), None)
    """
    match = BOUNDED_PATTERN.fullmatch(kind.strip()) if isinstance(kind, str) else None
    if match is None:
        return None
    try:
        low, high = map(float, match.groups())
    except ValueError:
        low = high = np.nan
    if not (low < high and np.isfinite([low, high, high - low]).all()):
        raise ValueError(
            f"got kind {kind!r} for column {name!r}, expected two finite numbers, the lower one "
            "first, such as 'bounded(0, 20)'."
        )
    return low, high
