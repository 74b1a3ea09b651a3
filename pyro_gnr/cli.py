"""The command line, ``pyro-gnr``: ``describe``, ``fit``, ``impute`` and ``demo``.

Exit status: 0 done; 2 the call or the table was wrong, nothing was made; 1 the work itself failed.
Whatever is written appears whole or not at all. Heavy packages are imported inside the commands,
so that ``--help`` answers at once.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import shlex
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

PATTERNS_SHOWN = 12
FEW_VALUES = 20  # whole numbers with at most this many distinct values may be labels
FEW_CELLS = 10  # a mean or share of fewer imputed cells says little
IMPUTATIONS = "pyro_gnr imputations"  # what a manifest says the directory is

# Formats that a name may ask for and that are not written.
FOREIGN = frozenset(
    [
        ".dta",
        ".feather",
        ".gz",
        ".json",
        ".ods",
        ".pkl",
        ".rds",
        ".sav",
        ".tsv",
        ".txt",
        ".xls",
        ".xlsx",
        ".zip",
    ]
)
ASSUMPTIONS = {
    "Conjunction": "holes depend on what the columns share",
    "Ignorable": "holes depend on observed values only",
}
# Python's words for what are options here.
KINDS_ARGUMENT = re.compile(r"""kinds=(\{(['"]).*?\2: (?:'\w+'|\.\.\.)\})""")
ARGUMENTS = {
    "kinds names": "--kind names",
    "row_key column": "--row-key column",
    "or row_key=None": "or leave --row-key out",
    "row_key=": "--row-key ",
}
VERSIONED = ("pyro-gnr", "torch", "pyro-ppl", "numpy", "pandas", "narwhals", "pyarrow")

app = typer.Typer(
    name="pyro-gnr",
    help="Multiple imputation of tables whose holes may not be random.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="The table, a .csv or .parquet file. Missing in a .csv: empty cells and NA, N/A, "
        "n/a, #N/A, #NA, <NA>, NaN, nan, -NaN, -nan, NULL, null, None, 1.#IND, -1.#IND, 1.#QNAN, "
        "-1.#QNAN; in a .parquet: null and NaN.",
    ),
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
RowKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column that names the rows (unique, none missing): the same row gets the same "
        "draws wherever it stands. Carried along, not modelled, unless --kind says how.",
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
    with _errors(before_work=True):
        from pyro_gnr.data.files import read_table

        kinds = _kinds(kind)
        frame = read_table(table)
        columns, problems = _learn(frame, kinds)
        missing = frame.isna()
        cells, complete = int(missing.to_numpy().sum()), int((~missing.any(axis=1)).sum())
        typer.echo(
            f"{table.name}: {_count(len(frame), 'row')}, {_count(frame.shape[1], 'column')}, "
            f"{_count(cells, 'missing cell')} ({cells / max(missing.size, 1):.1%}), "
            f"{_count(complete, 'complete row')}"
        )
        _show(_columns_table(frame, columns))
        for hint in _hints(frame, columns, kinds):
            typer.echo(hint)
        if cells:
            _show(_patterns_table(frame))
        if problems:
            raise ValueError("\n".join(problems))


@app.command()
def fit(
    table: TableArgument,
    model: Annotated[Path, typer.Option(metavar="DIR", help="Directory to save the model in.")],
    kind: KindOption = None,
    row_key: RowKeyOption = None,
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
            from pyro_gnr.imputation.storage import FORMAT

            kinds = _kinds(kind)
            _check_output(model, ours=FORMAT, force=force, inputs=[table])
            path = stack.enter_context(staged(model, replace=force))
            frame = _labelled(read_table(table))
            _check_table(frame, kinds, row_key)
            imputer = _new_imputer(kinds, seed, mechanism, max_steps, quiet, row_key=row_key)
        imputer.fit(frame)
        imputer.save(path)
    if not quiet:
        seconds = time.perf_counter() - start
        typer.echo(f"{model}: {_count(len(frame), 'row')}, {_training(imputer)}, {seconds:.1f} s")


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
    row_key: RowKeyOption = None,
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
                imputer = _new_imputer(kinds, seed, mechanism, max_steps, quiet, row_key=row_key)
                source = read_table(table)
                _check_table(source, kinds, row_key)
            else:
                given = {"kind": kind, "row_key": row_key}
                _check_absent(model, **given, mechanism=mechanism, max_steps=max_steps)
                imputer = _load_imputer(model, quiet)
                source = read_table(table)
                _check_columns(source, imputer, table=table, model=model)
            frame = _labelled(source)
        if model is None:
            imputer.fit(frame)
        imputation = imputer.impute(frame, m=m, seed=None if model is None else seed)
        _write(imputation, path, source=table, index=source.index)
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

            if _is_file(output) or output.suffix.lower() in FOREIGN:
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


def _check_table(frame: pd.DataFrame, kinds: Mapping[str, str], row_key: str | None) -> None:
    """Say everything that is wrong with a training table at once."""
    from pyro_gnr.data.keys import table_keys

    kinds = dict(kinds)
    if row_key is not None and row_key in map(str, frame.columns):
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
    *,
    row_key: str | None = None,
) -> GNRImputer:
    """An imputer with its own defaults wherever the caller said nothing."""
    from pyro_gnr import GNRImputer

    given = {"mechanism": mechanism, "max_steps": max_steps, "kinds": dict(kinds) or None}
    imputer = GNRImputer(random_state=seed or 0, row_key=row_key, verbose=not quiet)
    return imputer.set_params(**{k: v for k, v in given.items() if v is not None})


def _load_imputer(model: Path, quiet: bool) -> GNRImputer:
    from pyro_gnr import GNRImputer

    return GNRImputer.load(model).set_params(verbose=not quiet)


# -- what comes out -------------------------------------------------------------------------------


def _is_file(output: Path) -> bool:
    from pyro_gnr.data.files import FORMATS

    return output.suffix.lower() in FORMATS


def _check_output(output: Path, *, ours: str, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be or that would destroy something else."""
    suffix, single = output.suffix.lower(), ours == IMPUTATIONS
    if suffix in FOREIGN or (not single and _is_file(output)):
        made = "a .csv or .parquet file, or a directory" if single else "a directory"
        raise ValueError(f"{str(output)!r}: got the ending {suffix}, expected {made}; name that")
    for path in inputs:
        if path.resolve() == output.resolve() or output.resolve() in path.resolve().parents:
            raise ValueError(
                f"{str(output)!r} is, or holds, the input {str(path)!r}; name another"
            )
    if not force or not os.path.lexists(output):
        return
    directory = not _is_file(output)
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
    from pyro_gnr.imputation.storage import MANIFEST

    found = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        known = {MANIFEST, *manifest["files"]} if manifest["format"] == ours else set()
    except (OSError, ValueError, KeyError, TypeError):
        known = set()
    return sorted(found - known)


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

    if _is_file(path):
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
    from pyro_gnr.imputation.multiple import RELIABLE_K

    rows = imputation.diagnostics
    return int(((rows["pareto_k"] > RELIABLE_K) & (rows["n_imputed"] > 0)).sum())


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
        missing = int((~observed).sum())
        note = f"fewer than {FEW_CELLS} cells" if missing < FEW_CELLS else ""
        rows.append((column.name, str(column.kind), missing, statistic, *numbers, note))
    names = ["column", "kind", "missing", "statistic", "observed", "imputed", "note"]
    return pd.DataFrame(rows, columns=names)


# -- what is shown --------------------------------------------------------------------------------


def _summarise(imputation: MultipleImputation, *, output: Path, seconds: float) -> None:
    from pyro_gnr.imputation.multiple import RELIABLE_K

    cells, rows = _imputed_cells(imputation), len(imputation.table.keys)
    typer.echo(
        f"{output}: {_count(imputation.m, 'table')} of {_count(rows, 'row')}, "
        f"{_count(sum(cells.values()), 'cell')} imputed in {_count(len(cells), 'column')}, "
        f"{seconds:.1f} s"
    )
    typer.echo(_mechanism(imputation))
    if cells:
        _show(
            _table(
                "imputed cells",
                ["column", "cells", "share"],
                [(name, f"{n:,}", f"{n / rows:.1%}") for name, n in cells.items()],
            )
        )
    typer.echo(f"{_count(_unreliable_rows(imputation), 'row')} with Pareto k above {RELIABLE_K}")


def _mechanism(imputation: MultipleImputation) -> str:
    name = type(imputation.fitted.model.m_given_ux).__name__
    assumption = f"{ASSUMPTIONS[name]}; " if name in ASSUMPTIONS else ""
    return f"mechanism: {name} ({assumption}no data can test it)"


def _training(imputer: GNRImputer) -> str:
    """Steps run, and the one whose weights were kept if a held-out bound chose it."""
    history = imputer.history_
    run = imputer.n_steps_ if history.empty else int(history["step"].iloc[-1])
    if history.empty or not history["validation"].notna().any():
        return _count(run, "step")
    return f"{_count(run, 'step')}, best held-out bound at {imputer.n_steps_:,}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


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
                "" if column is None else _values(column, frame[name]),
                f"{holes:,}",
                f"{holes / max(len(frame), 1):.1%}",
            )
        )
    return _table("columns", ["column", "type", "kind", "values", "missing", "share"], rows)


def _values(column: Column, cells: pd.Series) -> str:
    if column.levels is not None:
        more = len(column.levels) - 4
        return ", ".join(map(str, column.levels[:4])) + (f" and {more} more" if more > 0 else "")
    if column.kind != "continuous":
        return ""
    low, high = (
        str(int(value)) if column.whole else f"{float(value):.4g}"
        for value in (cells.min(), cells.max())
    )
    return (
        f"mean {column.location:.4g}, sd {column.scale:.3g}, min {low}, max {high}, "
        f"{cells.nunique():,} distinct"
    )


def _hints(
    frame: pd.DataFrame, columns: Mapping[str, Column], kinds: Mapping[str, str]
) -> Iterator[str]:
    """What columns of whole numbers may be besides numbers, where the caller has not said it."""
    for label in frame.columns:
        name = str(label)
        if name in kinds or name not in columns or columns[name].kind != "continuous":
            continue
        cells = frame[label].dropna()
        distinct = cells.nunique()
        if distinct < 2 or not (cells % 1 == 0).all():
            continue
        if distinct == len(cells):
            yield f"{name}: an id? {_kind_option(name, 'ignore')}"
        elif distinct <= FEW_VALUES:
            option = _kind_option(name, "categorical")
            yield f"{name}: say {option} if these are labels"


def _kind_option(name: str, kind: str) -> str:
    return f"--kind {shlex.quote(f'{name}={kind}')}"


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
        labels.append((int(rest.sum()), f"({_count(len(rest), 'other pattern')})"))
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
        typer.echo(f"pyro-gnr: {_as_options(text)}", err=True)
        usage = isinstance(error, (ValueError, TypeError)) or (
            before_work and isinstance(error, OSError)
        )
        raise typer.Exit(2 if usage else 1) from None


def _as_options(text: str) -> str:
    """Say --kind id=ignore where the package says kinds={'id': 'ignore'}, and so on."""

    def option(match: re.Match[str]) -> str:
        [(name, kind)] = ast.literal_eval(match[1]).items()
        return _kind_option(name, "..." if kind is ... else kind)

    text = KINDS_ARGUMENT.sub(option, text)
    for argument, here in ARGUMENTS.items():
        text = text.replace(argument, here)
    return text


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"pyro-gnr: warning: {message}", err=True)
