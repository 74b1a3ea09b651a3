"""What a pooled analysis says about itself."""

from __future__ import annotations

import pandas as pd

from pyro_gnr.imputation.pooling.analysis import Studied
from pyro_gnr.imputation.pooling.nesting import Nesting

__all__ = ["ONE_MEMBER", "heading", "in_percent", "notes", "whole"]

ONE_MEMBER = (
    "all tables come from one member, whose parameters were taken as known: their uncertainty is "
    "left out, and variances are understated (the imputation is not proper)"
)
# From so many rows on, infinite degrees of freedom for complete data make next to no difference.
MANY_ROWS = 300


# Where the rows that are analysed differ between tables.
BY_IMPUTED = (
    "which ones hangs on what was imputed, as it should for a group that imputed values make, and "
    "for nothing else"
)


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
    return [*found, *_rows_used(studied, n_rows, holes=holes)]


def _rows_used(studied: Studied, n_rows: int | None, *, holes: bool) -> list[str]:
    """Rows that were analysed, where these are not all, or not the same number in all tables."""
    fewest, most = studied.n_rows, studied.most_rows
    found = []
    if studied.table_rows is not None and studied.table_rows[0] < studied.table_rows[1]:
        found.append("tables have {} to {} rows: {}".format(*studied.table_rows, BY_IMPUTED))
    elif fewest is not None and most is not None and n_rows is not None and fewest < n_rows:
        text = f"the analysis used {fewest} of {n_rows} rows"
        if fewest < most:
            text = f"the analysis used {fewest} to {most} of {n_rows} rows: {BY_IMPUTED}"
        elif holes:
            text += ": other columns have holes, too"
        found.append(text)
    return found


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


def in_percent(level: float) -> str:
    """Write a level with the digits that it has.

    Example:
        >>> in_percent(0.95), in_percent(0.995)
        ('95%', '99.5%')
    """
    return f"{100 * level:.6g}%"
