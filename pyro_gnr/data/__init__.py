"""From a user's table to numbers and back.

A `Schema` is learnt once from the training table; `Schema.encode` turns any table with the same
columns into a `Table` of standardised values, cell states and row keys, and `Table.fill` writes
imputed values back into an object of the caller's own type.

This package is numpy, pandas and (where the caller uses it) polars; it never imports torch.
"""

from __future__ import annotations

from pyro_gnr.data.columns import Column, Kind
from pyro_gnr.data.schema import Schema
from pyro_gnr.data.table import Cell, Table

__all__ = ["Cell", "Column", "Kind", "Schema", "Table"]
