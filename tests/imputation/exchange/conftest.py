"""A table with every sort of column and of name, and two completed ones."""

import datetime

import numpy as np
import pandas as pd
import pytest

from pyro_gnr.imputation.exchange import long_table, row_ids


def make_original() -> pd.DataFrame:
    """Six rows; the last column name is of 40 letters."""
    days = ["2020-02-29", None, *["1950-01-02"] * 4]
    return pd.DataFrame(
        {
            "grade": pd.Categorical(
                ["low", None, "high", "mid", "low", "high"],
                ["low", "mid", "high", "never"],
                ordered=True,
            ),
            "site": pd.Categorical(["Bern", "Zürich", None, "東京", "Bern", "Bern"],
                                   ["Zürich", "Bern", "東京"]),
            "text": pd.array(["a", "b", None, "c d", "007", "a"], dtype="string"),
            "n kids": pd.array([1, None, 3, 4, 5, 600], dtype="Int64"),
            "x.y": [1.5, np.nan, 0.1, 0.30000000000000004, -2.0, 1e300],
            "single": np.array([1.5, np.nan, 3, 4, 5, 6], dtype="float32"),
            "yes": pd.array([True, None, False, True, True, False], dtype="boolean"),
            "day": pd.to_datetime(days),
            "time": pd.to_datetime(days) + pd.Timedelta("1s"),
            "date": [None if d is None else datetime.date.fromisoformat(d) for d in days],
            "free": ["x", None, "ü" * 3, 'quo"te', "new\nline", "back\\slash"],
            "if": range(6),
            "größe": [1, 2, 3, 4, 5, 2**40],
            "2nd": [True, False] * 3,
            "a" * 40: range(6),
        },
        index=list("abcdef"),
    )  # fmt: skip


FILLED = {"grade", "site", "text", "n kids", "x.y", "single", "yes"}


def complete(frame: pd.DataFrame, grade: str) -> pd.DataFrame:
    values = {"grade": grade, "site": "Bern", "text": "b", "n kids": 2, "x.y": 0.5,
              "single": 2.5, "yes": True}  # fmt: skip
    return frame.fillna(values)


@pytest.fixture
def original() -> pd.DataFrame:
    return make_original()


@pytest.fixture
def completed(original) -> list[pd.DataFrame]:
    return [complete(original, "mid"), complete(original, "high")]


@pytest.fixture
def long(original, completed) -> pd.DataFrame:
    return long_table(original, completed, row_ids(original.index))


@pytest.fixture
def filled() -> set[str]:
    """Names of the columns with imputed cells."""
    return FILLED
