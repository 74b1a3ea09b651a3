"""What columns become, and which cannot."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation.exchange.names import STATA
from pyro_gnr.imputation.exchange.variables import as_levels, guessed, imputed, renamed, variables


def stacked(cells, dtype=None):
    """A long table of one column with these cells in both its tables."""
    series = pd.Series([*cells, *cells], dtype=dtype)
    return pd.DataFrame({".imp": np.repeat([0, 1], len(cells)),
                         ".id": [*range(len(cells))] * 2, "a": series})  # fmt: skip


def variable(cells, dtype=None, **known):
    [_, found] = variables(stacked(cells, dtype), STATA, known, taken=["mi_m"])
    return found


def test_all_columns(long, filled):
    found = variables(long, STATA, {}, taken=["mi_m"])
    assert found[0].name == "mi_id"
    assert {v.column for v in found if v.imputed} == filled == imputed(long)
    assert [v.column for v in found] == [".id", *long.columns[2:]]
    assert renamed(found).keys() == {"n kids", "x.y", "if", "2nd", "a" * 40}
    by_name = {v.column: v for v in found}
    assert by_name["grade"].labels == {1: "low", 2: "mid", 3: "high", 4: "never"}
    assert by_name["site"].labels == {1: "Zürich", 2: "Bern", 3: "東京"}
    assert by_name["text"].labels == {1: "007", 2: "a", 3: "b", 4: "c d"}
    assert by_name["yes"].labels == {0: "False", 1: "True"}
    measures = {n: v.measure for n, v in by_name.items()}
    assert {n for n, m in measures.items() if m == "ordinal"} == {"grade"}
    assert {n for n, m in measures.items() if m == "nominal"} == {
        ".id", "site", "text", "yes", "free", "2nd"
    }  # fmt: skip
    assert {n for n, v in by_name.items() if v.day} == {"day", "date"}


@pytest.mark.parametrize(
    ("cells", "dtype", "expected", "kept"),
    [
        ([True, None], object, [1, None], "Int64"),
        ([1, None], object, [1, None], "Int64"),
        ([1, 2.5, None], object, [1, 2.5, None], "float64"),
        ([Decimal("0.5"), None], object, [0.5, None], "float64"),
        ([1, None], "Int8", [1, None], "Int64"),
        ([1, 2], "uint64", [1, 2], "Int64"),
        ([0.5, None], "Float32", [0.5, None], "float64"),
        ([None, None], object, [None, None], "float64"),
        (["x", None], object, ["x", ""], object),
        (["x", None], "category", [1, None], "Int64"),
    ],
)
def test_types(cells, dtype, expected, kept):
    found = variable(cells, dtype)
    assert found.values.dtype == kept
    values = found.values.astype(object).where(found.values.notna(), None)
    assert values.tolist() == expected * 2


@pytest.mark.parametrize(
    ("cells", "dtype", "error", "message"),
    [
        ([1.0, np.inf], None, ValueError, "column 'a' holds infinite numbers"),
        ([2**53 + 1], "Int64", ValueError, r"column 'a' .* beyond 2\*\*53"),
        ([2**70], object, ValueError, r"column 'a' .* beyond 2\*\*53"),
        ([pd.Timestamp("2020-01-01", tz="UTC")], None, ValueError, "time zone UTC"),
        ([pd.Timedelta("1s")], None, TypeError, "column 'a' holds timedelta64"),
        ([1 + 2j], None, TypeError, "column 'a' holds complex128"),
        ([1, "x"], object, TypeError, "column 'a' holds mixed cells"),
        ([datetime.time(1)], object, TypeError, "column 'a' holds time cells"),
        ([1, "1"], "category", ValueError, "column 'a' has levels that read the same"),
    ],
)
def test_what_cannot_be_exported(cells, dtype, error, message):
    with pytest.raises(error, match=message):
        variable(cells, dtype)


def test_too_many_levels():
    with pytest.raises(ValueError, match="65537 levels, expected at most 65536"):
        variable([f"{i}" for i in range(65_537)], "category")


def test_the_model_knows_levels_and_measures():
    site = Column("a", Kind.CATEGORICAL, "str", levels=("z", "y"))
    assert variable(["y", "z"], a=site).labels == {1: "z", 2: "y"}
    assert variable(["y", "q"], a=site).labels == {1: "q", 2: "y"}  # not the column it knew
    assert variable(["y", "z"]).labels == {}
    stage = Column("a", Kind.ORDINAL, "int64", levels=(1, 2, 3))
    assert variable([1, 3], a=stage).measure == "ordinal"
    flag = Column("a", Kind.BINARY, "float64", levels=(0.0, 1.0))
    assert (variable([0.0, 1.0], a=flag).measure, variable([0.0, 1.0]).measure) == (
        "nominal",
        "scale",
    )


def test_levels_of_strings_and_numbers():
    cells = pd.Series(["x", 2, 1, None], dtype=object)
    assert as_levels(cells, True, None).cat.categories.tolist() == [1, 2, "x"]
    assert as_levels(cells, False, None) is None


@pytest.mark.parametrize(
    ("cells", "few"),
    [
        (["f", "m", "f", "f", "m"], True),
        (["f", "m", "f", "f", None, "m"], True),
        (["f", "m", "f", "m"], False),  # half as many levels as cells
        (list("abcde"), False),
        ([f"{i}" for i in range(100)] * 3, True),
        ([f"{i}" for i in range(101)] * 3, False),
        (["", "m", "f", "f", "m"], False),
        (["x" * 121] * 5, False),
        ([1, 2, 1, 1, 1], False),
        ([1, "m", 1, 1, "m"], False),
        ([None] * 5, False),
    ],
)
def test_complete_text_of_few_levels_becomes_numbers(cells, few):
    table = stacked(cells, object)
    assert guessed(table, {}) == (["a"] if few else [])
    assert guessed(table.rename(columns={"a": ".interval.a"}), {}) == []
    if set(map(type, cells)) != {int, str}:
        found = variable(cells, object)
        assert bool(found.labels) is few
        assert not found.imputed
    known = {"a": Column("a", Kind.CATEGORICAL, "str", levels=("m", "f"))}
    assert guessed(table, known) == []
    assert guessed(table, {"a": Column("a", Kind.IGNORE, "str")}) == guessed(table, {})
