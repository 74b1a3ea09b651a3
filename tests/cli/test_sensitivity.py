"""Sensitivity analyses from the command line."""

import json
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from scipy import stats

from pyro_gnr import Delta, GNRImputer

FIT = ["--max-steps", 3, "--members", 1, "--kind", "row=ignore"]
SMALL = [*FIT, "--m", 3]


@pytest.fixture
def model(run, table, tmp_path):
    assert run("fit", table, "--model", tmp_path / "model", *FIT).status == 0
    return tmp_path / "model"


def test_a_grid_and_a_tipping_point(run, table, model, tmp_path):
    out = tmp_path / "out"
    ran = run(
        "sensitivity", table, "--model", model, "--m", 3, "--formula", "income ~ children",
        "--delta", "income=-1:1:3", "--delta", "region=0:1:2", "--category", "region=south",
        "--where", "children > 0", "--tip", "income", "--term", "Intercept", "--output", out,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert "no data can say" in ran.out
    assert sorted(p.name for p in out.iterdir()) == [
        "grid.csv", "grid.png", "manifest.json", "tipping_points.json", "tipping_points.txt",
    ]  # fmt: skip
    [tip] = json.loads((out / "tipping_points.json").read_text())
    assert (tip["column"], tip["where"], tip["by"]) == ("income", "children > 0", 1.0)
    assert {type(tip[side]) for side in ("below", "above")} <= {float, type(None)}
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["mechanism"], manifest["seed"], manifest["m"]) == ("Conjunction", 0, 3)
    assert (manifest["members"], manifest["analysis"]) == ([0, 0, 0], "ols")
    assert manifest["source"]["name"] == "people.csv"
    assert manifest["ledger"]["mechanism"] == "Conjunction"
    assert "scipy" in manifest["versions"]
    told = [(d["column"], d["level"], d["times"]) for d in manifest["grid"]]
    assert told == [("income", None, [-1, 0, 1]), ("region", "south", [0, 1])]
    grid = pd.read_csv(out / "grid.csv")
    assert grid.shape[0] == 3 * 2 * 2
    imputer = GNRImputer.load(model)
    frame = pd.read_csv(table)
    frame.index += 1
    moved = imputer.impute(frame, m=3).adjusted(
        Delta("income", -1.0, where="children > 0"),
        Delta("region", 1.0, level="south", where="children > 0"),
    )
    wanted = moved.pool("income ~ children").summary()
    names = ["delta income where children > 0", "delta region[south] where children > 0"]
    assert grid.columns[:2].tolist() == names
    found = grid[(grid[names[0]] == -1) & (grid[names[1]] == 1)].set_index("term")
    pd.testing.assert_frame_equal(found[wanted.columns], wanted, check_names=False)


def test_a_prior(run, table, model, tmp_path):
    out = tmp_path / "out"
    ran = run(
        "sensitivity", table, "--model", model, "--m", 4, "--formula", "income ~ children",
        "--delta", "income=norm(-100, 2000)", "--delta", "children=0:1:2", "--output", out,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert "unsure of the model" in ran.out
    frame = pd.read_csv(table)
    frame.index += 1
    moved = (
        GNRImputer.load(model).impute(frame, m=4).adjusted(Delta("income", stats.norm(-100, 2000)))
    )
    found = pd.read_csv(out / "unsure.csv", index_col="term")
    wanted = moved.pool("income ~ children").summary()
    pd.testing.assert_frame_equal(found, wanted, check_names=False)
    manifest = json.loads((out / "manifest.json").read_text())
    [told] = manifest["unsure"]
    assert told["by"] == {"distribution": "norm", "args": [-100, 2000], "kwds": {}}
    assert [d["column"] for d in manifest["grid"]] == ["children"]
    pooled = moved.pool("income ~ children")
    assert (manifest["unsure_rule"], manifest["unsure_notes"]) == (pooled.title, pooled.notes)
    words = " ".join(ran.out.split())
    assert all(said in words for said in (pooled.title, *pooled.notes))


def test_the_ladder(run, table, tmp_path):
    out, figures = tmp_path / "out", plt.get_fignums()
    call = [
        "sensitivity",
        table,
        "--formula",
        "income ~ children",
        "--ladder",
        *SMALL,
        "--output",
        out,
    ]
    ran = run(*call)
    assert ran.status == 0, ran.err
    assert "Fit cannot decide among these mechanisms" in ran.out
    assert re.search(r"no self-censoring +(best|-\d+\.\d{3} ± \d\.\d{3}) ", ran.out)
    ladder = pd.read_csv(out / "ladder.csv")
    assert ladder["mechanism"].nunique() + len(ran.out.split(" failed: ")) - 1 >= 6
    assert (out / "ladder.png").stat().st_size > 1000
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["files"]) == {"ladder.csv", "fit.csv", "ladder.png"}
    assert list(manifest["ladder"]) == list(dict.fromkeys(ladder["mechanism"]))
    assert manifest["ladder"]["selection"]["mechanism"] == "Selection"
    assert "se_difference_values" in pd.read_csv(out / "fit.csv")
    assert plt.get_fignums() == figures
    assert run(*call).status == 2  # not over what is there
    assert run(*call, "--force", "--quiet").out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is asked: give --delta, --tip or --ladder"),
        (["--delta", "income=1"], "--delta income=1: expected COLUMN=LOW:HIGH:N"),
        (["--delta", "income=0:1:0"], "expected COLUMN=LOW:HIGH:N"),
        (["--delta", "income=norm(0, 0)"], "or COLUMN=norm(MEAN, SD), SD > 0"),
        (["--delta", "income=norm(0)"], "or COLUMN=norm(MEAN, SD), SD > 0"),
        (["--delta", "incom=0:1:2"], "got column 'incom', expected a modelled one"),
        (["--delta", "region=0:1:2"], "got level=None for column 'region'"),
        (["--tip", "region"], "the one whose log-odds change, as in --category region=west"),
        (["--tip", "income"], "got term=None, expected one of"),
        (["--tip", "income", "--category", "region=x"], "--category names ['region']"),
        (["--delta", "income=0:1:2", "--output", "x.csv"], "expected a directory"),
    ],
)
def test_wrong_calls(run, table, arguments, message):
    ran = run("sensitivity", table, "--formula", "income ~ children", *SMALL, *arguments)
    assert ran.status == 2
    assert message in ran.err


@pytest.mark.parametrize("narrow", [False, True])
def test_numbers_and_headers_are_never_broken(run, table, model, monkeypatch, narrow):
    if narrow:
        for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "60"}.items():
            monkeypatch.setenv(name, value)
    ran = run(
        "sensitivity", table, "--model", model, "--m", 3, "--formula", "income ~ children",
        "--delta", "income=-1000:1000:2", "--delta", "children=-0.123456:1:2",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    lines = [line.split() for line in re.sub(r"\x1b\[[0-9]*m", "", ran.out).splitlines()]
    headers = [line for line in lines if line[:2] == ["delta", "income"]]
    rest = ["estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high", "fmi"]
    keys = ["delta", "income", "delta", "children", "term"]
    assert [name for line in headers for name in line[5:]] == rest
    assert all(line[:5] == keys for line in headers)
    rows = [line for line in lines if line[2:3] in (["Intercept"], ["children"])]
    assert len(rows) == 2 * 2 * 2 * len(headers)
    assert (len(headers) > 1) == narrow
    assert {float(line[1]) for line in rows} == {-0.1235, 1}
    assert all(len(line) == len(rows[0]) for line in rows[: len(rows) // len(headers)])
    assert "delta income: in the column's own unit" in ran.out
    assert "delta children: in the column's own unit" in ran.out


@pytest.mark.parametrize("asked", [["--ladder"], ["--delta", "income=0:1:2"]])
def test_a_misspelt_column_is_found_before_any_fit(run, table, monkeypatch, asked):
    def fit(self, X, y=None):
        raise AssertionError("fitted")

    monkeypatch.setattr(GNRImputer, "fit", fit)
    ran = run("sensitivity", table, "--formula", "income ~ childen", *SMALL, *asked)
    assert ran.status == 2
    assert "got 'childen' in the formula 'income ~ childen', expected columns" in ran.err
    assert "(did you mean 'children'?)" in ran.err
