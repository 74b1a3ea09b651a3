import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Kind, Schema

ORDERED = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)


def test_values_are_standardised_and_levels_are_codes():
    X = pd.DataFrame({"x": [1.0, 3.0, None], "c": ["b", None, "a"], "k": [5, 5, 5]})
    table = Schema.learn(X).encode(X)
    np.testing.assert_array_equal(table.values, [[-1, 1, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(table.states, [[1, 1, 1], [1, 0, 1], [0, 1, 1]])
    assert table.states.dtype == np.int8 and table.keys.dtype == np.uint64
    assert table.schema.columns[2].scale == 0.0 and table.schema.columns[2].location == 5.0


def test_every_sort_of_missing():
    X = pd.DataFrame(
        {
            "o": ["a", None, np.nan, pd.NA, pd.NaT, "b"],
            "f": [1.0, 2.0, None, np.nan, 3.0, 4.0],
        }
    ).astype({"o": object})
    observed = Schema.learn(X).encode(X).observed
    np.testing.assert_array_equal(observed[:, 0], [True, False, False, False, False, True])
    np.testing.assert_array_equal(observed[:, 1], [True, True, False, False, True, True])
    P = pl.DataFrame({"f": [1.0, None, float("nan"), 2.0]})
    np.testing.assert_array_equal(
        Schema.learn(P).encode(P).observed[:, 0], [True, False, False, True]
    )


def test_schema_survives_json():
    X = pd.DataFrame(
        {
            "f": [0.1, 2.0, None],
            "b": [True, False, True],
            "z": [0.0, 1.0, None],
            "c": pd.Categorical(["low", "high", None], dtype=ORDERED),
            "t": [[1], [2], [3]],
        }
    )
    schema = Schema.learn(X, {"t": "ignore"})
    twin = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert twin == schema
    assert [type(v) for c in twin.modelled for v in c.levels or ()] == [
        type(v) for c in schema.modelled for v in c.levels or ()
    ]
    assert isinstance(twin.columns[0].kind, Kind)


@pytest.mark.parametrize(
    "description", [{}, [], {"columns": 3}, {"columns": [{"name": "a"}]}, {"columns": [3]}]
)
def test_a_broken_description_is_refused(description):
    with pytest.raises(ValueError, match="broken description"):
        Schema.from_dict(description)


def test_a_column_of_other_dtypes_and_libraries_encodes_alike():
    X = pd.DataFrame({"n": [1, 2, 5], "c": ["b", "a", "b"]})
    schema = Schema.learn(X)
    values = schema.encode(X).values
    for other in (
        X.astype({"n": float}),
        X.convert_dtypes(),
        X.astype({"c": "category", "n": object}),
        pl.from_pandas(X),
        pl.from_pandas(X).cast({"c": pl.Categorical, "n": pl.Float32}),
    ):
        np.testing.assert_array_equal(schema.encode(other).values, values)


def test_arrays_are_never_modified_and_integers_are_whole():
    X = np.array([[1, 5], [2, 6], [4, 9]])
    schema = Schema.learn(X)
    assert all(c.whole for c in schema.columns)
    assert [c.name for c in schema.columns] == ["x0", "x1"]
    table = schema.encode(X.astype(float))
    np.testing.assert_array_equal(table.decode(np.array([0]), np.array([0.1])), [2.0])
