"""What a column is: its kind, its levels or its scale, learnt once and applied to every table."""

from __future__ import annotations

from pyro_gnr.data.columns.censored import with_intervals
from pyro_gnr.data.columns.column import Column
from pyro_gnr.data.columns.encoding import encode_column
from pyro_gnr.data.columns.kinds import CENSORED_KINDS, Bounds, Kind, as_bounds, as_kind
from pyro_gnr.data.columns.learning import ignored_column, learn_column
from pyro_gnr.data.columns.levels import decode_levels

__all__ = [
    "CENSORED_KINDS",
    "Bounds",
    "Column",
    "Kind",
    "as_bounds",
    "as_kind",
    "decode_levels",
    "encode_column",
    "ignored_column",
    "learn_column",
    "with_intervals",
]
