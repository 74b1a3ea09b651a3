import tomllib

import pytest

from pyro_gnr import GNRImputer


def test_the_defaults_with_what_they_mean(run, configuration, clinic, tmp_path):
    ran = run("config")
    assert ran.status == 0 and ran.err == ""
    assert tomllib.loads(ran.out) == GNRImputer().to_config()
    (tmp_path / "c.toml").write_text(ran.out)
    small = ("--max-steps", 2, "--kind", "row=ignore")
    one = configuration("--config", tmp_path / "c.toml", *small)
    assert one == configuration(*small)


@pytest.mark.parametrize("made", ["model", "out"])
def test_of_what_was_made(run, configuration, clinic, write, tmp_path, made):
    file = write(mechanism={"name": "self_masking", "direction": "low"}, row_key="row")
    config = configuration("--config", file, "--seed", 5)
    ran = run("impute", clinic, "--model", tmp_path / "model", "--output", tmp_path / "out")
    assert ran.status == 0, ran.err
    ran = run("config", "--from", tmp_path / made)
    assert (ran.status, ran.err) == (0, "")
    assert tomllib.loads(ran.out) == config
    (tmp_path / "again.toml").write_text(ran.out)
    assert configuration("--config", tmp_path / "again.toml") == config


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
def test_of_something_else(run, tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    ran = run("config", "--from", tmp_path)
    assert (ran.status, ran.out) == (2, "")
    assert "holds no configuration of pyro_gnr" in ran.err


def test_of_nothing(run, tmp_path):
    ran = run("config", "--from", tmp_path / "nobody")
    assert ran.status == 2
    assert "nobody" in ran.err
