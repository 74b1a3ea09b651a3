"""The command line, ``pyro-gnr``.

Its commands are ``describe``, ``config``, ``fit``, ``impute``, ``ampute`` and ``demo``.

Exit status: 0 done; 2 the call or the table was wrong, nothing was made; 1 the work itself failed.
Whatever is written appears whole or not at all. Heavy packages are imported inside the commands,
so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyro_gnr.cli_ampute import ampute
from pyro_gnr.cli_config import Wanted, check_columns, config, new_imputer
from pyro_gnr.console import (
    columns_table,
    comparison,
    counted,
    errors,
    hints,
    imputed_cells,
    patterns_table,
    rich_table,
    show,
    show_warning,
    summarise,
    training_in_words,
    unreliable_rows,
)
from pyro_gnr.options import (
    FOREIGN,
    IMPUTATIONS,
    ConfigOption,
    DirectionOption,
    ForceOption,
    KindOption,
    LikelihoodOption,
    MechanismOption,
    PriorOption,
    QuietOption,
    TableArgument,
    check_output,
    is_file,
    parse_kinds,
)

if TYPE_CHECKING:
    import pandas as pd

    from pyro_gnr import GNRImputer, MultipleImputation
    from pyro_gnr.data import Column

__all__ = ["app", "main"]

VERSIONED = ("pyro-gnr", "torch", "pyro-ppl", "numpy", "pandas", "narwhals", "pyarrow")

app = typer.Typer(
    name="pyro-gnr",
    help="Multiple imputation of tables whose holes may not be random.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        help="Seed of fit and draws; 0 (or the saved model's) if not given.",
        metavar="N",
    ),
]
RowKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column that names the rows (unique, none missing): the same row gets the same "
        "draws wherever it stands. Carried along, not modelled, unless --kind says how.",
    ),
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Most training steps of the fit.")
]
TablesOption = Annotated[
    int, typer.Option("--m", min=1, metavar="M", help="Number of completed tables.")
]


def main() -> None:
    """Run the command line; the entry point of the ``pyro-gnr`` script."""
    warnings.showwarning = show_warning  # this process is ours
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pyro-gnr {version('pyro-gnr')}")
        raise typer.Exit


@app.callback()
def _options(
    wanted: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Multiple imputation of tables whose holes may not be random."""


@app.command()
def describe(
    table: TableArgument,
    kind: KindOption = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Changes nothing here: nothing is drawn."),
    ] = None,
) -> None:
    """Show columns, their kinds, and which cells are missing together.

    Exit status 2 if a column cannot be modelled as it is; what to do is said for each.
    """
    with errors(before_work=True):
        from pyro_gnr.data.files import read_table

        kinds = parse_kinds(kind)
        frame = read_table(table)
        columns, problems = _learn(frame, kinds)
        missing = frame.isna()
        cells, complete = int(missing.to_numpy().sum()), int((~missing.any(axis=1)).sum())
        typer.echo(
            f"{table.name}: {counted(len(frame), 'row')}, {counted(frame.shape[1], 'column')}, "
            f"{counted(cells, 'missing cell')} ({cells / max(missing.size, 1):.1%}), "
            f"{counted(complete, 'complete row')}"
        )
        show(columns_table(frame, columns))
        for hint in hints(frame, columns, kinds):
            typer.echo(hint)
        if cells:
            show(patterns_table(frame))
        if problems:
            raise ValueError("\n".join(problems))


@app.command()
def fit(
    table: TableArgument,
    model: Annotated[Path, typer.Option(metavar="DIR", help="Directory to save the model in.")],
    config: ConfigOption = None,
    kind: KindOption = None,
    row_key: RowKeyOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    direction: DirectionOption = None,
    prior: PriorOption = None,
    likelihood: LikelihoodOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fit the model to a table and save it."""
    start = time.perf_counter()
    wanted = Wanted(
        config=config,
        kind=kind,
        row_key=row_key,
        seed=seed,
        mechanism=mechanism,
        direction=direction,
        prior=prior,
        likelihood=likelihood,
        max_steps=max_steps,
    )
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import read_table, staged
            from pyro_gnr.imputation.storage import FORMAT

            inputs = [table] if config is None else [table, config]
            check_output(model, ours=FORMAT, force=force, inputs=inputs)
            imputer = new_imputer(wanted, quiet=quiet)
            path = stack.enter_context(staged(model, replace=force))
            frame = _labelled(read_table(table))
            _check_table(frame, imputer, wanted)
        imputer.fit(frame)
        imputer.save(path)
    if not quiet:
        seconds = time.perf_counter() - start
        typer.echo(
            f"{model}: {counted(len(frame), 'row')}, {training_in_words(imputer)}, {seconds:.1f} s"
        )


@app.command()
def impute(
    table: TableArgument,
    output: Annotated[
        Path,
        typer.Option(
            metavar="OUT",
            help="A .csv or .parquet file: one long table, in which .imp 0 is the original. "
            "Any other name: a directory of M tables and a manifest.",
        ),
    ],
    m: TablesOption = 20,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A saved model. Without one, fit first.")
    ] = None,
    config: ConfigOption = None,
    kind: KindOption = None,
    row_key: RowKeyOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    direction: DirectionOption = None,
    prior: PriorOption = None,
    likelihood: LikelihoodOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write M completed tables; observed cells stay as they are."""
    start = time.perf_counter()
    wanted = Wanted(
        config=config,
        kind=kind,
        row_key=row_key,
        seed=seed,
        mechanism=mechanism,
        direction=direction,
        prior=prior,
        likelihood=likelihood,
        max_steps=max_steps,
    )
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.files import staged

            inputs = [path for path in (table, model, config) if path is not None]
            check_output(output, ours=IMPUTATIONS, force=force, inputs=inputs)
            path = stack.enter_context(staged(output, replace=force))
            imputer, source = _imputer_and_table(table, model, wanted=wanted, quiet=quiet)
            frame = _labelled(source)
        if model is None:
            imputer.fit(frame)
        imputation = imputer.impute(frame, m=m, seed=None if model is None else seed)
        _write(imputation, path, source=table, index=source.index)
    if not quiet:
        summarise(imputation, output=output, seconds=time.perf_counter() - start)


app.command()(config)
app.command()(ampute)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Directory to make.")],
    m: TablesOption = 20,
    seed: SeedOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Impute the NHANES extract in the package: tables, a summary, pictures."""
    start = time.perf_counter()
    with errors(), ExitStack() as stack:
        with errors(before_work=True):
            from pyro_gnr.data.datasets import load_nhanes
            from pyro_gnr.data.files import staged, write_table

            if is_file(output) or output.suffix.lower() in FOREIGN:
                raise ValueError(f"{str(output)!r}: the demo makes a directory; name one")
            check_output(output, ours=IMPUTATIONS, force=force, inputs=[])
            path = stack.enter_context(staged(output, replace=force))
            imputer = new_imputer(Wanted(seed=seed, max_steps=max_steps), quiet=quiet)
        from pyro_gnr.criticism.plots import plot_imputations

        nhanes = load_nhanes()
        imputation = imputer.fit(nhanes).impute(nhanes, m=m)
        (path / "pictures").mkdir(parents=True)
        plot_imputations(imputation, path / "pictures")
        summary = comparison(imputation)
        write_table(summary, path / "summary.csv")
        _write(imputation, path, source=None)
    if not quiet:
        summarise(imputation, output=output, seconds=time.perf_counter() - start)
        show(
            rich_table("observed and imputed", map(str, summary), summary.itertuples(index=False))
        )


# -- what goes in ---------------------------------------------------------------------------------


def _learn(frame: pd.DataFrame, kinds: Mapping[str, str]) -> tuple[dict[str, Column], list[str]]:
    """Columns by name as far as they can be modelled, and what is wrong with the others."""
    from pyro_gnr.data import Schema

    try:
        return {c.name: c for c in Schema.learn(frame, kinds).columns}, []
    except (ValueError, TypeError) as error:
        problems = [str(error)]
    if len(frame) < 2:
        return {}, problems  # no column has more to say
    columns = {}
    for name in frame.columns:
        own = {name: kinds[name]} if name in kinds else {}
        if own.get(name) == "ignore":
            continue
        try:
            columns[name] = Schema.learn(frame[[name]], own).columns[0]
        except (ValueError, TypeError) as error:
            problems.append(str(error))
    return columns, list(dict.fromkeys(problems))


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Label rows 1, ..., N as R does, unless the file brought labels of its own."""
    import pandas as pd

    plain = pd.RangeIndex(len(frame))
    own = frame.index.name is not None or not frame.index.equals(plain)
    return frame if own else frame.set_axis(plain + 1)


def _check_table(frame: pd.DataFrame, imputer: GNRImputer, wanted: Wanted) -> None:
    """Say everything that is wrong with a training table at once."""
    from pyro_gnr.data.keys import table_keys

    names = [str(name) for name in frame.columns]
    check_columns(wanted, imputer, names)
    kinds, row_key = dict(imputer.kinds or {}), imputer.row_key
    if row_key is not None and row_key in names:
        kinds.setdefault(row_key, "ignore")
    _, problems = _learn(frame, kinds)
    try:
        table_keys(frame, [], row_key=row_key)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))


def _check_columns(frame: pd.DataFrame, imputer: GNRImputer, *, table: Path, model: Path) -> None:
    """Refuse a table that has other columns than the model."""
    from pyro_gnr.data.checks import check_names

    names = [str(name) for name in frame.columns]
    known = [column.name for column in imputer.schema_.columns]
    new = [name for name in names if name not in known]
    gone = [name for name in known if name not in names]
    if new or gone:
        found = {"new": new, "gone": gone}
        text = "; ".join(f"{word}: {_few(some)}" for word, some in found.items() if some)
        raise ValueError(f"{table.name} does not have the columns of the model {model}. {text}")
    check_names(frame, known)  # their order


def _few(names: Sequence[str], most: int = 10) -> str:
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")


def _imputer_and_table(
    table: Path, model: Path | None, *, wanted: Wanted, quiet: bool
) -> tuple[GNRImputer, pd.DataFrame]:
    """A new imputer or the saved one, and a table that suits it."""
    from pyro_gnr import GNRImputer
    from pyro_gnr.data.files import read_table

    if model is None:
        imputer = new_imputer(wanted, quiet=quiet)
        source = read_table(table)
        _check_table(source, imputer, wanted)
    else:
        wanted.check_absent(model)
        imputer = GNRImputer.load(model).set_params(verbose=not quiet)
        source = read_table(table)
        _check_columns(source, imputer, table=table, model=model)
    return imputer, source


# -- what comes out -------------------------------------------------------------------------------


def _write(
    imputation: MultipleImputation,
    path: Path,
    *,
    source: Path | None,
    index: pd.Index | None = None,
) -> None:
    """Write one long table, or a directory of M tables in the source's format and index."""
    from pyro_gnr.data.files import digest, write_table
    from pyro_gnr.imputation.storage import MANIFEST

    if is_file(path):
        write_table(imputation.to_long(), path)
        return
    path.mkdir(exist_ok=True)
    suffix = ".csv" if source is None else source.suffix.lower()
    for number, completed in enumerate(imputation, start=1):
        name = f"imputation_{number:0{len(str(imputation.m))}d}{suffix}"
        write_table(completed if index is None else completed.set_axis(index), path / name)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    manifest = {
        "format": IMPUTATIONS,
        "m": imputation.m,
        "seed": imputation.fitted.seed,
        "mechanism": type(imputation.fitted.model.m_given_ux).__name__,
        "configuration": dict(imputation.fitted.configuration),
        "source": {"name": source.name, "sha256": digest(source)} if source else "load_nhanes()",
        "rows": len(imputation.table.keys),
        "imputed_cells": imputed_cells(imputation),
        "rows_with_high_pareto_k": unreliable_rows(imputation),
        "files": {p.relative_to(path).as_posix(): digest(p) for p in files},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in VERSIONED},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (path / MANIFEST).write_text(text + "\n", encoding="utf-8")
