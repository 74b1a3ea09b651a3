"""What a model knows of columns that a .csv file lost."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.data import Column, Kind, Schema
from pyro_gnr.data.files import read_table, write_table
from pyro_gnr.imputation.exchange.restoring import restore


def test_levels_order_and_dates_come_back(tmp_path):
    frame = pd.DataFrame(
        {
            "grade": pd.Categorical(["low", None, "mid", "high"] * 3, ["low", "mid", "high"],
                                    ordered=True),
            "site": pd.Categorical(["b", "a", None, "c"] * 3, ["c", "b", "a"]),
            "code": pd.Categorical([1, 2, 3, 1] * 3, [3, 1, 2]),
            "text": pd.array(["b", "a", None, "b"] * 3, dtype="string"),
            "day": pd.to_datetime(["2020-01-01", None, "2021-02-03", "2021-02-03"] * 3),
        }
    )  # fmt: skip
    columns = Schema.learn(frame, {"day": "ignore"}).columns
    write_table(frame, tmp_path / "a.csv")
    lost = read_table(tmp_path / "a.csv")
    assert not isinstance(lost["grade"].dtype, pd.CategoricalDtype)
    assert_frame_equal(restore(lost, columns), frame, check_dtype=False)
    found = restore(lost, columns)
    assert found["grade"].dtype == frame["grade"].dtype
    assert found["site"].cat.categories.tolist() == ["c", "b", "a"]
    assert found["code"].cat.categories.tolist() == [3, 1, 2]
    assert found["day"].dtype.kind == "M"


def test_another_model():
    grade = Column("grade", Kind.ORDINAL, "category", levels=("low", "high"))
    with pytest.raises(ValueError, match=r"column 'grade' has levels \['mid'\]"):
        restore(pd.DataFrame({"grade": ["low", "mid"]}), [grade])
    with pytest.raises(ValueError, match=r"no columns \['grade'\]"):
        restore(pd.DataFrame({"x": [1]}), [grade])
