"""What a command may write to, checked before any work."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "FOREIGN",
    "IMPUTATIONS",
    "POOLED",
    "SENSITIVITY",
    "check_file",
    "check_not_input",
    "check_output",
    "is_file",
    "json_text",
]

# What a manifest says the directory is.
IMPUTATIONS, SENSITIVITY = "pyro_gnr imputations", "pyro_gnr sensitivity"
POOLED = "pyro_gnr pooled"

# Formats that a name may ask for and that are not written.
FOREIGN = frozenset(
    [
        ".dta",
        ".feather",
        ".gz",
        ".json",
        ".ods",
        ".pkl",
        ".rds",
        ".sav",
        ".tsv",
        ".txt",
        ".xls",
        ".xlsx",
        ".zip",
    ]
)


def is_file(output: Path) -> bool:
    """Tell by its name whether an output is one table rather than a directory."""
    from pyro_gnr.data.files import FORMATS

    return output.suffix.lower() in FORMATS


def check_output(output: Path, *, ours: str, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be or that would destroy something else."""
    suffix, single = output.suffix.lower(), ours == IMPUTATIONS
    if suffix in FOREIGN or (not single and is_file(output)):
        made = "a .csv or .parquet file, or a directory" if single else "a directory"
        made += " (which pyro-gnr export turns into it)" if suffix in (".dta", ".sav") else ""
        raise ValueError(f"{str(output)!r}: got the ending {suffix}, expected {made}; name that")
    check_not_input(output, inputs)
    if not force or not os.path.lexists(output):
        return
    directory = not is_file(output)
    if directory != output.is_dir():
        was, wanted = ("file", "directory") if directory else ("directory", "file")
        raise ValueError(f"{str(output)!r} is a {was} and would become a {wanted}; name another")
    foreign = _foreign_files(output, ours) if directory else []
    if foreign:
        raise ValueError(
            f"{str(output)!r} holds files that pyro-gnr did not write ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}): not replaced; name another"
        )


def check_not_input(output: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output that would take the place of an input."""
    for path in inputs:
        if path.resolve() == output.resolve() or output.resolve() in path.resolve().parents:
            raise ValueError(
                f"{str(output)!r} is, or holds, the input {str(path)!r}; name another"
            )


def check_file(output: Path, *, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that is no table or would destroy something else."""
    if not is_file(output):
        raise ValueError(f"{str(output)!r}: expected a .csv or .parquet file; name that")
    check_output(output, ours=IMPUTATIONS, force=force, inputs=inputs)


def _foreign_files(directory: Path, ours: str) -> list[str]:
    """Files that the directory's manifest does not name; without a manifest, all of them."""
    from pyro_gnr.imputation.storage import MANIFEST

    found = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        known = {MANIFEST, *manifest["files"]} if manifest["format"] == ours else set()
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return sorted(found - known)


def json_text(value: Any) -> str:
    """Write plain values as the text of a .json file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
