"""What options and configuration files say of the model, and which of them wins."""

import json

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import GNRImputer
from pyro_gnr.data.files import read_table

SMALL = {"members": 1, "hidden": 4, "particles": 3, "max_steps": 3, "imputation_particles": 30}
MASKING = ["--mechanism", "self_masking", "--direction"]


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
        (
            ["--likelihood", "income=truncated"],
            'under [likelihoods], the line "income" = { name = "truncated", lower = 0 }',
        ),
        (["--likelihood", "wages=gaussian"], "--likelihood names unknown columns ['wages']"),
        (["--likelihood", "income=gaussian"] * 2, "--likelihood names column 'income' twice"),
        (
            ["--likelihood", "region=gaussian", "--kind", "region=categorical"],
            "column 'region' is categorical",
        ),
        (["--direction", "high"], "--direction goes with --mechanism self_masking"),
        (["--mechanism", "ignorable", "--direction", "high"], "but here it is ignorable"),
        ([*MASKING, "up"], "--direction 'up': expected"),
        ([*MASKING, "income=up"], "--direction 'income=up': expected one of high, low, free, off"),
        ([*MASKING, "wages=high"], "--direction names ['wages'], expected modelled columns ['inc"),
        ([*MASKING, "row=high"], "--direction names ['row'], expected modelled columns ['income'"),
        ([*MASKING, "region=low"], "column 'region' has levels without an order"),
        ([*MASKING, "high", "--direction", "low"], "one END, or COLUMN=END, such as --direction"),
        ([*MASKING, "low", "--direction", "income=high"], "one END, or COLUMN=END, such as"),
        ([*MASKING, *2 * ["income=low", "--direction"], "income=low"], "'income' twice"),
        (["--direction", "income=high"], "--direction goes with --mechanism self_masking"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_arguments(impute, snapshot, table, tmp_path, arguments, message):
    before = snapshot(tmp_path)
    ran = impute(table, tmp_path / "out", *arguments)
    assert ran.status == 2
    assert message in ran.err
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
def test_a_saved_model_decides_for_itself(run, table, tmp_path, arguments):
    ran = run("impute", table, "--output", tmp_path / "o", "--model", tmp_path, *arguments)
    assert ran.status == 2
    assert arguments[0] in ran.err
    assert "--model" in ran.err


def test_a_foreign_model_directory(run, table, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "manifest.json").write_text('{"format": "another program"}')
    ran = run("impute", table, "--output", tmp_path / "out", "--model", tmp_path / "model")
    assert ran.status == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["c.toml", "c.json"])
def test_a_file_says_what_arguments_say(run, configuration, clinic, write, tmp_path, name):
    """From the shell, by one call or two, and from Python: the same numbers."""
    arguments = {
        **SMALL,
        "mechanism": {"name": "self_masking", "direction": {"income": "high"}},
        "prior": "gaussian_mixture",
        "likelihoods": {"income": {"name": "student_t", "df": 5.0}},
        "kinds": {"row": "ignore", "ward": "categorical"},
        "random_state": 11,
    }
    file = write(name, **arguments)
    assert (
        run("impute", clinic, "--output", tmp_path / "a", "--m", 2, "--config", file).status == 0
    )
    config = configuration("--config", file)
    assert config == GNRImputer(**arguments).to_config()
    model = ("--model", tmp_path / "model")
    assert run("impute", clinic, "--output", tmp_path / "b", "--m", 2, *model).status == 0
    for completed in ("imputation_1.csv", "imputation_2.csv"):
        texts = [(tmp_path / folder / completed).read_bytes() for folder in "ab"]
        assert texts[0] == texts[1]
    manifests = [json.loads((tmp_path / d / "manifest.json").read_text()) for d in "ab"]
    assert [m["configuration"] for m in manifests] == [config, config]
    frame = read_table(clinic)
    frame = frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
    here = GNRImputer(**arguments, verbose=False).fit(frame).impute(frame, m=2)
    found = read_table(tmp_path / "a" / "imputation_2.csv")
    np.testing.assert_allclose(found["income"], here[1]["income"].astype(float), rtol=1e-6)


def test_options_win_over_the_file_and_the_file_over_the_defaults(configuration, clinic, write):
    file = write(
        mechanism="ignorable",
        prior="gaussian_mixture",
        likelihoods={"income": "student_t", "age": "student_t"},
        kinds={"row": "ignore", "ward": "continuous"},
        random_state=4,
    )
    plain = configuration("--config", file)
    assert (plain["mechanism"], plain["random_state"]) == ("ignorable", 4)
    assert plain["batch_size"] == GNRImputer().batch_size
    options = {
        "--mechanism": "conjunction",
        "--prior": "standard_normal",
        "--likelihood": "age=gaussian",
        "--kind": "ward=categorical",
        "--max-steps": 2,
        "--seed": 9,
        "--row-key": "row",
    }
    found = configuration("--config", file, *(a for pair in options.items() for a in pair))
    assert found == {
        **plain,
        "mechanism": "conjunction",
        "prior": "standard_normal",
        "likelihoods": {"income": "student_t", "age": "gaussian"},
        "kinds": {"row": "ignore", "ward": "categorical"},
        "max_steps": 2,
        "random_state": 9,
        "row_key": "row",
    }


def test_seed_zero_wins_too(configuration, clinic, write):
    assert configuration("--config", write(random_state=4), "--seed", 0)["random_state"] == 0
    assert configuration("--config", write())["random_state"] == 0


def test_a_direction(configuration, clinic, write):
    masking = ("--mechanism", "self_masking", "--direction", "high")
    small = ("--config", write())
    expected = {"name": "self_masking", "direction": "high"}
    assert configuration(*small, *masking)["mechanism"] == expected
    table_of_file = {"name": "self_masking", "direction": "low", "link": "logit"}
    small = ("--config", write(mechanism=table_of_file))
    found = configuration(*small, "--direction", "high")
    assert found["mechanism"] == {**table_of_file, "direction": "high"}
    found = configuration(*small, "--direction", "free")
    assert found["mechanism"] == {**table_of_file, "direction": "free"}
    assert configuration(*small, *masking)["mechanism"] == expected


def test_directions_by_column(run, configuration, clinic, write, tmp_path):
    """The same as a table of the file, which they replace as a whole."""
    pairs = ("--direction", "income=high", "--direction", "age=low")
    expected = {"name": "self_masking", "direction": {"income": "high", "age": "low"}}
    found = configuration("--config", write(), "--mechanism", "self_masking", *pairs)
    assert found["mechanism"] == expected
    file = write(mechanism={"name": "self_masking", "direction": {"score": "free"}})
    assert configuration("--config", file, *pairs)["mechanism"] == expected
    whole = configuration("--config", file, "--direction", "off")
    assert whole["mechanism"] == {"name": "self_masking", "direction": "off"}
    ran = run("impute", clinic, "--output", tmp_path / "o", "--m", 2, "--config", file, *pairs)
    assert ran.status == 0, ran.err
    manifest = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert manifest["configuration"]["mechanism"] == expected


@pytest.mark.parametrize("end", ["wages=high", "income=up"])
def test_a_wrong_direction_is_refused_before_any_work(run, clinic, monkeypatch, tmp_path, end):
    monkeypatch.setattr(GNRImputer, "fit", lambda *_: pytest.fail("too late"))
    ran = run("fit", clinic, "--model", tmp_path / "model", *MASKING, end)
    assert ran.status == 2 and "--direction" in ran.err
    assert not (tmp_path / "model").exists()


def test_a_row_key_of_the_file(configuration, clinic, write):
    file = write(kinds={}, row_key="row")
    assert configuration("--config", file)["row_key"] == "row"


WRONG = {
    "a typo": ("mechansim = 'ignorable'", "c.toml: got key 'mechansim', expected some of"),
    "a value": ("hidden = 'many'", "c.toml: got hidden='many', expected a whole number"),
    "a mechanism": ("mechanism = 'magic'", "c.toml: mechanism: got mechanism 'magic'"),
    "a part": ("[prior]\nname = 'vamp'\ncomponents = 0", "c.toml: prior: got components=0"),
    "a kind": ("[kinds]\nincome = 'wavy'", "c.toml: got kind 'wavy' for column 'income'"),
    "no toml": ("hidden: 3", "c.toml is no TOML file"),
    "a column of kinds": (
        "[kinds]\nwages = 'ignore'",
        "c.toml: section [kinds] has unknown columns ['wages'], expected some of ['row', ",
    ),
    "a column of likelihoods": (
        "[likelihoods]\nwages = 'gaussian'",
        "c.toml: section [likelihoods] has unknown columns ['wages']",
    ),
    "a column of a direction": (
        "[mechanism]\nname = 'self_masking'\n[mechanism.direction]\nwages = 'high'",
        "c.toml: mechanism: direction names ['wages'], expected modelled columns ['row', 'ward', ",
    ),
    "a direction of an ignored column": (
        "kinds = {row = 'ignore'}\nmechanism = {name = 'self_masking', direction = {row = 'low'}}",
        "c.toml: mechanism: direction names ['row'], expected modelled columns ['ward', 'income'",
    ),
    "a direction of the row key": (
        "row_key = 'row'\nmechanism = {name = 'self_masking', direction = {row = 'low'}}",
        "c.toml: mechanism: direction names ['row'], expected modelled columns ['ward', 'income'",
    ),
    "a row key": ("row_key = 'person'", "c.toml: row_key is 'person', expected one of ['row', "),
}


@pytest.mark.parametrize("command", [("fit", "--model"), ("impute", "--output")])
@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_errors_in_the_file_come_before_any_work(
    run, clinic, tmp_path, monkeypatch, command, text, message
):
    monkeypatch.setattr(GNRImputer, "fit", lambda *_: pytest.fail("too late"))
    (tmp_path / "c.toml").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    ran = run(command[0], clinic, command[1], tmp_path / "out", "--config", tmp_path / "c.toml")
    assert ran.status == 2
    assert message in ran.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["none.toml", "none.json", "c.yaml", ""])
def test_a_file_that_is_not_there_or_no_such_file(run, clinic, tmp_path, name):
    ran = run("fit", clinic, "--model", tmp_path / "out", "--config", tmp_path / name)
    assert ran.status == 2
    assert name in ran.err and "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_the_file_is_never_overwritten(run, clinic, write, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    file = write().rename(folder / "c.toml")
    ran = run("fit", clinic, "--model", folder, "--force", "--config", file)
    assert ran.status == 2 and "holds, the input" in ran.err
    ran = run("impute", clinic, "--output", folder, "--force", "--config", file)
    assert ran.status == 2 and "holds, the input" in ran.err
    assert file.exists()
