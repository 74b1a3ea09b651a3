"""What a pooled analysis says about itself."""

from __future__ import annotations

import pandas as pd

from pyro_gnr.imputation.pooling.analysis import Studied
from pyro_gnr.imputation.pooling.nesting import Nesting

__all__ = ["ONE_MEMBER", "heading", "notes", "whole"]

ONE_MEMBER = (
    "all tables come from one member, whose parameters were taken as known: their uncertainty is "
    "left out, and variances are understated (the imputation is not proper)"
)
# From so many rows on, infinite degrees of freedom for complete data make next to no difference.
MANY_ROWS = 300


def heading(nesting: Nesting) -> str:
    """Say how many tables were pooled, of how many members, and by which rules.

    Example:
        >>> from pyro_gnr.imputation.pooling.nesting import nest
        >>> heading(nest([0, 0, 1, 1], 4))
        'pooled over 4 tables, 2 of each of 2 members, by nested rules (Shen 2000)'
        >>> heading(nest([0, 0, 0, 1, 1], 5))
        'pooled over 5 tables, 2 to 3 of each of 2 members, by nested rules (Shen 2000)'
    """
    if nesting.rule == "nested":
        fewest, most = min(nesting.counts), max(nesting.counts)
        each = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        of = f"{each} of each of {nesting.n_members} members, by nested rules"
        return f"pooled over {nesting.m} tables, {of} (Shen 2000)"
    of = " of one member" if nesting.one_member else ""
    return f"pooled over {nesting.m} tables{of}, by Rubin's rules"


def notes(
    nesting: Nesting,
    studied: Studied,
    n_rows: int | None,
    *,
    assumed_infinite: bool = False,
    holes: bool = False,
) -> list[str]:
    """List what to know of members, fits and rows before using the numbers.

    Args:
        nesting: which tables belong together.
        studied: what the analysis gave.
        n_rows: rows of a table; None if that is not known.
        assumed_infinite: nobody said how many degrees of freedom complete data would have.
        holes: completed tables still have some, in columns that were not imputed.
    """
    found = [ONE_MEMBER] if nesting.one_member else []
    if studied.not_converged:
        numbers = ", ".join(map(str, studied.not_converged))
        found.append(f"the fit did not converge on table(s) {numbers}; do not rely on it")
    if assumed_infinite and (n_rows is None or n_rows < MANY_ROWS):
        rows = "" if n_rows is None else f" though a table has {n_rows} rows"
        found.append(
            f"the analysis did not say its degrees of freedom for complete data, which were taken "
            f"as infinite{rows}: intervals may be too narrow; dfcom= sets them"
        )
    return [*found, *_left_out(studied, n_rows, holes=holes)]


def _left_out(studied: Studied, n_rows: int | None, *, holes: bool) -> list[str]:
    """Rows that the analysis did not use."""
    fewest, most = studied.n_rows, studied.most_rows
    if fewest is None or most is None or n_rows is None or fewest >= n_rows:
        return []
    why = "other columns have holes, too" if holes else "the analysis dropped them"
    note = f"{n_rows - fewest} of {n_rows} rows were left out: {why}"
    if most > fewest:
        note += (
            f"; in some tables only {n_rows - most}, so that which rows are used hangs on what "
            "was imputed, and estimates differ for that reason, too"
        )
    return [note]


def whole(table: pd.DataFrame, *, index: bool = True) -> str:
    """Print all columns of a table, in four significant digits, p-values in three.

    Example:
        >>> print(whole(pd.DataFrame({"estimate": [1.23456], "p.value": [0.0000152712]})))
           estimate  p.value
        0     1.235 1.53e-05
    """
    return pd.DataFrame(table).to_string(
        index=index,
        float_format="{:.4g}".format,
        formatters={"p.value": "{:.3g}".format},
    )
