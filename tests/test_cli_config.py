"""Configuration files on the command line, and the command that prints them."""

import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pyro_gnr import GNRImputer
from pyro_gnr.cli import app
from pyro_gnr.data.files import read_table
from pyro_gnr.imputation.toml import to_toml

SMALL = {"hidden": 4, "particles": 3, "max_steps": 3, "imputation_particles": 30}


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def run(*arguments: object) -> Ran:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def table(tmp_path) -> Path:
    rng = np.random.default_rng(7)
    n = 60
    frame = pd.DataFrame({"row": [f"r{i}" for i in range(n)], "ward": rng.integers(0, 3, n)})
    for name in ("income", "age", "score"):
        frame[name] = rng.normal(size=n).round(3)
        frame.loc[rng.choice(n, 12, replace=False), name] = None
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


@pytest.fixture
def write(tmp_path):
    """A configuration file with some small sizes and what is given."""

    def write(name: str = "c.toml", **config: object) -> Path:
        config = {**SMALL, "kinds": {"row": "ignore"}, **config}
        text = json.dumps(config) if name.endswith("json") else to_toml(config)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def configuration(table: Path, *arguments: object, status: int = 0) -> dict:
    """What a fit with these arguments says of itself."""
    model = table.parent / "model"
    ran = run("fit", table, "--model", model, "--force", "--quiet", *arguments)
    assert ran.status == status, ran.err
    return json.loads((model / "manifest.json").read_text())["configuration"]


@pytest.mark.parametrize("name", ["c.toml", "c.json"])
def test_a_file_says_what_arguments_say(table, write, tmp_path, name):
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
    assert run("impute", table, "--output", tmp_path / "a", "--m", 2, "--config", file).status == 0
    config = configuration(table, "--config", file)
    assert config == GNRImputer(**arguments).to_config()
    model = ("--model", tmp_path / "model")
    assert run("impute", table, "--output", tmp_path / "b", "--m", 2, *model).status == 0
    for completed in ("imputation_1.csv", "imputation_2.csv"):
        texts = [(tmp_path / folder / completed).read_bytes() for folder in "ab"]
        assert texts[0] == texts[1]
    manifests = [json.loads((tmp_path / d / "manifest.json").read_text()) for d in "ab"]
    assert [m["configuration"] for m in manifests] == [config, config]
    frame = read_table(table)
    frame = frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
    here = GNRImputer(**arguments, verbose=False).fit(frame).impute(frame, m=2)
    found = read_table(tmp_path / "a" / "imputation_2.csv")
    np.testing.assert_allclose(found["income"], here[1]["income"].astype(float), rtol=1e-6)


def test_options_win_over_the_file_and_the_file_over_the_defaults(table, write):
    file = write(
        mechanism="ignorable",
        prior="gaussian_mixture",
        likelihoods={"income": "student_t", "age": "student_t"},
        kinds={"row": "ignore", "ward": "continuous"},
        random_state=4,
    )
    plain = configuration(table, "--config", file)
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
    found = configuration(table, "--config", file, *(a for pair in options.items() for a in pair))
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


def test_seed_zero_wins_too(table, write):
    assert (
        configuration(table, "--config", write(random_state=4), "--seed", 0)["random_state"] == 0
    )
    assert configuration(table, "--config", write())["random_state"] == 0


def test_a_direction(table, write):
    masking = ("--mechanism", "self_masking", "--direction", "high")
    small = ("--config", write())
    expected = {"name": "self_masking", "direction": "high"}
    assert configuration(table, *small, *masking)["mechanism"] == expected
    table_of_file = {"name": "self_masking", "direction": "low", "link": "logit"}
    small = ("--config", write(mechanism=table_of_file))
    found = configuration(table, *small, "--direction", "high")
    assert found["mechanism"] == {**table_of_file, "direction": "high"}
    found = configuration(table, *small, "--direction", "free")
    assert found["mechanism"] == {**table_of_file, "direction": "free"}
    assert configuration(table, *small, *masking)["mechanism"] == expected


def test_a_row_key_of_the_file(table, write):
    file = write(kinds={}, row_key="row")
    assert configuration(table, "--config", file)["row_key"] == "row"


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
    "a row key": ("row_key = 'person'", "c.toml: row_key is 'person', expected one of ['row', "),
}


@pytest.mark.parametrize("command", [("fit", "--model"), ("impute", "--output")])
@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_errors_in_the_file_come_before_any_work(
    table, tmp_path, monkeypatch, command, text, message
):
    monkeypatch.setattr(GNRImputer, "fit", lambda *_: pytest.fail("too late"))
    (tmp_path / "c.toml").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    ran = run(command[0], table, command[1], tmp_path / "out", "--config", tmp_path / "c.toml")
    assert ran.status == 2
    assert message in ran.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["none.toml", "none.json", "c.yaml", ""])
def test_a_file_that_is_not_there_or_no_such_file(table, tmp_path, name):
    ran = run("fit", table, "--model", tmp_path / "out", "--config", tmp_path / name)
    assert ran.status == 2
    assert name in ran.err and "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_the_file_is_never_overwritten(table, write, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    file = write().rename(folder / "c.toml")
    ran = run("fit", table, "--model", folder, "--force", "--config", file)
    assert ran.status == 2 and "holds, the input" in ran.err
    ran = run("impute", table, "--output", folder, "--force", "--config", file)
    assert ran.status == 2 and "holds, the input" in ran.err
    assert file.exists()


class TestConfig:
    def test_the_defaults_with_what_they_mean(self, table, tmp_path):
        ran = run("config")
        assert ran.status == 0 and ran.err == ""
        assert tomllib.loads(ran.out) == GNRImputer().to_config()
        (tmp_path / "c.toml").write_text(ran.out)
        small = ("--max-steps", 2, "--kind", "row=ignore")
        one = configuration(table, "--config", tmp_path / "c.toml", *small)
        assert one == configuration(table, *small)

    @pytest.mark.parametrize("made", ["model", "out"])
    def test_of_what_was_made(self, table, write, tmp_path, made):
        file = write(mechanism={"name": "self_masking", "direction": "low"}, row_key="row")
        config = configuration(table, "--config", file, "--seed", 5)
        ran = run("impute", table, "--model", tmp_path / "model", "--output", tmp_path / "out")
        assert ran.status == 0, ran.err
        ran = run("config", "--from", tmp_path / made)
        assert (ran.status, ran.err) == (0, "")
        assert tomllib.loads(ran.out) == config
        (tmp_path / "again.toml").write_text(ran.out)
        assert configuration(table, "--config", tmp_path / "again.toml") == config

    @pytest.mark.parametrize(
        "manifest",
        [
            "",
            "[]",
            "[" * 100_000,
            '{"format": "other", "configuration": {}}',
            '{"format": "pyro_gnr model"}',
            '{"format": "pyro_gnr model", "configuration": "c.toml"}',
        ],
    )
    def test_of_something_else(self, tmp_path, manifest):
        (tmp_path / "manifest.json").write_text(manifest)
        ran = run("config", "--from", tmp_path)
        assert (ran.status, ran.out) == (2, "")
        assert "holds no configuration of pyro_gnr" in ran.err

    def test_of_nothing(self, tmp_path):
        ran = run("config", "--from", tmp_path / "nobody")
        assert ran.status == 2
        assert "nobody" in ran.err
