"""What imputations say of themselves that bears on an analysis pooled from them."""

from __future__ import annotations

from typing import Any

__all__ = ["origin_notes", "spread_departures"]


def spread_departures(tables: Any) -> list[str]:
    """List columns whose departure from the model (`Delta`) differs between tables.

    The departures of a prior, and numbers one a table, put doubt about the holes that is no loss
    of data into the variance between tables.

    Args:
        tables: a `MultipleImputation`, or any other tables, which say nothing of departures.

    Example:
        >>> spread_departures([])
        []
    """
    found = [delta.column for delta in getattr(tables, "deltas", ()) if delta.differs]
    return list(dict.fromkeys(found))


def origin_notes(tables: Any) -> list[str]:
    """Say what to know of the imputations before using the numbers."""
    found = []
    columns = spread_departures(tables)
    if columns:
        found.append(
            f"departures of {', '.join(columns)} differ between tables: variance, lambda, fmi and "
            "the advice on tables count that doubt as missing information (degrees of freedom do "
            "not); pool_draws gives quantiles of the mixture over it"
        )
    constraints = getattr(tables, "constraints", None)
    if constraints is not None and constraints.inconsistent:
        always = f": {constraints.always}" if constraints.in_all_draws else ""
        found.append(
            f"{constraints.inconsistent:,} rows (of all tables together) do not satisfy the "
            f"constraints that were asked for; see the imputation's constraints{always}"
        )
    return found
