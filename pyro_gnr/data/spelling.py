"""What a misspelt word may have been meant as."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Give the most similar known word as a remark, or nothing.

    Example:
        >>> did_you_mean("mechansim", ["mechanism", "prior"])
        " (did you mean 'mechanism'?)"
    """
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
