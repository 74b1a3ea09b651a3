from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from pyro_gnr.data.files import digest, read_table, staged, write_table


def csv(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


class TestReadCsv:
    def test_numbers_with_holes_keep_their_type(self, tmp_path):
        frame = read_table(csv(tmp_path, "n,x,b,s\n1,0.5,True,a\n,,,\n3,1.5,False,b\n"))
        assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "Float64", "boolean", "string"]
        assert frame.isna().sum().tolist() == [1, 1, 1, 1]

    def test_whole_numbers_beyond_double_precision_are_exact(self, tmp_path):
        frame = read_table(csv(tmp_path, "n\n9007199254740993\n\n7\n" + "9007199254740995\n"))
        assert frame["n"].dropna().tolist() == [9007199254740993, 7, 9007199254740995]

    def test_codes_with_leading_zeros_stay_text(self, tmp_path):
        frame = read_table(csv(tmp_path, "zip,n,x\n01234,0,0.5\n,10,00.5\n98765,-3,1\n"))
        assert frame["zip"].dropna().tolist() == ["01234", "98765"]
        assert [str(dtype) for dtype in frame.dtypes] == ["string", "Int64", "Float64"]

    def test_columns_without_a_name(self, tmp_path):
        frame = read_table(csv(tmp_path, ",a\n01,2\n02,3\n"))
        assert frame.iloc[:, 0].tolist() == ["01", "02"]

    def test_byte_order_mark_is_no_part_of_a_name(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_text("a,b\n1,2\n", encoding="utf-8-sig")
        assert list(read_table(path)) == ["a", "b"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b,a\n1,2,3\n", "repeated: 'a'"),
            ("a,b\n1,2,3\n4,5,6\n", "header names 2 columns"),
            ("a,b\n1,2\n3,4,5\n", "line 3"),
            ("a;b\n1;2\n", "not separated by commas"),
            ("", "table.csv"),
        ],
    )
    def test_files_that_would_be_misread(self, tmp_path, text, message):
        with pytest.raises(ValueError, match=message):
            read_table(csv(tmp_path, text))

    def test_other_encodings(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_bytes("a\nZürich\n".encode("latin-1"))
        with pytest.raises(ValueError, match="not UTF-8"):
            read_table(path)


class TestReadParquet:
    def test_whole_numbers_and_booleans_with_holes_from_elsewhere(self, tmp_path):
        table = pl.DataFrame(
            {
                "n": [1, None, 2**53 + 1],
                "small": pl.Series([1, None, 3], dtype=pl.UInt8),
                "full": [1, 2, 3],
                "b": [True, None, False],
                "x": [0.5, None, float("nan")],
                "e": pl.Series(["v", None, "u"], dtype=pl.Enum(["v", "u"])),
            }
        )
        table.write_parquet(tmp_path / "table.parquet")
        frame = read_table(tmp_path / "table.parquet")
        expected = ["Int64", "UInt8", "int64", "boolean", "float64", "category"]
        assert [str(dtype) for dtype in frame.dtypes] == expected
        assert frame["n"].tolist() == [1, pd.NA, 2**53 + 1]
        assert frame["x"].isna().tolist() == [False, True, True]
        assert list(frame["e"].cat.categories) == ["v", "u"]

    def test_index_and_dtypes_of_pandas_come_back(self, tmp_path):
        frame = pd.DataFrame(
            {
                "n": pd.array([1, None, 3], dtype="Int16"),
                "x": np.array([0.1, np.nan, 0.3], dtype="float32"),
                "when": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
                "c": pd.Categorical(["b", None, "a"], categories=["b", "a"], ordered=True),
            }
        ).set_axis(pd.Index(["p", "q", "r"], name="person"))
        write_table(frame, tmp_path / "table.parquet")
        assert_frame_equal(read_table(tmp_path / "table.parquet"), frame)

    def test_no_parquet_file(self, tmp_path):
        (tmp_path / "table.parquet").write_text("no")
        with pytest.raises(ValueError, match=r"table\.parquet"):
            read_table(tmp_path / "table.parquet")


@pytest.mark.parametrize("name", ["table.xlsx", "table", "table.csv.gz"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        read_table(tmp_path / name)
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / name)


@given(
    floats=st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=20),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_floats_come_back_to_the_last_bit(tmp_path_factory, floats, suffix):
    frame = pd.DataFrame({"x": pd.array(floats, dtype="Float64"), "row": range(len(floats))})
    path = tmp_path_factory.mktemp("floats") / f"table{suffix}"
    write_table(frame, path)
    again = read_table(path)["x"].astype("Float64").to_numpy(float, na_value=np.nan)
    want = frame["x"].to_numpy(float, na_value=np.nan)
    np.testing.assert_array_equal(again.view(np.uint64), want.view(np.uint64))


class TestStaged:
    def test_nothing_is_seen_before_the_end(self, tmp_path):
        target = tmp_path / "out"
        with staged(target) as path:
            path.mkdir()
            (path / "a").write_text("a")
            assert not target.exists()
        assert [p.name for p in tmp_path.iterdir()] == ["out"]
        assert (target / "a").read_text() == "a"

    @pytest.mark.parametrize("directory", [True, False])
    def test_failure_leaves_the_old_one(self, tmp_path, directory):
        target = tmp_path / "out"
        if directory:
            target.mkdir()
            (target / "old").touch()
        else:
            target.write_text("old")
        with pytest.raises(RuntimeError), staged(target, replace=True) as path:
            path.write_text("half")
            raise RuntimeError
        assert [p.name for p in tmp_path.iterdir()] == ["out"]
        assert (target / "old").exists() if directory else target.read_text() == "old"

    def test_replaces_a_directory_and_a_file(self, tmp_path):
        for make in (Path.mkdir, Path.touch):
            target = tmp_path / make.__name__
            make(target)
            with staged(target, replace=True) as path:
                make(path)
                if path.is_dir():
                    (path / "new").touch()
                else:
                    path.write_text("new")
        assert (tmp_path / "mkdir" / "new").exists()
        assert (tmp_path / "touch").read_text() == "new"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["mkdir", "touch"]

    def test_an_existing_target_is_refused_at_the_start_and_at_the_end(self, tmp_path):
        target = tmp_path / "out"
        with pytest.raises(FileExistsError, match="out"), staged(target) as path:
            path.write_text("ours")
            target.write_text("somebody else's")
        assert target.read_text() == "somebody else's"
        with pytest.raises(FileExistsError, match="out"), staged(target):
            pytest.fail("must not start")

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            staged(tmp_path / "none" / "out").__enter__()

    def test_modes_are_those_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").mkdir()
        with staged(tmp_path / "out") as path:
            path.mkdir()
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_digest(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest(tmp_path / "abc").startswith("ba7816bf8f01cfea")
