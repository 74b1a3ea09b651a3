"""Pooling from the command line: what is printed, written and refused."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import pool
from pyro_gnr.cli.completed import read_completed
from pyro_gnr.data.files import digest
from pyro_gnr.imputation.exchange import export, long_table

FORMULA = "income ~ children + region"


@pytest.fixture
def completed(impute, table, tmp_path):
    """A directory of four completed tables."""
    assert impute(table, tmp_path / "completed", m=4).status == 0
    return tmp_path / "completed"


def test_a_directory(run, completed, tmp_path):
    output = tmp_path / "pooled.csv"
    ran = run("pool", completed, "--formula", FORMULA, "--test", "region", "--output", output)
    assert ran.status == 0, ran.err
    assert "pooled over 4 tables of one member, by Rubin's rules" in ran.out
    assert "region[T.south]" in ran.out
    assert "region all 0: D1 = " in ran.out
    assert "variances are understated" in ran.out
    tables, members = read_completed(completed)
    wanted = pool(tables, FORMULA, members=members)
    written = pd.read_csv(output, index_col="term")
    for name in wanted:
        np.testing.assert_allclose(written[name], wanted[name])
    np.testing.assert_allclose(written["p.value"], wanted.summary()["p.value"])


def test_what_was_asked_and_what_made_the_tables_lie_beside_the_table(run, completed, tmp_path):
    output = tmp_path / "pooled.csv"
    ran = run("pool", completed, "--formula", FORMULA, "--test", "region", "--output", output,
              "--level", 0.9)  # fmt: skip
    assert ran.status == 0, ran.err
    told = json.loads((tmp_path / "pooled.json").read_text())
    assert (told["format"], told["formula"], told["level"]) == ("pyro_gnr pooled", FORMULA, 0.9)
    assert (told["rule"], told["m"], told["n_members"]) == ("rubin", 4, 1)
    tables, members = read_completed(completed)
    wanted = pool(tables, FORMULA, members=members)
    assert told["notes"] == wanted.notes
    assert told["tested"]["p_value"] == pytest.approx(wanted.wald("region").p_value)
    manifest = json.loads((completed / "manifest.json").read_text())
    for name in ("ledger", "members", "seed", "mechanism"):
        assert told["completed"][name] == manifest[name]
    assert told["files"] == {"pooled.csv": digest(output)}
    assert "statsmodels" in told["versions"]


def test_a_long_table_does_not_say_what_made_it(run, impute, table, tmp_path):
    long = tmp_path / "long.parquet"
    assert impute(table, long, m=4).status == 0
    frame = pd.read_parquet(long).drop(columns=".member")
    frame.to_parquet(long)
    ran = run("pool", long, "--formula", FORMULA, "--output", tmp_path / "pooled.parquet")
    assert ran.status == 0, ran.err
    told = json.loads((tmp_path / "pooled.json").read_text())
    assert told["completed"] == {"name": "long.parquet", "sha256": digest(long)}
    assert any("the table has no column .member" in note for note in told["notes"])


def test_it_is_said_that_a_long_table_does_not(run, impute, table, completed, tmp_path):
    long = tmp_path / "long.csv"
    assert impute(table, long, m=4).status == 0
    said = [run("pool", made, "--formula", FORMULA).out for made in (long, completed)]
    assert ["does not say what made it" in " ".join(out.split()) for out in said] == [True, False]


def test_names_of_options_covariances_and_degrees_of_freedom(run, completed, tmp_path):
    output = tmp_path / "pooled.csv"
    call = ["pool", completed, "--formula", "insured ~ children", "--quiet", "--force",
            "--output", output]  # fmt: skip
    assert run(*call, "--analysis", "logit").status == 0
    one = output.read_bytes()
    assert run(*call, "--model", "logit").status == 0
    assert output.read_bytes() == one
    assert run(*call, "--cov-type", "HC3", "--dfcom", 20).status == 0
    tables, members = read_completed(completed)
    robust = {"cov_type": "HC3"}
    wanted = pool(tables, "insured ~ children", members=members, fit_options=robust, dfcom=20)
    written = pd.read_csv(output, index_col="term")
    for name in wanted:
        np.testing.assert_allclose(written[name], wanted[name])
    assert (written["dfcom"] == 20).all()
    told = json.loads((tmp_path / "pooled.json").read_text())
    assert (told["cov_type"], told["dfcom"], told["analysis"]) == ("HC3", 20, "ols")


def test_the_same_from_a_long_table(run, impute, table, completed, tmp_path):
    assert impute(table, tmp_path / "long.parquet", m=4).status == 0
    one, other = (
        run("pool", tmp_path / name, "--formula", FORMULA)
        for name in ("completed", "long.parquet")
    )
    assert other.out.startswith(one.out)  # and says, besides, what it does not know
    assert one.status == 0, one.err


def test_categories_of_numbers_are_categories_in_an_exported_file(run, tmp_path):
    wards = pd.Categorical([1, 2] * 10)
    tables = [pd.DataFrame({"x": np.arange(20.0) ** p, "ward": wards}) for p in (0.9, 1.0, 1.1)]
    holes = tables[0].copy()
    holes.loc[:1, :] = None
    export(long_table(holes, tables, pd.RangeIndex(1, 21)), tmp_path / "ward.parquet")
    ran = run("pool", tmp_path / "ward.parquet", "--formula", "x ~ ward")
    assert ran.status == 0, ran.err
    assert "ward[T.2]" in ran.out
    assert run("export", tmp_path / "ward.parquet", tmp_path / "a.parquet").status == 0
    assert '[["ward"]], levels = c("1", "2"))' in (tmp_path / "a_parquet.R").read_text()


def test_members_of_a_long_table(run, impute, table, tmp_path):
    long = tmp_path / "long.csv"
    assert impute(table, long, "--members", 2, m=4).status == 0
    ran = run("pool", long, "--formula", FORMULA)
    assert "2 of each of 2 members, by nested rules" in ran.out
    pd.read_csv(long).drop(columns=".member").to_csv(long, index=False)
    ran = run("pool", long, "--formula", FORMULA)
    assert "the table has no column .member" in ran.out
    assert "of one member" not in ran.out


def test_members_with_other_numbers_of_tables(run, impute, table, tmp_path):
    assert impute(table, tmp_path / "long.csv", "--members", 2, m=5).status == 0
    ran = run("pool", tmp_path / "long.csv", "--formula", FORMULA)
    assert ran.status == 0, ran.err
    assert "pooled over 5 tables, 2 to 3 of each of 2 members, by nested rules" in ran.out


def test_members_come_from_the_manifest(run, completed):
    path = completed / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["members"] == [0, 0, 0, 0]
    path.write_text(json.dumps({**manifest, "members": [0, 0, 1, 1]}))
    ran = run("pool", completed, "--formula", FORMULA)
    assert "2 of each of 2 members, by nested rules" in ran.out
    del manifest["members"]  # as versions before wrote it
    path.write_text(json.dumps(manifest))
    assert "of one member" in run("pool", completed, "--formula", FORMULA).out


def test_models_levels_and_quiet(run, completed):
    ran = run("pool", completed, "--formula", "insured ~ children", "--model", "logit",
              "--level", "0.9")  # fmt: skip
    assert ran.status == 0, ran.err
    assert "90% intervals" in ran.out
    assert run("pool", completed, "--formula", FORMULA, "--quiet").out == ""


def test_an_error_says_on_which_table(run, completed):
    ran = run("pool", completed, "--formula", "income ~ children + I(2 * children)")
    assert ran.status == 2
    assert "terms ['I(2 * children)'] are 0 throughout or follow" in ran.err
    assert "This was on table 1 of 4." in ran.err


def test_outcomes_of_levels(run, completed):
    ran = run("pool", completed, "--formula", "region ~ children", "--model", "mnlogit")
    assert ran.status == 0, ran.err
    assert "region: " in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--formula", "income"], "got formula 'income'"),
        (["--formula", "income ~ nothing"], "name 'nothing' is not defined"),
        (["--formula", FORMULA, "--model", "lm"], "got model='lm', expected one of"),
        (["--formula", FORMULA, "--test", "age"], "got term 'age', expected some of"),
        (["--formula", FORMULA, "--level", "95"], "got level=95"),
        (["--formula", FORMULA, "--dfcom", "-1"], "got dfcom=-1"),
        (["--formula", FORMULA, "--output", "pooled.xlsx"], "expected a .csv or .parquet file"),
    ],
)
def test_wrong_calls(run, completed, arguments, message):
    ran = run("pool", completed, *arguments)
    assert ran.status == 2
    assert message in ran.err


def test_nothing_is_written_when_it_fails(run, completed, tmp_path):
    output = tmp_path / "pooled.csv"
    assert run("pool", completed, "--formula", "income ~ zzz", "--output", output).status == 2
    assert not output.exists()
    for mine in (output, tmp_path / "pooled.json"):
        mine.write_text("mine")
        assert run("pool", completed, "--formula", FORMULA, "--output", output).status == 2
        assert mine.read_text() == "mine"
    ran = run("pool", completed, "--formula", FORMULA, "--output", output, "--force")
    assert ran.status == 0, ran.err


def test_what_impute_did_not_write(run, table, completed, tmp_path):
    ran = run("pool", tmp_path / "nowhere", "--formula", FORMULA)
    assert ran.status == 2
    assert "nowhere: No such file" in ran.err
    (tmp_path / "empty").mkdir()
    assert (
        "is no directory that pyro-gnr impute wrote"
        in run("pool", tmp_path / "empty", "--formula", FORMULA).err
    )
    assert "no column .imp" in run("pool", table, "--formula", FORMULA).err
    (completed / "imputation_3.csv").unlink()
    ran = run("pool", completed, "--formula", FORMULA)
    assert ran.status == 2
    assert "imputation_3.csv are not there" in ran.err


def test_torch_is_not_needed(completed):
    code = (
        "import sys; from typer.testing import CliRunner; from pyro_gnr.cli import app;"
        f"r = CliRunner().invoke(app, ['pool', {str(completed)!r}, '--formula', {FORMULA!r}]);"
        "assert r.exit_code == 0, r.output; print({'torch', 'pyro'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr
