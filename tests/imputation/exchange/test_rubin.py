"""What is said where other programs would take tables of one member for tables of several."""

import pytest

from pyro_gnr import GNRImputer
from pyro_gnr.imputation.exchange import export, long_table, row_ids
from pyro_gnr.imputation.exchange.rubin import rubin_note

pytest.importorskip("pyreadstat")

MARKS = {".parquet": "# ", ".csv": "# ", ".dta": "* ", ".sav": "* "}


@pytest.mark.parametrize("members", [None, [3], [0, 1], [5, 2, 9]])
def test_nothing_is_said_where_rubin_s_rules_hold(members):
    assert rubin_note(members) is None


def test_several_tables_of_a_member_and_one_member():
    nested, single = rubin_note([0, 1, 2, 0, 1]), rubin_note([4, 4])
    assert "these 5 tables come from 3 fitted members" in nested
    for word in ("too small", "one table a member", "pyro-gnr pool", "nested"):
        assert word in nested
    assert "come from one fitted member" in single
    assert "nested" not in single
    assert not {"'", '"', "/*", "//"} & set(nested + single)  # comments of SPSS and Stata


@pytest.mark.parametrize("ending", MARKS)
@pytest.mark.parametrize("given", [True, False])
def test_the_commands_say_it(original, completed, tmp_path, ending, given):
    tables, ids = [*completed, *completed], row_ids(original.index)
    plain = long_table(original, tables, ids)
    (_, before), _ = export(plain, tmp_path / f"a{ending}")
    members = [0, 1, 0, 1]
    long = plain if given else long_table(original, tables, ids, members=members)
    (_, after), _ = export(long, tmp_path / f"b{ending}", members=members if given else None)
    known = before.read_text(encoding="utf-8").replace("a.", "b.").splitlines()
    lines = after.read_text(encoding="utf-8").splitlines()
    note = [n for n in lines if n.startswith(MARKS[ending]) and n not in known]
    end = "." if ending == ".sav" else ""
    assert all(line.endswith(end) and len(line) < 99 for line in note)
    text = " ".join(line.removeprefix(MARKS[ending]).removesuffix(end) for line in note)
    assert text == f"Note: {rubin_note(members).removesuffix('.')}"
    assert lines[0] == known[0]  # SPSS looks there for the encoding
    (_, apart), _ = export(plain, tmp_path / f"c{ending}", members=[0, 1, 2, 3])
    assert "Note:" not in apart.read_text(encoding="utf-8")


def test_there_is_one_member_a_table(long, tmp_path):
    with pytest.raises(ValueError, match=r"members=\[0\], expected a whole number for each of 2"):
        export(long, tmp_path / "a.csv", members=[0])


def test_imputations_know_their_members(original, tmp_path):
    X = original[["x.y", "n kids"]].astype("float64").clip(-9, 9).sample(40, replace=True,
        random_state=0).reset_index(drop=True)  # fmt: skip
    imputer = GNRImputer(members=2, hidden=4, particles=3, max_steps=3, random_state=0).fit(X)
    for m, said in ((4, True), (2, False)):
        _, commands = imputer.impute(X, m=m).export(tmp_path / f"{m}.dta")
        assert ("4 tables come from 2 fitted members" in commands.read_text()) is said
