"""What is stacked, and what it is called; `tests/imputation/test_multiple.py` has the rest."""

import pandas as pd
import polars as pl
import pytest

from pyro_gnr.imputation.exchange import long_table, row_ids


def test_members_are_of_completed_tables_only(original, completed):
    ids = row_ids(original.index)
    long = long_table(original, completed, ids, members=[3, 1])
    assert long.columns[:3].tolist() == [".imp", ".id", ".member"]
    assert long[".member"].isna().tolist() == [True] * 6 + [False] * 12
    assert long[".member"].dropna().tolist() == [3] * 6 + [1] * 6
    plain = long_table(original, completed, ids)
    pd.testing.assert_frame_equal(long.drop(columns=".member"), plain)


def test_polars_members():
    holes = pl.DataFrame({"a": [1.0, None]})
    long = long_table(holes, [holes.fill_null(2.0)], pd.RangeIndex(1, 3), members=[4])
    assert long[".member"].to_list() == [None, None, 4, 4]
    assert long.schema[".member"] == pl.Int64


@pytest.mark.parametrize("name", [".imp", ".id", ".member"])
def test_names_must_be_free(original, completed, name):
    tables = [t.rename(columns={"free": name}) for t in [original, *completed]]
    with pytest.raises(ValueError, match=rf"columns \['\{name}'\] already: rename"):
        long_table(tables[0], tables[1:], row_ids(original.index), members=[0, 0])
    if name == ".member":
        assert ".member" in long_table(tables[0], tables[1:], row_ids(original.index))


@pytest.mark.parametrize(
    ("labels", "own"),
    [
        (pd.Index(["a", "a"]), True),
        (pd.MultiIndex.from_tuples([(1, 2), (1, 3)]), True),
        (pd.Index(["a", None]), True),
        (pd.Index(["a", "b"]), False),
    ],
)
def test_rows_without_names_of_their_own_are_numbered(labels, own):
    assert row_ids(labels, own=own).tolist() == [1, 2]
