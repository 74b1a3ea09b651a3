"""Warnings of one of several fits, with the name of that fit."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import TextIO

__all__ = ["named_warnings"]


@contextlib.contextmanager
def named_warnings(name: str, said: set[str]) -> Iterator[None]:
    """Show warnings that were not `said` yet, after the name of what gives rise to them.

    The caller's filters see them as they are: only what is shown gets the name.

    Args:
        name: put in front; "" puts nothing there.
        said: texts that are not shown; those that are shown are added.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught, named_warnings("one", {"a"}):
        ...     warnings.simplefilter("always")
        ...     warnings.warn("a")
        ...     warnings.warn("b")
        >>> [str(warning.message) for warning in caught]
        ['one: b']
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def with_name(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            """Take the place of `warnings.showwarning`."""
            text = str(message)
            if text not in said:
                said.add(text)
                named = _named(message, category, f"{name}: {text}") if name else message
                show(named, category, filename, lineno, file, line)

        warnings.showwarning = with_name
        yield


def _named(message: Warning | str, category: type[Warning], text: str) -> Warning | str:
    try:
        return category(text)
    except TypeError:  # one that is not made of a text stays as it is
        return message
