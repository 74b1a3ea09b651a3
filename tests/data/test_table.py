import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pandas.testing import assert_frame_equal, assert_series_equal
from polars.testing import assert_frame_equal as assert_polars_equal

from pyro_gnr.data import Cell, Kind, Schema
from pyro_gnr.data.table import Table

ORDERED = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
PANDAS = {
    "float64": [1.5, -2.0, 0.1],
    "float32": [1.5, -2.0, 0.1],
    "Float64": [1.5, -2.0, 0.1],
    "Int64": [1, -2, 7],
    "Int8": [1, -2, 7],
    "boolean": [True, False, True],
    "string": ["a", "b", ""],
    "str": ["a", "b", "é"],
    "object": ["a", "b", "c"],
    "category": ["x", "y", "z"],
    "ordered": ["high", "low", "high"],
    "int64[pyarrow]": [1, -2, 7],
    "double[pyarrow]": [1.5, -2.0, 0.1],
    "string[pyarrow]": ["a", "b", "c"],
    "bool[pyarrow]": [True, False, True],
}
POLARS = {
    "float64": (pl.Float64, [1.5, -2.0, 0.1]),
    "float32": (pl.Float32, [1.5, -2.0, 0.1]),
    "int64": (pl.Int64, [1, -2, 7]),
    "uint8": (pl.UInt8, [1, 2, 7]),
    "boolean": (pl.Boolean, [True, False, True]),
    "string": (pl.String, ["a", "b", ""]),
    "categorical": (pl.Categorical, ["x", "y", "z"]),
    "enum": (pl.Enum(["high", "low", "never"]), ["low", "high", "low"]),
}


def random_fill(table: Table, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    _, cols = table.missing
    values = rng.normal(scale=3.0, size=len(cols))
    for j, column in enumerate(table.schema.modelled):
        if column.levels is not None:
            values[cols == j] = rng.integers(len(column.levels), size=int((cols == j).sum()))
    return values


def round_trip(X):
    """Encode and complete a table; the second table is its completed twin's encoding."""
    table = Schema.learn(X).encode(X)
    return table, table.fill(random_fill(table))


def pandas_column(dtype: str, values: list) -> pd.Series:
    return pd.Series(values, dtype=ORDERED if dtype == "ordered" else dtype)


@st.composite
def holes(draw, n_cols: int):
    """(N, D) bool, True where observed; the first three rows are complete."""
    shape = (draw(st.integers(3, 12)), n_cols)
    observed = draw(hnp.arrays(bool, shape))
    observed[:3] = True
    return observed


@given(holes(len(PANDAS)), st.booleans())
@settings(deadline=None, max_examples=40)
def test_pandas_round_trip_keeps_everything_but_the_holes(observed, duplicated):
    n = len(observed)
    columns = {}
    for j, (dtype, values) in enumerate(PANDAS.items()):
        cells = [values[i % 3] if observed[i, j] else None for i in range(n)]
        columns[dtype] = pandas_column(dtype, cells)
    X = pd.DataFrame(columns)
    X.index = pd.Index(["r"] * n if duplicated else [f"r{i}" for i in range(n)], name="row")
    before = X.copy(deep=True)
    table, completed = round_trip(X)
    assert_frame_equal(X, before)
    assert (table.observed == observed).all()
    assert (completed.dtypes == X.dtypes).all()
    assert completed.index.equals(X.index) and completed.index.name == "row"
    assert completed.columns.equals(X.columns)
    assert completed.notna().all(axis=None)
    for j, name in enumerate(X):
        kept = observed[:, j]
        assert_series_equal(completed[name][kept], X[name][kept], check_exact=True)
    assert table.index_labels().equals(X.index)


@given(holes(len(POLARS)))
@settings(deadline=None, max_examples=40)
def test_polars_round_trip_keeps_everything_but_the_holes(observed):
    n = len(observed)
    X = pl.DataFrame(
        {
            name: pl.Series([values[i % 3] if observed[i, j] else None for i in range(n)], dtype=t)
            for j, (name, (t, values)) in enumerate(POLARS.items())
        }
    )
    table, completed = round_trip(X)
    assert (table.observed == observed).all()
    assert completed.schema == X.schema
    assert completed.null_count().sum_horizontal().item() == 0
    for j, name in enumerate(X.columns):
        kept = pl.Series(observed[:, j])
        assert_polars_equal(completed.select(name).filter(kept), X.select(name).filter(kept))
    assert table.index_labels().equals(pd.RangeIndex(n))


FINITE = st.floats(-1e100, 1e100, allow_subnormal=False)


@given(hnp.arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=FINITE))
@settings(deadline=None)
def test_array_round_trip(complete):
    X = complete.copy()
    X[1:][np.random.default_rng(0).random(X[1:].shape) < 0.4] = np.nan
    table, completed = round_trip(X)
    observed = ~np.isnan(X)
    assert completed.dtype == np.float64
    assert (completed[observed] == X[observed]).all()
    assert not np.isnan(completed).any()
    assert (table.values[~observed] == 0.0).all()
    rows, cols = np.nonzero(observed)
    decoded = table.decode(cols, table.values[rows, cols])
    for j, column in enumerate(table.schema.modelled):
        if column.kind is Kind.CONTINUOUS:
            size = np.abs(X[observed[:, j], j]).max()
            np.testing.assert_allclose(
                decoded[cols == j], X[observed[:, j], j], rtol=0, atol=1e-12 * size
            )


def test_nan_within_a_nullable_float_is_missing():
    column = pd.array([1.0, 0.0, 3.0], dtype="Float64") / pd.array([1.0, 0.0, 1.0], "Float64")
    table, completed = round_trip(pd.DataFrame({"f": column}))
    np.testing.assert_array_equal(table.observed[:, 0], [True, False, True])
    assert not np.isnan(completed["f"].to_numpy(float)).any()


def test_polars_nan_is_filled():
    X = pl.DataFrame({"f": [1.0, float("nan"), None, 2.0]})
    _, completed = round_trip(X)
    assert completed["f"].is_finite().all()


def test_fill_writes_levels_and_rounded_numbers():
    X = pd.DataFrame(
        {
            "n": pd.array([1, 3, None], dtype="Int64"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "c": pd.Categorical(["mid", None, "low"], dtype=ORDERED),
        }
    )
    table = Schema.learn(X).encode(X)
    completed = table.fill(np.array([1.0, 1.0, 0.4]))
    assert completed["n"].tolist() == [1, 3, 2]
    assert completed["b"].tolist() == [True, True, False]
    assert completed["c"].tolist() == ["mid", "mid", "low"]
    assert completed["c"].dtype == ORDERED


def test_fill_stays_within_the_range_of_the_dtype():
    X = pd.DataFrame({"a": pd.array([1, 120, None], dtype="Int8"), "b": [1.0, 2.0, 3.0]})
    table = Schema.learn(X).encode(X)
    assert table.fill(np.array([50.0]))["a"].tolist() == [1, 120, 127]
    P = pl.DataFrame({"a": [1, 2, None]}, schema={"a": pl.UInt64})
    table = Schema.learn(P).encode(P)
    assert table.fill(np.array([-50.0]))["a"].to_list() == [1, 2, 0]
    assert table.fill(np.array([1e30]))["a"].to_list()[2] < 2**64


def test_fill_of_float32_array_keeps_the_dtype_and_of_integers_gives_floats():
    X = np.array([[0.1, 1.0], [np.nan, 2.0], [0.7, 3.0]], dtype=np.float32)
    table, completed = round_trip(X)
    assert completed.dtype == np.float32 and (completed[table.observed] == X[table.observed]).all()
    _, completed = round_trip(np.arange(6).reshape(3, 2))
    assert completed.dtype == np.float64


@pytest.mark.parametrize(
    "values, text",
    [
        ([0.0], "shape"),
        ([0.0, 0.0, 0.0], "shape"),
        ([np.nan, 0.0], "finite"),
        ([0.0, 0.5], "level codes"),
        ([0.0, -1.0], "level codes"),
        ([0.0, 2.0], "beyond"),
    ],
)
def test_fill_refuses_what_cannot_be_decoded(values, text):
    X = pd.DataFrame({"x": [1.0, 2.0, None], "c": ["a", "b", None]})
    with pytest.raises(ValueError, match=text):
        Schema.learn(X).encode(X).fill(np.array(values))


def test_decode_broadcasts_over_leading_dimensions():
    X = pd.DataFrame({"x": [1.0, 3.0], "n": [10, 20], "c": ["a", "b"], "k": [4.0, 4.0]})
    table = Schema.learn(X).encode(X)
    decoded = table.decode(np.array([0, 1, 2, 3]), np.array([[0.5, 0.3, 1.0, 9.0], [0] * 4]))
    np.testing.assert_array_equal(decoded, [[2.5, 16.0, 1.0, 4.0], [2.0, 15.0, 0.0, 4.0]])


def test_hide_a_fraction():
    X = np.random.default_rng(0).normal(size=(40, 5))
    X[X > 1.0] = np.nan
    table = Schema.learn(X).encode(X)
    hidden = table.hide(0.25, np.random.default_rng(1))
    assert (hidden.states == Cell.HIDDEN).sum() == round(0.25 * table.visible.sum())
    assert (hidden.observed == table.observed).all()
    assert (hidden.values == table.values).all() and (hidden.keys == table.keys).all()
    assert (table.states != Cell.HIDDEN).all()
    assert not (hidden.visible & (hidden.states == Cell.HIDDEN)).any()
    again = table.hide(0.25, np.random.default_rng(1))
    assert (again.states == hidden.states).all()
    completed = hidden.fill(np.zeros(len(hidden.missing[0])))
    assert (completed[table.observed] == X[table.observed]).all()


def test_hide_cells_by_name():
    X = np.array([[1.0, np.nan], [2.0, 3.0], [0.5, 4.0]])
    table = Schema.learn(X).encode(X)
    cells = np.array([[True, True], [False, False], [False, True]])
    np.testing.assert_array_equal(table.hide(cells).states, [[2, 0], [1, 1], [1, 2]])
    with pytest.raises(ValueError, match="shape"):
        table.hide(cells[:2])
    with pytest.raises(TypeError, match="bool"):
        table.hide(cells.astype(int))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        table.hide(1.5, np.random.default_rng(0))
    with pytest.raises(TypeError, match="rng"):
        table.hide(0.5)


def test_later_changes_of_the_callers_table_do_not_reach_the_result():
    frame = pd.DataFrame({"x": [1.0, 2.0, None]})
    table = Schema.learn(frame).encode(frame)
    frame.loc[0, "x"] = 99.0
    assert table.fill(np.array([0.0]))["x"].tolist() == [1.0, 2.0, 1.5]
    array = np.array([[1.0], [2.0], [np.nan]])
    table = Schema.learn(array).encode(array)
    array[0] = 99.0
    completed = table.fill(np.array([0.0]))
    completed[:] = 0.0
    assert table.frame[0, 0] == 1.0


def test_ignored_columns_go_through_untouched():
    things = [[1], {"a": 2}, None]
    X = pd.DataFrame({"t": pd.Series(things, dtype=object), "x": [1.0, None, 3.0]})
    X["d"] = pd.to_datetime(["2020-01-01", None, "2021-01-01"])
    schema = Schema.learn(X, {"t": "ignore", "d": Kind.IGNORE})
    assert [c.name for c in schema.modelled] == ["x"]
    assert [c.holes for c in schema.columns] == [1, 1, 1]
    completed = schema.encode(X).fill(np.array([0.0]))
    assert completed["t"].tolist() == things
    assert_frame_equal(completed.drop(columns="x"), X.drop(columns="x"))


def test_names_that_are_no_strings_and_multiindex_columns():
    X = pd.DataFrame({0: [1.0, None], 1: [2.0, 3.0]})
    schema = Schema.learn(X, {1: "categorical"})
    assert [c.name for c in schema.columns] == ["0", "1"]
    assert schema.encode(X).fill(np.array([0.0])).columns.equals(X.columns)
    X.columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["u", "v"])
    assert_frame_equal(round_trip(X)[1].isna(), X.isna() & False)


def test_fully_missing_rows_and_one_row_to_encode():
    X = pd.DataFrame({"x": [1.0, None, 2.0], "c": ["a", None, "b"]})
    schema = Schema.learn(X)
    assert not schema.encode(X).observed[1].any()
    one = schema.encode(X.iloc[[1]])
    assert one.values.shape == (1, 2)
    assert one.fill(np.array([0.0, 1.0])).to_numpy().tolist() == [[1.5, "b"]]


def test_a_table_without_holes_is_given_back():
    X = pd.DataFrame({"x": [1.0, 2.0], "c": ["a", "b"]})
    assert_frame_equal(Schema.learn(X).encode(X).fill(np.empty(0)), X)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([None, None], dtype=object),
        pd.Series([np.nan, np.nan]),
        pd.Series([None, None], dtype="string"),
        pd.Series([None, None], dtype="category"),
        pd.Series([pd.NaT, pd.NaT]),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("kind", ["text", "number"])
def test_a_column_that_is_all_missing_at_encode_is_filled(column, kind):
    training = pd.Series(["a", "b", None] if kind == "text" else [1.0, 4.0, None])
    schema = Schema.learn(pd.DataFrame({"x": training, "y": [1.0, 2.0, None]}))
    table = schema.encode(pd.DataFrame({"x": column, "y": [1.0, 2.0]}))
    completed = table.fill(np.array([0.0, 1.0]))
    assert completed["x"].tolist() == (["a", "b"] if kind == "text" else [2.5, 4.0])


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64, pl.Categorical, pl.Enum([])])
@pytest.mark.parametrize("kind", ["text", "number"])
def test_a_polars_column_that_is_all_missing_at_encode_is_filled(dtype, kind):
    training = ["a", "b", None] if kind == "text" else [1.0, 4.0, None]
    schema = Schema.learn(pl.DataFrame({"x": training, "y": [1.0, 2.0, None]}))
    X = pl.DataFrame({"x": pl.Series([None, None], dtype=dtype), "y": [1.0, 2.0]})
    completed = schema.encode(X).fill(np.array([0.0, 1.0]))
    assert completed["x"].to_list() == (["a", "b"] if kind == "text" else [2.5, 4.0])


def test_a_level_that_the_categories_at_encode_lack_is_added():
    X = pd.DataFrame({"c": pd.Categorical(["low", "high", None], dtype=ORDERED)})
    new = pd.DataFrame({"c": pd.Categorical(["high", None], categories=["high"], ordered=True)})
    completed = Schema.learn(X).encode(new).fill(np.array([0.0]))
    assert completed["c"].tolist() == ["high", "low"]
    P = pl.DataFrame({"c": ["low", "high", None]})
    new = P.tail(2).cast(pl.Enum(["high"]))
    assert Schema.learn(P).encode(new).fill(np.array([1.0]))["c"].to_list() == ["high", "low"]


def test_intervals_as_categories():
    X = pd.DataFrame({"c": pd.cut(pd.Series([1.0, 5.0, 9.0, None]), [0, 4, 8, 12])})
    table, _ = round_trip(X)
    completed = table.fill(np.array([2.0]))
    assert completed["c"].dtype == X["c"].dtype
    assert completed["c"].iloc[3] == pd.Interval(8, 12)


def test_one_in_the_middle_of_many_columns():
    """N == D once, N != D elsewhere."""
    X = np.random.default_rng(0).normal(size=(4, 4))
    X[np.eye(4, dtype=bool)] = np.nan
    table, completed = round_trip(X)
    rows, cols = table.missing
    np.testing.assert_array_equal(rows, cols)
    assert not np.isnan(completed).any()


# --- cells known to lie in an interval --------------------------------------------------------


@pytest.mark.filterwarnings("ignore:column .* limits of detection")
@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", ["censored", "censored_log"])
def test_interval_cells_are_observed_and_completed_within_their_limits(library, kind):
    X = pd.DataFrame({"a": [1.0, None, 3.0, 4.0, 5.0], "b": ["1.5", "<0.5", None, "2-3", ">9"]})
    X = X if library == "pandas" else pl.from_pandas(X)
    table = Schema.learn(X, {"b": kind}).encode(X)
    assert table.observed.T.tolist() == [
        [True, False, True, True, True],
        [True, True, False, True, True],
    ]
    assert (table.visible == table.observed).all()
    assert table.intervals[:, 1].tolist() == [False, True, False, True, True]
    assert [v.tolist() for v in table.missing] == [[1, 1, 2, 3, 4], [0, 1, 1, 1, 1]]
    assert table.limits.T.tolist() == [
        [-np.inf, np.inf],
        [-np.inf, 0.5],
        [-np.inf, np.inf],
        [2.0, 3.0],
        [9.0, np.inf],
    ]
    for z in (-30.0, 0.1, 30.0):
        filled = table.fill(np.full(5, z))["b"].to_numpy()
        assert filled.dtype == np.float64 and filled[0] == 1.5
        assert filled[1] <= 0.5 and 2 <= filled[3] <= 3 and filled[4] >= 9
        units = table.schema.modelled[1].to_units(np.array([z]))
        assert filled[2] == units[0]
        np.testing.assert_array_equal(table.in_units(np.full((2, 5), z))[1, 1:], filled[1:])
    np.testing.assert_array_equal(table.original()["b"].to_numpy(), [1.5] + [np.nan] * 4)
    assert table.original()["a"].to_list() == table.frame["a"].to_list() or library == "pandas"
    assert table.interval_texts()["b"].tolist() == [None, "<0.5", None, "2-3", ">9"]
    assert table.frame["b"].to_list()[1] == "<0.5"


def test_a_censored_column_without_intervals_is_completed_as_floats_too():
    X = pd.DataFrame({"b": ["1.5", "<0.5", "2"]})
    schema = Schema.learn(X)
    text = schema.encode(pd.DataFrame({"b": ["1.5", "2", "3"]}))
    assert text.fill(np.array([]))["b"].tolist() == [1.5, 2.0, 3.0]
    numbers = schema.encode(pd.DataFrame({"b": [1.5, 2.0, 3.0]}))
    np.testing.assert_array_equal(text.values, numbers.values)
    assert (text.keys == numbers.keys).all()
    assert numbers.fill(np.array([]))["b"].tolist() == [1.5, 2.0, 3.0]
    assert numbers.interval_texts() == {} and numbers.original() is numbers.frame


def test_hidden_interval_cells_are_not_visible():
    X = pd.DataFrame({"b": ["1.5", "<0.5", "2"]})
    table = Schema.learn(X).encode(X).hide(np.array([[False], [True], [False]]))
    assert table.visible[:, 0].tolist() == [True, False, True]
    assert table.observed.all() and table.missing[0].tolist() == [1]


def test_a_huge_number_is_no_interval():
    X = pd.DataFrame({"a": [0.0, 1e-9, 2e-9], "b": ["1.5", "<0.5", "2"]})
    table = Schema.learn(X).encode(X.assign(a=[1.0, 1e200, 0.0]))
    assert table.intervals.sum() == 1 and table.missing[1].tolist() == [1]
