import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_gnr.data import Column, Kind, Schema
from pyro_gnr.data.columns import encode_column, learn_column
from pyro_gnr.data.frames import read


def learn(values, kind=None, **options) -> Column:
    X = pd.DataFrame({"col": pd.Series(values, **options)})
    return Schema.learn(X, None if kind is None else {"col": kind}).columns[0]


@pytest.mark.parametrize(
    "values, dtype, kind, levels",
    [
        ([1.5, 2.0, None], "float64", "continuous", None),
        ([1, 2, None], "Int64", "continuous", None),
        ([0.0, 1.0, None], "float64", "binary", (0.0, 1.0)),
        ([0, 1, 1], "int64", "binary", (0, 1)),
        ([0.0, 0.0, None], "float64", "continuous", None),
        ([1, 1, 1], "int64", "continuous", None),
        ([0, 1, 2], "int64", "continuous", None),
        ([True, False, None], "boolean", "binary", (False, True)),
        ([True, False, None], "object", "binary", (False, True)),
        ([True, True], "bool", "categorical", (True,)),
        (["b", "a", None], "string", "binary", ("a", "b")),
        (["b", "a", "c"], "object", "categorical", ("a", "b", "c")),
        ([2, "a", 1], "object", "categorical", (1, 2, "a")),
        (["a", None], "object", "categorical", ("a",)),
        ([3, 1, 3], "category", "binary", (1, 3)),
    ],
)
def test_default_kinds(values, dtype, kind, levels):
    column = learn(values, dtype=dtype)
    assert (column.kind, column.levels) == (Kind(kind), levels)
    assert [type(v) for v in column.levels or ()] == [type(v) for v in levels or ()]
    assert column.dtype == dtype
    assert column.holes == sum(v is None for v in values)
    assert column.whole == (dtype in ("Int64", "int64"))


def test_declared_levels_keep_their_order_and_unobserved_ones_are_left_out():
    dtype = pd.CategoricalDtype(["low", "never", "high", "alas"])
    assert learn(["alas", "low", "high"], dtype=dtype).levels == ("low", "high", "alas")
    P = pl.DataFrame({"e": ["b", "a"], "c": ["b", "a"]}).cast(
        {"e": pl.Enum(["b", "x", "a"]), "c": pl.Categorical}
    )
    schema = Schema.learn(P)
    assert [c.levels for c in schema.columns] == [("b", "a"), ("a", "b")]
    assert [c.dtype for c in schema.columns] == ["Enum", "Categorical"]


def test_chosen_kinds():
    assert learn([3, 1, 2], "categorical").levels == (1, 2, 3)
    assert learn([0.5, 1.5, None], Kind.BINARY).levels == (0.5, 1.5)
    assert learn([0, 1, 1], "continuous").location == pytest.approx(2 / 3)
    assert learn([True, False], "continuous").location == 0.5
    assert learn([1, None, 2.0], "continuous", dtype=object).location == 1.5
    assert learn([True, False], "categorical").kind is Kind.CATEGORICAL
    assert learn(["a", "a"], "binary").levels == ("a",)


@pytest.mark.parametrize(
    "values, kind, options, text",
    [
        (["a", "b"], "continuous", {}, "'col'.*expected numbers"),
        ([1, 2], "continuous", {"dtype": "category"}, "'col'.*expected numbers"),
        ([1, 2, 3], "binary", {}, "'col' has 3 levels.*at most 2.*use 'categorical'"),
        ([None, None], None, {}, "'col' has no observed value: drop it.*'ignore'"),
        ([None, None], "binary", {"dtype": "category"}, "'col' has no observed value"),
        ([1.0, np.inf, -np.inf], None, {}, "'col' has 2 infinite"),
        ([1.0, np.inf, 2.0], "categorical", {}, "'col' has 1 infinite"),
        ([f"t{i}" for i in range(101)] * 9, None, {}, "'col' looks like free text: 101 .* 909"),
        ([f"t{i}" for i in range(21)], None, {}, "'col' looks like free text: 21 .* 21 "),
        (list(range(21)), None, {"dtype": object}, "'col' looks like free text"),
    ],
)
def test_columns_that_cannot_be_learnt(values, kind, options, text):
    with pytest.raises(ValueError, match=text):
        learn(values, kind, **options)


def test_what_is_not_free_text():
    assert len(learn([f"t{i}" for i in range(20)]).levels) == 20
    assert len(learn([f"t{i}" for i in range(21)] * 2).levels) == 21
    assert len(learn([f"t{i:03}" for i in range(100)] * 2).levels) == 100
    assert len(learn([f"t{i}" for i in range(300)], "categorical").levels) == 300
    assert len(learn([f"t{i}" for i in range(300)], dtype="category").levels) == 300


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"])),
        pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"], utc=True)),
        pd.Series(pd.to_timedelta([1, 2], unit="D")),
        pd.Series(pd.period_range("2020", periods=2, freq="Y")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Series([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)], dtype=object),
        pd.Series([Decimal(1), Decimal(2)], dtype=object),
        pd.Series([[1], [2]], dtype=object),
        pd.Series([(1, 2), (3, 4)], dtype=object),
        pd.Series([b"a", b"b"], dtype=object),
        pd.Series([1j, 2j]),
        pd.Series(pd.arrays.SparseArray([0.0, 1.0])),
        pl.Series([dt.date(2020, 1, 1)] * 2),
        pl.Series([dt.datetime(2020, 1, 1)] * 2),
        pl.Series([dt.timedelta(1)] * 2),
        pl.Series([dt.time(1)] * 2),
        pl.Series([Decimal("1.5"), Decimal("2.5")]),
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([b"a", b"b"]),
        pl.Series([object(), object()], dtype=pl.Object),
    ],
    ids=lambda s: f"{type(s).__module__[:6]}-{s.dtype}",
)
def test_dtypes_that_cannot_be_modelled(series):
    frame = (pd if isinstance(series, pd.Series) else pl).DataFrame({"col": series})
    frame = frame.assign(x=1.0) if isinstance(frame, pd.DataFrame) else frame.with_columns(x=1.0)
    with pytest.raises(TypeError, match="column 'col' has dtype .*kinds={'col': 'ignore'}"):
        Schema.learn(frame)
    schema = Schema.learn(frame, {"col": "ignore"})
    assert schema.encode(frame).values.shape[1] == 1


@pytest.mark.parametrize(
    "training, batch, text",
    [
        ([1.0, 2.0], ["a", "b"], "'col' came as levels .* expected numbers"),
        (["a", "b"], [1.0, 2.0], "'col' came as numbers .* expected strings"),
        ([0, 1], ["0", "1"], "'col' came as strings .* expected numbers"),
        (["a", "b"], ["a", "z"], "'col' has 1 level.* not seen in training: 'z'; .* 'a', 'b'"),
        ([0, 1], [0, 2], "'col' has 1 level.* not seen in training: 2"),
        ([1.0, 2.0], [1.0, np.inf], "'col' has 1 infinite"),
    ],
)
def test_cells_that_do_not_fit_the_schema(training, batch, text):
    schema = Schema.learn(pd.DataFrame({"col": training}))
    for X in (pd.DataFrame({"col": batch}), pl.DataFrame({"col": batch})):
        with pytest.raises(ValueError, match=text):
            schema.encode(X)


def test_a_long_list_of_levels_is_cut_short():
    schema = Schema.learn(pd.DataFrame({"c": pd.Series(range(50), dtype="category")}))
    with pytest.raises(ValueError, match=r"\(50 in all\)"):
        schema.encode(pd.DataFrame({"c": [99]}))


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.sampled_from([1e-200, 1, 1e200])
)
def test_location_and_scale(values, unit):
    numbers = np.array(values)
    column = learn(numbers * unit, "continuous")
    np.testing.assert_allclose(
        column.location, numbers.mean() * unit, rtol=1e-9, atol=1e-10 * unit
    )
    np.testing.assert_allclose(column.scale, numbers.std() * unit, rtol=1e-6, atol=1e-10 * unit)


def test_a_constant_has_scale_zero_exactly():
    column = learn([0.1] * 7)
    assert (column.location, column.scale) == (0.1, 0.0)


def test_another_number_in_a_constant_column_is_not_silent():
    column = learn_column(read(np.array([5.0, 5.0, np.nan]), "c"))
    assert encode_column(column, read(np.array([5.0, np.nan]), "c")).tolist() == [0.0, 0.0]
    with pytest.warns(UserWarning, match=r"column 'c' was always 5 in training, but 1 cell"):
        encode_column(column, read(np.array([99.0, 5.0]), "c"))


# --- numbers of which some are intervals ------------------------------------------------------


@pytest.mark.parametrize(
    "values, options, kind",
    [
        (["0.7", "<0.5", "1.2", ">100", None], {}, "censored_log"),
        (["0.7", "0-0.5", "1.2"], {}, "censored_log"),
        (["0.7", "0.2-0.5", ">100"], {}, "censored"),  # no limit above only: no assay
        (["-0.7", "<0.5", "1.2"], {}, "censored"),
        (["0", "<0.5", "1.2"], {}, "censored"),
        (["0.7", "<0.5"] * 200, {"dtype": "string"}, "censored_log"),
        ([f"{i}.5" for i in range(1, 500)] + ["<1"], {}, "censored_log"),  # no free text
        (["<18", "18-64", ">64"], {}, "categorical"),
        (["0.7", "<0.5", "low"], {}, "categorical"),
        (["0.7", "<0.5", "1.2"], {"dtype": "category"}, "categorical"),
    ],
)
def test_censored_columns_are_seen(values, options, kind):
    assert learn(values, **options).kind == kind


def test_censored_columns_are_standardised_by_their_normal():
    x = np.random.default_rng(0).normal(5.0, 2.0, size=2000)
    text = [f"{v!r}" if v > 4 else "<4" for v in x.tolist()]
    column = learn(text, "censored")
    assert (column.location, column.scale) == pytest.approx((5.0, 2.0), abs=0.15)
    assert column.intervals == ((-np.inf, 4.0),) and not column.whole
    values = encode_column(column, read(pd.Series(["4.5", None, "<4"]), "col"))
    assert values.tolist() == [(4.5 - column.location) / column.scale, 0.0, 2.0**20]
    logs = learn([f"{v!r}" if v > 4 else "<54.598150033144236" for v in np.exp(x).tolist()])
    assert (logs.location, logs.scale) == pytest.approx((5.0, 2.0), abs=0.15)
    assert encode_column(logs, read(pd.Series([20.0]), "col")) == pytest.approx(
        [(np.log(20.0) - logs.location) / logs.scale]
    )


def test_codes_are_exact_in_single_precision():
    text = ["5", *(f"<{i}" for i in range(1, 3000))]
    column = learn(text, "censored")
    values = encode_column(column, read(pd.Series(text), "col"))
    assert (values.astype(np.float32).astype(np.float64)[1:] == values[1:]).all()
    places = (values[1:].astype(np.float32) - np.float32(2**20)).astype(int)
    assert [column.intervals[i][1] for i in places] == list(range(1, 3000))


def test_no_number_passes_for_an_interval():
    column = learn(["1", "2", "<0.5"], "censored")
    assert encode_column(column, read(pd.Series([1e300, -1e300]), "col")).tolist() == [
        2.0**19,
        -(2.0**19),
    ]


@pytest.mark.parametrize(
    "values, kind, text",
    [
        (["1", "n.d.", "<0.5"], "censored", "'col' holds 'n.d.'.*'<0.5'"),
        (["a", "b"], "censored_log", "'col' holds 'a'"),
        (["1", "-1", "<0.5"], "censored_log", "'col'.*not positive.*'censored'"),
        (["1", "<0"], "censored_log", "'col'.*not positive"),
        ([1.0, 0.0], "censored_log", "'col'.*not positive"),
    ],
)
def test_censored_columns_that_cannot_be_learnt(values, kind, text):
    with pytest.raises(ValueError, match=text):
        learn(values, kind)


def test_what_a_censored_column_refuses_later():
    column = learn(["1", "2", "<0.5", ">9"])
    for cell, text in {
        "<0.3": "'col' has 1 interval.*not seen in training: '-inf to 0.3'",
        "?": "'col' holds '[?]'",
        "-1": "not positive",
    }.items():
        with pytest.raises(ValueError, match=text):
            encode_column(column, read(pd.Series([cell, "1"]), "col"))


def test_constant_censored_column():
    column = learn([2.0, 2.0], "censored_log")
    assert column.scale == 0.0
    assert encode_column(column, read(pd.Series([2.0, None]), "col")).tolist() == [0.0, 0.0]
    with pytest.warns(UserWarning, match="'col' was always"):
        encode_column(column, read(pd.Series([3.0, None]), "col"))


def test_intervals_survive_json():
    column = learn(["1", "<0.5", ">9", "2-3"])
    text = json.dumps(column.to_dict(), allow_nan=False)
    assert Column.from_dict(json.loads(text)) == column
    old = {k: v for k, v in learn([1.0, 2.0]).to_dict().items() if k != "intervals"}
    assert Column.from_dict(old) == learn([1.0, 2.0])


def test_to_units_undoes_standardising():
    for kind in ("censored", "censored_log"):
        column = learn(["1", "3", "<0.5"], kind)
        x = np.array([0.1, 1.0, 7.0])
        np.testing.assert_allclose(column.to_units(column.standardised(x)), x)


# --- positive, bounded, counts, ordered levels -------------------------------------------------


def frames_of(values, **options):
    """The same column in pandas and polars."""
    return pd.DataFrame({"col": pd.Series(values, **options)}), pl.DataFrame({"col": values})


def test_positive_numbers_come_in_multiples_of_their_mean():
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
def test_bounds(values, kind, bounds):
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


def test_counts():
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


ORDER = ["low", "mid", "high"]


def test_ordered_pandas_categories_are_ordinal_and_come_back_ordered():
    dtype = pd.CategoricalDtype([*ORDER, "never"], ordered=True)
    X = pd.DataFrame({"col": pd.Series(["high", "low", None, "mid"], dtype=dtype)})
    schema = Schema.learn(X)
    assert schema.columns[0].kind is Kind.ORDINAL
    assert schema.columns[0].levels == ("low", "mid", "high")
    table = schema.encode(X)
    assert table.values[:, 0].tolist() == [2.0, 0.0, 0.0, 1.0]
    completed = table.fill(np.array([2.0]))["col"]
    assert completed.dtype == dtype and completed[2] == "high"
    assert learn(["high", "low", "mid"], "categorical", dtype=dtype).kind is Kind.CATEGORICAL
    assert learn(["high", "low"], dtype=dtype).kind is Kind.BINARY
    assert learn(["high", None, "high"], dtype=dtype).kind is Kind.CATEGORICAL


def test_other_columns_are_ordinal_only_if_asked():
    unordered = pd.CategoricalDtype(ORDER)
    assert learn(ORDER, dtype=unordered).kind is Kind.CATEGORICAL
    assert learn(ORDER, "ordinal", dtype=unordered).levels == tuple(ORDER)
    assert learn([3, 1, 2, 1], "ordinal").levels == (1, 2, 3)
    assert learn([3, 1, None], "ordinal", dtype=object).levels == (1, 3)
    P = pl.DataFrame({"col": ["high", "low", None, "mid"]}).cast({"col": pl.Enum(ORDER)})
    assert Schema.learn(P).columns[0].kind is Kind.CATEGORICAL
    schema = Schema.learn(P, {"col": "ordinal"})
    assert schema.columns[0].levels == tuple(ORDER)
    completed = schema.encode(P).fill(np.array([1.0]))
    assert completed["col"].to_list() == ["high", "low", "mid", "mid"]
    assert completed.schema == P.schema


@pytest.mark.parametrize(
    "values, kind, text",
    [
        ([1.0, 0.0, -2.0], "positive", "'col' has 2 value.* zero or below .*such as 0.*above 0"),
        ([1.5, -1.0, 2.0], "count", "'col' has 2 value.* negative or not whole .*such as 1.5"),
        ([0.5, 130.0, 2.0], "bounded", r"'col' goes from 0.5 to 130.*'bounded\(0.5, 130\)'"),
        ([-0.5, 0.5, 0.6], "bounded", r"'col' goes from -0.5 to 0.6"),
        ([0.5, 30.0, 2.0], "bounded(1, 20)", "'col' has 2 value.*out of bounds.*from 1 to 20"),
        ([0.5, 30.0, 2.0], "bounded(20, 1)", "'bounded.20, 1.' for column 'col', expected two"),
        ([0.5, 30.0, 2.0], "bounded(0, inf)", "for column 'col', expected two finite"),
        ([0.5, 30.0, 2.0], "bounded(a, b)", "for column 'col', expected two finite"),
        ([0.5, 30.0, 2.0], "bounded 0 20", "expected one of .*'bounded', 'count'.*bounded.0, 20"),
        (["a", "b", "c"], "positive", "'col' has dtype .*expected numbers for kind 'positive'"),
        (["a", "b", "c"], "ordinal", "'col' holds strings .*whose order is not known"),
    ],
)
def test_values_that_do_not_fit_the_kind(values, kind, text):
    for X in frames_of(values):
        with pytest.raises(ValueError, match=text):
            Schema.learn(X, {"col": kind})


@pytest.mark.parametrize(
    "training, kind, batch, text",
    [
        ([1.0, 2.0], "positive", [1.0, 0.0], "'col' has 1 value.*zero or below"),
        ([1.0, 2.0], "count", [1.5, 2.5], "'col' has 2 value.*not whole"),
        ([0.1, 0.2], "bounded", [0.5, 1.5], "'col' has 1 value.*from 0 to 1"),
        ([1, 2], "ordinal", [1, 3], "'col' has 1 level.* not seen in training: 3"),
        ([1.0, 2.0], "positive", ["a", "b"], "'col' came as levels"),
    ],
)
def test_new_cells_that_do_not_fit_the_kind(training, kind, batch, text):
    schema = Schema.learn(pd.DataFrame({"col": training}), {"col": kind})
    for X in frames_of(batch):
        with pytest.raises(ValueError, match=text):
            schema.encode(X)


@pytest.mark.parametrize("kind", ["positive", "bounded", "count"])
def test_a_constant_column_of_every_kind(kind):
    X = pd.DataFrame({"col": [1.0, 1.0, None]})
    table = Schema.learn(X, {"col": kind}).encode(X)
    assert np.isfinite(table.values).all()
    assert table.fill(table.values[:1, 0])["col"][2] == pytest.approx(1.0, abs=1e-2)
