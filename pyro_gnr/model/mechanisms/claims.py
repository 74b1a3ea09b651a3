"""What a mechanism claims: what is assumed, when it is right, and how it fails."""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

from pyro_gnr.model.mechanisms.base import Mechanism

__all__ = ["Claims", "claims"]

# How the part of a docstring begins that says so; it ends with the paragraph.
IDENTIFIED = re.compile(r"\*(?:Identified|Right)\b")
FAILS = re.compile(r"\*Fails\b")
UNSAID = "its author does not say"


class Claims(NamedTuple):
    """What a mechanism's own documentation says of it.

    Attributes:
        assumption: why cells are missing, in a few words.
        identified: when it is identified or right.
        fails: when and how it fails.
    """

    assumption: str
    identified: str
    fails: str


def claims(mechanism: Mechanism) -> Claims:
    """Read what a mechanism claims, from its docstring: that is where its users see it, too.

    Args:
        mechanism: of this package or the caller's own.

    Example:
        >>> from pyro_gnr.model.mechanisms import Ignorable
        >>> claims(Ignorable()).fails
        'Fails when it depends on what is missing; no data can show it.'
    """
    text = " ".join((inspect.getdoc(type(mechanism)) or "").replace("\n\n", " \0 ").split())
    starts = [pattern.search(text) for pattern in (IDENTIFIED, FAILS)]
    found = [UNSAID if start is None else _until_next(text[start.start() :]) for start in starts]
    return Claims(type(mechanism).assumption or UNSAID, *found)


def _until_next(text: str) -> str:
    """The text to the end of its paragraph, or to the next that begins like these."""
    ends = [m.start() for p in (IDENTIFIED, FAILS) if (m := p.search(text, 2))]
    end = min([*ends, text.find("\0") % (len(text) + 1)])
    return text[:end].replace("*", "").replace("`", "").strip()
