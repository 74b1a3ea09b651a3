import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Kind, Schema

ORDER = ["low", "mid", "high"]


def test_declared_levels_keep_their_order_and_unobserved_ones_are_left_out(learn):
    dtype = pd.CategoricalDtype(["low", "never", "high", "alas"])
    assert learn(["alas", "low", "high"], dtype=dtype).levels == ("low", "high", "alas")
    P = pl.DataFrame({"e": ["b", "a"], "c": ["b", "a"]}).cast(
        {"e": pl.Enum(["b", "x", "a"]), "c": pl.Categorical}
    )
    schema = Schema.learn(P)
    assert [c.levels for c in schema.columns] == [("b", "a"), ("a", "b")]
    assert [c.dtype for c in schema.columns] == ["Enum", "Categorical"]


def test_ordered_pandas_categories_are_ordinal_and_come_back_ordered(learn):
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


def test_other_columns_are_ordinal_only_if_asked(learn):
    unordered = pd.CategoricalDtype(ORDER)
    assert learn(ORDER, dtype=unordered).kind is Kind.CATEGORICAL
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
    "values, categories",
    [(ORDER, None), (ORDER, ORDER), (["b", "a"], None), ([3, 1, 2], [3, 1, 2]), ([1, "a"], None)],
)
def test_categories_are_ordinal_only_if_they_are_ordered(learn, values, categories):
    with pytest.raises(ValueError, match="'col' is an unordered category .*ordered=True"):
        learn(values, "ordinal", dtype=pd.CategoricalDtype(categories))
    column = learn(values, "ordinal", dtype=pd.CategoricalDtype(values, ordered=True))
    assert column.levels == tuple(values)


def test_an_order_that_lies_in_the_levels_need_not_be_declared(learn):
    assert learn([3, 1, 2], "ordinal", dtype="category").levels == (1, 2, 3)
    assert learn([True, False], "ordinal", dtype="category").levels == (False, True)
    P = pl.DataFrame({"col": ORDER}).cast({"col": pl.Categorical})
    with pytest.raises(ValueError, match="'col' holds strings .*Enum"):
        Schema.learn(P, {"col": "ordinal"})


@pytest.mark.parametrize("kind", ["ordinal", "categorical"])
def test_measurements_that_are_called_levels_warn_and_scales_do_not(learn, kind):
    with pytest.warns(UserWarning, match="'col' has 21 different numbers with decimals"):
        assert len(learn(np.arange(21) + 0.25, kind).levels) == 21
    assert len(learn(np.arange(20) / 2, kind).levels) == 20  # half points of a scale
    assert len(learn(np.arange(70.0), kind).levels) == 70
