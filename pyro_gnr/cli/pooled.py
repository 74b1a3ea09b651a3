"""Write what was pooled: a table, and beside it what was asked and what made the tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_gnr.cli.completed import made_of
from pyro_gnr.cli.outputs import POOLED, json_text

if TYPE_CHECKING:
    from pyro_gnr.imputation.pooling import Pooled
    from pyro_gnr.imputation.pooling.wald import PooledTest

__all__ = ["write_pooled"]


def write_pooled(
    pooled: Pooled,
    places: tuple[Path, Path],
    *,
    asked: dict[str, Any],
    completed: Path,
    tested: PooledTest | None,
    notes: list[str],
) -> None:
    """Write the pooled table to the first place, and to the second, as JSON, what it rests on.

    Args:
        pooled: what was pooled.
        places: a .csv or .parquet file, and a .json file.
        asked: formula, level, and so on, in plain values.
        completed: what impute wrote.
        tested: a test of several terms.
        notes: what to know before using the numbers.
    """
    from pyro_gnr.data.files import digest, write_table
    from pyro_gnr.imputation.versions import versions

    summary = pooled.summary(asked["level"])
    rest = pooled.drop(columns=["estimate", "df", "fmi"])
    write_table(summary.join(rest).reset_index(), places[0])
    told = {
        "format": POOLED,
        **asked,
        "rule": pooled.rule,
        "title": pooled.title,
        "m": pooled.m,
        "n_members": pooled.n_members,
        "notes": notes,
        "tested": None if tested is None else _finite(tested._asdict()),
        "completed": made_of(completed),
        "files": {places[0].name: digest(places[0])},
        "versions": versions(),
    }
    places[1].write_text(json_text(told), encoding="utf-8")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinite degrees of freedom."""
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in values.items()
    }
