from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.cli.ampute import ampute as command
from pyro_gnr.data.amputation import MECHANISMS, SelfMasking, ampute
from pyro_gnr.data.files import read_table


@pytest.fixture
def run(run):
    """Call pyro-gnr ampute with these arguments."""
    return partial(run, "ampute")


@pytest.fixture
def table(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "income": rng.normal(size=n) * 1e3,
            "children": rng.integers(0, 6, n),
            "insured": rng.random(n) < 0.6,
            "region": rng.choice(["north", "south", "west"], n),
        }
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_example_of_the_docs(run, table, tmp_path):
    out, mask = tmp_path / "holes.csv", tmp_path / "mask.csv"
    ran = run(
        *(table, "--output", out, "--mechanism", "self_masking", "--rate", "0.3"),
        *("--column", "income", "--column", "children", "--direction", "low", "--seed", "7"),
        *("--mask", mask),
    )
    assert (ran.status, ran.err) == (0, "")
    source = read_table(table)
    expected = ampute(
        source,
        SelfMasking(direction="low"),
        rate=0.3,
        columns=["income", "children"],
        random_state=7,
    )
    assert_frame_equal(read_table(out), expected.table, check_dtype=False)
    assert (read_table(mask).to_numpy() == expected.observed).all()
    assert list(read_table(mask)) == list(source)
    missing = int((~expected.observed).sum())
    assert f"holes.csv: 200 rows, {missing} cells removed, 0 rows with nothing observed" in ran.out
    for j, name in enumerate(source):
        lines = [line.split() for line in ran.out.splitlines() if line.split()[:1] == [name]]
        holes = ~expected.observed[:, j]
        if name in ("income", "children"):
            assert lines == [[name, str(holes.sum()), f"{holes.mean():.1%}", "30.0%"]]
        else:
            assert lines == [] and not holes.any()


@pytest.mark.parametrize("name", MECHANISMS)
def test_every_mechanism(run, table, tmp_path, name):
    columns = ["income", "children"] if name == "above_mean" else ["income", "region"]
    options = [word for column in columns for word in ("--column", column)]
    ran = run(
        *(table, "--output", tmp_path / "o.csv", "--mechanism", name, "--kind", "id=ignore"),
        *options,
    )
    assert (ran.status, ran.err) == (0, "")
    holes, source = read_table(tmp_path / "o.csv"), read_table(table)
    lost = holes.isna().sum()
    assert set(lost[lost > 0].index) == set(columns)
    for column in holes:
        kept = holes[column].notna()
        assert holes[column][kept].tolist() == source[column][kept].tolist()


@pytest.mark.parametrize(
    "words",
    [
        ["--mechanism", "mar", "--predictor", "income", "--direction", "low", "--slope", "3"],
        ["--mechanism", "self_masking", "--link", "probit", "--level", "region=west"],
        ["--mechanism", "hard_self_masking", "--level", "region=west", "--level", "region=south"],
        ["--mechanism", "above_mean", "--offset", "0.5", "--column", "income"],
        ["--mechanism", "shared_latent", "--latents", "2", "--noise", "0", "--positivity", "0.1"],
        ["--mechanism", "no_self_censoring", "--noise", "1", "--direction", "high"],
        ["--mechanism", "self_masking", "--direction", "income=low", "--column", "income"],
        ["--mechanism", "general_mnar", "--drop-empty-rows", "--rate", "0.6"],
    ],
)
def test_options_reach_their_mechanism(run, table, tmp_path, words):
    base = (table, "--kind", "id=ignore", "--quiet")
    column = () if "income" in words else ("--column", "region")
    assert run(*base, *column, *words, "--output", tmp_path / "a.csv") == (0, "", "")
    plain = [*words[:2], *column, *(("--column", "income") if "above_mean" in words else ())]
    assert run(*base, *plain, "--output", tmp_path / "b.csv").status == 0
    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "b.csv").read_bytes()


def test_columns_of_a_block_go_missing_together(run, table, tmp_path):
    words = ("--column", "income", "--column", "region", "--quiet", "--output", tmp_path / "o.csv")
    assert run(table, "--block", "income,region", *words) == (0, "", "")
    holes = read_table(tmp_path / "o.csv").isna()
    assert 0 < holes["income"].sum() < len(holes)
    assert holes["income"].tolist() == holes["region"].tolist()


def test_every_option_of_every_mechanism_is_an_option_here():
    here = set(inspect.signature(command).parameters)
    flags = {"levels": "level", "predictors": "predictor", "blocks": "block"}
    for mechanism in MECHANISMS.values():
        names = set(inspect.signature(mechanism).parameters)
        assert {flags.get(name, name) for name in names} <= here


def test_the_help_names_every_mechanism(run):
    text = " ".join(run("--help").out.replace("│", " ").split())
    for name in MECHANISMS:
        assert f"{name} (" in text


def test_the_seed_decides(run, table, tmp_path):
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        assert run(table, "--output", tmp_path / f"{name}.csv", "--seed", seed).status == 0
    made = files(tmp_path)
    assert made["a.csv"] == made["b.csv"] != made["c.csv"]


def test_parquet_keeps_index_and_dtypes(run, tmp_path):
    frame = pd.DataFrame(
        {
            "n": np.arange(50, dtype="int32"),
            "arm": pd.Categorical(["a", "b"] * 25, categories=["b", "a", "never"]),
            "x": np.linspace(0, 1, 50),
        },
        index=pd.Index(range(100, 150), name="person"),
    )
    frame.to_parquet(tmp_path / "t.parquet")
    words = ("--mask", tmp_path / "mask.parquet", "--rate", "0.5", "--drop-empty-rows")
    ran = run(tmp_path / "t.parquet", "--output", tmp_path / "o.parquet", *words)
    assert (ran.status, ran.err) == (0, "")
    out, mask = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("o", "mask"))
    assert 20 < len(out) < 50 and out.index.isin(frame.index).all() and out.index.name == "person"
    assert mask.index.equals(out.index)
    assert (out.notna().to_numpy() == mask.to_numpy().astype(bool)).all()
    assert [str(t) for t in out.dtypes] == ["Int32", "category", "float64"]
    assert list(out["arm"].cat.categories) == ["b", "a", "never"]


def test_empty_rows_are_reported(run, table, tmp_path):
    options = ("--output", tmp_path / "o.csv", "--rate", "0.9", "--kind", "id=continuous")
    out = run(table, *options).out
    empty = int(pd.read_csv(tmp_path / "o.csv").isna().all(axis=1).sum())
    assert empty > 0 and f"{empty} rows with nothing observed" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mechanism", "mcarr"], "(did you mean 'mcar'?)"),
        (["--mechanism", "magic"], "--mechanism 'magic': expected one of mcar, mar"),
        (["--rate", "1.5"], "rate 1.5"),
        (["--rate", "0.3", "--mechanism", "above_mean", "--column", "income"], "above_mean"),
        (["--column", "wages"], "wages"),
        (["--offset", "1"], "--offset cannot be given with --mechanism mcar"),
        (["--level", "region=west", "--predictor", "id"], "--level and --predictor cannot be"),
        (["--mechanism", "mar", "--block", "income,region"], "--block cannot be given with"),
        (["--mechanism", "self_masking", "--level", "west"], "expected COLUMN=LEVEL"),
        (["--mechanism", "self_masking", "--direction", "up"], "direction 'up'"),
        (["--mechanism", "self_masking", "--direction", "free"], "'random' draws it"),
        (["--mechanism", "self_masking", *2 * ["--direction", "low"]], "or COLUMN=END, such as"),
        (["--mechanism", "mar", "--direction", "income=low"], "direction {'income': 'low'}"),
        (["--mechanism", "self_masking"], "--kind id=ignore"),
        (["--kind", "income"], "COLUMN=KIND"),
        (["--seed", "-1"], "--seed"),
        (["--mask", "OUT"], "--mask and --output both name"),
        (["--mask", "mask"], "expected a .csv or .parquet file"),
        (["--mask", "TABLE"], "is, or holds, the input"),
    ],
)
def test_bad_calls_make_nothing(run, table, tmp_path, words, message):
    before = files(tmp_path)
    places = {"OUT": tmp_path / "o.csv", "TABLE": table, "mask": tmp_path / "mask"}
    ran = run(table, "--output", tmp_path / "o.csv", *[places.get(w, w) for w in words])
    assert ran.status == 2
    assert message in ran.err
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["o", "o.xlsx", "people.csv", "none/o.csv"])
def test_outputs_that_cannot_be(run, table, tmp_path, name):
    before = files(tmp_path)
    assert run(table, "--output", tmp_path / name, "--force").status == 2
    assert files(tmp_path) == before


def test_only_columns_that_are_read_must_be_complete(run, table, tmp_path):
    frame = pd.read_csv(table)
    frame.loc[frame["income"] < 0, "children"] = np.nan
    frame.to_csv(table, index=False)
    own = int(frame["children"].isna().sum())
    words = (table, "--output", tmp_path / "o.csv", "--mechanism", "self_masking", "--force")
    ran = run(*words, "--column", "income", "--column", "children")
    assert ran.status == 2 and f"'children' has {own} missing cell(s)" in ran.err
    assert "--kind children=ignore" in ran.err
    ran = run(*words, "--direction", "income=high")
    assert (ran.status, ran.err) == (0, "") and f", {own} cells missing before, " in ran.out
    holes = read_table(tmp_path / "o.csv")
    assert holes["children"].isna().sum() == own and holes["income"].isna().any()
    ran = run(table, "--output", tmp_path / "m.csv", "--rate", "0.5", "--mask", tmp_path / "k.csv")
    mask = read_table(tmp_path / "k.csv")
    gone = int(200 - own - mask["children"].sum())
    assert ["children", str(gone), f"{gone / (200 - own):.1%}", "50.0%"] in [
        line.split() for line in ran.out.splitlines()
    ]


def test_existing_files_need_force(run, table, tmp_path):
    out, mask = tmp_path / "o.csv", tmp_path / "mask.csv"
    words = (table, "--output", out, "--mask", mask)
    assert run(*words).status == 0
    before = files(tmp_path)
    for name in ("o.csv", "mask.csv"):
        one = tmp_path / "other.csv"
        both = {"o.csv": (out, one), "mask.csv": (one, mask)}[name]
        ran = run(table, "--output", both[0], "--mask", both[1], "--seed", 1)
        assert ran.status == 2 and "exists already" in ran.err
    assert files(tmp_path) == before
    assert run(*words, "--seed", 1, "--force").status == 0
    assert files(tmp_path)["o.csv"] != before["o.csv"]
    assert files(tmp_path)["mask.csv"] != before["mask.csv"]


def test_failing_work_leaves_everything_as_it_was(run, table, tmp_path, monkeypatch):
    words = (table, "--output", tmp_path / "o.csv", "--mask", tmp_path / "mask.csv", "--force")
    assert run(*words).status == 0
    before = files(tmp_path)
    import pyro_gnr.data.files

    write, calls = pyro_gnr.data.files.write_table, []

    def fail_second(frame: pd.DataFrame, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("disk full")
        write(frame, path)

    monkeypatch.setattr("pyro_gnr.data.files.write_table", fail_second)
    ran = run(*words, "--seed", 1)
    assert ran.status == 1 and "disk full" in ran.err
    assert files(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_holes_that_reach_no_cell_are_said(table, tmp_path):
    words = ["--mechanism", "above_mean", "--offset", "9", "--column", "income", "--quiet"]
    call = [
        sys.executable,
        "-m",
        "pyro_gnr.cli",
        "ampute",
        table,
        "--output",
        tmp_path / "out.csv",
    ]
    done = subprocess.run([*call, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("pyro-gnr: warning: no cell was removed: by AboveMean(offset=9")
    assert done.stderr.count("\n") == 1
    assert_frame_equal(read_table(tmp_path / "out.csv"), read_table(table), check_dtype=False)
