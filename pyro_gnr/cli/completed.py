"""Completed tables that ``pyro-gnr impute`` wrote, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_gnr.cli.outputs import IMPUTATIONS, is_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["made_of", "read_completed", "read_stacked"]

# What a manifest says of how the tables were made; its files are not repeated.
MADE = ("m", "members", "seed", "mechanism", "configuration", "source", "rows", "ledger",
        "versions")  # fmt: skip


def read_completed(path: Path) -> tuple[list[pd.DataFrame], list[int] | None]:
    """Read M completed tables and the member that made each.

    Args:
        path: a directory with a manifest, or a long table with `.imp`.

    Returns:
        Tables, and (M,) members; None for a long table without a column `.member`.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is nothing that impute wrote, or of a format that is not read back.
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


def made_of(path: Path) -> dict[str, Any]:
    """Give name and digest of what impute wrote, and of a directory what its manifest says.

    A long table holds nothing of how it was made.
    """
    from pyro_gnr.data.files import digest

    if is_file(path):
        return {"name": path.name, "sha256": digest(path)}
    manifest = _manifest(path)
    told = {key: manifest[key] for key in MADE if key in manifest}
    return {"name": path.name, "sha256": digest(path / "manifest.json"), **told}


def _manifest(path: Path) -> dict[str, Any]:
    # Torch comes with the module that has this name; `pool` does without.
    manifest = path / "manifest.json"
    if path.is_file():
        raise ValueError(
            f"{str(path)!r} is not read back: got a file ending in {path.suffix!r}, expected what "
            "pyro-gnr impute wrote, a directory or a long table with .imp (.csv or .parquet); "
            "name the one that this file was made from"
        )
    if not path.is_dir():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        if found["format"] == IMPUTATIONS and found["m"] and list(found["files"]):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{str(path)!r} is no directory that pyro-gnr impute wrote; name one")


def _from_long(path: Path) -> tuple[list[pd.DataFrame], list[int] | None]:
    from pyro_gnr.imputation.exchange import read_long

    _, tables, members = read_long(path)
    completed = [table.reset_index(drop=True) for table in tables]
    return completed, None if members is None else members.tolist()


def read_stacked(path: Path, original: Path | None) -> pd.DataFrame:
    """Read what impute wrote as one long table, the original in it.

    Args:
        path: a long table, or a directory with a manifest.
        original: the table that was imputed, needed for a directory.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is nothing that impute wrote, or another original.
    """
    from pyro_gnr.cli.tables import labelled
    from pyro_gnr.imputation.exchange import long_table, row_ids
    from pyro_gnr.imputation.exchange.reading import read_rows

    if is_file(path):
        if original is not None:
            raise ValueError("--original is for a directory of tables; a long table holds it")
        return read_rows(path)
    completed, members = read_completed(path)
    holes = labelled(_original(original, _manifest(path)["source"]))
    _check_same_types(holes, completed[0])
    return long_table(holes, completed, row_ids(holes.index), members=members)


def _original(path: Path | None, source: Any) -> pd.DataFrame:
    """The table that was imputed, as sure as its digest."""
    from pyro_gnr.data.datasets import load_nhanes
    from pyro_gnr.data.files import digest, read_table

    if not isinstance(source, dict):
        return load_nhanes()
    if path is None:
        raise ValueError(
            f"a directory holds no original: say --original {source['name']}, the table that was "
            "imputed, or impute to a long table"
        )
    if digest(path) != source["sha256"]:
        raise ValueError(f"{str(path)!r} is not, or no longer, the table that was imputed")
    return read_table(path)


def _check_same_types(original: pd.DataFrame, completed: pd.DataFrame) -> None:
    """Refuse text of numbers and intervals, which only the model can read."""
    from pandas.api.types import is_numeric_dtype

    for name in original.columns[original.notna().any()]:
        if is_numeric_dtype(original[name].dtype) != is_numeric_dtype(completed[name].dtype):
            raise ValueError(
                f"column {name!r} holds text, such as intervals, that was completed by numbers: "
                "impute to a long table, and export that"
            )
