import re

import pytest

from pyro_gnr.data.files import read_table


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
def test_markers_of_missing_cells(run, tmp_path, marker):
    assert marker in run("describe", "--help").out
    (tmp_path / "t.csv").write_text(f"a,b\n1,x\n{marker},\n3,y\n")
    assert read_table(tmp_path / "t.csv")["a"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("command", ["fit", "impute"])
def test_help_lists_what_is_registered(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no word is broken
    from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS

    words = set(re.findall(r"\w+", run(command, "--help").out))
    assert words >= {*MECHANISMS, *PRIORS, *LIKELIHOODS}
