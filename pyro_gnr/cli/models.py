"""The imputer that a command works with: a new one, or a saved one with a table that suits it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyro_gnr.cli.tables import check_same_columns, check_training_table
from pyro_gnr.cli.wanted import Wanted, new_imputer

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer

__all__ = ["imputer_and_table"]


def imputer_and_table(
    table: Path, model: Path | None, *, wanted: Wanted, quiet: bool
) -> tuple[GNRImputer, pd.DataFrame]:
    """A new imputer or the saved one, and a table that suits it."""
    from pyro_gnr import GNRImputer
    from pyro_gnr.data.files import read_table

    if model is None:
        imputer = new_imputer(wanted, quiet=quiet)
        source = read_table(table)
        check_training_table(source, imputer, wanted)
    else:
        wanted.check_absent(model)
        imputer = GNRImputer.load(model).set_params(verbose=not quiet)
        source = read_table(table)
        check_same_columns(source, imputer, table=table, model=model)
    return imputer, source
