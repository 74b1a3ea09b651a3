import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pandas.testing import assert_series_equal
from polars.testing import assert_series_equal as assert_polars_equal

from pyro_gnr.data.removal import remove, take_rows

ORDERED = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
DAYS = pd.date_range("2020-02-28", periods=3)
# Values, and the dtype afterwards where it is another.
PANDAS = {
    "float64": ([1.5, -2.0, 0.1], None),
    "float32": ([1.5, -2.0, 0.1], None),
    "Float64": ([1.5, -2.0, 0.1], None),
    "int64": ([2**62 + 1, -2, 7], "Int64"),
    "int8": ([1, -2, 7], "Int8"),
    "uint16": ([1, 2, 7], "UInt16"),
    "Int32": ([1, -2, 7], None),
    "bool": ([True, False, True], "boolean"),
    "boolean": ([True, False, True], None),
    "string": (["a", "b", ""], None),
    "str": (["a", "b", "é"], None),
    "object": (["a", 1, ("x",)], None),
    "category": (["x", "y", "z"], None),
    "ordered": (["high", "low", "high"], None),
    "int64[pyarrow]": ([1, -2, 7], None),
    "string[pyarrow]": (["a", "b", "c"], None),
    "datetime64[ns]": (DAYS, None),
    "datetime64[us, UTC]": (DAYS.tz_localize("UTC"), None),
    "timedelta64[s]": (DAYS - DAYS[0], None),
    "period[D]": (DAYS.to_period("D"), None),
}
POLARS = {
    "float32": (pl.Float32, [1.5, -2.0, 0.1]),
    "int64": (pl.Int64, [2**62 + 1, 2, 3]),
    "uint8": (pl.UInt8, [1, 2, 7]),
    "boolean": (pl.Boolean, [True, False, True]),
    "string": (pl.String, ["a", "b", ""]),
    "categorical": (pl.Categorical, ["x", "y", "z"]),
    "enum": (pl.Enum(["high", "low", "never"]), ["low", "high", "low"]),
    "date": (pl.Date, [dt.date(2020, 2, 28), dt.date(2021, 1, 1), dt.date(1900, 1, 1)]),
    "list": (pl.List(pl.Int64), [[1], [2, 3], []]),
}


def masks(n_cols):
    return hnp.arrays(bool, st.tuples(st.integers(1, 9), st.just(n_cols)))


@given(masks(len(PANDAS)), st.booleans())
@settings(deadline=None, max_examples=40)
def test_pandas_keeps_everything_but_the_holes(observed, repeated):
    n = len(observed)
    X = pd.DataFrame(
        {
            name: pd.Series(
                [values[i % 3] for i in range(n)], dtype=ORDERED if name == "ordered" else name
            )
            for name, (values, _) in PANDAS.items()
        }
    )
    X.index = pd.Index(["r"] * n if repeated else range(n), name="row")
    before = X.copy(deep=True)
    out = remove(X, observed, range(X.shape[1]))
    pd.testing.assert_frame_equal(X, before)
    assert out.index.equals(X.index) and out.index.name == "row"
    assert out.columns.equals(X.columns)
    assert (out.notna().to_numpy() == observed).all()
    for j, (name, (_, after)) in enumerate(PANDAS.items()):
        expected = X[name] if after is None else X[name].astype(after)
        assert out[name].dtype == expected.dtype
        assert_series_equal(out[name][observed[:, j]], expected[observed[:, j]], check_exact=True)


@given(masks(len(POLARS)))
@settings(deadline=None, max_examples=40)
def test_polars_keeps_everything_but_the_holes(observed):
    n = len(observed)
    X = pl.DataFrame(
        {k: pl.Series([v[i % 3] for i in range(n)], dtype=t) for k, (t, v) in POLARS.items()}
    )
    out = remove(X, observed, range(X.shape[1]))
    assert out.schema == X.schema
    for j, name in enumerate(X.columns):
        assert (out[name].is_not_null().to_numpy() == observed[:, j]).all()
        kept = pl.Series(observed[:, j])
        assert_polars_equal(out[name].filter(kept), X[name].filter(kept))


@pytest.mark.parametrize(
    ("dtype", "after"), [("float32", "float32"), ("int8", "float64"), ("bool", "float64")]
)
def test_arrays_become_floats(dtype, after):
    X = np.array([[1, 0], [0, 1]], dtype=dtype)
    out = remove(X, np.array([[True, False], [True, True]]), [1])
    assert out.dtype == after
    np.testing.assert_array_equal(out, [[1, np.nan], [0, 1]])


def test_columns_that_lose_no_cells_keep_their_dtype():
    X = pd.DataFrame({"a": [1, 2], "b": [1, 2]})
    out = remove(X, np.ones((2, 2), dtype=bool), [1])
    assert [str(dtype) for dtype in out.dtypes] == ["int64", "Int64"]


def test_intervals_of_integers_become_objects():
    X = pd.DataFrame({"a": pd.arrays.IntervalArray.from_breaks([0, 1, 2])})
    out = remove(X, np.array([[False], [True]]), [0])
    assert out["a"].isna().tolist() == [True, False]
    assert out["a"][1] == X["a"][1]


def test_rows():
    rows = np.array([2, 0])
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=["x", "y", "z"])
    assert take_rows(frame, rows).index.tolist() == ["z", "x"]
    assert take_rows(pl.DataFrame({"a": [1, 2, 3]}), rows)["a"].to_list() == [3, 1]
    assert take_rows(np.array([[1], [2], [3]]), rows).tolist() == [[3], [1]]
