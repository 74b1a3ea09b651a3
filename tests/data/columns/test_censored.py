import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.data.columns import encode_column, with_intervals
from pyro_gnr.data.reading import read


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
def test_censored_columns_are_seen(learn, values, options, kind):
    assert learn(values, **options).kind == kind


def test_censored_columns_are_standardised_by_their_normal(learn):
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


def test_a_positive_assay_that_is_called_normal_is_warned_of(learn):
    assay = ["0.7", "<0.5", "1.2", "9"]
    with pytest.warns(UserWarning, match="'col' holds positive.*kinds={'col': 'censored_log'}"):
        assert learn(assay, "censored").kind == "censored"
    learn(assay, "censored_log")
    learn([*assay, "-0.7"], "censored")
    learn(["10.1", "<9.9", "10.2", "10.0"], "censored")  # far from 0


def test_codes_are_exact_in_single_precision(learn):
    text = ["-5", *(f"<{i}" for i in range(1, 3000))]
    column = learn(text, "censored")
    values = encode_column(column, read(pd.Series(text), "col"))
    assert (values.astype(np.float32).astype(np.float64)[1:] == values[1:]).all()
    places = (values[1:].astype(np.float32) - np.float32(2**20)).astype(int)
    assert [column.intervals[i][1] for i in places] == list(range(1, 3000))


def test_no_number_passes_for_an_interval(learn):
    column = learn(["-1", "2", "<0.5"], "censored")
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
def test_censored_columns_that_cannot_be_learnt(learn, values, kind, text):
    with pytest.raises(ValueError, match=text):
        learn(values, kind)


def test_what_a_censored_column_refuses_later(learn):
    column = learn(["1", "2", "<0.5", ">9"])
    for cell, text in {
        "?": "'col' holds '[?]'",
        "-1": "not positive",
    }.items():
        with pytest.raises(ValueError, match=text):
            encode_column(column, read(pd.Series([cell, "1"]), "col"))


def test_intervals_of_another_table_come_after_those_of_training(learn):
    column = learn(["1", "2", "<0.5", ">9"])
    reading = read(pd.Series(["<0.3", ">9", "1", "2-3", None]), "col")
    more = with_intervals(column, reading)
    assert more.intervals == (*column.intervals, (-np.inf, 0.3), (2.0, 3.0))
    assert (more.location, more.scale) == (column.location, column.scale)
    codes = encode_column(more, reading)
    assert (codes[[0, 1, 3]] - CODE_BASE).tolist() == [2.0, 1.0, 3.0]
    assert with_intervals(column, read(pd.Series(["<0.5", "7"]), "col")) is column


def test_constant_censored_column(learn):
    column = learn([2.0, 2.0], "censored_log")
    assert column.scale == 0.0
    assert encode_column(column, read(pd.Series([2.0, None]), "col")).tolist() == [0.0, 0.0]
    with pytest.warns(UserWarning, match="'col' was always"):
        encode_column(column, read(pd.Series([3.0, None]), "col"))
