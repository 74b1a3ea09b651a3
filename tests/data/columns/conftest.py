"""One column, as a user would give it."""

import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Column, Schema


def learn_one(values, kind=None, **options) -> Column:
    X = pd.DataFrame({"col": pd.Series(values, **options)})
    return Schema.learn(X, None if kind is None else {"col": kind}).columns[0]


def both_frames(values, **options):
    return pd.DataFrame({"col": pd.Series(values, **options)}), pl.DataFrame({"col": values})


@pytest.fixture(scope="session")
def learn():
    """Learn a column "col" of these values, of a kind if one is given."""
    return learn_one


@pytest.fixture(scope="session")
def frames_of():
    """The same column in pandas and polars."""
    return both_frames
