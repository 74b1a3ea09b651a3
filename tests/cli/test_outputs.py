from pathlib import Path

import pandas as pd
import pytest

import pyro_gnr

STEPS = ("--max-steps", "3")


@pytest.mark.parametrize("name", ["out", "out.csv"])
def test_an_existing_output_needs_force(impute, snapshot, table, tmp_path, name):
    assert impute(table, tmp_path / name, "--seed", 1).status == 0
    before = snapshot(tmp_path)
    ran = impute(table, tmp_path / name, "--seed", 2)
    assert ran.status == 2
    assert "exists already" in ran.err
    assert snapshot(tmp_path) == before
    assert impute(table, tmp_path / name, "--seed", 2, "--force").status == 0
    assert snapshot(tmp_path) != before


@pytest.mark.parametrize("name", ["o.xlsx", "o.TSV", "o.csv.gz", "o.rds"])
def test_formats_that_are_not_written(impute, snapshot, table, tmp_path, name):
    before = snapshot(tmp_path)
    ran = impute(table, tmp_path / name)
    assert ran.status == 2
    assert "a .csv or .parquet file, or a directory" in ran.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["m.csv", "m.parquet", "m.pkl"])
def test_a_model_is_no_file(run, table, tmp_path, name):
    ran = run("fit", table, "--model", tmp_path / name, "--kind", "row=ignore", *STEPS)
    assert ran.status == 2
    assert "expected a directory" in ran.err
    assert not (tmp_path / name).exists()


def test_a_model_needs_force_too(run, table, tmp_path):
    fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
    assert run(*fit).status == 0
    assert run(*fit).status == 2
    assert run(*fit, "--force").status == 0


def test_a_directory_of_somebody_else_is_never_replaced(run, impute, snapshot, table, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("ten years")
    ran = impute(table, out, "--force")
    assert ran.status == 2
    assert "thesis.txt" in ran.err
    assert run("fit", table, "--model", out, "--force", "--kind", "row=ignore").status == 2
    assert snapshot(out) == {"thesis.txt": b"ten years"}


def test_a_file_added_to_our_directory_is_not_lost(impute, table, tmp_path):
    assert impute(table, tmp_path / "out").status == 0
    (tmp_path / "out" / "notes.txt").touch()
    assert impute(table, tmp_path / "out", "--force").status == 2
    assert (tmp_path / "out" / "notes.txt").exists()


def test_a_model_is_not_replaced_by_imputations(run, impute, snapshot, table, tmp_path):
    fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
    assert run(*fit).status == 0
    before = snapshot(tmp_path)
    assert impute(table, tmp_path / "model", "--force").status == 2
    assert snapshot(tmp_path) == before


def test_the_input_is_never_overwritten(impute, snapshot, table, tmp_path):
    before = snapshot(tmp_path)
    assert impute(table, table, "--force").status == 2
    assert impute(table, tmp_path / "." / table.name, "--force").status == 2
    assert impute(table, tmp_path, "--force").status == 2
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["none/out", "people.csv/out"])
def test_an_unwritable_output_is_known_before_the_fit(impute, table, tmp_path, monkeypatch, name):
    monkeypatch.setattr(pyro_gnr.GNRImputer, "fit", lambda *_: pytest.fail("too late"))
    ran = impute(table, tmp_path / name)
    assert ran.status == 2
    assert "does not exist" in ran.err


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("error", [FloatingPointError("step 7"), OSError("disk full")])
def test_failing_work_leaves_everything_as_it_was(
    impute, snapshot, table, tmp_path, monkeypatch, error, force
):
    if force:
        assert impute(table, tmp_path / "out").status == 0
    before = snapshot(tmp_path)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pyro_gnr.GNRImputer, "fit", fail)
    ran = impute(table, tmp_path / "out", *force)
    assert ran.status == 1
    assert str(error) in ran.err
    assert snapshot(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_failing_half_way_through_the_tables(impute, write, table, tmp_path, monkeypatch):
    write, calls = pyro_gnr.data.files.write_table, []

    def fail_second(frame: pd.DataFrame, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("disk full")
        write(frame, path)

    monkeypatch.setattr("pyro_gnr.data.files.write_table", fail_second)
    assert impute(table, tmp_path / "out").status == 1
    assert [p.name for p in tmp_path.iterdir()] == [table.name]
