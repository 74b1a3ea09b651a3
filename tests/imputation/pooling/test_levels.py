import numpy as np
import pandas as pd
import pytest

from pyro_gnr.imputation.pooling.levels import Levels, names, used_levels, with_levels

GRADES = pd.CategoricalDtype(["low", "mid", "high", "never"], ordered=True)


def table(grades, **columns):
    return pd.DataFrame({"grade": pd.Categorical(grades, dtype=GRADES), **columns})


def test_levels_are_those_of_all_tables_together():
    found = used_levels("y ~ grade", "y", [table(["high", "low"]), table(["mid", None])])
    assert found == {"grade": Levels(("low", "mid", "high"), ("never",), True, True)}


def test_tables_are_looked_at_until_all_levels_were_seen():
    def tables():
        yield table(["low", "mid", "high", "never"])
        raise AssertionError("a second table was asked for")

    assert used_levels("y ~ grade", "y", tables())["grade"].unused == ()
    assert used_levels("y ~ age", "y", tables()) == {}


def test_text_counts_on_the_left_only():
    one = pd.DataFrame({"a": ["x", "z"], "b": ["p", "q"]})
    other = pd.DataFrame({"a": ["y", None], "b": ["p", "q"]})
    found = used_levels("a ~ b", "a", [one, other])
    assert found == {"a": Levels(("x", "y", "z"))}
    mixed = pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)})
    assert used_levels("a ~ b", "a", [mixed])["a"].values == (1, "x")


@pytest.mark.parametrize(
    ("formula", "column", "whether"),
    [
        ("y ~ C(sex)", "sex", True),
        ("y ~ sex:age", "age", True),
        ("y ~ sexes", "sex", False),
        ('y ~ Q("a b")', "a b", True),
        ("y ~ Q('a.b')", "acb", False),
    ],
)
def test_names(formula, column, whether):
    assert names(formula, column) is whether


def test_unused_levels_are_dropped_and_nothing_else():
    frame = table(["high", "low"], x=[1, 2])
    levels = used_levels("y ~ grade", "y", [frame, table(["mid"])])
    found = with_levels(frame, levels)
    assert found["grade"].cat.categories.tolist() == ["low", "mid", "high"]
    assert found["grade"].cat.ordered
    assert found["grade"].tolist() == ["high", "low"]
    assert frame["grade"].dtype == GRADES  # the caller's is not changed
    assert with_levels(frame, {}) is frame
    assert np.array_equal(found["x"], frame["x"])
