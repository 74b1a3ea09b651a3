"""Row keys: a stable 64-bit name for every row, so that random draws belong to rows, not batches.

A key depends on the row alone. It does not depend on the other rows, on their order, on the
process (`PYTHONHASHSEED`) or on how a number is stored: int64, Int64, float32 and float64 holding
the same number hash alike. All functions here are vectorised over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.data import frames
from pyro_gnr.data.reading import Reading, observed_cells

__all__ = ["chain", "hash_numbers", "hash_values", "row_keys", "table_keys"]

UInt64 = NDArray[np.uint64]

# Constants of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
# generators", OOPSLA), and arbitrary odd salts that keep different sorts of content apart.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_FRACTION = np.uint64(0x8A5CD789635D2DFF)
_MISSING = np.uint64(0x6D697373696E6721)


def hash_numbers(values: np.ndarray) -> UInt64:
    """Hash numbers by value, whatever their dtype.

    Args:
        values: (N,) booleans, integers or floats.

    Returns:
        (N,) hashes. Equal numbers have equal hashes across dtypes; -0.0 equals 0.0; every NaN
        is the same.

    Example:
        >>> bool(hash_numbers(np.array([3]))[0] == hash_numbers(np.array([3.0]))[0])
        True
    """
    if values.dtype.kind != "f":
        return _splitmix(values.astype(np.uint64))
    floats = values.astype(np.float64) + 0.0
    floats[np.isnan(floats)] = np.nan
    whole = (np.floor(floats) == floats) & (np.abs(floats) < 2.0**63)
    integers = np.where(whole, floats, 0.0).astype(np.int64).view(np.uint64)
    return _splitmix(np.where(whole, integers, _splitmix(floats.view(np.uint64) ^ _FRACTION)))


def hash_values(values: np.ndarray) -> UInt64:
    """Hash values of any sort: numbers by value, dates by instant, the rest by their text.

    Args:
        values: (N,) array of any dtype.

    Returns:
        (N,) hashes.

    Example:
        >>> hash_values(np.array(["ann", "bob"], dtype=object)).shape
        (2,)
    """
    if values.dtype.kind in "biuf":
        return hash_numbers(values)
    if values.dtype.kind in "mM":
        return _hash_times(values)
    return _hash_objects(values.astype(object))


def chain(parts: Iterable[UInt64], *, n_rows: int) -> UInt64:
    """Combine hashes column by column; the order of the columns matters.

    Args:
        parts: hashes, each (N,).
        n_rows: N, for the case of no part at all.

    Returns:
        (N,) hashes.

    Example:
        >>> one, two = hash_numbers(np.array([1])), hash_numbers(np.array([2]))
        >>> bool(chain([one, two], n_rows=1)[0] == chain([two, one], n_rows=1)[0])
        False
    """
    total = np.zeros(n_rows, dtype=np.uint64)
    for part in parts:
        total = _splitmix(total ^ part)
    return total


def table_keys(frame: Any, readings: Sequence[Reading], *, row_key: str | None = None) -> UInt64:
    """Name the rows of a table.

    Args:
        frame: pandas or polars DataFrame or (N, columns) array.
        readings: the D modelled columns; the rows' content. Cells are hashed by value, because
            encoded ones would depend on the training table.
        row_key: name of a column whose values alone name the rows; None for content and index
            label or occurrence number.

    Returns:
        (N,) row keys.

    Raises:
        ValueError: there is no column `row_key`, or it has missing cells or repeated values.

    Example:
        >>> table_keys(pd.DataFrame({"id": ["a", "b"]}), [], row_key="id").dtype
        dtype('uint64')
    """
    if row_key is not None:
        return _keys_of_column(frame, row_key)
    content = chain((_hash_cells(reading) for reading in readings), n_rows=len(frame))
    return row_keys(content, index=frame.index if isinstance(frame, pd.DataFrame) else None)


def row_keys(content: UInt64, *, index: pd.Index | None = None) -> UInt64:
    """Name the rows by their content and their label or, without labels, their occurrence.

    Args:
        content: (N,) hashes of the rows' content.
        index: labels of the rows. Used if they are unique; otherwise, or if None, the number of
            the occurrence among equal rows takes their place.

    Returns:
        (N,) row keys.

    Example:
        >>> content = hash_numbers(np.array([7, 7, 8]))
        >>> len(set(row_keys(content).tolist()))
        3
        >>> bool(row_keys(content)[0] == row_keys(content[:1])[0])
        True
    """
    if index is not None and index.is_unique:
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        labels = [hash_values(level.to_numpy()) for level in levels]
        return chain([*labels, content], n_rows=len(content))
    return chain([hash_numbers(_occurrence(content)), content], n_rows=len(content))


def _hash_cells(reading: Reading) -> UInt64:
    """Hash the cells of a column; all missing ones alike."""
    if reading.numbers is not None:
        hashes = hash_numbers(reading.numbers)
    elif reading.codes is not None:
        labels = np.empty(len(reading.labels), dtype=object)
        labels[:] = reading.labels
        hashes = hash_values(labels)[reading.codes]
    else:
        return np.full(len(reading.observed), _MISSING)
    return np.where(reading.observed, hashes, _MISSING)


def _keys_of_column(frame: Any, row_key: str) -> UInt64:
    names = frames.column_names(frame)
    if row_key not in names:
        raise ValueError(f"got row_key={row_key!r}, expected one of the columns {list(names)}.")
    column = frames.native_columns(frame)[names.index(row_key)]
    holes = int((~observed_cells(column)).sum())
    if holes:
        raise ValueError(
            f"row_key column {row_key!r} has {holes} missing cell(s), expected none: fill them, "
            "or use another column."
        )
    hashes = hash_values(column if isinstance(column, np.ndarray) else column.to_numpy())
    repeated = len(hashes) - len(np.unique(hashes))
    if repeated:
        raise ValueError(
            f"row_key column {row_key!r} repeats values ({repeated} row(s) too many), expected "
            "unique ones: use another column, or row_key=None."
        )
    return hashes


def _hash_times(values: np.ndarray) -> UInt64:
    """Hash dates and durations, whatever their unit: microseconds, then what is below them."""
    sort = values.dtype.kind
    coarse = values.astype(f"{sort}8[us]")
    rest = (values - coarse).astype("m8[ns]").view(np.uint64)
    return _splitmix(_splitmix(coarse.view(np.uint64) ^ _FRACTION) ^ rest)


def _hash_objects(values: np.ndarray) -> UInt64:
    """Hash objects, type by type, so that no element's hash depends on its neighbours' types."""
    hashes = np.zeros(len(values), dtype=np.uint64)
    sorts = np.empty(len(values), dtype=object)
    sorts[:] = list(map(type, values))
    codes, found = pd.factorize(sorts)
    for code, sort in enumerate(found):
        chosen = codes == code
        part = values[chosen]
        if issubclass(sort, (bool, np.bool_)):
            hashes[chosen] = hash_numbers(part.astype(np.uint64))
        elif issubclass(sort, (int, np.integer)):
            hashes[chosen] = hash_numbers((part.astype(object) & (2**64 - 1)).astype(np.uint64))
        elif issubclass(sort, (float, np.floating)):
            hashes[chosen] = hash_numbers(part.astype(np.float64))
        else:
            text = np.array(list(map(str, part)), dtype=object)
            hashes[chosen] = _splitmix(np.asarray(pd.util.hash_array(text), dtype=np.uint64))
    return hashes


def _occurrence(content: UInt64) -> NDArray[np.int64]:
    """Count, for every row, the equal rows before it."""
    order = np.argsort(content, kind="stable")
    ordered = content[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]][: len(content)]
    position = np.arange(len(content))
    first = np.maximum.accumulate(np.where(starts, position, 0))
    occurrence = np.empty(len(content), dtype=np.int64)
    occurrence[order] = position - first
    return occurrence


def _splitmix(bits: UInt64) -> UInt64:
    """Mix 64 bits so that neighbours become unrelated (arrays wrap around silently)."""
    bits = bits + _GAMMA
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))
