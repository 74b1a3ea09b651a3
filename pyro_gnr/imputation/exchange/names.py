"""Names that other programs take for a variable, as near as can be to those of the columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import NamedTuple

__all__ = ["SPSS", "STATA", "NameRule", "legal_names"]


class NameRule(NamedTuple):
    """What a program takes as a name, besides letters of any script, digits and "_".

    Attributes:
        longest: most characters, or bytes of UTF-8.
        in_bytes: whether bytes are counted.
        also: other characters inside a name.
        reserved: a pattern of words, in lower case, that are no names.
    """

    longest: int
    in_bytes: bool
    also: str
    reserved: str


# Stata's User's Guide, section 11.3, and the words that pandas' writer refuses besides.
STATA = NameRule(
    32,
    False,
    "",
    r"str\d*l?|byte|int|long|float|double|if|in|using|with|aggregate|array|boolean|break|case|"
    "catch|class|colvector|complex|const|continue|default|delegate|delete|do|else|eltypedef|end|"
    "enum|explicit|export|external|for|friend|function|global|goto|inline|local|null|pragma|"
    "protected|quad|rowvector|short|typedef|typename|virtual",
)
# The Command Syntax Reference of SPSS, "Variable Names".
SPSS = NameRule(64, True, ".$#@", "all|and|by|eq|ge|gt|le|lt|ne|not|or|to|with")


def legal_names(
    names: Sequence[str], rule: NameRule, *, taken: Collection[str] = ()
) -> dict[str, str]:
    """Give every name a legal one of its own; those that are legal stay as they are.

    Names differ in more than case, since SPSS does not tell them apart otherwise.

    Args:
        names: all different.
        rule: what is legal.
        taken: names that are in use.

    Returns:
        The legal name of each, in the order of `names`.

    Example:
        >>> legal_names(["a.b", "a_b", "2nd", "if", "größe"], STATA)
        {'a.b': 'a_b_2', 'a_b': 'a_b', '2nd': 'v2nd', 'if': 'v_if', 'größe': 'größe'}
    """
    used = {name.lower() for name in taken}
    found = {}
    for name in sorted(names, key=lambda name: _legal(name, rule) != name):  # legal ones first
        legal, number = _legal(name, rule), 1
        while legal.lower() in used:
            number += 1
            suffix = f"_{number}"
            legal = _cut(_legal(name, rule), rule, rule.longest - len(suffix)) + suffix
        used.add(legal.lower())
        found[name] = legal
    return {name: found[name] for name in names}


def _legal(name: str, rule: NameRule) -> str:
    characters = unicodedata.normalize("NFC", name)
    text = "".join(c if _fits(c) or c in rule.also else "_" for c in characters)
    text = text.lstrip("_" + rule.also)  # a first "_1_" or "_mi_" means something to Stata
    if not text[:1].isalpha():
        text = f"v{text}"
    if re.fullmatch(rule.reserved, text.lower()):
        text = f"v_{text}"
    return _cut(text, rule, rule.longest)


def _fits(character: str) -> bool:
    """Whether it is "_", a plain digit or a letter, but for those of Latin-1 that are signs."""
    if character.isascii():
        return character.isalnum() or character == "_"
    return character.isalpha() and ord(character) >= 192


def _cut(text: str, rule: NameRule, longest: int) -> str:
    if rule.in_bytes:
        text = text.encode()[:longest].decode(errors="ignore")
    return text[:longest].rstrip(rule.also)
