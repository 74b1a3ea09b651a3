import json

import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data import Column, Kind, Schema


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
def test_default_kinds(learn, values, dtype, kind, levels):
    column = learn(values, dtype=dtype)
    assert (column.kind, column.levels) == (Kind(kind), levels)
    assert [type(v) for v in column.levels or ()] == [type(v) for v in levels or ()]
    assert column.dtype == dtype
    assert column.holes == sum(v is None for v in values)
    assert column.whole == (dtype in ("Int64", "int64"))


def test_chosen_kinds(learn):
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
def test_columns_that_cannot_be_learnt(learn, values, kind, options, text):
    with pytest.raises(ValueError, match=text):
        learn(values, kind, **options)


def test_what_looks_like_free_text_has_the_kind_that_is_given_for_it():
    X = pd.DataFrame({"note": [f"t{i}" for i in range(30)], "arm": ["a", "b"] * 15})
    fallbacks = {"note": Kind.CATEGORICAL, "arm": Kind.CATEGORICAL, "other": Kind.COUNT}
    note, arm = Schema.learn(X, fallbacks=fallbacks).columns
    assert len(note.levels) == 30
    assert arm.kind is Kind.BINARY  # a kind of its own is kept


def test_what_is_not_free_text(learn):
    assert len(learn([f"t{i}" for i in range(20)]).levels) == 20
    assert len(learn([f"t{i}" for i in range(21)] * 2).levels) == 21
    assert len(learn([f"t{i:03}" for i in range(100)] * 2).levels) == 100
    assert len(learn([f"t{i}" for i in range(300)], "categorical").levels) == 300
    assert len(learn([f"t{i}" for i in range(300)], dtype="category").levels) == 300


@pytest.mark.parametrize(
    "values, kind, text",
    [
        ([1.0, 0.0, -2.0], "positive", "'col' has 2 value.* zero or below .*such as 0.*above 0"),
        ([1.5, -1.0, 2.0], "count", "'col' has 2 value.* negative or not whole .*such as 1.5"),
        ([0.5, 130.0, 2.0], "bounded", r"'col' lies between 0.5 and 130.*'bounded\(0.5, 130\)'"),
        ([-0.5, 0.5, 0.6], "bounded", r"'col' lies between -0.5 and 0.6"),
        ([0.5, 30.0, 2.0], "bounded(1, 20)", "'col' has 2 value.*out of bounds.*from 1 to 20"),
        (["a", "b", "c"], "positive", "'col' has dtype .*expected numbers for kind 'positive'"),
        (["a", "b", "c"], "ordinal", "'col' holds strings .*whose order is not known"),
    ],
)
def test_values_that_do_not_fit_the_kind(frames_of, values, kind, text):
    for X in frames_of(values):
        with pytest.raises(ValueError, match=text):
            Schema.learn(X, {"col": kind})


def test_the_range_that_was_seen(learn):
    assert learn([3.0, None, -1.0, 2.0]).seen == (-1.0, 3.0)
    assert learn(["2", "<0.5", "1-9", None]).seen == (-np.inf, 9.0)
    assert learn(["a", "b"]).seen is None
    column = learn(["2", "<0.5", "7"])
    assert Column.from_dict(json.loads(json.dumps(column.to_dict()))) == column
