from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

import pyro_gnr
from pyro_gnr import GNRImputer
from pyro_gnr.cli import app
from pyro_gnr.console import ASSUMPTIONS, as_options
from pyro_gnr.data.files import digest, read_table

STEPS = ("--max-steps", "3")


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def run(*arguments: object) -> Ran:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Sixty rows of every kind; row 0 is complete, and `row` ties a row to its place."""
    rng = np.random.default_rng(7)
    n = 60
    frame = pd.DataFrame(
        {
            "row": [f"r{i:03d}" for i in range(n)],
            "income": pd.array(rng.normal(size=n) * 1e3, dtype="Float64"),
            "children": pd.array(rng.integers(0, 6, n), dtype="Int64"),
            "insured": pd.array(rng.random(n) < 0.6, dtype="boolean"),
            "region": pd.array(rng.choice(["north", "south", "west"], n), dtype="string"),
        }
    )
    for j in range(1, 5):
        frame.iloc[rng.choice(np.arange(1, n), 10, replace=False), j] = pd.NA
    return frame


@pytest.fixture
def table(frame, tmp_path) -> Path:
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def impute(table: Path, output: Path, *arguments: object, m: int = 2) -> Ran:
    return run(
        *("impute", table, "--output", output, "--m", m, "--kind", "row=ignore", *STEPS),
        *arguments,
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_completes(completed: pd.DataFrame, original: pd.DataFrame) -> None:
    """No holes; observed cells bit-equal; imputed ones of the column's own kind."""
    assert list(completed) == list(original)
    assert not completed.isna().any(axis=None)
    for name in original:
        seen = original[name].notna()
        assert completed[name][seen].tolist() == original[name][seen].tolist()
    assert set(completed["region"]) <= set(original["region"].dropna())
    assert (completed["children"] % 1 == 0).all()
    assert set(completed["insured"]) <= {True, False}


class TestHelp:
    @pytest.mark.parametrize(
        "arguments", [[], ["describe"], ["config"], ["fit"], ["impute"], ["demo"]]
    )
    def test_help(self, arguments):
        assert run(*arguments, "--help").status == 0

    @pytest.mark.parametrize(
        "marker",
        [
            "",
            "NA",
            "N/A",
            "n/a",
            "#N/A",
            "#NA",
            "<NA>",
            "NaN",
            "nan",
            "-NaN",
            "-nan",
            "NULL",
            "null",
            "None",
            "1.#IND",
            "-1.#IND",
            "1.#QNAN",
            "-1.#QNAN",
        ],
    )
    def test_markers_of_missing_cells(self, tmp_path, marker):
        assert marker in run("describe", "--help").out
        (tmp_path / "t.csv").write_text(f"a,b\n1,x\n{marker},\n3,y\n")
        assert read_table(tmp_path / "t.csv")["a"].isna().tolist() == [False, True, False]

    def test_help_imports_nothing_heavy(self):
        code = (
            "import sys; from typer.testing import CliRunner; from pyro_gnr.cli import app;"
            "assert CliRunner().invoke(app, ['impute', '--help']).exit_code == 0;"
            "print({'torch', 'pyro', 'pandas', 'numpy', 'sklearn'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr

    @pytest.mark.parametrize("command", ["fit", "impute"])
    def test_help_lists_what_is_registered(self, command, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")  # no word is broken
        from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS

        words = set(re.findall(r"\w+", run(command, "--help").out))
        assert words >= {*MECHANISMS, *PRIORS, *LIKELIHOODS}

    def test_version(self):
        assert run("--version").out.startswith("pyro-gnr 0.")


class TestDescribe:
    def test_columns_kinds_and_missing_counts(self, table):
        ran = run("describe", table, "--kind", "row=ignore", "--seed", "1")
        assert ran.status == 0
        assert "60 rows, 5 columns, 40 missing cells (13.3%)" in ran.out
        for name, kind in [
            ("row", "ignore"),
            ("income", "continuous"),
            ("insured", "binary"),
            ("region", "categorical"),
        ]:
            line = next(line for line in ran.out.splitlines() if line.split()[:1] == [name])
            assert kind in line

    def test_patterns_with_counts(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("a,b,c\n" + "1.5,,\n" * 3 + "2.5,1.5,\n" * 2 + "1.5,0.5,a\n1.5,2.5,b\n")
        out = run("describe", path).out.split("missing together")[1]
        rows = [line.strip().split(maxsplit=2) for line in out.splitlines() if "%" in line]
        assert rows == [["3", "42.9%", "b, c"], ["2", "28.6%", "(none)"], ["2", "28.6%", "c"]]

    def test_numbers(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("year,dose\n2019,0.5\n1985,2.25\n1985,0.5\n,1\n")
        out = run("describe", path).out
        assert "min 1985, max 2019, 2 distinct" in out
        assert "min 0.5, max 2.25, 3 distinct" in out

    def test_hints_for_whole_numbers(self, tmp_path):
        path = tmp_path / "t.csv"
        n = 30
        columns = {
            "my id": range(n),
            "ward": [i % 4 for i in range(n)],
            "age": [i % 25 for i in range(n)],
            "smokes": [i % 2 for i in range(n)],
            "dose": [i % 4 + 0.5 for i in range(n)],
            "same": 3,
        }
        pd.DataFrame(columns).to_csv(path, index=False)
        hints = [line for line in run("describe", path).out.splitlines() if "--kind" in line]
        assert hints == [
            "my id: an id? --kind 'my id=ignore'",
            "ward: say --kind ward=categorical if these are labels; say --kind ward=count if it "
            "counts something",
            "age: say --kind age=count if it counts something",
            "dose: --kind dose=positive keeps imputations above 0",
        ]
        said = ("my id=ignore", "ward=continuous", "age=count", "dose=positive")
        ran = run("describe", path, *(part for kind in said for part in ("--kind", kind)))
        assert "--kind" not in ran.out

    def test_positive_bounded_counts_and_ordered_levels(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("income,score,visits,stage\n9.5,3,0,1\n80,20,4,3\n,1,,2\n1,0,1,\n")
        kinds = ["income=positive", "score=bounded(0, 20)", "visits=count", "stage=ordinal"]
        ran = run("describe", path, *(part for kind in kinds for part in ("--kind", kind)))
        assert ran.status == 0, ran.err
        lines = ran.out.splitlines()
        for name, kind, values in [
            ("income", "positive", "mean 30.17, sd 35.4, min 1, max 80, 3 distinct"),
            ("score", "bounded", "bounds 0 to 20, mean 6, sd 8.15, min 0, max 20, 4 distinct"),
            ("visits", "count", "mean 1.667, sd 1.7, min 0, max 4, 3 distinct"),
            ("stage", "ordinal", "1, 2, 3"),
        ]:
            (line,) = (line for line in lines if line.split()[:1] == [name])
            assert kind in line and values in line
        ran = run("describe", path, "--kind", "score=bounded(5, 20)", "--kind", "visits=positive")
        assert ran.status == 2
        assert "'score' has 3 value(s) out of bounds" in ran.err
        assert "'visits' has 1 value(s) zero or below" in ran.err
        assert "--kind visits=continuous" in ran.err
        path.write_text("height\n150\n180\n")
        ran = run("describe", path, "--kind", "height=bounded")
        assert "say its bounds, such as --kind 'height=bounded(150, 180)'" in ran.err

    def test_names_that_are_numbers(self, tmp_path):
        path = tmp_path / "t.parquet"
        pd.DataFrame({7: [1, 2, 3], 8: [1, 1, 2]}).to_parquet(path)
        ran = run("describe", path)
        assert ran.status == 0, ran.err
        assert "8: say --kind 8=categorical if these are labels" in ran.out

    def test_one_is_singular(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("a,b\n1.5,2.5\n,3.5\n")
        assert "1 missing cell (25.0%), 1 complete row\n" in run("describe", path).out
        columns = [f"c{i}" for i in range(13)]
        frame = pd.DataFrame(np.eye(13), columns=columns).replace(1.0, np.nan)
        frame.iloc[:, 1:] += np.arange(13)[:, None]
        frame.to_csv(path, index=False)
        assert "(1 other pattern)" in run("describe", path).out

    def test_all_problems_at_once_beside_the_description(self, tmp_path):
        path = tmp_path / "t.csv"
        note = [f"note number {i}" for i in range(120)]
        pd.DataFrame({"note": note, "empty": None, "x": np.arange(120) / 7}).to_csv(
            path, index=False
        )
        ran = run("describe", path)
        assert ran.status == 2
        assert "note" in ran.err
        assert "empty" in ran.err
        assert "continuous" in ran.out

    def test_names_are_not_markup(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("[red]a,b\n1.5,2\n2.5,\n3.5,4\n")
        assert "[red]a" in run("describe", path).out


class TestImpute:
    def test_directory_of_tables_with_a_manifest(self, table, frame, tmp_path):
        out = tmp_path / "out"
        ran = impute(table, out)
        assert ran.status == 0, ran.err
        assert "40 cells imputed in 4 columns" in ran.out
        assert "Pareto k above 0.7" in ran.out
        manifest = json.loads((out / "manifest.json").read_text())
        assert sorted(manifest["files"]) == ["imputation_1.csv", "imputation_2.csv"]
        assert sorted(p.name for p in out.iterdir()) == [
            *sorted(manifest["files"]),
            "manifest.json",
        ]
        for name, sha in manifest["files"].items():
            assert digest(out / name) == sha
            assert_completes(read_table(out / name), frame)
        assert manifest["m"] == 2
        assert manifest["seed"] == 0
        assert manifest["source"] == {"name": "people.csv", "sha256": digest(table)}
        assert manifest["imputed_cells"]["income"] == 10
        assert manifest["versions"]["pandas"] == pd.__version__
        expected = {"max_steps": 3, "kinds": {"row": "ignore"}, "random_state": 0}
        assert manifest["configuration"] == GNRImputer(**expected).to_config()

    @pytest.mark.parametrize("name", ["long.csv", "long.parquet", "LONG.CSV"])
    def test_one_long_table(self, table, frame, tmp_path, name):
        assert impute(table, tmp_path / name).status == 0
        long = read_table(tmp_path / name)
        assert list(long) == [".imp", ".id", *frame]
        assert long[".imp"].tolist() == [0] * 60 + [1] * 60 + [2] * 60
        parts = [part.iloc[:, 2:].reset_index(drop=True) for _, part in long.groupby(".imp")]
        assert_frame_equal(parts[0], frame, check_dtype=False)
        for part in parts[1:]:
            assert_completes(part, frame)

    def test_parquet_in_parquet_out(self, frame, tmp_path):
        frame["region"] = frame["region"].astype("category")
        frame.index = pd.Index(range(100, 160), name="person")
        frame.to_parquet(tmp_path / "people.parquet")
        source = pd.read_parquet(tmp_path / "people.parquet")
        assert impute(tmp_path / "people.parquet", tmp_path / "out").status == 0
        completed = pd.read_parquet(tmp_path / "out" / "imputation_1.parquet")
        assert completed.dtypes.to_dict() == source.dtypes.to_dict()
        assert completed.index.equals(source.index)
        assert_completes(completed, source)

    def test_the_seed_decides(self, table, tmp_path):
        for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
            assert impute(table, tmp_path / name, "--seed", seed).status == 0
        assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")
        first = "imputation_1.csv"
        assert snapshot(tmp_path / "a")[first] != snapshot(tmp_path / "c")[first]

    def test_a_saved_model_gives_the_same_tables(self, table, tmp_path):
        model = tmp_path / "model"
        ran = run("fit", table, "--model", model, "--kind", "row=ignore", *STEPS)
        assert (ran.status, ran.err) == (0, "")
        assert "60 rows" in ran.out
        assert "60 rows, 3 steps, best held-out bound at " in ran.out
        ran = run("impute", table, "--model", model, "--output", tmp_path / "a", "--m", 2)
        assert ran.status == 0, ran.err
        assert impute(table, tmp_path / "b").status == 0
        first = "imputation_1.csv"
        assert snapshot(tmp_path / "a")[first] == snapshot(tmp_path / "b")[first]

    def test_steps_run_without_a_held_out_bound(self, table, frame, tmp_path):
        frame.iloc[:20].to_csv(table, index=False)
        fit = ("fit", table, "--kind", "row=ignore", "--max-steps")
        out = run(*fit, 3, "--model", tmp_path / "a").out
        assert "20 rows, 3 steps, " in out
        assert "bound" not in out
        assert "20 rows, 1 step, " in run(*fit, 1, "--model", tmp_path / "b").out

    def test_rows_are_numbered_from_one(self, table, frame, tmp_path):
        frame.to_parquet(tmp_path / "plain.parquet")
        for source in (table, tmp_path / "plain.parquet"):
            assert impute(source, tmp_path / "long.csv", "--force").status == 0
            assert read_table(tmp_path / "long.csv")[".id"].tolist() == [*range(1, 61)] * 3
        assert impute(tmp_path / "plain.parquet", tmp_path / "out").status == 0
        completed = pd.read_parquet(tmp_path / "out" / "imputation_1.parquet")
        assert completed.index.equals(frame.index)
        frame.set_axis(pd.Index(range(100, 160), name="person")).to_parquet(
            tmp_path / "own.parquet"
        )
        assert impute(tmp_path / "own.parquet", tmp_path / "long.csv", "--force").status == 0
        assert read_table(tmp_path / "long.csv")[".id"].tolist() == [*range(100, 160)] * 3

    def test_a_row_key_gives_a_row_its_draws_wherever_it_stands(self, table, frame, tmp_path):
        model = tmp_path / "model"
        ran = run("fit", table, "--model", model, "--row-key", "row", *STEPS)
        assert ran.status == 0, ran.err
        frame.iloc[::-1].to_csv(tmp_path / "turned.csv", index=False)
        parts = []
        for source in (table, tmp_path / "turned.csv"):
            ran = run("impute", source, "--model", model, "--output", tmp_path / source.stem)
            assert ran.status == 0, ran.err
            parts.append(pd.read_csv(tmp_path / source.stem / "imputation_01.csv"))
        turned = parts[1].iloc[::-1].reset_index(drop=True)
        assert turned["row"].tolist() == frame["row"].tolist()
        assert turned["region"].tolist() == parts[0]["region"].tolist()
        np.testing.assert_allclose(turned["income"], parts[0]["income"], rtol=1e-6)

    def test_a_row_key_without_a_saved_model(self, table, tmp_path):
        ran = run("impute", table, "--output", tmp_path / "o", "--row-key", "row", *STEPS)
        assert ran.status == 0, ran.err
        assert "40 cells imputed in 4 columns" in ran.out

    @pytest.mark.parametrize("key", ["income", "name"])
    def test_an_unusable_row_key(self, table, tmp_path, key):
        ran = impute(table, tmp_path / "out", "--row-key", key)
        assert ran.status == 2
        assert "--row-key" in ran.err
        assert "row_key" not in ran.err

    def test_a_saved_model_is_readable_as_any_new_file(self, table, tmp_path):
        assert impute(table, tmp_path / "plain.csv").status == 0
        fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
        assert run(*fit).status == 0
        modes = {path.stat().st_mode for path in (tmp_path / "model").iterdir()}
        assert modes == {(tmp_path / "plain.csv").stat().st_mode}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ("conjunction", "Conjunction (holes depend on what the columns share; "),
            ("ignorable", "Ignorable (holes depend on observed values only; "),
            ("self_masking", "SelfMasking (a cell is missing because of its own value; "),
            ("self_masking --direction low", "its own value, the lower the more often; "),
            ("self_masking --direction high", "its own value, the higher the more often; "),
            ("selection", "Selection (holes depend on all values of their row, on missing ones "),
            ("no_self_censoring", "NoSelfCensoring (holes depend on what the columns share and "),
        ],
    )
    def test_the_summary_names_the_assumption(self, table, tmp_path, arguments, words):
        kind = ("--kind", "region=ignore") if "--direction" in arguments else ()
        ran = impute(table, tmp_path / "out", "--mechanism", *arguments.split(), *kind)
        [line] = [line for line in ran.out.splitlines() if line.startswith("mechanism: ")]
        assert words in line and line.endswith("; no data can test it)")

    @pytest.mark.parametrize("mechanism", ["self_masking --direction high", "ignorable"])
    def test_the_summary_says_what_is_extrapolated(self, tmp_path, mechanism):
        z = np.random.default_rng(0).normal(size=150)
        frame = pd.DataFrame({"row": range(150), "a": np.where(z > 0.5, np.nan, z), "b": z})
        frame.to_csv(tmp_path / "cut.csv", index=False)
        ran = impute(tmp_path / "cut.csv", tmp_path / "out", "--mechanism", *mechanism.split())
        assert ran.status == 0
        lines = [line for line in ran.out.splitlines() if "extrapolated" in line]
        if mechanism == "ignorable":
            assert not lines
        else:
            [line] = lines
            assert re.fullmatch(
                r"a: \d+% of imputed values are beyond all observed ones; .*", line
            )

    def test_every_mechanism_has_its_line(self):
        from pyro_gnr.model.registry import MECHANISMS

        assert set(ASSUMPTIONS) == {cls.__name__ for cls in MECHANISMS.values()}

    def test_quiet(self, table, tmp_path):
        ran = impute(table, tmp_path / "out", "--quiet")
        assert ran == Ran(0, "", "")


class TestOutputIsSafe:
    @pytest.mark.parametrize("name", ["out", "out.csv"])
    def test_an_existing_output_needs_force(self, table, tmp_path, name):
        assert impute(table, tmp_path / name, "--seed", 1).status == 0
        before = snapshot(tmp_path)
        ran = impute(table, tmp_path / name, "--seed", 2)
        assert ran.status == 2
        assert "exists already" in ran.err
        assert snapshot(tmp_path) == before
        assert impute(table, tmp_path / name, "--seed", 2, "--force").status == 0
        assert snapshot(tmp_path) != before

    @pytest.mark.parametrize("name", ["o.xlsx", "o.TSV", "o.csv.gz", "o.rds"])
    def test_formats_that_are_not_written(self, table, tmp_path, name):
        before = snapshot(tmp_path)
        ran = impute(table, tmp_path / name)
        assert ran.status == 2
        assert "a .csv or .parquet file, or a directory" in ran.err
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("name", ["m.csv", "m.parquet", "m.pkl"])
    def test_a_model_is_no_file(self, table, tmp_path, name):
        ran = run("fit", table, "--model", tmp_path / name, "--kind", "row=ignore", *STEPS)
        assert ran.status == 2
        assert "expected a directory" in ran.err
        assert not (tmp_path / name).exists()

    def test_a_model_needs_force_too(self, table, tmp_path):
        fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
        assert run(*fit).status == 0
        assert run(*fit).status == 2
        assert run(*fit, "--force").status == 0

    def test_a_directory_of_somebody_else_is_never_replaced(self, table, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "thesis.txt").write_text("ten years")
        ran = impute(table, out, "--force")
        assert ran.status == 2
        assert "thesis.txt" in ran.err
        assert run("fit", table, "--model", out, "--force", "--kind", "row=ignore").status == 2
        assert snapshot(out) == {"thesis.txt": b"ten years"}

    def test_a_file_added_to_our_directory_is_not_lost(self, table, tmp_path):
        assert impute(table, tmp_path / "out").status == 0
        (tmp_path / "out" / "notes.txt").touch()
        assert impute(table, tmp_path / "out", "--force").status == 2
        assert (tmp_path / "out" / "notes.txt").exists()

    def test_a_model_is_not_replaced_by_imputations(self, table, tmp_path):
        fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
        assert run(*fit).status == 0
        before = snapshot(tmp_path)
        assert impute(table, tmp_path / "model", "--force").status == 2
        assert snapshot(tmp_path) == before

    def test_the_input_is_never_overwritten(self, table, tmp_path):
        before = snapshot(tmp_path)
        assert impute(table, table, "--force").status == 2
        assert impute(table, tmp_path / "." / table.name, "--force").status == 2
        assert impute(table, tmp_path, "--force").status == 2
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("name", ["none/out", "people.csv/out"])
    def test_an_unwritable_output_is_known_before_the_fit(
        self, table, tmp_path, monkeypatch, name
    ):
        monkeypatch.setattr(pyro_gnr.GNRImputer, "fit", lambda *_: pytest.fail("too late"))
        ran = impute(table, tmp_path / name)
        assert ran.status == 2
        assert "does not exist" in ran.err

    @pytest.mark.parametrize("force", [(), ("--force",)])
    @pytest.mark.parametrize("error", [FloatingPointError("step 7"), OSError("disk full")])
    def test_failing_work_leaves_everything_as_it_was(
        self, table, tmp_path, monkeypatch, error, force
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

    def test_failing_half_way_through_the_tables(self, table, tmp_path, monkeypatch):
        write, calls = pyro_gnr.data.files.write_table, []

        def fail_second(frame: pd.DataFrame, path: Path) -> None:
            calls.append(path)
            if len(calls) == 2:
                raise OSError("disk full")
            write(frame, path)

        monkeypatch.setattr("pyro_gnr.data.files.write_table", fail_second)
        assert impute(table, tmp_path / "out").status == 1
        assert [p.name for p in tmp_path.iterdir()] == [table.name]


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--m", "0"], "--m"),
            (["--max-steps", "0"], "--max-steps"),
            (["--seed", "-1"], "--seed"),
            (["--kind", "income"], "COLUMN=KIND"),
            (["--kind", "=ignore"], "COLUMN=KIND"),
            (["--kind", "income=wavy"], "wavy"),
            (["--kind", "wages=continuous"], "wages"),
            (["--kind", "row=continuous"], "twice"),
            (["--mechanism", "magic"], "got mechanism 'magic', expected one of ['conjunction'"),
            (["--mechanism", "self_maskin"], "(did you mean 'self_masking'?)"),
            (["--mechanism", "Mine"], "a class of your own can be used in Python only"),
            (["--prior", "magic"], "got prior 'magic'"),
            (["--likelihood", "income"], "COLUMN=NAME"),
            (["--likelihood", "income=magic"], "got likelihood 'magic'"),
            (["--likelihood", "wages=gaussian"], "--likelihood names unknown columns ['wages']"),
            (["--likelihood", "income=gaussian"] * 2, "--likelihood names column 'income' twice"),
            (
                ["--likelihood", "region=gaussian", "--kind", "region=categorical"],
                "column 'region' is categorical",
            ),
            (["--direction", "high"], "--direction goes with --mechanism self_masking"),
            (["--mechanism", "ignorable", "--direction", "high"], "but here it is ignorable"),
            (["--mechanism", "self_masking", "--direction", "up"], "--direction 'up': expected"),
            (["--model", "no-such-model"], "no-such-model"),
        ],
    )
    def test_arguments(self, table, tmp_path, arguments, message):
        before = snapshot(tmp_path)
        ran = impute(table, tmp_path / "out", *arguments)
        assert ran.status == 2
        assert message in ran.err
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("t.csv", None, "t.csv"),
            ("t.xlsx", "a,b\n1,2\n", ".csv or .parquet"),
            ("t.csv", "", "t.csv"),
            ("t.csv", "a,b\n", "row"),
            ("t.csv", "a,b\n1,2\n", "n_samples=1"),
            ("t.csv", "a,a\n1,2\n3,\n", "'a'"),
            ("t.csv", "a,b\n1,\n3,\n", "b"),
            ("t.csv", "a,b\n1.5,inf\n3.5,2\n", "b"),
            ("t.parquet", "a,b\n1,2\n3,\n", "t.parquet"),
        ],
    )
    @pytest.mark.parametrize("command", ["fit", "impute", "describe"])
    def test_tables(self, tmp_path, command, name, text, message):
        if text is not None:
            (tmp_path / name).write_text(text)
        before = snapshot(tmp_path)
        output = {"fit": ("--model",), "impute": ("--output",), "describe": ()}[command]
        ran = run(command, tmp_path / name, *output, *[tmp_path / "out" for _ in output])
        assert ran.status == 2
        assert message in ran.err
        assert "Traceback" not in ran.err
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--kind", "row=ignore"],
            ["--row-key", "row"],
            ["--mechanism", "ignorable"],
            ["--direction", "high"],
            ["--prior", "vamp"],
            ["--likelihood", "income=student_t"],
            ["--config", "c.toml"],
            ["--max-steps", "3"],
        ],
    )
    def test_a_saved_model_decides_for_itself(self, table, tmp_path, arguments):
        ran = run("impute", table, "--output", tmp_path / "o", "--model", tmp_path, *arguments)
        assert ran.status == 2
        assert arguments[0] in ran.err
        assert "--model" in ran.err

    def test_a_foreign_model_directory(self, table, tmp_path):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "manifest.json").write_text('{"format": "another program"}')
        ran = run("impute", table, "--output", tmp_path / "out", "--model", tmp_path / "model")
        assert ran.status == 2
        assert not (tmp_path / "out").exists()

    def test_columns_that_the_model_does_not_know(self, table, frame, tmp_path):
        model = tmp_path / "model"
        assert run("fit", table, "--model", model, "--kind", "row=ignore", *STEPS).status == 0
        frame.rename(columns={"income": "wages"}).to_csv(table, index=False)
        ran = run("impute", table, "--output", tmp_path / "out", "--model", model)
        assert ran.status == 2
        assert "new: 'wages'; gone: 'income'" in ran.err
        assert len(ran.err.splitlines()) == 1
        frame.iloc[:, ::-1].to_csv(table, index=False)
        ran = run("impute", table, "--output", tmp_path / "out", "--model", model)
        assert ran.status == 2
        assert "reorder" in ran.err

    @pytest.mark.parametrize("command", [("fit", "--model"), ("impute", "--output")])
    def test_all_problems_at_once_in_the_words_of_the_command_line(
        self, tmp_path, monkeypatch, command
    ):
        monkeypatch.setattr(pyro_gnr.GNRImputer, "fit", lambda *_: pytest.fail("too late"))
        path = tmp_path / "t.csv"
        note = [f"note number {i}" for i in range(120)]
        frame = pd.DataFrame({"note": note, "my empty": None, "x": np.arange(120) / 7})
        frame.to_csv(path, index=False)
        ran = run(command[0], path, command[1], tmp_path / "out")
        assert ran.status == 2
        assert "--kind note=ignore" in ran.err
        assert "--kind note=categorical" in ran.err
        assert "--kind 'my empty=ignore'" in ran.err
        assert "kinds=" not in ran.err


def test_errors_speak_of_options():
    name = """it's "so" {a: 'b'}"""
    text = f"no: kinds={{{name!r}: 'ignore'}}, or kinds={{'x': ...}}."
    quoted = """'it'"'"'s "so" {a: '"'"'b'"'"'}=ignore'"""
    assert as_options(text) == f"no: --kind {quoted}, or --kind x=...."
    assert as_options("row_key column 'a' fails") == "--row-key column 'a' fails"


def test_the_demo_makes_a_directory(tmp_path):
    ran = run("demo", "--output", tmp_path / "demo.csv")
    assert ran.status == 2
    assert "directory" in ran.err


def test_demo(tmp_path):
    out = tmp_path / "demo"
    ran = run("demo", "--output", out, "--m", 2, *STEPS)
    assert ran.status == 0, ran.err
    summary = read_table(out / "summary.csv")
    assert len(summary) == 11
    assert (summary["note"].notna() == (summary["missing"] < 10)).all()
    assert "fewer than 10 cells" in summary["note"].tolist()
    assert "mechanism: Conjunction (" in ran.out
    assert len(list((out / "pictures").iterdir())) == 11
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"imputation_1.csv", "imputation_2.csv", "summary.csv"} <= set(manifest["files"])
    assert not read_table(out / "imputation_1.csv").isna().any(axis=None)
    assert "household_income" in ran.out
    assert run("demo", "--output", out, "--m", 2, *STEPS, "--force").status == 0


def test_cells_such_as_below_a_limit(frame, tmp_path):
    """From a CSV file with "<0.5" to completed tables of numbers, by one call or two."""
    rng = np.random.default_rng(0)
    crp = np.exp(rng.normal(size=len(frame))).round(3)
    frame["crp"] = np.where(crp < 0.5, "<0.5", crp.astype(str))
    frame.loc[::9, "crp"] = None
    table, model, long = (tmp_path / name for name in ("assay.csv", "model", "long.csv"))
    frame.to_csv(table, index=False)
    described = run("describe", table, "--kind", "row=ignore")
    assert described.status == 0 and "censored_log" in described.out
    assert (
        run("fit", table, "--model", model, "--kind", "row=ignore", *STEPS, "--quiet").status == 0
    )
    assert run("impute", table, "--model", model, "--output", long, "--m", 2).status == 0
    found = read_table(long)
    assert str(found["crp"].dtype) == "Float64"
    low = found[found[".interval.crp"] == "<0.5"]
    assert (low[".imp"].value_counts() == (frame["crp"] == "<0.5").sum()).all()
    assert low["crp"][low[".imp"] == 0].isna().all()
    assert low["crp"][low[".imp"] > 0].between(0.0, 0.5).all()
    completed = found[found[".imp"] == 2]
    assert completed["crp"].notna().all()
    numbers = pd.to_numeric(frame["crp"], errors="coerce").to_numpy()
    seen = ~np.isnan(numbers)
    assert (completed["crp"].to_numpy(dtype=float)[seen] == numbers[seen]).all()
    folder = impute(table, tmp_path / "tables", "--kind", "crp=censored")
    assert folder.status == 0, folder.err
    one = read_table(tmp_path / "tables" / "imputation_1.csv")
    assert (one["crp"][frame["crp"] == "<0.5"] <= 0.5).all()
    frame.loc[0, "crp"] = "n.d."
    frame.to_csv(table, index=False)
    wrong = impute(table, tmp_path / "more", "--kind", "crp=censored")
    assert wrong.status == 2 and "'crp' holds 'n.d.'" in wrong.err
