"""Write completed tables: one long table, or M tables and a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_gnr.cli.outputs import IMPUTATIONS, is_file, json_text
from pyro_gnr.cli.summary import imputed_cells, unreliable_rows

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import MultipleImputation

__all__ = ["made_by", "write_imputations"]


def write_imputations(
    imputation: MultipleImputation,
    path: Path,
    *,
    source: Path | None,
    index: pd.Index | None = None,
) -> None:
    """Write one long table, or a directory of M tables in the source's format and index."""
    from pyro_gnr.data.files import digest, write_table
    from pyro_gnr.imputation.exchange.exporting import warn_of_empty_text
    from pyro_gnr.imputation.storage import MANIFEST

    if is_file(path):
        long = imputation.to_long(members=True)
        if path.suffix.lower() == ".csv":
            warn_of_empty_text(long)
        write_table(long, path)
        return
    path.mkdir(exist_ok=True)
    suffix = ".csv" if source is None else source.suffix.lower()
    for number, completed in enumerate(imputation, start=1):
        name = f"imputation_{number:0{len(str(imputation.m))}d}{suffix}"
        write_table(completed if index is None else completed.set_axis(index), path / name)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    manifest = {
        "format": IMPUTATIONS,
        **made_by(imputation, source),
        "files": {p.relative_to(path).as_posix(): digest(p) for p in files},
    }
    (path / MANIFEST).write_text(json_text(manifest), encoding="utf-8")


def made_by(imputation: MultipleImputation, source: Path | None) -> dict[str, Any]:
    """Say what made the tables, for a manifest; `source` is what was imputed, None the example."""
    from pyro_gnr.data.files import digest

    return {
        "m": imputation.m,
        "members": imputation.members.tolist(),
        "seed": imputation.fitted.seed,
        "mechanism": type(imputation.fitted.model.m_given_ux).__name__,
        "configuration": dict(imputation.fitted.configuration),
        "source": {"name": source.name, "sha256": digest(source)} if source else "load_nhanes()",
        "rows": len(imputation.table.keys),
        "imputed_cells": imputed_cells(imputation),
        "rows_with_high_pareto_k": unreliable_rows(imputation),
        "ledger": (found := imputation.ledger().to_dict()),
        "versions": found["versions"],
    }
