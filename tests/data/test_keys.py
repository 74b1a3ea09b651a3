import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_gnr.data import Schema
from pyro_gnr.data.keys import chain, hash_numbers, hash_values, row_keys

TEXT = "x = pd.DataFrame({'a': [1.0, None, 2.0], 'c': ['u', 'v', None]}, index=['p', 'q', 'r'])"


def table_of(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.integers(0, 3, n), "c": rng.choice(["a", "b"], n)})
    return X.mask(pd.DataFrame(rng.random((n, 2)) < 0.2, columns=X.columns))


@given(st.lists(st.integers(0, 19), unique=True, min_size=1), st.integers(0, 5))
@settings(deadline=None)
def test_labelled_rows_keep_their_keys_in_any_subset_and_order(rows, seed):
    X = table_of(20, seed)
    X.index = [f"r{i}" for i in range(20)]
    schema = Schema.learn(X)
    keys = schema.encode(X).keys
    assert len(set(keys.tolist())) == 20
    np.testing.assert_array_equal(schema.encode(X.iloc[rows]).keys, keys[rows])


@given(st.permutations(range(20)), st.integers(0, 5))
@settings(deadline=None)
def test_unlabelled_rows_are_the_same_set_in_any_order(order, seed):
    X = pl.from_pandas(table_of(20, seed))
    schema = Schema.learn(X)
    keys, moved = schema.encode(X).keys, schema.encode(X[list(order)])
    assert len(set(keys.tolist())) == 20
    assert set(moved.keys.tolist()) == set(keys.tolist())
    head = schema.encode(X[:7]).keys
    np.testing.assert_array_equal(head, keys[:7])


def test_a_repeated_index_counts_as_no_index():
    X = table_of(10)
    schema = Schema.learn(X)
    keys = schema.encode(pl.from_pandas(X)).keys
    X.index = [0] * 10
    np.testing.assert_array_equal(schema.encode(X).keys, keys)
    assert (schema.encode(X.reset_index(drop=True)).keys != keys).any()


def test_distinct_rows_of_an_array_keep_their_keys_when_permuted():
    X = np.random.default_rng(0).normal(size=(9, 3))
    X[0, 1] = np.nan
    schema = Schema.learn(X)
    order = np.random.default_rng(1).permutation(9)
    np.testing.assert_array_equal(schema.encode(X[order]).keys, schema.encode(X).keys[order])


@pytest.mark.parametrize("dtype", ["Int64", "float64", "float32", "Float64", "int8", object])
def test_keys_do_not_depend_on_how_numbers_are_stored(dtype):
    X = pd.DataFrame({"n": [1, 2, 5, 0], "m": [0, 1, 1, 0]})
    schema = Schema.learn(X)
    keys = schema.encode(X).keys
    np.testing.assert_array_equal(schema.encode(X.astype(dtype)).keys, keys)
    index = pd.Index(X.index.astype(dtype))
    np.testing.assert_array_equal(schema.encode(X.set_index(index)).keys, keys)


def test_keys_do_not_depend_on_the_training_table():
    X = table_of(20)
    first = Schema.learn(X).encode(X.head(5)).keys
    other = Schema.learn(X.tail(15)).encode(X.head(5)).keys
    np.testing.assert_array_equal(first, other)


def test_keys_depend_on_label_content_and_column():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]})
    keys = Schema.learn(X).encode(X).keys
    swapped = X[["b", "a"]].set_axis(["a", "b"], axis=1)
    assert (Schema.learn(X).encode(swapped).keys != keys).all()
    assert (Schema.learn(X).encode(X.set_index(pd.Index([7, 8]))).keys != keys).all()


def test_hidden_cells_do_not_change_keys():
    X = np.random.default_rng(0).normal(size=(9, 3))
    table = Schema.learn(X).encode(X)
    hidden = table.hide(0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(hidden.keys, table.keys)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_keys_are_the_same_in_every_process(seed):
    program = (
        "import pandas as pd\nfrom pyro_gnr.data import Schema\n"
        f"{TEXT}\nimport sys; sys.stdout.write(str(Schema.learn(x).encode(x).keys.tolist()))"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
    )
    scope = {"pd": pd}
    exec(TEXT, scope)
    X = scope["x"]
    assert done.stdout == str(Schema.learn(X).encode(X).keys.tolist())


def test_keys_never_change():
    """Saved results depend on these numbers: a change of them is a breaking change."""
    X = pd.DataFrame({"a": [1.0, None], "c": ["u", "v"]}, index=["p", "q"])
    assert Schema.learn(X).encode(X).keys.tolist() == [11582550177811428020, 3838608836606922185]


def test_row_key_column_alone_names_the_rows():
    X = table_of(6).assign(id=["a", "b", "c", "d", "e", "f"])
    schema = Schema.learn(X, {"id": "ignore"})
    keys = schema.encode(X, row_key="id").keys
    other = X.assign(x=1.0).iloc[::-1].reset_index(drop=True)
    np.testing.assert_array_equal(schema.encode(other, row_key="id").keys, keys[::-1])
    np.testing.assert_array_equal(schema.encode(pl.from_pandas(X), row_key="id").keys, keys)


@pytest.mark.parametrize(
    "ids",
    [
        [1, 2, 3],
        pd.array([1, 2, 3], dtype="Int64"),
        [1.0, 2.0, 3.0],
        pd.Series([1, 2, 3], dtype=object),
    ],
)
def test_row_key_numbers_of_any_dtype(ids):
    X = pd.DataFrame({"x": [1.0, None, 3.0], "id": ids})
    schema = Schema.learn(X, {"id": "ignore"})
    expected = hash_numbers(np.array([1, 2, 3]))
    np.testing.assert_array_equal(schema.encode(X, row_key="id").keys, expected)


def test_row_key_of_an_array():
    X = np.array([[1.0, 10.0], [np.nan, 20.0], [4.0, 30.0]])
    keys = Schema.learn(X).encode(X, row_key="x1").keys
    np.testing.assert_array_equal(keys, hash_numbers(np.array([10, 20, 30])))


@pytest.mark.parametrize(
    "row_key, text",
    [("nobody", "nobody.*expected one of"), ("x", "1 missing"), ("twice", r"repeats .*\(1 row")],
)
def test_unusable_row_keys_are_refused(row_key, text):
    X = pd.DataFrame({"x": [1.0, None, 3.0], "twice": ["a", "b", "a"]})
    with pytest.raises(ValueError, match=text):
        Schema.learn(X).encode(X, row_key=row_key)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, "a", 2.5, None, (1, 2), True, 2**70], dtype=object),
        np.array(["2020-01-01", "2021-01-01", "NaT"], dtype="M8[D]"),
        np.array(["a", "b"]),
        np.array([0.5, np.nan, np.inf, 1e300]),
    ],
    ids=["objects", "dates", "unicode", "floats"],
)
def test_a_hash_does_not_depend_on_the_neighbours(values):
    hashes = hash_values(values)
    assert len(set(hashes.tolist())) == len(values) - (values.dtype == object)  # 1 and True
    for i in range(len(values)):
        assert hash_values(values[i : i + 1])[0] == hashes[i]


def test_dates_hash_by_instant():
    days = np.array(["2020-01-01"], dtype="M8[D]")
    assert hash_values(days) == hash_values(days.astype("M8[ns]"))
    assert hash_values(days.astype("M8[ns]")) != hash_values(days + np.timedelta64(1, "ns"))


@given(st.integers(-(2**53), 2**53))
def test_numbers_hash_by_value(number):
    hashes = {int(hash_numbers(np.array([number], dtype=t))[0]) for t in (np.int64, np.float64)}
    assert hashes == {int(hash_values(np.array([number], dtype=object))[0])}


def test_zeros_and_nans_have_one_hash():
    assert len(set(hash_numbers(np.array([0.0, -0.0])).tolist())) == 1
    other_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert hash_numbers(other_nan) == hash_numbers(np.array([np.nan]))


def test_hashes_look_random():
    """Each bit of the hashes of 0, 1, 2, ... is set half of the time, within 5 sigma."""
    keys = row_keys(np.zeros(20_000, dtype=np.uint64))
    bits = (keys[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)


def test_no_rows_and_no_parts():
    assert row_keys(np.empty(0, dtype=np.uint64)).shape == (0,)
    assert chain([], n_rows=2).tolist() == [0, 0]


def test_multiindex_labels():
    X = table_of(4)
    X.index = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    schema = Schema.learn(X)
    keys = schema.encode(X).keys
    np.testing.assert_array_equal(schema.encode(X.iloc[[3, 1]]).keys, keys[[3, 1]])


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2020", periods=4, tz="UTC"),
        pd.date_range("2020", periods=4),
        pd.period_range("2020", periods=4, freq="D"),
        pd.CategoricalIndex(list("abcd")),
        pd.Index([1, None, "a", 2.5], dtype=object),
    ],
    ids=lambda index: str(index.dtype),
)
def test_labels_of_any_dtype(index):
    X = table_of(4).set_axis(index, axis=0)
    schema = Schema.learn(X)
    keys = schema.encode(X).keys
    np.testing.assert_array_equal(schema.encode(X.iloc[[2, 0]]).keys, keys[[2, 0]])
