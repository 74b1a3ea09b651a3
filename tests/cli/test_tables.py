import numpy as np
import pandas as pd
import pytest

import pyro_gnr

STEPS = ("--max-steps", "3")


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
def test_tables(run, snapshot, tmp_path, command, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    before = snapshot(tmp_path)
    output = {"fit": ("--model",), "impute": ("--output",), "describe": ()}[command]
    ran = run(command, tmp_path / name, *output, *[tmp_path / "out" for _ in output])
    assert ran.status == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert snapshot(tmp_path) == before


def test_columns_that_the_model_does_not_know(run, table, frame, tmp_path):
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
    run, tmp_path, monkeypatch, command
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


def test_the_order_of_levels_comes_with_the_file(run, tmp_path):
    """From a .parquet file whose categories are ordered, said by an option or by a file."""
    levels, path = ["low", "mid", "high"], tmp_path / "t.parquet"
    stage = pd.Series([*levels, None] * 10, dtype=pd.CategoricalDtype(levels, ordered=True))
    frame = pd.DataFrame({"stage": stage, "x": np.arange(40) / 7})
    frame.to_parquet(path)
    (tmp_path / "c.toml").write_text("members = 1\n[kinds]\nstage = 'ordinal'\n")
    said = (["--kind", "stage=ordinal"], ["--likelihood", "stage=ordinal"], [])
    calls = [("fit", path, "--model", tmp_path / f"model {i}", *STEPS) for i in range(3)]
    for call, words in zip(calls, said, strict=True):
        ran = run(*call, "--config", tmp_path / "c.toml", *words)
        assert ran.status == 0, ran.err
    frame.astype({"stage": pd.CategoricalDtype(levels)}).to_parquet(path)
    ran = run("fit", path, "--model", tmp_path / "none", "--config", tmp_path / "c.toml")
    assert ran.status == 2 and "'stage' is an unordered category ('low', 'mid'," in ran.err
    assert not (tmp_path / "none").exists()
