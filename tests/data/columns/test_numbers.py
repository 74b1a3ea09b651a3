import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_gnr.data import Kind, Schema
from pyro_gnr.data.columns import as_bounds


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.sampled_from([1e-200, 1, 1e200])
)
def test_location_and_scale(learn, values, unit):
    numbers = np.array(values)
    column = learn(numbers * unit, "continuous")
    np.testing.assert_allclose(
        column.location, numbers.mean() * unit, rtol=1e-9, atol=1e-10 * unit
    )
    np.testing.assert_allclose(column.scale, numbers.std() * unit, rtol=1e-6, atol=1e-10 * unit)


def test_a_constant_has_scale_zero_exactly(learn):
    column = learn([0.1] * 7)
    assert (column.location, column.scale) == (0.1, 0.0)


def test_positive_numbers_come_in_multiples_of_their_mean(frames_of):
    for X in frames_of([1.0, 3.0, None]):
        schema = Schema.learn(X, {"col": "positive"})
        (column,) = schema.columns
        assert (column.kind, column.location, column.scale) == (Kind.POSITIVE, 0.0, 2.0)
        table = schema.encode(X)
        assert table.values[:2, 0].tolist() == [0.5, 1.5]
        assert table.fill(np.array([0.25]))["col"].to_list()[2] == 0.5


def test_positive_numbers_stay_above_zero_whatever_their_size():
    X = pd.DataFrame({"col": [1e-300, 1e200, np.nan]})
    table = Schema.learn(X, {"col": "positive"}).encode(X)
    assert (table.values[:2, 0] > 0).all() and np.isfinite(np.log(table.values[:2, 0])).all()
    assert table.fill(np.array([0.0]))["col"][2] > 0
    whole = pd.DataFrame({"col": pd.array([3, 900, None], dtype="Int64")})
    table = Schema.learn(whole, {"col": "positive"}).encode(whole)
    completed = table.fill(np.array([1e-6]))["col"]
    assert completed[2] == 1 and completed.dtype == "Int64"


@pytest.mark.parametrize(
    "values, kind, bounds",
    [
        ([0.0, 0.3, 1.0], "bounded", (0.0, 1.0)),
        ([0.0, 3.0, 100.0], "bounded", (0.0, 100.0)),
        ([1.0, 3.0, 20.0], "bounded(0, 20)", (0.0, 20.0)),
        ([-1.0, 3.0, 20.0], " bounded( -1.5,2e1 ) ", (-1.5, 20.0)),
    ],
)
def test_bounds(frames_of, values, kind, bounds):
    for X in frames_of([*values, None]):
        schema = Schema.learn(X, {"col": kind})
        (column,) = schema.columns
        assert column.kind is Kind.BOUNDED
        assert (column.location, column.location + column.scale) == bounds
        assert Schema.from_dict(schema.to_dict()) == schema
        table = schema.encode(X)
        low, high = bounds
        expected = ((np.array(values) - low) / (high - low)).clip(1e-3, 1 - 1e-3)
        np.testing.assert_allclose(table.values[:3, 0], expected)
        filled = table.fill(np.array([0.25]))["col"].to_list()
        assert filled[:3] == values  # observed cells on a bound are not moved
        assert filled[3] == low + 0.25 * (high - low)


def test_decoded_numbers_stay_within_their_bounds():
    X = pd.DataFrame({"col": pd.array([1, 9, None], dtype="Int64")})
    table = Schema.learn(X, {"col": "bounded(0.4, 9.6)"}).encode(X)
    found = [table.fill(np.array([v]))["col"][2] for v in (1e-6, 0.5, 1 - 1e-6)]
    assert found == [1, 5, 9]


def test_counts(frames_of):
    for X in frames_of([0.0, 3.0, None]):
        schema = Schema.learn(X, {"col": "count"})
        (column,) = schema.columns
        assert (column.location, column.scale, column.whole) == (0.0, 1.0, True)
        table = schema.encode(X)
        assert table.values[:2, 0].tolist() == [0.0, 3.0]
        assert table.fill(np.array([2.4]))["col"].to_list()[2] == 2.0
        assert table.fill(np.array([-7.0]))["col"].to_list()[2] == 0.0
    X = pd.DataFrame({"col": pd.array([0, 3, None], dtype="UInt8")})
    completed = Schema.learn(X, {"col": "count"}).encode(X).fill(np.array([300.0]))["col"]
    assert completed[2] == 255 and completed.dtype == "UInt8"


@pytest.mark.parametrize("kind", ["positive", "bounded", "count"])
def test_a_constant_column_of_every_kind(kind):
    X = pd.DataFrame({"col": [3.0, 3.0, None]})
    table = Schema.learn(X, {"col": kind}).encode(X)
    assert np.isfinite(table.values).all()
    assert table.fill(table.values[:1, 0])["col"][2] == pytest.approx(3.0, abs=1e-2)


def test_a_constant_count_has_scale_zero(learn):
    column = learn([3.0] * 7, "count")
    assert (column.location, column.scale) == (3.0, 0.0)


@pytest.mark.parametrize(
    "values, kind, advice",
    [
        ([1e-13, 7e-12, 3e-12], "bounded", r"bounded\(0, 7e-12\)'}, or 'positive'\."),
        ([0.0, 7e-4, 3e-4], "bounded", r"bounded\(0, 0.0007\)'}, or 'continuous'\."),
        ([20.0, 19.995, 19.99], "bounded(0, 20)", r"bounded\(19.99, 20\)'}, or 'continuous'\."),
        ([1e-9, 2e-9] * 20 + [0.5], "bounded", r"\): say 'positive'\."),
        ([0.0, 0.0], "bounded", r"\): say 'continuous'\."),
        ([1.0, 1.0], "bounded", r"\): say 'continuous'\."),
    ],
)
def test_numbers_next_to_a_bound_are_refused(learn, values, kind, advice):
    with pytest.raises(ValueError, match=f"column 'col' (lies between|is always) .*{advice}$"):
        learn(values, kind)


@pytest.mark.parametrize("values", [[0.0] * 97 + [0.2, 0.3, 0.4], [0.0, 1.0], [1.0] * 40 + [1e-9]])
def test_many_numbers_on_a_bound_are_no_matter(learn, values):
    assert learn(values, "bounded").kind is Kind.BOUNDED


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(10**9, 10**9 + 60), min_size=1, max_size=9))
def test_the_bounds_that_an_error_suggests_hold_all_numbers(learn, values):
    numbers = np.array([*values, 101.0], dtype=float)
    with pytest.raises(ValueError, match="say its bounds") as refused:
        learn(numbers, "bounded")
    low, high = as_bounds(re.search(r"bounded\(.*\)", str(refused.value))[0], "col")
    assert low <= numbers.min() and numbers.max() <= high


def test_numbers_out_of_bounds_are_shown_with_all_their_digits(learn):
    with pytest.raises(ValueError, match="such as 1000000001.*from 0 to 1e.09 "):
        learn([1e9 + 1, 5.0], "bounded(0, 1e9)")
