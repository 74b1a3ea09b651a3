"""Levels of categories that are no text, which Parquet itself does not keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

__all__ = ["is_of_numbers", "restore_levels", "with_levels"]

# Under this name the metadata of a file's schema say what is needed besides the columns.
KEY = b"pyro_gnr"


def is_of_numbers(dtype: Any) -> bool:
    """Whether a dtype is a category whose levels are numbers or truth values.

    Arrow reads a category of text from Parquet as what it was, any other as its plain values.

    Example:
        >>> is_of_numbers(pd.CategoricalDtype([1, 2])), is_of_numbers(pd.CategoricalDtype(["a"]))
        (True, False)
    """
    return isinstance(dtype, pd.CategoricalDtype) and dtype.categories.dtype.kind in "iufb"


def with_levels(table: pa.Table, frame: pd.DataFrame) -> pa.Table:
    """Say in the metadata of an Arrow table which columns are categories of numbers.

    Args:
        table: made of the frame.
        frame: whose levels and orders are to be kept.

    Example:
        >>> frame = pd.DataFrame({"ward": pd.Categorical([2, 1])})
        >>> table = with_levels(pa.Table.from_pandas(frame), frame)
        >>> table.schema.metadata[KEY].decode()
        '{"levels": {"ward": {"levels": [1, 2], "dtype": "int64", "ordered": false}}}'
    """
    levels = {str(n): _told(d) for n, d in frame.dtypes.items() if is_of_numbers(d)}
    if not levels:
        return table
    told = json.dumps({"levels": levels}).encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: told})


def _told(dtype: Any) -> dict[str, Any]:
    levels = dtype.categories
    return {
        "levels": levels.tolist(),
        "dtype": str(levels.dtype),
        "ordered": bool(dtype.ordered),
    }


def restore_levels(frame: pd.DataFrame, metadata: Mapping[bytes, bytes] | None) -> pd.DataFrame:
    """Make categories again of the columns of which `with_levels` told.

    A column that holds something else by now stays what it is.

    Args:
        frame: read from a file; changed in place.
        metadata: those of the file's schema.

    Returns:
        The same frame.

    Example:
        >>> frame = pd.DataFrame({"ward": pd.Categorical([2, 1], [2, 1], ordered=True)})
        >>> table = with_levels(pa.Table.from_pandas(frame), frame)
        >>> plain = pd.DataFrame({"ward": [2, 1]})
        >>> restore_levels(plain, table.schema.metadata)["ward"].cat.categories.tolist()
        [2, 1]
    """
    told = json.loads((metadata or {}).get(KEY, b"{}")).get("levels", {})
    for name in frame.columns:
        if str(name) not in told:
            continue
        known = told[str(name)]
        levels = pd.Index(known["levels"], dtype=known["dtype"])
        if frame[name].dropna().isin(levels).all():
            dtype = pd.CategoricalDtype(levels, ordered=known["ordered"])
            frame[name] = frame[name].astype(dtype)
    return frame
