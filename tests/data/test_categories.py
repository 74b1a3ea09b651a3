"""Categories of numbers and truth values, written as Parquet and read again."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.data.categories import KEY
from pyro_gnr.data.files import read_table, write_table

CATEGORIES = {
    "whole": pd.Categorical([3, 1, None, 3], [3, 1, 2]),
    "ordered": pd.Categorical([2, 1, None, 2], [1, 2, 3], ordered=True),
    "floats": pd.Categorical([0.1, 2.0, None, 0.1], [2.0, 0.1, np.inf]),
    "single": pd.Categorical.from_codes(
        [0, 1, -1, 0], categories=pd.Index([0.1, 0.2], dtype="float32")
    ),
    "nullable": pd.Categorical(pd.array([1, 2, None, 2], dtype="Int64")),
    "large": pd.Categorical.from_codes([0, 1, -1, 0], categories=[2**53 + 1, 2**53 + 3]),
    "truth": pd.Categorical([True, False, None, True]),
    "empty": pd.Categorical([None] * 4, pd.Index([], dtype="int64")),
    "text": pd.Categorical(["1", "2", None, "1"], ["2", "1"], ordered=True),
}


@pytest.mark.parametrize("name", CATEGORIES)
def test_levels_their_dtype_and_order_come_back(name, tmp_path):
    frame = pd.DataFrame({name: CATEGORIES[name]}, index=pd.Index(list("abcd"), name="row"))
    write_table(frame, tmp_path / "a.parquet")
    assert_frame_equal(read_table(tmp_path / "a.parquet"), frame)


def test_numbers_truth_values_and_text_stay_what_they_are(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "truth": pd.array([True, None], dtype="boolean"),
            "plain": [True, False],
            "text": pd.array(["1", None], dtype="string"),
            "number": [0.5, 1.5],
        }
    )
    write_table(frame, tmp_path / "a.parquet")
    assert_frame_equal(read_table(tmp_path / "a.parquet"), frame)
    assert KEY not in pq.read_schema(tmp_path / "a.parquet").metadata


def test_a_column_that_holds_other_numbers_by_now_stays_numbers(tmp_path):
    frame = pd.DataFrame({"ward": CATEGORIES["whole"], "stage": CATEGORIES["ordered"]})
    write_table(frame, tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    changed = table.set_column(0, "ward", pa.array([3, 1, None, 9]))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet")
    assert found["ward"].tolist()[3] == 9
    assert found["stage"].dtype == frame["stage"].dtype


def test_the_note_is_plain(tmp_path):
    write_table(pd.DataFrame({"a": CATEGORIES["ordered"]}), tmp_path / "a.parquet")
    note = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[KEY])
    assert note == {"levels": {"a": {"levels": [1, 2, 3], "dtype": "int64", "ordered": True}}}
