"""Files are written whole or not at all, and nothing else is touched."""

import pandas as pd
import pytest

from pyro_gnr.imputation.exchange import export, exporting, read_long
from pyro_gnr.imputation.exchange.exporting import ENDINGS

pytest.importorskip("pyreadstat")


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_files_and_no_others(long, tmp_path, ending):
    files, _ = export(long, tmp_path / f"people{ending.upper()}")
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(file.stat().st_size for file in files)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_replaced_unless_said(long, tmp_path, ending, which):
    files, _ = export(long, tmp_path / f"people{ending}")
    files[1 - which].unlink()
    files[which].write_text("mine")
    with pytest.raises(FileExistsError, match="give overwrite=True"):
        export(long, tmp_path / f"people{ending}")
    assert files[which].read_text() == "mine"
    export(long, tmp_path / f"people{ending}", overwrite=True)
    assert files[which].read_bytes() != b"mine"
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_directory_is_never_replaced(long, tmp_path):
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(FileExistsError, match="is a directory"):
        export(long, tmp_path / "people.csv", overwrite=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_leaves_everything_as_it_was(long, tmp_path, monkeypatch, ending):
    export(long, tmp_path / f"people{ending}")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(table, path, columns):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setitem(exporting.FORMATS, ending, (fail, exporting.FORMATS[ending][1]))
    with pytest.raises(OSError, match="disk full"):
        export(long, tmp_path / f"people{ending}", overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_caller_s_table_stays_as_it_is(long, tmp_path, ending):
    before = long.copy(deep=True)
    export(long, tmp_path / f"people{ending}")
    pd.testing.assert_frame_equal(long, before)


def test_odd_labels_and_names(tmp_path):
    long = pd.DataFrame({".imp": [0, 0, 1, 1], ".id": [1, "b"] * 2, 7: [1.5, None, 1.5, 2.0]})
    for ending in ENDINGS:
        export(long, tmp_path / f"a{ending}")
    for ending in (".csv", ".parquet"):
        found = read_long(tmp_path / f"a{ending}")
        assert found.original.index.tolist() == ["1", "b"]
        assert found.completed[0]["7"].tolist() == [1.5, 2.0]
    assert pd.read_stata(tmp_path / "a.dta")["v7"].tolist()[::2] == [1.5, 1.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=".imp"), r"no column \.imp"),
        (lambda t: t[t[".imp"] > 0], r"no rows of \.imp 0"),
        (lambda t: t.set_axis([".imp", ".id", "a", *t.columns[3:-1], "a"], axis=1), "same name"),
    ],
)
def test_what_cannot_be_exported(long, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        export(change(long), tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["people", "people.xlsx", "people.csv.gz"])
def test_unknown_endings(long, tmp_path, name):
    with pytest.raises(ValueError, match=r"ending in \.parquet, \.csv, \.dta, \.sav"):
        export(long, tmp_path / name)
    with pytest.raises(FileNotFoundError):
        export(long, tmp_path / "nowhere" / "a.csv")
