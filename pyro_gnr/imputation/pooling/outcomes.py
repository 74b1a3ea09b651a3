"""Outcomes of levels as the numbers that models of statsmodels take."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from pyro_gnr.imputation.pooling.levels import Levels

__all__ = ["MANY_COLUMNS", "as_codes", "coding_note", "outcome_codes", "outcome_name"]

# Models of more than two levels, and those of them that need an order.
UNORDERED = ("MNLogit", "ConditionalMNLogit", "NominalGEE")
ORDERED = ("OrderedModel", "OrdinalGEE")
MANY_COLUMNS = (
    "its left side is no number (patsy makes a column of each of its levels): write the name of a "
    "column, or a number, such as I((smoke == 'yes') * 1)"
)


def outcome_name(formula: str) -> str:
    """Give the left side of a formula, without the Q("...") of names that have spaces.

    Example:
        >>> outcome_name("bmi ~ age"), outcome_name('Q("body mass") ~ age')
        ('bmi', 'body mass')
    """
    left = formula.partition("~")[0].strip()
    quoted = re.fullmatch(r"""Q\((['"])(.*)\1\)""", left)
    return quoted[2] if quoted else left


def outcome_codes(name: str, levels: Levels, model: str) -> dict[Any, int] | None:
    """Give the number of each level: 0 and 1 of two, 0, 1, 2, ... where a model takes more.

    Args:
        name: of the outcome.
        levels: that completed tables use.
        model: name of the class of statsmodels.

    Returns:
        Numbers by level; None where the model reads ordered categories by itself.

    Raises:
        ValueError: there are too few levels for any model, too many for this one, or they have no
            order and the model needs one.

    Example:
        >>> outcome_codes("smoke", Levels(("no", "yes")), "Logit")
        {'no': 0, 'yes': 1}
    """
    if model == "OrderedModel" and levels.ordered:
        return None
    values = list(levels.values)
    if len(values) < 2:
        raise ValueError(f"the outcome {name!r} has levels {values}, expected at least two.")
    if len(values) > 2 and model in ORDERED and not levels.ordered:
        raise ValueError(
            f"the outcome {name!r} has levels {values} without an order, which {model} needs: "
            "make it an ordered category of pandas."
        )
    if len(values) > 2 and model not in (*UNORDERED, *ORDERED):
        raise ValueError(
            f"the outcome {name!r} has levels {values}, more than the two that {model} takes: use "
            f"model={'ordered' if levels.ordered else 'mnlogit'!r}, or say which level counts, as "
            f"in I(({name} == {values[-1]!r}) * 1)."
        )
    return {value: code for code, value in enumerate(values)}


def as_codes(column: pd.Series[Any], codes: dict[Any, int]) -> pd.Series[Any]:
    """Give numbers for levels; missing ones stay missing."""
    # As objects: a category would be mapped to a category.
    found = column.astype(object).map(codes)
    return found.astype("float64" if found.isna().any() else "int64")


def coding_note(name: str, codes: dict[Any, int], model: str) -> str | None:
    """Say what the numbers are; nothing of truth values, whose 1 is True.

    Example:
        >>> coding_note("smoke", {"no": 0, "yes": 1}, "Logit")
        "smoke: 1 is 'yes', 0 is 'no'"
    """
    first, *others = codes
    if set(codes) == {False, True}:
        return None
    if model == "MNLogit" and len(others) > 1:
        terms = ", ".join(f":{i} of {level!r}" for i, level in enumerate(others))
        return f"{name}: terms are {terms}, each against {first!r}"
    return f"{name}: " + ", ".join(f"{codes[v]} is {v!r}" for v in reversed(list(codes)))
