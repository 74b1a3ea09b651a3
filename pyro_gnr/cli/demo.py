"""The command ``pyro-gnr demo``: the table in the package, imputed, with pictures."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli.console import as_table, show
from pyro_gnr.cli.errors import errors
from pyro_gnr.cli.imputations import write_imputations
from pyro_gnr.cli.options import (
    ForceOption,
    MembersOption,
    QuietOption,
    SeedOption,
    StepsOption,
    TablesOption,
)
from pyro_gnr.cli.outputs import FOREIGN, IMPUTATIONS, check_output, is_file
from pyro_gnr.cli.summary import comparison, summarise
from pyro_gnr.cli.wanted import Wanted, new_imputer

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer, MultipleImputation

__all__ = ["demo"]


def demo(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Directory to make.")],
    m: TablesOption = 20,
    seed: SeedOption = None,
    members: MembersOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Impute the NHANES extract in the package: tables, a summary, pictures."""
    start = time.perf_counter()
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged

            if is_file(output) or output.suffix.lower() in FOREIGN:
                raise ValueError(f"{str(output)!r}: the demo makes a directory; name one")
            check_output(output, ours=IMPUTATIONS, force=force, inputs=[])
            path = stack.enter_context(staged(output, replace=force))
            imputer = new_imputer(
                Wanted(seed=seed, members=members, max_steps=max_steps), quiet=quiet
            )
        imputation, summary = _make(path, imputer, m=m)
    if not quiet:
        summarise(imputation, output=output, seconds=time.perf_counter() - start)
        show(as_table("observed and imputed", map(str, summary), summary.itertuples(index=False)))


def _make(path: Path, imputer: GNRImputer, *, m: int) -> tuple[MultipleImputation, pd.DataFrame]:
    """Fill the directory; give the imputation and the summary."""
    from pyro_gnr.criticism.plots import plot_imputations
    from pyro_gnr.data.datasets import load_nhanes
    from pyro_gnr.data.files import write_table

    nhanes = load_nhanes()
    imputation = imputer.fit(nhanes).impute(nhanes, m=m)
    (path / "pictures").mkdir(parents=True)
    plot_imputations(imputation, path / "pictures")
    summary = comparison(imputation)
    write_table(summary, path / "summary.csv")
    write_imputations(imputation, path, source=None)
    return imputation, summary
