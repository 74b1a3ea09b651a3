"""Options of statsmodels that name columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["fit_columns", "model_columns"]

# Models take arrays for these, and names for the others.
ARRAYS = ("weights", "freq_weights", "var_weights", "offset", "exposure")
NAMES = ("groups", "time", "status", "entry", "strata")


def model_columns(options: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    """Give options of a model, in which columns take the place of their names.

    Args:
        options: of the model; names may stand for weights, groups, offsets and times.
        frame: a completed table.

    Raises:
        ValueError: there is no such column.

    Example:
        >>> table = pd.DataFrame({"n": [1.0, 2.0]})
        >>> model_columns({"freq_weights": "n"}, table)["freq_weights"].tolist()
        [1.0, 2.0]
    """
    found = dict(options)
    for option, value in options.items():
        if option in (*ARRAYS, *NAMES) and isinstance(value, str):
            column = _column(frame, option, value)
            found[option] = column if option in ARRAYS else value
    return found


def fit_columns(options: Mapping[str, Any], frame: pd.DataFrame, model: Any) -> dict[str, Any]:
    """Give options of a fit, in which clusters of robust errors take the place of a name.

    Args:
        options: of `fit`; `{"cov_type": "cluster", "cov_kwds": {"groups": NAME}}` names a column.
        frame: a completed table.
        model: made of it; rows with holes may be missing from it.

    Raises:
        ValueError: there is no such column.
    """
    details = options.get("cov_kwds")
    groups = details.get("groups") if isinstance(details, Mapping) else None
    if not isinstance(groups, str):
        return dict(options)
    column = _column(frame, "groups", groups)
    if len(model.endog) < len(column):
        column = column.loc[model.data.row_labels]
    codes = pd.factorize(column)[0]
    return {**options, "cov_kwds": {**details, "groups": codes}}  # type: ignore[dict-item]


def _column(frame: pd.DataFrame, option: str, name: str) -> pd.Series[Any]:
    if name not in frame:
        raise ValueError(f"got {option}={name!r}, expected a column of {list(frame.columns)}.")
    return frame[name]
