"""What was made, in words and numbers, and how far to trust it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pyro_gnr.cli.console import as_table, counted, show

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer, MultipleImputation

__all__ = [
    "comparison",
    "imputed_cells",
    "summarise",
    "training_in_words",
    "unreliable_rows",
]

FEW_CELLS = 10  # a mean or share of fewer imputed cells says little


def imputed_cells(imputation: MultipleImputation) -> dict[str, int]:
    """Imputed cells by column, for the columns that have any."""
    _, cols = imputation.table.missing
    names = [column.name for column in imputation.table.schema.modelled]
    return {name: n for j, name in enumerate(names) if (n := int((cols == j).sum()))}


def unreliable_rows(imputation: MultipleImputation) -> int:
    """Count the rows whose weights say too little about their own error."""
    from pyro_gnr.imputation.ledger import unreliable

    return unreliable(imputation.draws)


def comparison(imputation: MultipleImputation) -> pd.DataFrame:
    """Mean (or share of the most frequent level) of observed and of imputed cells, by column."""
    import pandas as pd

    table = imputation.table
    frames, rows = list(imputation), []
    for j, column in enumerate(table.schema.modelled):
        observed = table.observed[:, j]
        if observed.all():
            continue
        seen = table.frame[column.name][observed]
        imputed = pd.concat([frame[column.name][~observed] for frame in frames])
        statistic = "mean"
        if column.levels is not None:
            level = seen.mode()[0]
            seen, imputed, statistic = seen == level, imputed == level, f"share of {level}"
        numbers = (round(float(seen.mean()), 3), round(float(imputed.mean()), 3))
        missing = int((~observed).sum())
        note = f"fewer than {FEW_CELLS} cells" if missing < FEW_CELLS else ""
        rows.append((column.name, str(column.kind), missing, statistic, *numbers, note))
    names = ["column", "kind", "missing", "statistic", "observed", "imputed", "note"]
    return pd.DataFrame(rows, columns=names)


def summarise(imputation: MultipleImputation, *, output: Path, seconds: float) -> None:
    """Print what was made, under which assumption, and how far to trust it."""
    from pyro_gnr.imputation.ledger import RELIABLE_K

    cells, rows = imputed_cells(imputation), len(imputation.table.keys)
    typer.echo(
        f"{output}: {counted(imputation.m, 'table')} of {counted(rows, 'row')} "
        f"by {counted(len(imputation.fitted.members), 'member')}, "
        f"{counted(sum(cells.values()), 'cell')} imputed in {counted(len(cells), 'column')}, "
        f"{seconds:.1f} s"
    )
    typer.echo(_mechanism(imputation))
    if cells:
        show(
            as_table(
                "imputed cells",
                ["column", "cells", "share"],
                [(name, f"{n:,}", f"{n / rows:.1%}") for name, n in cells.items()],
            )
        )
    typer.echo(f"{counted(unreliable_rows(imputation), 'row')} with Pareto k above {RELIABLE_K}")
    for check in imputation.ledger().failed:
        typer.echo(f"check failed, {check.name}: {check.text}")


def _mechanism(imputation: MultipleImputation) -> str:
    from pyro_gnr.model.mechanisms import SelfMasking

    mechanism = imputation.fitted.model.m_given_ux
    name, assumption = type(mechanism).__name__, mechanism.assumption
    if not len(imputation.table.missing[0]):
        return f"mechanism: none at work, as no cell is missing (the model's: {name})"
    if isinstance(mechanism, SelfMasking) and mechanism.direction in ("high", "low"):
        assumption += f", the {mechanism.direction}er the more often"
    return f"mechanism: {name} ({f'{assumption}; ' if assumption else ''}no data can test it)"


def training_in_words(imputer: GNRImputer) -> str:
    """Steps run, and the one whose weights were kept if a held-out bound chose it."""
    history = imputer.history_
    run = imputer.n_steps_ if history.empty else int(history["step"].iloc[-1])
    if history.empty or not history["validation"].notna().any():
        return counted(run, "step")
    return f"{counted(run, 'step')}, best held-out bound at {imputer.n_steps_:,}"
