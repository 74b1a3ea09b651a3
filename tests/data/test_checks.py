import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Schema

X = pd.DataFrame({"x": [1.0, 2.0, None], "c": ["a", "b", None], "y": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize("empty", [X.head(0), pl.from_pandas(X).head(0), np.zeros((0, 3))])
def test_no_rows(empty):
    with pytest.raises(ValueError, match="0 rows"):
        Schema.learn(empty)


def test_no_rows_to_encode():
    with pytest.raises(ValueError, match="0 rows"):
        Schema.learn(X).encode(X.head(0))


@pytest.mark.parametrize("one", [X.head(1), pl.from_pandas(X).head(1), np.zeros((1, 3))])
def test_one_row(one):
    with pytest.raises(ValueError, match="n_samples=1"):
        Schema.learn(one)


@pytest.mark.parametrize("nothing", [X[[]], np.zeros((3, 0)), pl.DataFrame()])
def test_no_columns(nothing):
    with pytest.raises(
        ValueError, match=r"0 feature\(s\) \(shape=\(\d, 0\)\) while a minimum of 1"
    ):
        Schema.learn(nothing)


def test_all_columns_ignored():
    with pytest.raises(ValueError, match="no column to model"):
        Schema.learn(X, dict.fromkeys(X, "ignore"))


@pytest.mark.parametrize("names", [["a", "a", "b"], ["1", 1, "b"]])
def test_duplicate_names(names):
    with pytest.raises(ValueError, match="duplicate column names"):
        Schema.learn(X.set_axis(names, axis=1))
    with pytest.raises(ValueError, match="duplicate column names"):
        Schema.learn(X).encode(X.set_axis(names, axis=1))


def test_unknown_column_or_kind():
    with pytest.raises(ValueError, match=r"\['z'\].*expected some of \['x', 'c', 'y'\]"):
        Schema.learn(X, {"z": "binary"})
    with pytest.raises(ValueError, match="'real' for column 'x'.*'continuous', 'binary', "):
        Schema.learn(X, {"x": "real"})


@pytest.mark.parametrize(
    "other, text",
    [
        (X.assign(z=1.0), r"new or renamed \['z'\], dropped or renamed \[\]"),
        (X[["x", "y"]], r"new or renamed \[\], dropped or renamed \['c'\]"),
        (X.rename(columns={"x": "X"}), r"new or renamed \['X'\], dropped or renamed \['x'\]"),
        (X[["x", "y", "c"]], r"\['y', 'c'\] are not where they were"),
        (np.zeros((2, 3)), "new or renamed"),
        (np.zeros((2, 2)), r"X has 2 features, but \w+ is expecting 3 features as input"),
    ],
)
def test_other_columns_at_encode(other, text):
    with pytest.raises(ValueError, match=text):
        Schema.learn(X).encode(other)


def test_new_holes_warn_once_and_name_the_columns():
    schema = Schema.learn(X)
    other = X.assign(y=[1.0, None, 2.0])
    with pytest.warns(UserWarning, match=r"\['y'\].*treated as ignorable there") as caught:
        table = schema.encode(other)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert table.observed[:, 2].tolist() == [True, False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema.encode(X)
