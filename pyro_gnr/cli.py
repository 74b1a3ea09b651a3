"""The command line, ``pyro-gnr``: ``describe``, ``fit``, ``impute`` and ``demo``.

Exit status: 0 done; 2 the call or the table was wrong, nothing was made; 1 the work itself failed.
Whatever is written appears whole or not at all. Heavy packages are imported inside the commands,
so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    from pyro_gnr import GNRImputer, MultipleImputation
    from pyro_gnr.data.table import Column

__all__ = ["app", "main"]

PARETO_K_LIMIT = 0.7  # above it importance weights are not to be trusted (Vehtari et al. 2024)
PATTERNS_SHOWN = 12
MANIFEST = "manifest.json"
IMPUTATIONS = "pyro_gnr imputations"  # what a manifest says the directory is
MODEL = "pyro_gnr model"

VERSIONED = ("pyro-gnr", "torch", "pyro-ppl", "numpy", "pandas", "narwhals", "pyarrow")

app = typer.Typer(
    name="pyro-gnr",
    help="Multiple imputation of tables whose holes may not be random.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TableArgument = Annotated[
    Path, typer.Argument(metavar="TABLE", help="The table, a .csv or .parquet file.")
]
KindOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="COLUMN=KIND",
        help="Kind of a column, instead of the one seen: continuous, binary, categorical, or "
        "ignore (carried through untouched). Repeatable.",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        help="Seed of fit and draws; 0 (or the saved model's) if not given.",
        metavar="N",
    ),
]
MechanismOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Why cells are missing: conjunction (default), ignorable."),
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Most training steps of the fit.")
]
TablesOption = Annotated[
    int, typer.Option("--m", min=1, metavar="M", help="Number of completed tables.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace an existing output; a directory only if pyro-gnr made it."
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", help="No progress bar and no summary; errors still show.")
]


def main() -> None:
    """Run the command line; the entry point of the ``pyro-gnr`` script."""
    warnings.showwarning = _show_warning  # this process is ours
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
def describe(table: TableArgument, kind: KindOption = None, seed: SeedOption = None) -> None:
    """Show columns, their kinds, and which cells are missing together.

    Nothing is drawn, so --seed changes nothing here. Exit status 2 if a column cannot be modelled
    as it is; what to do is said for each.
    """
    with _errors(before_work=True):
        from pyro_gnr.data.files import read_table

        kinds = _kinds(kind)
        frame = read_table(table)
        columns, problems = _learn(frame, kinds)
        missing = frame.isna()
        cells, complete = int(missing.to_numpy().sum()), int((~missing.any(axis=1)).sum())
        typer.echo(
            f"{table.name}: {len(frame):,} rows, {frame.shape[1]:,} columns, {cells:,} missing "
            f"cells ({cells / max(missing.size, 1):.1%}), {complete:,} complete rows"
        )
        _show(_columns_table(frame, columns))
        if cells:
            _show(_patterns_table(frame))
        if problems:
            raise ValueError("\n".join(problems))


@app.command()
def fit(
    table: TableArgument,
    model: Annotated[Path, typer.Option(metavar="DIR", help="Directory to save the model in.")],
    kind: KindOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fit the model to a table and save it."""
    start = time.perf_counter()
    with _errors(), ExitStack() as stack:
        with _errors(before_work=True):
            from pyro_gnr.data.files import read_table, staged

            kinds = _kinds(kind)
            _check_output(model, ours=MODEL, force=force, inputs=[table])
            path = stack.enter_context(staged(model, replace=force))
            frame = read_table(table)
            imputer = _new_imputer(kinds, seed, mechanism, max_steps, quiet)
        imputer.fit(frame)
        imputer.save(path)
    if not quiet:
        seconds = time.perf_counter() - start
        typer.echo(f"{model}: {len(frame):,} rows, {imputer.n_steps_:,} steps, {seconds:.1f} s")


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
    kind: KindOption = None,
    seed: SeedOption = None,
    mechanism: MechanismOption = None,
    max_steps: StepsOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write M completed tables; observed cells stay as they are."""
    start = time.perf_counter()
    with _errors(), ExitStack() as stack:
        with _errors(before_work=True):
            from pyro_gnr.data.files import read_table, staged

            kinds = _kinds(kind)
            inputs = [table] if model is None else [table, model]
            _check_output(output, ours=IMPUTATIONS, force=force, inputs=inputs)
            path = stack.enter_context(staged(output, replace=force))
            if model is None:
                imputer = _new_imputer(kinds, seed, mechanism, max_steps, quiet)
            else:
                _check_absent(model, kind=kind, mechanism=mechanism, max_steps=max_steps)
                imputer = _load_imputer(model, quiet)
            frame = read_table(table)
        if model is None:
            imputer.fit(frame)
        imputation = imputer.impute(frame, m=m, seed=None if model is None else seed)
        _write(imputation, path, source=table)
    if not quiet:
        _summarise(imputation, output=output, seconds=time.perf_counter() - start)


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
    with _errors(), ExitStack() as stack:
        with _errors(before_work=True):
            from pyro_gnr.data.datasets import load_nhanes
            from pyro_gnr.data.files import staged, write_table

            if _is_file(output):
                raise ValueError(f"{str(output)!r}: the demo makes a directory; name one")
            _check_output(output, ours=IMPUTATIONS, force=force, inputs=[])
            path = stack.enter_context(staged(output, replace=force))
            imputer = _new_imputer({}, seed, None, max_steps, quiet)
        from pyro_gnr.criticism.plots import plot_imputations

        nhanes = load_nhanes()
        imputation = imputer.fit(nhanes).impute(nhanes, m=m)
        (path / "pictures").mkdir(parents=True)
        plot_imputations(imputation, path / "pictures")
        summary = _comparison(imputation)
        write_table(summary, path / "summary.csv")
        _write(imputation, path, source=None)
    if not quiet:
        _summarise(imputation, output=output, seconds=time.perf_counter() - start)
        _show(_table("observed and imputed", map(str, summary), summary.itertuples(index=False)))


# -- what goes in ---------------------------------------------------------------------------------


def _kinds(pairs: Sequence[str] | None) -> dict[str, str]:
    """Parse COLUMN=KIND; a column's name may hold "=" itself."""
    kinds: dict[str, str] = {}
    for pair in pairs or ():
        name, _, kind = pair.rpartition("=")
        if not name or not kind:
            raise ValueError(f"--kind {pair!r}: expected COLUMN=KIND, such as --kind id=ignore")
        if name in kinds:
            raise ValueError(f"--kind names column {name!r} twice")
        kinds[name] = kind
    return kinds


def _learn(frame: pd.DataFrame, kinds: Mapping[str, str]) -> tuple[dict[str, Column], list[str]]:
    """Columns by name as far as they can be modelled, and what is wrong with the others."""
    from pyro_gnr.data.table import Schema

    try:
        return {c.name: c for c in Schema.learn(frame, kinds).columns}, []
    except (ValueError, TypeError) as error:
        problems = [str(error)]
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


def _check_absent(model: Path, **given: object) -> None:
    """A saved model has its kinds, mechanism and weights: these options cannot change them."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if names:
        raise ValueError(
            f"{' and '.join(names)} cannot be given with --model: {model} was fitted with its "
            "own; leave it out, or fit again"
        )


def _new_imputer(
    kinds: Mapping[str, str],
    seed: int | None,
    mechanism: str | None,
    max_steps: int | None,
    quiet: bool,
) -> GNRImputer:
    """An imputer with its own defaults wherever the caller said nothing."""
    from pyro_gnr import GNRImputer

    given = {"mechanism": mechanism, "max_steps": max_steps, "kinds": dict(kinds) or None}
    imputer = GNRImputer(random_state=seed or 0, verbose=not quiet)
    return imputer.set_params(**{k: v for k, v in given.items() if v is not None})


def _load_imputer(model: Path, quiet: bool) -> GNRImputer:
    from pyro_gnr import GNRImputer

    return GNRImputer.load(model).set_params(verbose=not quiet)


# -- what comes out -------------------------------------------------------------------------------


def _is_file(output: Path) -> bool:
    from pyro_gnr.data.files import FORMATS

    return output.suffix.lower() in FORMATS


def _check_output(output: Path, *, ours: str, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that would destroy something else."""
    for path in inputs:
        if path.resolve() == output.resolve() or output.resolve() in path.resolve().parents:
            raise ValueError(
                f"{str(output)!r} is, or holds, the input {str(path)!r}; name another"
            )
    if not force or not os.path.lexists(output):
        return
    directory = ours == MODEL or not _is_file(output)
    if directory != output.is_dir():
        was, wanted = ("file", "directory") if directory else ("directory", "file")
        raise ValueError(f"{str(output)!r} is a {was} and would become a {wanted}; name another")
    foreign = _foreign_files(output, ours) if directory else []
    if foreign:
        raise ValueError(
            f"{str(output)!r} holds files that pyro-gnr did not write ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}): not replaced; name another"
        )


def _foreign_files(directory: Path, ours: str) -> list[str]:
    """Files that the directory's manifest does not name; without a manifest, all of them."""
    found = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        known = {MANIFEST, *manifest["files"]} if manifest["format"] == ours else set()
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return sorted(found - known)


def _write(imputation: MultipleImputation, path: Path, *, source: Path | None) -> None:
    """Write one long table, or a directory of M tables in the source's format."""
    from pyro_gnr.data.files import digest, write_table

    if _is_file(path):
        write_table(imputation.to_long(), path)
        return
    path.mkdir(exist_ok=True)
    suffix = ".csv" if source is None else source.suffix.lower()
    for number, completed in enumerate(imputation, start=1):
        name = f"imputation_{number:0{len(str(imputation.m))}d}{suffix}"
        write_table(completed, path / name)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    manifest = {
        "format": IMPUTATIONS,
        "m": imputation.m,
        "seed": imputation.fitted.seed,
        "mechanism": type(imputation.fitted.model.m_given_ux).__name__,
        "source": {"name": source.name, "sha256": digest(source)} if source else "load_nhanes()",
        "rows": len(imputation.table.keys),
        "imputed_cells": _imputed_cells(imputation),
        "rows_with_high_pareto_k": _unreliable_rows(imputation),
        "files": {p.relative_to(path).as_posix(): digest(p) for p in files},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in VERSIONED},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (path / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _imputed_cells(imputation: MultipleImputation) -> dict[str, int]:
    """Imputed cells by column, for the columns that have any."""
    _, cols = imputation.table.missing
    names = [column.name for column in imputation.table.schema.modelled]
    return {name: n for j, name in enumerate(names) if (n := int((cols == j).sum()))}


def _unreliable_rows(imputation: MultipleImputation) -> int:
    rows = imputation.diagnostics
    return int(((rows["pareto_k"] > PARETO_K_LIMIT) & (rows["n_imputed"] > 0)).sum())


def _comparison(imputation: MultipleImputation) -> pd.DataFrame:
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
        rows.append((column.name, str(column.kind), int((~observed).sum()), statistic, *numbers))
    names = ["column", "kind", "missing", "statistic", "observed", "imputed"]
    return pd.DataFrame(rows, columns=names)


# -- what is shown --------------------------------------------------------------------------------


def _summarise(imputation: MultipleImputation, *, output: Path, seconds: float) -> None:
    cells, rows = _imputed_cells(imputation), len(imputation.table.keys)
    typer.echo(
        f"{output}: {imputation.m} tables of {rows:,} rows, {sum(cells.values()):,} cells imputed "
        f"in {len(cells)} columns, {seconds:.1f} s"
    )
    if cells:
        _show(
            _table(
                "imputed cells",
                ["column", "cells", "share"],
                [(name, f"{n:,}", f"{n / rows:.1%}") for name, n in cells.items()],
            )
        )
    unreliable = _unreliable_rows(imputation)
    typer.echo(f"{unreliable:,} rows with Pareto k above {PARETO_K_LIMIT}")


def _columns_table(frame: pd.DataFrame, columns: Mapping[str, Column]) -> RichTable:
    rows = []
    for name in frame.columns:
        column = columns.get(str(name))
        holes = int(frame[name].isna().sum())
        rows.append(
            (
                name,
                str(frame[name].dtype),
                "see below" if column is None else str(column.kind),
                "" if column is None else _values(column),
                f"{holes:,}",
                f"{holes / max(len(frame), 1):.1%}",
            )
        )
    return _table("columns", ["column", "type", "kind", "values", "missing", "share"], rows)


def _values(column: Column) -> str:
    if column.levels is not None:
        more = len(column.levels) - 4
        return ", ".join(map(str, column.levels[:4])) + (f" and {more} more" if more > 0 else "")
    if column.kind == "continuous":
        return f"mean {column.location:.4g}, sd {column.scale:.3g}"
    return ""


def _patterns_table(frame: pd.DataFrame) -> RichTable:
    """The most frequent sets of columns that are missing together."""
    import numpy as np

    missing = frame.isna()
    names = missing.columns[missing.any()].astype(str).to_numpy()
    patterns, counts = np.unique(missing.to_numpy()[:, missing.any()], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown, rest = order[:PATTERNS_SHOWN], counts[order[PATTERNS_SHOWN:]]
    labels = [(int(counts[i]), ", ".join(names[patterns[i]]) or "(none)") for i in shown]
    if len(rest):
        labels.append((int(rest.sum()), f"({len(rest):,} other patterns)"))
    rows = [(f"{n:,}", f"{n / len(frame):.1%}", label) for n, label in labels]
    return _table("missing together", ["rows", "share", "columns"], rows)


def _table(title: str, names: Iterable[str], rows: Iterable[Sequence[object]]) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        right = name in ("missing", "share", "rows", "cells", "observed", "imputed")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def _show(table: RichTable) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a file or a pipe has no width of its own
    console.print(table)


@contextmanager
def _errors(*, before_work: bool = False) -> Iterator[None]:
    """Turn what a user can mend into a line on stderr and an exit status.

    ValueError and TypeError speak of the call or the table (2). An OSError does so before the work
    starts (2), later the machine failed (1), as does a fit that diverges.
    """
    try:
        yield
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        typer.echo(f"pyro-gnr: {text}", err=True)
        usage = isinstance(error, (ValueError, TypeError)) or (
            before_work and isinstance(error, OSError)
        )
        raise typer.Exit(2 if usage else 1) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"pyro-gnr: warning: {message}", err=True)
