"""Tables as files: CSV and Parquet in and out, written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pyro_gnr.data.categories import restore_levels, with_levels

__all__ = [
    "FORMATS",
    "MISSING_WORDS",
    "digest",
    "from_arrow",
    "read_table",
    "staged",
    "write_table",
]

FORMATS = (".csv", ".parquet")


# What pandas takes for missing in a CSV file, beside empty cells.
MISSING_WORDS = (
    "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL",
    "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip


def read_table(path: str | Path, *, only_empty: bool = False) -> pd.DataFrame:
    r"""Read a CSV or Parquet file so that writing it again gives the same cells.

    Whole numbers and booleans with holes come as pandas' nullable ``Int64`` and ``boolean``, not
    as floats and objects. In a CSV file an empty cell is missing, and so are pandas' other usual
    markers (``NA``, ``NaN``, ``null``, ``None``, ...); floats are read exactly, and numbers
    written with leading zeros (``007``: codes, not quantities) stay text.

    Args:
        path: a file whose name ends in ``.csv`` (UTF-8, separated by commas, with a header) or
            ``.parquet``.
        only_empty: whether in a CSV file nothing but an empty cell is missing: ``NA`` and the
            like are then text, also in a column of numbers.

    Returns:
        The table, in the file's order of rows and columns.

    Raises:
        ValueError: for another ending, a file that cannot be parsed, a repeated column name, or
            rows longer than the header.
        OSError: if the file cannot be opened.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pyro_gnr.data.files import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "people.csv"
        ...     _ = path.write_text("age,smokes\n31,True\n,False\n47,\n")
        ...     frame = read_table(path)
        >>> [str(dtype) for dtype in frame.dtypes]
        ['Int64', 'boolean']
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path.name}: expected a file ending in {' or '.join(FORMATS)}")
    try:
        return _read_csv(path, only_empty) if suffix == ".csv" else _read_parquet(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text; save it as UTF-8 ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _read_csv(path: Path, only_empty: bool) -> pd.DataFrame:
    header = _header(path)
    frame = pd.read_csv(
        path, dtype_backend="numpy_nullable", low_memory=False, na_values=[""],
        keep_default_na=not only_empty, **_exactly(),
    )  # fmt: skip
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas would take the surplus for an index without a word.
        raise ValueError(f"the header names {len(header)} columns, the rows have more")
    # By position: pandas makes up names for columns that have none.
    whole = [j for j, dtype in enumerate(frame.dtypes) if pd.api.types.is_integer_dtype(dtype)]
    text = pd.read_csv(path, usecols=whole, dtype="string") if whole else frame[[]]
    for name in text:
        if text[name].str.match(r"\s*[+-]?0\d").any():
            frame[name] = text[name]
    return frame


def _exactly() -> dict[str, Any]:
    # From 3.1 on pandas reads every float exactly, and deprecates asking for it.
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {} if version >= (3, 1) else {"float_precision": "round_trip"}


def _header(path: Path) -> list[str]:
    """The first record of a CSV file; pandas would rename repeated names silently."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    _check_names(header)
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise ValueError("the columns are not separated by commas; save it with commas")
    return header


def _check_names(names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"column names must differ, repeated: {', '.join(map(repr, repeated))}")


def _read_parquet(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        table = pq.read_table(file)
    _check_names(table.column_names)
    return from_arrow(table)


def from_arrow(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table; whole numbers and booleans with holes become nullable dtypes.

    Columns of which `write_table` noted that they are categories of numbers become such again.

    Example:
        >>> str(from_arrow(pa.table({"a": [1, None]})).dtypes["a"])
        'Int64'
    """
    frame = table.to_pandas()
    for field in table.schema:
        if field.name in frame and table[field.name].null_count and _nullable(field.type):
            # Arrow's own conversion makes floats and objects of whole numbers with holes.
            values = table[field.name].to_pandas(types_mapper=_nullable)
            frame[field.name] = values.set_axis(frame.index)
    return restore_levels(frame, table.schema.metadata)


def _nullable(kind: pa.DataType) -> Any:
    """The pandas dtype that holds a whole number or boolean together with holes, else None."""
    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("i", "I").replace("u", "U"))
    return None


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV or Parquet, as the ending of ``path`` says.

    Floats are written to the last bit. A CSV file holds the columns only; Parquet keeps the
    index and the dtypes too, categories with their levels and order (those of numbers by a note
    in the file's metadata that `read_table` reads; other programs see numbers).

    Args:
        frame: the table.
        path: a file whose name ends in ``.csv`` or ``.parquet``; it is overwritten.

    Raises:
        ValueError: for another ending.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> from pyro_gnr.data.files import read_table, write_table
        >>> frame = pd.DataFrame({"x": [0.1, 0.30000000000000004]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_table(frame, Path(folder) / "x.csv")
        ...     again = read_table(Path(folder) / "x.csv")
        >>> bool((again["x"] == frame["x"]).all())
        True
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        frame.to_csv(path, index=False, lineterminator="\n")
    elif suffix == ".parquet":
        pq.write_table(with_levels(pa.Table.from_pandas(frame), frame), path)
    else:
        raise ValueError(f"{path.name}: expected a file ending in {' or '.join(FORMATS)}")


def digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pyro_gnr.data.files import digest
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "empty").write_bytes(b"")
        ...     digest(Path(folder) / "empty")[:8]
        'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def staged(target: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """A path to write to, which takes the place of ``target`` when the block ends well.

    The path lies in a new hidden folder beside ``target`` (on the same file system, so that
    putting it in place is one rename). The block makes a file or a directory there. If the block
    raises, all of it is removed and ``target`` is as it was.

    Args:
        target: the file or directory to make.
        replace: whether ``target`` may exist and is then replaced.

    Yields:
        The path to write to, of the same name as ``target``; nothing is there yet.

    Raises:
        FileExistsError: at the start or at the end, if ``target`` exists and not ``replace``.
        OSError: at the start if nothing can be written beside ``target``.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pyro_gnr.data.files import staged
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with staged(Path(folder) / "note.txt") as path:
        ...         _ = path.write_text("done")
        ...     [file.name for file in Path(folder).iterdir()]
        ['note.txt']
    """
    target = Path(target)
    _check_free(target, replace=replace)
    stage = Path(tempfile.mkdtemp(dir=target.parent, prefix=".pyro-gnr-partial-"))
    try:
        path = stage / target.name
        yield path
        _check_free(target, replace=replace)
        _put(path, target, aside=stage / f"{target.name}.old")
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _check_free(target: Path, *, replace: bool) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(target.parent)!r} does not exist; make it first")
    if os.path.lexists(target) and not replace:
        raise FileExistsError(f"{str(target)!r} exists already; name another, or use --force")


def _put(path: Path, target: Path, *, aside: Path) -> None:
    if not target.is_dir():
        os.replace(path, target)
        return
    # A directory cannot be renamed over a full one: move the old one aside, back if that fails.
    os.rename(target, aside)
    try:
        os.rename(path, target)
    except BaseException:
        os.rename(aside, target)
        raise
