"""Text that reads like a missing cell, in .csv files of this package and of R."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_gnr.data.files import read_table
from pyro_gnr.imputation.exchange import export, long_table, read_long, row_ids

WORDS = ["NA", "None", "nan", "null", "n/a", "x", "<NA>", "NaN", 'quo"te', "a,b"]


def tables(levels, holes=(1,), fill="None"):
    original = pd.DataFrame({"lvl": pd.Series(levels, dtype="object"),
                             "x": np.arange(len(levels)) + 0.5})  # fmt: skip
    original.loc[list(holes), "lvl"] = None
    original.loc[0, "x"] = None
    done = [original.fillna({"lvl": fill, "x": float(i)}) for i in (1, 2)]
    return original, done


def shown(cells):
    return [None if pd.isna(cell) else cell for cell in cells]


@settings(deadline=None, max_examples=30)
@given(
    levels=st.lists(st.sampled_from(WORDS), min_size=3, max_size=8),
    free=st.sampled_from([*WORDS, None]),
    fill=st.sampled_from(WORDS),
    holes=st.sets(st.integers(0, 2), min_size=0, max_size=3),
)
def test_text_comes_back_from_the_package_s_own_files(tmp_path_factory, levels, free, fill, holes):
    original, done = tables(levels, holes, fill)
    original, *done = (t.assign(free=[free, *["NA"] * (len(levels) - 1)])
                       for t in (original, *done))  # fmt: skip
    path = tmp_path_factory.mktemp("words") / "p.csv"
    export(long_table(original, done, row_ids(original.index)), path)
    found = read_long(path)
    for table, expected in zip([found.original, *found.completed], [original, *done], strict=True):
        for name in ("lvl", "free"):
            assert shown(table[name]) == shown(expected[name])
        assert table["x"].dropna().tolist() == expected["x"].dropna().tolist()


def write_as_r(long, path):
    """As R's write.csv does: holes are a bare NA, text is in quotes, rows have names."""

    def cell(value):
        if pd.isna(value):
            return "NA"
        return f'"{value}"' if isinstance(value, str) else f"{value}"

    rows = ([f'"{i}"', *map(cell, row)] for i, row in enumerate(long.itertuples(index=False), 1))
    head = ",".join(f'"{name}"' for name in ["", *long.columns])
    path.write_text("\n".join([head, *map(",".join, rows)]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("only", ["lvl", "x"])
def test_na_is_missing_in_files_of_r(tmp_path, only):
    original, done = tables(["a", "b", "c", "d"], fill="a")
    seen = original.assign(free=[None, "u", "", "v"])  # what nobody imputed keeps its holes
    if only == "x":
        seen["lvl"] = done[0]["lvl"]
    else:
        seen["x"] = done[0]["x"]
    full = [seen.fillna({"lvl": t, "x": 7.0}) for t in ("a", "c")]
    write_as_r(long_table(seen, full, row_ids(seen.index)), tmp_path / "r.csv")
    found = read_long(tmp_path / "r.csv")
    missing = [table[["lvl", "x", "free"]].isna() for table in [found.original, *found.completed]]
    assert missing[0]["free"].tolist() == missing[2]["free"].tolist() == [True, False, True, False]
    assert missing[0]["lvl"].tolist() == [False, only == "lvl", False, False]
    assert not missing[1]["lvl"].any()
    assert missing[0]["x"].tolist() == [only == "x", False, False, False]
    assert found.completed[0]["x"].dtype == "Float64"


def test_where_nothing_was_imputed_words_are_missing_unless_members_are_told(tmp_path):
    frame = pd.DataFrame({"lvl": ["NA", "x"]})
    for members, lost in ((None, True), ([0, 1], False)):
        long = long_table(frame, [frame, frame], row_ids(frame.index), members=members)
        long.to_csv(tmp_path / "p.csv", index=False)
        assert read_long(tmp_path / "p.csv").completed[0]["lvl"].isna().tolist() == [lost, False]


def test_only_empty_cells(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\nNA,1\n,\nnull,2\n")
    assert read_table(tmp_path / "a.csv")["a"].isna().tolist() == [True, True, True]
    found = read_table(tmp_path / "a.csv", only_empty=True)
    assert found["a"].isna().tolist() == [False, True, False]
    assert found["b"].dtype == "Int64"


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_empty_text_does_not_come_back_from_csv(tmp_path, dtype):
    original, done = tables(["", "b", "c", ""], fill="b")
    long = long_table(original, done, row_ids(original.index)).astype({"lvl": dtype})
    with pytest.raises(ValueError, match=r"columns \['lvl'\] were imputed .* export to \.parquet"):
        export(long, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
    export(long, tmp_path / "a.parquet")
    assert read_long(tmp_path / "a.parquet").completed[0]["lvl"].tolist() == ["", "b", "c", ""]
    whole = long.drop(columns="lvl").assign(note=pd.Series(["", *"bcd"] * 3, dtype=dtype))
    with pytest.warns(UserWarning, match=r"columns \['note'\] hold empty text, .* \.parquet"):
        export(whole, tmp_path / "a.csv")


def test_holes_left_in_completed_tables_are_warned_of(tmp_path):
    original, done = tables(["a", "b", "c", "d"])
    original, *done = (t.assign(ignored=[None, *"bcd"]) for t in (original, *done))
    whole = long_table(original, done, row_ids(original.index))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_long(whole)
    for row in (1, 2):  # a cell that was imputed, and an observed one
        long = whole.copy()
        long.loc[(long[".imp"] == 2) & (long[".id"] == long[".id"].unique()[row]), "lvl"] = None
        for call in (read_long, lambda t: export(t, tmp_path / "a.dta", overwrite=True)):
            with pytest.warns(UserWarning, match=r"columns \['lvl'\] have missing cells in compl"):
                call(long)
