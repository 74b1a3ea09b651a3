import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data.source import SourceTable


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(3.0, 7.0, size=60),
            "flag": rng.random(60) < 0.3,
            "arm": rng.choice(["a", "b", "c"], size=60),
            "same": 1.5,
            "day": [dt.date(2020, 1, 1)] * 60,
        }
    )


def test_features_have_mean_zero_and_one_variance_a_column(frame):
    table = SourceTable.of(frame)
    shapes = []
    for j in range(3):
        features = table.features(j)
        shapes.append(features.shape[1])
        np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-12)
        assert features.var(axis=0).sum() == pytest.approx(1.0)
    assert shapes == [1, 1, 3]
    assert [table.varies(j) for j in range(4)] == [True, True, True, False]
    assert np.corrcoef(table.features(0)[:, 0], frame["x"])[0, 1] == pytest.approx(1.0)
    assert (table.features(1)[:, 0] > 0).tolist() == frame["flag"].tolist()


def test_columns_that_are_not_read_may_be_of_any_dtype(frame):
    table = SourceTable.of(frame)
    assert table.columns == (0, 1, 2, 3, 4)
    with pytest.raises(TypeError, match="'day' has dtype object holding date"):
        table.features(4)


def test_kinds(frame):
    frame["code"] = np.arange(60) % 4
    table = SourceTable.of(frame, {"code": "categorical", "day": "ignore"})
    assert table.columns == (0, 1, 2, 3, 5)
    assert table.features(5).shape == (60, 4)
    assert table.has_levels(5) and not table.has_levels(0)
    with pytest.raises(ValueError, match="'code' holds levels, expected numbers"):
        table.numbers(5)
    with pytest.raises(ValueError, match="'day' is ignored, but the holes would depend on"):
        table.features(4)
    assert SourceTable.of(frame).numbers(5).tolist() == frame["code"].tolist()


def test_positions():
    table = SourceTable.of(np.zeros((2, 3)))
    assert table.positions([2, "x0", np.int64(1)]) == (0, 1, 2)
    named = SourceTable.of(pd.DataFrame(np.zeros((2, 2)), columns=[7, "b"]))
    assert named.positions(["b", 7]) == (0, 1)
    with pytest.raises(TypeError, match=r"expected a list: \['b'\]"):
        named.positions("b")
    with pytest.raises(
        ValueError, match=r"unknown columns \['c'\], expected some of \['7', 'b'\]"
    ):
        named.positions(["c", "b"])
    for wrong in ([], ["b", "b"]):
        with pytest.raises(ValueError, match="each once"):
            named.positions(wrong)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_holes_are_refused_where_values_are_read(make):
    X = make({"a": [1.0, 2.0, 3.0], "b": [None, 1.5, None], "c": ["x", None, "y"]})
    table = SourceTable.of(X)
    assert table.observed.sum(axis=0).tolist() == [3, 1, 2]
    assert table.features(0).shape == (3, 1)
    for look in (table.features, table.numbers, table.levels, table.has_levels, table.varies):
        with pytest.raises(ValueError, match=r"'b' has 2 missing.*'ignore'\}. Other.*\['c'\]"):
            look(1)
    alone = SourceTable.of(X, {"b": "ignore"})
    with pytest.raises(ValueError, match=r"'c' has 1 missing cell.*\{'c': 'ignore'\}\.$"):
        alone.features(2)


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        (np.zeros((1, 2)), ValueError, "one row"),
        (np.zeros((0, 2)), ValueError, "0 rows"),
        (np.zeros((2, 0)), ValueError, "no column"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), ValueError, "duplicate"),
        ([1.0, 2.0], ValueError, "2D"),
        ("table.csv", TypeError, "got str"),
    ],
)
def test_what_cannot_get_holes(X, error, text):
    with pytest.raises(error, match=text):
        SourceTable.of(X)


def test_infinite_numbers():
    table = SourceTable.of(np.array([[1.0, np.inf], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="'x1' holds infinite"):
        table.numbers(1)
    with pytest.raises(ValueError, match="x1"):
        table.features(1)


def test_columns_of_numbers_may_have_holes_and_are_not_called_levels():
    days = pd.to_datetime(["2020-01-01", "2020-01-02"])
    X = pd.DataFrame({"a": [1.0, None], "b": [1, 2], "c": ["x", "y"], "d": days, "e": [1, 2]})
    table = SourceTable.of(X, {"e": "categorical"})
    assert [table.holds_numbers(j) for j in range(5)] == [True, True, False, False, False]
