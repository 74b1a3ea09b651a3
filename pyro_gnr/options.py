"""What several commands take: arguments, and names of outputs, checked before any work."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "FOREIGN",
    "IMPUTATIONS",
    "ConfigOption",
    "DirectionOption",
    "ForceOption",
    "KindOption",
    "LikelihoodOption",
    "MechanismOption",
    "PriorOption",
    "QuietOption",
    "TableArgument",
    "check_file",
    "check_output",
    "is_file",
    "parse_kinds",
    "parse_pairs",
    "split_pair",
]

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
        help="Kind of a column, instead of the one seen: continuous, positive (above 0), bounded "
        "(in [0, 1] or [0, 100]; or say 'bounded(0, 20)'), count (0, 1, 2, ...), binary, "
        "categorical, ordinal (levels with an order), censored (numbers and intervals such as "
        "<0.5), censored_log (the same, log-normal), or ignore (carried through untouched). "
        "Repeatable.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A .toml or .json file that says all of this and more; `pyro-gnr config` prints one. "
        "Other options win over it.",
    ),
]
# Names are those in `model.registry`, which would take seconds to import; a test compares.
MechanismOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Why cells are missing: conjunction (default; depends on what the columns share), "
        "ignorable (on observed values only), self_masking (on the own value), selection (on all "
        "values), no_self_censoring (on all values but the own). No data can test it.",
    ),
]
DirectionOption = Annotated[
    str | None,
    typer.Option(
        metavar="END",
        help="For self_masking: which values go missing more often, high or low; of a model also "
        "free: learnt.",
    ),
]
PriorOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Distribution of the latent: standard_normal (default), gaussian_mixture, vamp or "
        "flow.",
    ),
]
LikelihoodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--likelihood",
        metavar="COLUMN=NAME",
        help="Distribution of a column, instead of that of its kind: gaussian, student_t, "
        "truncated (its bounds need --config), log_normal, gamma, beta, poisson, "
        "negative_binomial, zero_inflated_poisson, zero_inflated_negative_binomial, bernoulli, "
        "categorical, ordinal or censored. Repeatable.",
    ),
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


def split_pair(pair: str, *, option: str, expected: str, example: str) -> tuple[str, str]:
    """Split COLUMN=VALUE at its last "="; a column's name may hold "=" itself."""
    name, _, value = pair.rpartition("=")
    if not name or not value:
        raise ValueError(f"{option} {pair!r}: expected {expected}, such as {option} {example}")
    return name, value


def parse_pairs(
    pairs: Sequence[str] | None, *, option: str, expected: str, example: str
) -> dict[str, str]:
    """Parse COLUMN=VALUE, once a column."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, value = split_pair(pair, option=option, expected=expected, example=example)
        if name in found:
            raise ValueError(f"{option} names column {name!r} twice")
        found[name] = value
    return found


def parse_kinds(pairs: Sequence[str] | None) -> dict[str, str]:
    """Parse COLUMN=KIND."""
    return parse_pairs(pairs, option="--kind", expected="COLUMN=KIND", example="id=ignore")


def is_file(output: Path) -> bool:
    """Tell by its name whether an output is one table rather than a directory."""
    from pyro_gnr.data.files import FORMATS

    return output.suffix.lower() in FORMATS


def check_output(output: Path, *, ours: str, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be or that would destroy something else."""
    suffix, single = output.suffix.lower(), ours == IMPUTATIONS
    if suffix in FOREIGN or (not single and is_file(output)):
        made = "a .csv or .parquet file, or a directory" if single else "a directory"
        raise ValueError(f"{str(output)!r}: got the ending {suffix}, expected {made}; name that")
    for path in inputs:
        if path.resolve() == output.resolve() or output.resolve() in path.resolve().parents:
            raise ValueError(
                f"{str(output)!r} is, or holds, the input {str(path)!r}; name another"
            )
    if not force or not os.path.lexists(output):
        return
    directory = not is_file(output)
    if directory != output.is_dir():
        was, wanted = ("file", "directory") if directory else ("directory", "file")
        raise ValueError(f"{str(output)!r} is a {was} and would become a {wanted}; name another")
    foreign = _foreign_files(output, ours) if directory else []
    if foreign:
        raise ValueError(
            f"{str(output)!r} holds files that pyro-gnr did not write ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}): not replaced; name another"
        )


def check_file(output: Path, *, force: bool, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that is no table or would destroy something else."""
    if not is_file(output):
        raise ValueError(f"{str(output)!r}: expected a .csv or .parquet file; name that")
    check_output(output, ours=IMPUTATIONS, force=force, inputs=inputs)


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
