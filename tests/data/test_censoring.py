import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data.censoring import by_value, is_censored, parse, read_cells
from pyro_gnr.data.reading import read

INF = float("inf")


@pytest.mark.parametrize(
    "text, interval",
    [
        ("0.7", (0.7, 0.7)),
        (" 7 ", (7.0, 7.0)),
        ("-1.5e-3", (-0.0015, -0.0015)),
        (".5", (0.5, 0.5)),
        ("5.", (5.0, 5.0)),
        ("<0.5", (-INF, 0.5)),
        ("< 0.5", (-INF, 0.5)),
        ("<=1E2", (-INF, 100.0)),
        ("≤ 3", (-INF, 3.0)),
        ("<-1", (-INF, -1.0)),
        (">100", (100.0, INF)),
        (" >= 1e-2 ", (0.01, INF)),
        ("≥3", (3.0, INF)),
        ("0.2-0.5", (0.2, 0.5)),
        ("1e-3 - 2e-3", (0.001, 0.002)),
        ("-2--1", (-2.0, -1.0)),
        ("[0.2, 0.5]", (0.2, 0.5)),
        ("(0.2,0.5]", (0.2, 0.5)),
        ("[0; 5)", (0.0, 5.0)),
        ("(-inf, 5]", (-INF, 5.0)),
        ("[5, inf)", (5.0, INF)),
        ("[2, 2]", (2.0, 2.0)),
    ],
)
def test_numbers_and_intervals(text, interval):
    assert parse(text) == interval


@pytest.mark.parametrize(
    "text",
    ["", " ", "n.d.", "<", "< LOD", "1,5", "0.5-0.2", "[5, 2]", "1-2-3", "2020-01-02", "<<1", "5<"]
    + ["(-inf, inf)", "inf", "nan", "<1e999", "1 2", "[1 2]", "0x10", "true", "<1>"],
)
def test_what_is_neither(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    "values, censored",
    [
        (["0.7", "<0.5", None], True),
        ([0.7, "<0.5", 3], True),
        (["0.7", "1.2"], False),  # no interval
        (["<18", "18-64", ">64"], False),  # no number: groups
        (["0.7", "<0.5", "n.d."], False),
        (["a", "b"], False),
        ([True, "<0.5", "1"], False),
    ],
)
def test_detection(values, censored):
    assert is_censored(read(pd.Series(values, dtype=object), "a")) is censored


def test_categories_are_never_taken_for_censored_numbers():
    cells = pd.Series(["0.7", "<0.5"], dtype="category")
    assert not is_censored(read(cells, "a"))
    assert read_cells(read(cells, "a")).intervals == ((-INF, 0.5),)


@pytest.mark.parametrize("make", [pd.Series, pl.Series], ids=["pandas", "polars"])
def test_cells(make):
    cells = read_cells(read(make(["1.2", ">9", None, "<0.5", "< 0.50", "0.2-0.5"]), "a"))
    np.testing.assert_array_equal(cells.numbers, [1.2] + [np.nan] * 5)
    assert cells.intervals == ((-INF, 0.5), (0.2, 0.5), (9.0, INF))
    assert cells.codes.tolist() == [-1, 2, -1, 0, 0, 1]


def test_plain_numbers_and_nothing_at_all_will_do():
    cells = read_cells(read(pd.Series([1.5, None]), "a"))
    assert cells.codes.tolist() == [-1, -1] and cells.intervals == ()
    np.testing.assert_array_equal(cells.numbers, [1.5, np.nan])
    nothing = read_cells(read(pd.Series([None, None], dtype=object), "a"))
    assert np.isnan(nothing.numbers).all() and nothing.intervals == ()


def test_unused_categories_play_no_part():
    cells = pd.Series(["1", "<0.5", "1"], dtype=pd.CategoricalDtype(["1", "<0.5", "n.d.", ">9"]))
    assert read_cells(read(cells, "a")).intervals == ((-INF, 0.5),)


def test_the_message_names_column_text_and_what_is_accepted():
    with pytest.raises(ValueError, match=r"'crp' holds 'n\.d\.' \(and 1 more\).*'<0\.5'.*missing"):
        read_cells(read(pd.Series(["0.7", "n.d.", "<0.5", "?"]), "crp"))


def test_by_value_does_not_depend_on_how_a_number_is_written():
    one, two = (by_value(read(pd.Series(v), "a")) for v in (["0.70", "< 5e-1"], ["0.7", "<=0.5"]))
    assert one.labels == two.labels
