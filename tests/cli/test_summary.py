import re

import numpy as np
import pandas as pd
import pytest


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
def test_the_summary_names_the_assumption(impute, table, tmp_path, arguments, words):
    kind = ("--kind", "region=ignore") if "--direction" in arguments else ()
    ran = impute(table, tmp_path / "out", "--mechanism", *arguments.split(), *kind)
    [line] = [line for line in ran.out.splitlines() if line.startswith("mechanism: ")]
    assert words in line and line.endswith("; no data can test it)")


@pytest.mark.parametrize("mechanism", ["self_masking --direction high", "ignorable"])
def test_the_summary_says_what_is_extrapolated(impute, tmp_path, mechanism):
    z, b = np.random.default_rng(0).normal(size=(2, 150))
    frame = pd.DataFrame({"row": range(150), "a": np.where(z > 0.5, np.nan, z), "b": b})
    frame.to_csv(tmp_path / "cut.csv", index=False)
    ran = impute(tmp_path / "cut.csv", tmp_path / "out", "--mechanism", *mechanism.split())
    assert ran.status == 0
    lines = [line for line in ran.out.splitlines() if "extrapolation" in line]
    if mechanism == "ignorable":
        assert not lines
    else:
        [line] = lines
        assert re.search(r"imputed values beyond all observed ones: a \d+%; they rest on", line)


def test_the_summary_says_which_checks_failed(impute, table, tmp_path):
    ran = impute(table, tmp_path / "out")
    assert "check failed, parameter uncertainty: the tables come from one fit" in ran.out


def test_a_table_without_holes_rests_on_no_mechanism(impute, tmp_path):
    pd.DataFrame({"row": range(40), "a": np.arange(40.0), "b": np.arange(40.0) ** 2}).to_csv(
        tmp_path / "whole.csv", index=False
    )
    ran = impute(tmp_path / "whole.csv", tmp_path / "out")
    assert ran.status == 0, ran.err
    assert "mechanism: none at work, as no cell is missing (the model's: Conjunction)" in ran.out
    assert "no data can test it" not in ran.out


def test_quiet(impute, table, tmp_path):
    ran = impute(table, tmp_path / "out", "--quiet")
    assert ran == (0, "", "")
