"""Errors and warnings as lines on stderr, in the words of the options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

__all__ = ["as_options", "errors", "kind_option", "show_warning"]

# Python's words for what are options here.
KINDS_ARGUMENT = re.compile(r"""kinds=(\{(['"]).*?\2: (?:'[^']+'|\.\.\.)\})""")
LEVEL_ARGUMENT = re.compile(r"Delta\((['\"])(.*?)\1, level=(.*?)\)\.")
OWN_CLASS = re.compile(r"comes in by components=\{.*?\}")
ARGUMENTS = {
    "kinds names": "--kind names",
    "row_key column": "--row-key column",
    "or row_key=None": "or leave --row-key out",
    "row_key=": "--row-key ",
    "give overwrite=True": "use --force",
}


@contextmanager
def errors(*, before_work: bool = False) -> Iterator[None]:
    """Turn what a user can mend into a line on stderr and an exit status.

    ValueError and TypeError speak of the call or the table (2). An OSError does so before the work
    starts (2), later the machine failed (1), as does a fit that diverges, or a missing package.
    """
    try:
        yield
    except (ValueError, TypeError, OSError, FloatingPointError, ImportError) as error:
        text = " ".join([str(error), *getattr(error, "__notes__", ())])
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        typer.echo(f"pyro-gnr: {as_options(text)}", err=True)
        usage = isinstance(error, (ValueError, TypeError)) or (
            before_work and isinstance(error, OSError)
        )
        raise typer.Exit(2 if usage else 1) from None


def as_options(text: str) -> str:
    """Say --kind id=ignore where the package says kinds={'id': 'ignore'}, and so on."""
    text = KINDS_ARGUMENT.sub(_as_kind_option, text)
    text = LEVEL_ARGUMENT.sub(_as_category_option, text)
    text = OWN_CLASS.sub("can be used in Python only", text)
    for argument, here in ARGUMENTS.items():
        text = text.replace(argument, here)
    return text


def kind_option(name: str, kind: str) -> str:
    """Say --kind NAME=KIND as a shell takes it."""
    return f"--kind {shlex.quote(f'{name}={kind}')}"


def _as_category_option(match: re.Match[str]) -> str:
    level = match[3]
    try:
        name = ast.literal_eval(f"{match[1]}{match[2]}{match[1]}")
        text = ast.literal_eval(level) if level[0] in "'\"" else level
    except (SyntaxError, ValueError):  # names with quotes and brackets: say it in Python's words
        return match[0]
    return f"--category {shlex.quote(f'{name}={text}')}."


def _as_kind_option(match: re.Match[str]) -> str:
    [(name, kind)] = ast.literal_eval(match[1]).items()
    return kind_option(name, "..." if kind is ... else kind)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line; takes the place of `warnings.showwarning`."""
    typer.echo(f"pyro-gnr: warning: {as_options(str(message))}", err=True)
