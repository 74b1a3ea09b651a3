import pytest

from pyro_gnr.cli.summary import ASSUMPTIONS


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


def test_every_mechanism_has_its_line():
    from pyro_gnr.model.registry import MECHANISMS

    assert set(ASSUMPTIONS) == {cls.__name__ for cls in MECHANISMS.values()}


def test_quiet(impute, table, tmp_path):
    ran = impute(table, tmp_path / "out", "--quiet")
    assert ran == (0, "", "")
