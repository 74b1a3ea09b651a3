"""What several commands take: arguments and options, and how COLUMN=VALUE is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ConfigOption",
    "DirectionOption",
    "ForceOption",
    "KindOption",
    "LikelihoodOption",
    "MechanismOption",
    "MembersOption",
    "ModelOption",
    "PriorOption",
    "QuietOption",
    "RowKeyOption",
    "SeedOption",
    "StepsOption",
    "TableArgument",
    "TablesOption",
    "parse_direction",
    "parse_kinds",
    "parse_pairs",
    "split_pair",
]

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
        "categorical, ordinal (levels with an order: numbers, or categories that a .parquet file "
        "says are ordered), censored (numbers and intervals such as <0.5), censored_log (the "
        "same, log-normal: above 0), or ignore (carried through untouched). Repeatable.",
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
        "values), no_self_censoring (on all values but the own). No data can test it. It replaces "
        "the mechanism of a --config file as a whole, its direction and link, too.",
    ),
]
DirectionOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[COLUMN=]END",
        help="For self_masking: which values go missing more often, high or low; free: learnt; "
        "off: the value plays no part. Also by column, repeatable: columns that are not named "
        "are off.",
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
MembersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="G",
        help="Fits of an ensemble, for the uncertainty of parameters (default 5); 1 is faster.",
    ),
]
ModelOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A saved model. Without one, fit first.")
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


def parse_direction(words: Sequence[str] | None) -> str | dict[str, str] | None:
    """Parse END, or COLUMN=END for some columns."""
    if not words:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    return parse_pairs(
        words, option="--direction", expected="one END, or COLUMN=END", example="income=high"
    )


def parse_kinds(pairs: Sequence[str] | None) -> dict[str, str]:
    """Parse COLUMN=KIND."""
    return parse_pairs(pairs, option="--kind", expected="COLUMN=KIND", example="id=ignore")
