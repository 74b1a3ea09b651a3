"""A long table taken apart gives the tables that it was made of."""

import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.data.files import write_table
from pyro_gnr.imputation.exchange import export, long_table, read_long, row_ids


def test_parquet_gives_the_same_tables(long, original, completed, tmp_path):
    write_table(long, tmp_path / "long.parquet")
    for source in (long, tmp_path / "long.parquet", str(tmp_path / "long.parquet")):
        found = read_long(source)
        assert found.members is None
        for table, expected in zip([found.original, *found.completed], [original, *completed],
                                   strict=True):  # fmt: skip
            assert_frame_equal(table, expected, check_names=False, check_index_type=False,
                               check_dtype=source is long)  # fmt: skip
            assert table["grade"].dtype == expected["grade"].dtype
            assert table["n kids"].dtype == "Int64"


def test_parquet_gives_categories_of_numbers_back(tmp_path):
    holes = pd.DataFrame(
        {
            "ward": pd.Categorical([2, 1, None], [2, 1, 5]),
            "stage": pd.Categorical([1.5, None, 3.0], [1.5, 2.0, 3.0], ordered=True),
            "ill": pd.Categorical([True, None, False]),
        }
    )
    done = [holes.fillna({"ward": w, "stage": 1.5, "ill": True}) for w in (1, 2)]
    export(long_table(holes, done, row_ids(holes.index)), tmp_path / "a.parquet")
    found = read_long(tmp_path / "a.parquet")
    for table, expected in zip([found.original, *found.completed], [holes, *done], strict=True):
        assert_frame_equal(table.reset_index(drop=True), expected)


def test_csv_keeps_the_values(long, original, completed, tmp_path):
    write_table(long, tmp_path / "long.csv")
    found = read_long(tmp_path / "long.csv")
    for table, expected in zip([found.original, *found.completed], [original, *completed],
                               strict=True):  # fmt: skip
        assert table.index.tolist() == list("abcdef")
        assert_frame_equal(table.isna(), expected.isna(), check_names=False,
                           check_index_type=False)  # fmt: skip
        for name in expected:
            seen = expected[name].notna().to_numpy()
            if name == "single":
                continue
            wanted = expected[name][seen].astype(str if name in ("day", "time", "date", "grade",
                                                     "site") else object)  # fmt: skip
            assert table[name][seen].tolist() == wanted.tolist()


def test_members_and_intervals(original, completed):
    texts = {".interval.x.y": original["free"].to_numpy()}
    long = long_table(original, completed, row_ids(original.index), texts=texts, members=[2, 0])
    found = read_long(long)
    assert found.members.tolist() == [2, 0]
    assert found.completed[1].columns.tolist() == original.columns.tolist()


def test_polars_and_tables_without_ids_or_original():
    holes = pl.DataFrame({"a": [1, None, 3], "e": pl.Series(["y", "x", None],
                          dtype=pl.Enum(["y", "x"]))})  # fmt: skip
    long = long_table(holes, [holes.fill_null(2)], pd.RangeIndex(1, 4))
    found = read_long(long)
    assert found.original["a"].dtype == "Int64"
    assert found.original["e"].cat.categories.tolist() == ["y", "x"]
    assert found.original["e"].cat.ordered
    bare = read_long(long.filter(pl.col(".imp") > 0).drop(".id"))
    assert bare.original is None
    assert bare.completed[0].index.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=".imp"), r"no column \.imp"),
        (lambda t: t[t[".imp"] == 0], r"no column \.imp with numbers"),
        (lambda t: t.assign(**{".imp": t[".imp"].astype(str)}), r"an \.imp that is no number"),
        (lambda t: t.iloc[:-1], "6 of another"),
        (lambda t: t.assign(**{".id": range(18)}), r"other \.id"),
        (lambda t: t.assign(**{".id": 1}), r"other \.id.*or one twice"),
    ],
)
def test_what_is_no_long_table(long, change, message):
    with pytest.raises(ValueError, match=message):
        read_long(change(long))


def test_only_tables_are_read():
    with pytest.raises(TypeError, match="got list, expected a pandas or polars"):
        read_long([1, 2])
