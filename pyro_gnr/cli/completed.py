"""Completed tables that ``pyro-gnr impute`` wrote, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_gnr.cli.outputs import IMPUTATIONS, is_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_completed"]


def read_completed(path: Path) -> tuple[list[pd.DataFrame], list[int]]:
    """Read M completed tables and the member that made each.

    Args:
        path: a directory with a manifest, or a long table with `.imp`, whose tables are taken
            as of one member, since it does not say.

    Returns:
        Tables, and (M,) members.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is nothing that impute wrote.
    """
    if is_file(path):
        return _from_long(path)
    manifest = _manifest(path)
    from pyro_gnr.data.files import read_table

    names = sorted(name for name in manifest["files"] if Path(name).stem.startswith("imputation_"))
    gone = [name for name in names if not (path / name).is_file()]
    if gone or len(names) != manifest["m"]:
        raise ValueError(
            f"{str(path)!r} should hold {manifest['m']} tables: {', '.join(gone) or 'some'} are "
            "not there"
        )
    members = manifest.get("members", [0] * len(names))
    return [read_table(path / name) for name in names], members


def _manifest(path: Path) -> dict[str, Any]:
    # Torch comes with the module that has this name; `pool` does without.
    manifest = path / "manifest.json"
    if not path.is_dir():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        if found["format"] == IMPUTATIONS and found["m"] and list(found["files"]):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{str(path)!r} is no directory that pyro-gnr impute wrote; name one")


def _from_long(path: Path) -> tuple[list[pd.DataFrame], list[int]]:
    from pyro_gnr.data.files import read_table

    long = read_table(path)
    if ".imp" not in long or not set(long[".imp"]) - {0}:
        raise ValueError(
            f"{str(path)!r} has no column .imp with numbers of tables: it is no long table that "
            "pyro-gnr impute wrote"
        )
    numbers = sorted(set(long[".imp"]) - {0})
    tables = [long[long[".imp"] == i].drop(columns=".imp").reset_index(drop=True) for i in numbers]
    return tables, [0] * len(tables)
