"""Departures in plain values, which JSON has, and each of them as one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pyro_gnr.imputation.sensitivity.delta import Delta

__all__ = ["described", "in_words", "prior_in_words", "rows_in_words"]


def described(delta: Delta) -> dict[str, Any]:
    """Give a departure in plain values.

    Returns:
        `column`; `by`: a number, numbers, or of a prior its `distribution`, `args` and `kwds`, as
        scipy takes them (of one that is not scipy's its class alone); `level`; `where`: the text
        of a query, `{"function": its name}`, `{"array": its length}`, or None for all rows.

    Example:
        >>> from scipy import stats
        >>> from pyro_gnr import Delta
        >>> described(Delta("income", stats.norm(0, 2), where="age > 60"))["by"]
        {'distribution': 'norm', 'args': [0, 2], 'kwds': {}}
    """
    level, numbers = delta.level, None
    if not delta.has_prior:
        numbers = np.asarray(delta.by, dtype=np.float64).tolist()
    return {
        "column": delta.column,
        "by": _prior(delta.by) if numbers is None else numbers,
        "level": level.item() if isinstance(level, np.generic) else level,
        "where": _rows(delta.where),
    }


def in_words(departure: Mapping[str, Any]) -> str:
    """Write a departure as one line.

    Args:
        departure: what `described` gives; `times`, the numbers by which it was multiplied,
            `searched`, the range of them, and `rows`, how many it is of, may be there, too.

    Example:
        >>> from pyro_gnr import Delta
        >>> in_words({**described(Delta("bp", -2.0, where="age > 60")), "rows": 31.0})
        "'bp' - 2 where age > 60 (31 rows)"
    """
    parts = [repr(departure["column"])]
    if departure["level"] is not None:
        parts.append(f"(level {departure['level']!r})")
    parts.append(_size_in_words(departure["by"]))
    if departure["where"] is not None:
        parts.append(f"where {rows_in_words(departure['where'])}")
    if departure.get("rows") is not None:
        parts.append(f"({departure['rows']:g} rows)")
    if "times" in departure:
        parts.append(f"times {', '.join(f'{v:g}' for v in departure['times'])}")
    if "searched" in departure:
        low, high = departure["searched"]
        parts.append(f"times {low:g} to {high:g}, searched")
    return " ".join(parts)


def _prior(by: Any) -> dict[str, Any]:
    name = getattr(getattr(by, "dist", None), "name", None)
    if name is None:  # its printed form may hold an address, which says nothing
        return {"distribution": f"{type(by).__module__}.{type(by).__qualname__}"}
    return {
        "distribution": name,
        "args": [_plain(v) for v in by.args],
        "kwds": {key: _plain(v) for key, v in by.kwds.items()},
    }


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def _size_in_words(by: Any) -> str:
    if isinstance(by, dict):
        return f"+ {prior_in_words(by)}"
    if isinstance(by, list):
        return f"+ {min(by):g} to {max(by):g}, a number a table"
    return f"{'-' if by < 0 else '+'} {abs(by):g}"


def prior_in_words(by: Mapping[str, Any]) -> str:
    """Write a prior, as `described` gives it, as scipy is called.

    Example:
        >>> prior_in_words({"distribution": "norm", "args": [0], "kwds": {"scale": 2}})
        'norm(0, scale=2)'
    """
    named = [f"{name}={value}" for name, value in by.get("kwds", {}).items()]
    return f"{by['distribution']}({', '.join([*map(str, by.get('args', ())), *named])})"


def _rows(where: Any) -> Any:
    if where is None or isinstance(where, str):
        return where
    if callable(where):
        return {"function": getattr(where, "__name__", type(where).__name__)}
    return {"array": len(where)}


def rows_in_words(where: Any) -> str:
    """Write the rows of a departure, as `described` gives them, after a "where".

    Example:
        >>> rows_in_words("age > 60"), rows_in_words({"array": 99})
        ('age > 60', 'an array says')
    """
    if isinstance(where, str):
        return where
    name = where.get("function")
    if name is None:
        return "an array says"
    return "a function says" if name == "<lambda>" else f"{name} says"
