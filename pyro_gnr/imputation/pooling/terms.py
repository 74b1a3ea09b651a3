"""Terms of a pooled analysis, found by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["find_terms"]

INTERCEPTS = ("Intercept", "(Intercept)", "const")


def find_terms(known: Sequence[str], wanted: str | Sequence[str] | None) -> list[int]:
    """Give positions of terms.

    Args:
        known: names of all terms.
        wanted: names of terms, or of columns that have several; all but intercepts if None.

    Returns:
        Positions, each once.

    Raises:
        ValueError: a name is of no term, or none is left.

    Example:
        >>> find_terms(["Intercept", "age", "ward[T.b]", "C(sex)[T.1]"], ["ward", "sex"])
        [2, 3]
    """
    if wanted is None:
        found = [i for i, name in enumerate(known) if name not in INTERCEPTS]
    else:
        found = []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            mine = [i for i, term in enumerate(known) if _is_of(term, name)]
            if not mine:
                raise ValueError(f"got term {name!r}, expected some of {list(known)}.")
            found += mine
    if not found:
        raise ValueError(f"got no terms, expected some of {list(known)}.")
    return list(dict.fromkeys(found))


def _is_of(term: str, name: str) -> bool:
    """Whether a term is this one, or a level of this column."""
    quoted = re.escape(name)
    return term == name or bool(re.fullmatch(rf"(C\({quoted}(,.*)?\)|{quoted})\[[^\]]*\]", term))
