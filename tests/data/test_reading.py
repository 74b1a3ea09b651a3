import datetime as dt
from decimal import Decimal

import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Schema
from pyro_gnr.data.reading import read


def test_reading_sorts():
    assert read(pd.Series([True, None], dtype="boolean"), "b").boolean
    assert read(pl.Series([1, None]), "n").whole
    assert read(pl.Series([1, None]), "n").as_levels()[1] == (1,)
    assert read(pd.Series(["a", "b"]), "c").as_numbers() is None
    assert read(pd.Series([2, 3.5], dtype=object), "o").as_numbers().tolist() == [2.0, 3.5]
    nothing = read(pd.Series([None, None], dtype=object), "e")
    assert nothing.as_levels()[0].tolist() == [-1, -1] and nothing.as_levels()[1] == ()


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
