from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pandas.testing import assert_series_equal
from polars.testing import assert_series_equal as assert_polars_equal
from scipy import special

import pyro_gnr
from pyro_gnr.data.amputation import MAR, MCAR, MECHANISMS, AboveMean, SelfMasking, ampute

NUMBERS = ["float64", "float32", "Float64", "int64", "Int64", "int16", "uint8", "int64[pyarrow]"]
LEVELS = ["str", "object", "string", "category", "boolean", "bool", "string[pyarrow]"]
AFTER = {"int64": "Int64", "int16": "Int16", "uint8": "UInt8", "bool": "boolean"}
DRAWN = sorted(set(MECHANISMS) - {"above_mean"})


@st.composite
def wild_columns(draw, n: int):
    """Columns of mixed dtypes and wild values, each with at least two of them."""
    columns = []
    for dtype in draw(st.lists(st.sampled_from(NUMBERS + LEVELS), min_size=2, max_size=5)):
        if dtype in NUMBERS and "float" in dtype.lower():
            elements = st.floats(-(2.0**90), 2.0**90, allow_subnormal=False, width=32)
        elif dtype in NUMBERS:
            elements = st.integers(0, 255 if dtype == "uint8" else 30_000)
        elif "bool" in dtype:
            elements = st.booleans()
        else:
            elements = st.sampled_from(["a", "b", "", "é", "NA", "[red]"])
        values = draw(st.lists(elements, min_size=n, max_size=n).filter(lambda v: len(set(v)) > 1))
        columns.append((dtype, values))
    return columns


@st.composite
def wild_frames(draw):
    n = draw(st.integers(3, 12))
    columns = draw(wild_columns(n))
    labels = draw(st.permutations([f"c{i}" if i else 0 for i in range(len(columns))]))
    frame = pd.concat([pd.Series(v, dtype=t) for t, v in columns], axis=1).set_axis(labels, axis=1)
    unique = st.lists(st.integers(), min_size=n, max_size=n, unique=True)
    repeated = st.lists(st.sampled_from("ab"), min_size=n, max_size=n)
    return frame.set_axis(pd.Index(draw(st.one_of(unique, repeated)), name="row"))


@given(wild_frames(), st.sampled_from(DRAWN), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_wild_frames_come_back_but_for_the_holes(frame, name, rate, seed):
    before = frame.copy(deep=True)
    holes = ampute(frame, name, rate=rate, random_state=seed)
    pd.testing.assert_frame_equal(frame, before)
    assert holes.table.index.equals(frame.index) and holes.table.index.name == "row"
    assert holes.table.columns.equals(frame.columns)
    assert (holes.table.notna().to_numpy() == holes.observed).all()
    lose = holes.probabilities.any(axis=0)
    np.testing.assert_allclose(holes.probabilities[:, lose].mean(axis=0), rate, atol=1e-6)
    for j, column in enumerate(frame):
        dtype = str(frame[column].dtype)
        expected = frame[column].astype(AFTER.get(dtype, dtype) if lose[j] else dtype)
        kept = holes.observed[:, j]
        assert_series_equal(holes.table[column][kept], expected[kept], check_exact=True)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(3, 9), st.integers(2, 4)), elements=st.floats(-1e9, 1e9)
    ),
    st.sampled_from(DRAWN),
)
@settings(deadline=None, max_examples=60)
def test_wild_arrays(X, name):
    X[0] = X.max(axis=0) + np.maximum(1.0, np.abs(X.max(axis=0)))  # no column is constant
    holes = ampute(X, name, random_state=0)
    assert np.array_equal(np.isnan(holes.table), ~holes.observed)
    assert np.array_equal(holes.table[holes.observed], X[holes.observed])
    assert np.isfinite(holes.probabilities).all()


def test_polars_keeps_dtypes():
    X = pl.DataFrame(
        {
            "n": [1, 2, 3, 4],
            "e": pl.Series(["b", "a", "b", "a"], dtype=pl.Enum(["b", "a", "c"])),
            "d": pl.Series([0, 1, 2, 3], dtype=pl.Date),
        }
    )
    holes = ampute(X, rate=0.5, random_state=0)
    assert holes.table.schema == X.schema
    for j, name in enumerate(X.columns):
        kept = pl.Series(holes.observed[:, j])
        assert_polars_equal(holes.table[name].filter(kept), X[name].filter(kept))
        assert holes.table[name].null_count() == (~holes.observed[:, j]).sum()


def test_the_probabilities_are_the_mechanisms():
    X = np.random.default_rng(0).normal(size=(100, 3))
    holes = ampute(X, SelfMasking(slope=3.0), rate=0.35, columns=["x1"], random_state=0)
    assert not holes.probabilities[:, [0, 2]].any()
    logits = special.logit(holes.probabilities[:, 1])
    slope, _ = np.polyfit((X[:, 1] - X[:, 1].mean()) / X[:, 1].std(), logits, 1)
    assert slope == pytest.approx(3.0)


def test_data_and_holes_of_one_seed_share_no_random_numbers():
    """default_rng(0) made these values; holes of seed 0 must not know them."""
    n = 4000
    X = np.random.default_rng(0).random((n, 2))
    missing = ~ampute(X, rate=0.5, random_state=0).observed
    assert abs(np.corrcoef(X[:, 0], missing[:, 0])[0, 1]) < 4 / np.sqrt(n)


def test_a_generator_is_used_and_advanced():
    X = np.zeros((50, 2))
    rng = np.random.default_rng(3)
    first, second = ampute(X, random_state=rng).observed, ampute(X, random_state=rng).observed
    assert not np.array_equal(first, second)
    again = np.random.default_rng(3)
    assert np.array_equal(ampute(X, random_state=again).observed, first)


def test_without_a_seed_every_call_differs():
    X = np.zeros((200, 2))
    assert not np.array_equal(ampute(X).observed, ampute(X).observed)


def test_a_mechanism_by_name_class_or_object():
    X = np.random.default_rng(0).normal(size=(30, 2))
    masks = [
        ampute(X, mechanism, random_state=0).observed
        for mechanism in ("self_masking", SelfMasking, SelfMasking(), partial(SelfMasking))
    ]
    assert all(np.array_equal(masks[0], mask) for mask in masks[1:])
    low = [SelfMasking(direction="low"), partial(SelfMasking, direction="low")]
    one, two = (ampute(X, mechanism, random_state=0).observed for mechanism in low)
    assert np.array_equal(one, two) and not np.array_equal(one, masks[0])


@pytest.mark.parametrize(
    ("mechanism", "error", "text"),
    [
        ("magic", ValueError, r"got mechanism 'magic', expected one of \['mcar', 'mar',"),
        ("self_maskin", ValueError, r"'general_mnar'\] \(did you mean 'self_masking'\?\)\.$"),
        (3, TypeError, "got mechanism 3, expected a name"),
        (dict, TypeError, "expected a name"),
        (partial(dict), TypeError, "expected a name"),
    ],
)
def test_what_is_no_mechanism(mechanism, error, text):
    with pytest.raises(error, match=text):
        ampute(np.zeros((3, 2)), mechanism)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rate": 0.0}, "rate 0.0"),
        ({"rate": 1.0}, "rate 1.0"),
        ({"columns": ["y"]}, r"unknown columns \['y'\]"),
        ({"columns": []}, "one or more"),
        ({"kinds": {"y": "ignore"}}, "unknown columns"),
        ({"kinds": {"x0": "wavy"}}, "wavy"),
        ({"random_state": -1}, "non-negative"),
    ],
)
def test_arguments(options, text):
    with pytest.raises(ValueError, match=text):
        ampute(np.zeros((3, 2)), **options)


@pytest.mark.parametrize("seed", ["x", "7 ", 1.5, object()])
def test_what_is_no_seed(seed):
    with pytest.raises(
        TypeError, match=r"got random_state=.*, expected a whole number >= 0, a nu"
    ):
        ampute(np.zeros((3, 2)), random_state=seed)


def test_a_mechanism_that_reaches_no_cell_is_said():
    X = np.random.default_rng(0).normal(size=(30, 2))
    text = r"no cell was removed: by AboveMean\(offset=9.0\) none of the values in \['x0'\] can go"
    with pytest.warns(UserWarning, match=text) as warned:
        holes = ampute(X, AboveMean(offset=9.0))
    assert warned[0].filename == __file__
    assert holes.observed.all()


def test_a_rate_that_happens_to_remove_nothing_is_no_mistake():
    assert ampute(np.zeros((2, 1)), rate=0.01, random_state=0).observed.all()


def test_ignored_columns_keep_their_own_holes_and_lose_no_cells():
    X = pd.DataFrame({"note": ["a", None, "c"], "x": [1.0, 2.0, 3.0]})
    holes = ampute(X, rate=0.9, kinds={"note": "ignore"}, random_state=0)
    assert holes.observed[:, 0].tolist() == [True, False, True]
    assert not holes.probabilities[:, 0].any()
    full = X.fillna("b")
    named = ampute(full, rate=0.9, kinds={"note": "ignore"}, columns=["note"], random_state=0)
    assert not named.observed[:, 0].all() and named.observed[:, 1].all()


def holey(n: int = 4000) -> pd.DataFrame:
    """Two complete columns, x and y; z has holes where x is low, note where it pleases."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x", "y", "z"])
    frame.loc[frame["x"] < -0.5, "z"] = np.nan
    frame["note"] = np.where(rng.random(n) < 0.4, None, "text")
    return frame


@pytest.mark.parametrize("make", [lambda X: X, pl.from_pandas])
def test_holes_of_the_table_stay_and_the_rate_is_of_what_was_observed(make):
    frame = holey()
    before = frame.notna().to_numpy()
    made = ampute(make(frame), rate=0.25, random_state=0)
    after = made.table if isinstance(made.table, pd.DataFrame) else made.table.to_pandas()
    assert np.array_equal(after.notna().to_numpy(), made.observed)
    assert np.array_equal(made.observed | made.removed, before)
    assert not (made.observed & made.removed).any()
    assert (made.probabilities[before] == 0.25).all() and not made.probabilities[~before].any()
    share = made.removed.sum(axis=0) / before.sum(axis=0)
    np.testing.assert_allclose(share, 0.25, atol=0.03)
    for j, name in enumerate(frame):
        kept = made.observed[:, j]
        assert after[name][kept].tolist() == frame[name][kept].tolist()


def test_mar_solves_for_the_rate_of_what_was_observed():
    """z is observed where x is high, which is where it goes missing: all rows would mislead."""
    frame = holey()
    mechanism = MAR(predictors=["x"], slope=3.0)
    made = ampute(frame, mechanism, columns=["z", "note"], rate=0.3, random_state=0)
    before = frame.notna().to_numpy()
    expected = made.probabilities.sum(axis=0) / before.sum(axis=0)
    np.testing.assert_allclose(expected, [0.0, 0.0, 0.3, 0.3], atol=1e-9)
    assert not made.removed[~before].any() and made.observed[:, :2].all()
    empty = frame.assign(z=np.nan)
    with pytest.raises(ValueError, match=r"\['z'\] have no cell to lose"):
        ampute(empty, mechanism, columns=["z", "note"])


READS = {
    "mcar": [],
    "mar": ["x"],
    "self_masking": ["y"],
    "hard_self_masking": ["y"],
    "above_mean": ["y"],
    "shared_latent": ["x", "y"],
    "no_self_censoring": ["x", "y"],
    "general_mnar": ["x", "y"],
}


@pytest.mark.parametrize("name", MECHANISMS)
def test_columns_that_are_read_must_be_complete_and_no_others(name):
    """Each mechanism takes cells of y; x may be read, too."""
    frame = holey(200)[["x", "y", "z"]]
    mechanism = MAR(predictors=["x"]) if name == "mar" else name
    reads_all = {"shared_latent", "no_self_censoring", "general_mnar"}
    kinds = {"z": "ignore"} if name in reads_all else None
    made = ampute(frame, mechanism, columns=["y"], kinds=kinds, random_state=0)
    assert np.array_equal(made.observed[:, 2], frame["z"].notna())
    assert made.removed.any(axis=0).tolist() == [False, True, False]
    for column in ("x", "y"):
        holed = frame.copy()
        holed.loc[0, column] = np.nan
        if column in READS[name]:
            with pytest.raises(ValueError, match=f"'{column}' has 1 missing cell.*depend on its"):
                ampute(holed, mechanism, columns=["y"], kinds=kinds)
        else:
            ampute(holed, mechanism, columns=["y"], kinds=kinds)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, lambda X: pl.DataFrame(X)])
def test_dropped_rows_can_be_found_again(make):
    X = np.random.default_rng(0).normal(size=(60, 2))
    kept = ampute(make(X), MCAR(), rate=0.6, random_state=0)
    dropped = ampute(make(X), MCAR(), rate=0.6, drop_empty_rows=True, random_state=0)
    assert len(kept.table) == 60 and kept.rows.tolist() == list(range(60))
    assert len(dropped.table) == len(dropped.rows) == 60 - len(kept.empty_rows) < 60
    values = np.asarray(dropped.table, dtype=float)
    assert np.array_equal(values[dropped.observed], X[dropped.rows][dropped.observed])
    if isinstance(dropped.table, pd.DataFrame):
        assert dropped.table.index.tolist() == dropped.rows.tolist()


def test_it_is_a_public_name():
    assert pyro_gnr.ampute is ampute
    assert "ampute" in pyro_gnr.__all__ and "ampute" in dir(pyro_gnr)
