"""Tables are printed without a broken number, whatever the width."""

import re

import pytest

from pyro_gnr.cli.console import as_table, number, show

NAMES = ["term", "estimate", "p.value", "conf.low", "a note"]
ROWS = [["region[T.south]", "1234.5", "1.5e-300", "-12.25", "some words " * 12], ["b"] * 5]


@pytest.fixture
def printed(capsys, monkeypatch):
    """Lines of what is shown on a terminal of this width; None: into a pipe."""

    def printed(table, width):
        if width is not None:
            for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": width}.items():
                monkeypatch.setenv(name, str(value))
        show(table)
        return re.sub(r"\x1b\[[0-9]*m", "", capsys.readouterr().out).splitlines()

    return printed


@pytest.mark.parametrize("width", [None, 200, 80, 50, 40, 27])
def test_what_stands_in_a_cell_stays_together(printed, width):
    lines = printed(as_table("a table", NAMES, ROWS), width)
    text = "\n".join(lines)
    for word in ("estimate", "p.value", "conf.low", "1234.5", "1.5e-300", "-12.25"):
        assert word in text
    if width is not None:
        assert max(map(len, lines)) <= width
        assert text.count("region[T.south]") == text.count(" term ") or width < 30
    assert text.replace(" ", "").count("some") == 12


def test_a_pipe_is_as_wide_as_numbers_need(printed):
    names = [f"number {i}" for i in range(30)]
    lines = printed(as_table("many", names, [["0.123456789"] * 30]), None)
    assert [line.count("0.123456789") for line in lines if "0.1" in line] == [30]
    assert any(line.split() == " ".join(names).split() for line in lines)


def test_long_texts_are_broken_between_words(printed):
    lines = printed(as_table("a table", NAMES, ROWS), None)
    assert max(map(len, lines)) == 120
    assert sum("some words" in line for line in lines) > 1


def test_markup_is_text(printed):
    assert any(
        line.split() == ["[b]x"] for line in printed(as_table("t", ["[i]"], [["[b]x"]]), None)
    )


def test_p_values_are_short():
    assert [number(0.00001527123, name) for name in ("p.value", "fmi")] == [
        "1.53e-05",
        "1.527e-05",
    ]
