"""Exports of what `pyro-gnr impute` wrote."""

import json

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.cli.completed import read_completed
from pyro_gnr.imputation.exchange import read_long

pyreadstat = pytest.importorskip("pyreadstat")


@pytest.fixture
def ordered(frame, tmp_path):
    """The table as Parquet, with regions whose order is not that of the alphabet."""
    order = pd.CategoricalDtype(["west", "north", "south"], ordered=True)
    path = tmp_path / "people.parquet"
    frame.assign(region=frame["region"].astype(object).astype(order)).to_parquet(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "dta", "sav"])
def test_every_format_from_a_long_table(run, impute, ordered, tmp_path, ending):
    long = tmp_path / "long.parquet"
    assert impute(ordered, long).status == 0
    output = tmp_path / f"out.{ending}"
    ran = run("export", long, output)
    assert ran.status == 0, ran.err
    assert f"wrote {output}" in ran.out
    assert "sorted order" not in ran.out
    wanted = pd.read_parquet(long)
    levels = ["west", "north", "south"]
    if ending == "dta":
        found = pd.read_stata(output)
        assert found["region"].cat.categories.tolist() == levels
    elif ending == "sav":
        found, meta = pyreadstat.read_sav(str(output))
        assert list(meta.variable_value_labels["region"].values()) == levels
        assert meta.variable_measure["region"] == "ordinal"
    else:
        found = read_long(output)
        found = pd.concat([found.original, *found.completed])
    np.testing.assert_array_equal(
        found["income"].to_numpy(float, na_value=np.nan),
        wanted["income"].to_numpy(float, na_value=np.nan),
    )
    assert (found["region"].isna().to_numpy() == wanted["region"].isna().to_numpy()).all()


def test_a_model_knows_what_csv_lost(run, impute, ordered, tmp_path):
    model, long = tmp_path / "model", tmp_path / "long.csv"
    fit = ("--kind", "row=ignore", "--max-steps", "3", "--members", "1")
    assert run("fit", ordered, "--model", model, *fit).status == 0
    imputed = run("impute", ordered, "--model", model, "--output", long, "--m", 2)
    assert imputed.status == 0, imputed.err
    ran = run("export", long, tmp_path / "plain.dta")
    assert ran.status == 0, ran.err
    assert "taken as levels in sorted order" in ran.out
    assert "region" in ran.out
    plain = pd.read_stata(tmp_path / "plain.dta")["region"].cat.categories.tolist()
    assert plain == ["north", "south", "west"]
    ran = run("export", long, tmp_path / "known.dta", "--model", model)
    assert ran.status == 0, ran.err
    assert "sorted order" not in ran.out
    known = pd.read_stata(tmp_path / "known.dta")["region"].cat.categories.tolist()
    assert known == ["west", "north", "south"]


def test_a_directory_with_its_original(run, impute, table, tmp_path):
    folder, output = tmp_path / "completed", tmp_path / "out.parquet"
    assert impute(table, folder).status == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "members": [3, 1]}))
    ran = run("export", folder, output)
    assert ran.status == 2
    assert "say --original people.csv" in ran.err
    ran = run("export", folder, output, "--original", table, "--members")
    assert ran.status == 0, ran.err
    found = read_long(output)
    assert found.members.tolist() == [3, 1]
    assert found.original.index.tolist() == [*range(1, 61)]
    tables, members = read_completed(folder)
    assert members == [3, 1]
    assert read_completed(output)[1] == [3, 1]
    for one, other in zip(found.completed, tables, strict=True):
        assert_frame_equal(one.reset_index(drop=True), other, check_dtype=False)
    assert run("impute", table, "--output", tmp_path / "long.parquet", "--m", 2, "--kind",
               "row=ignore", "--max-steps", 3, "--members", 1).status == 0  # fmt: skip
    same = read_long(tmp_path / "long.parquet")
    assert_frame_equal(found.original, same.original, check_dtype=False)
    bare = tmp_path / "bare.parquet"
    assert run("export", output, bare).status == 0
    assert ".member" not in pd.read_parquet(bare)


def test_another_original(run, impute, table, tmp_path):
    assert impute(table, tmp_path / "completed").status == 0
    other = tmp_path / "other.csv"
    other.write_bytes(table.read_bytes() + b"\n")
    ran = run("export", tmp_path / "completed", tmp_path / "a.dta", "--original", other)
    assert ran.status == 2
    assert "no longer, the table that was imputed" in ran.err
    assert impute(table, tmp_path / "long.csv").status == 0
    ran = run("export", tmp_path / "long.csv", tmp_path / "a.dta", "--original", table)
    assert (ran.status, "is for a directory" in ran.err) == (2, True)


def test_nothing_is_overwritten(run, impute, table, snapshot, tmp_path):
    long = tmp_path / "long.csv"
    assert impute(table, long).status == 0
    assert run("export", long, tmp_path / "a.sav").status == 0
    before = snapshot(tmp_path)
    ran = run("export", long, tmp_path / "a.sav")
    assert ran.status == 2
    assert "use --force" in ran.err
    assert run("export", long, long, "--force").status == 2
    assert run("export", long, tmp_path / "a.xlsx", "--force").status == 2
    assert snapshot(tmp_path) == before
    ran = run("export", long, tmp_path / "a.sav", "--force", "--quiet")
    assert (ran.status, ran.out) == (0, "")


def test_renamed_columns_are_said(run, impute, frame, tmp_path):
    frame.rename(columns={"income": "net income"}).to_csv(tmp_path / "people.csv", index=False)
    assert impute(tmp_path / "people.csv", tmp_path / "long.csv").status == 0
    ran = run("export", tmp_path / "long.csv", tmp_path / "a.dta")
    assert "column 'net income' is called net_income" in ran.out


def test_text_of_intervals_needs_a_long_table(run, impute, frame, tmp_path):
    cells = frame["income"].map(lambda v: f"{v:.1f}", na_action="ignore").astype(object)
    cells.iloc[:9] = "<0.5"
    frame.assign(income=cells).to_csv(tmp_path / "labs.csv", index=False)
    kind = ("--kind", "income=censored")
    assert impute(tmp_path / "labs.csv", tmp_path / "completed", *kind).status == 0
    original = ("--original", tmp_path / "labs.csv")
    ran = run("export", tmp_path / "completed", tmp_path / "a.dta", *original)
    assert ran.status == 2
    assert "column 'income' holds text, such as intervals" in ran.err
    assert impute(tmp_path / "labs.csv", tmp_path / "long.csv", *kind).status == 0
    ran = run("export", tmp_path / "long.csv", tmp_path / "a.dta")
    assert ran.status == 0, ran.err
    assert "<0.5" in set(pd.read_stata(tmp_path / "a.dta")["interval_income"])


def test_help_has_the_lines_of_r(run):
    out = run("export", "--help").out
    assert "arrow::read_parquet" in out
    assert "as.mids(long)" in out


def test_a_table_that_impute_did_not_write(run, table, tmp_path):
    ran = run("export", table, tmp_path / "out.dta")
    assert ran.status == 2
    assert "no column .imp" in ran.err


@pytest.mark.parametrize("name", ["people.dta", "people.sav", "people"])
def test_formats_of_other_programs_are_not_read_back(run, tmp_path, name):
    made = tmp_path / name
    made.write_bytes(b"any")
    for call in (["export", made, tmp_path / "a.csv"], ["pool", made, "--formula", "a ~ b"]):
        ran = run(*call)
        assert ran.status == 2
        assert f"{name}' is not read back: got a file ending in {made.suffix!r}" in ran.err
        assert "a directory or a long table with .imp (.csv or .parquet)" in ran.err
    made.unlink()
    assert "No such file" in run("export", made, tmp_path / "a.csv").err


def test_complete_text_can_be_a_factor_in_stata(run, impute, frame, tmp_path):
    """The message suits what came in: only a .csv file lost an order."""
    frame["gender"] = ["m", "f", "f"] * 20
    for ending in ("csv", "parquet"):
        people, long = tmp_path / f"people.{ending}", tmp_path / f"long.{ending}"
        frame.to_csv(people, index=False) if ending == "csv" else frame.to_parquet(people)
        assert impute(people, long).status == 0
        ran = run("export", long, tmp_path / f"{ending}.dta")
        assert ran.status == 0, ran.err
        assert "text taken as levels in sorted order: region, gender" in ran.out
        assert ("a .csv file keeps no other order" in ran.out) is (ending == "csv")
        with pd.io.stata.StataReader(tmp_path / f"{ending}.dta") as reader:
            assert reader.read()["row"].tolist() == frame["row"].tolist() * 3
            assert reader.value_labels()["gender"] == {1: "f", 2: "m"}
    assert impute(tmp_path / "people.csv", tmp_path / "folder").status == 0
    ran = run("export", tmp_path / "folder", tmp_path / "a.csv", "--original",
              tmp_path / "people.csv")  # fmt: skip
    assert "sorted order: region; a .csv file keeps" in ran.out


def test_several_tables_of_a_member_are_mentioned(run, impute, table, tmp_path):
    assert impute(table, tmp_path / "long.csv", "--members", "2", m=4).status == 0
    ran = run("export", tmp_path / "long.csv", tmp_path / "a.dta")
    assert "note: these 4 tables come from 2 fitted members" in ran.out
    assert "4 tables come from 2 fitted members" in (tmp_path / "a_dta.do").read_text()
    assert impute(table, tmp_path / "two.csv", "--members", "2", m=2).status == 0
    assert "note" not in run("export", tmp_path / "two.csv", tmp_path / "two.sav").out


def test_levels_that_read_like_missing_cells(run, impute, frame, tmp_path):
    levels = pd.Series(["NA", "None", "x"] * 20, dtype="string").mask(frame["region"].isna())
    frame.assign(region=levels, note=["", "null", "b"] * 20).to_parquet(tmp_path / "p.parquet")
    with pytest.warns(UserWarning, match=r"columns \['note'\] hold empty text"):
        assert (
            impute(tmp_path / "p.parquet", tmp_path / "p.csv", "--kind", "note=ignore").status == 0
        )
    ran = run("export", tmp_path / "p.csv", tmp_path / "p.dta")
    assert ran.status == 0, ran.err
    found = pd.read_stata(tmp_path / "p.dta")
    assert found["region"].cat.categories.tolist() == ["NA", "None", "x"]
    assert found.loc[found["mi_m"] > 0, "region"].notna().all()
    ran = run("pool", tmp_path / "p.csv", "--formula", "income ~ C(region)")
    assert ran.status == 0, ran.err
    assert "None" in ran.out
