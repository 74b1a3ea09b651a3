"""Names are legal, differ, and stay as they are where they can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_gnr.imputation.exchange.names import SPSS, STATA, legal_names

RULES = [STATA, SPSS]


@pytest.mark.parametrize(
    ("name", "stata", "spss"),
    [
        ("age", "age", "age"),
        ("Größe", "Größe", "Größe"),
        ("a.b", "a_b", "a.b"),
        ("n kids", "n_kids", "n_kids"),
        ("2nd", "v2nd", "v2nd"),
        ("_1_x", "v1_x", "v1_x"),
        ("_mi_m", "mi_m", "mi_m"),
        ("in", "v_in", "in"),
        ("str12", "v_str12", "str12"),
        ("With", "v_With", "v_With"),
        ("not", "not", "v_not"),
        ("a.", "a_", "a"),
        ("µ²", "v", "v"),
        ("", "v", "v"),
        ("é" * 40, "é" * 32, "é" * 32),
        ("年齢", "年齢", "年齢"),
    ],
)
def test_known_names(name, stata, spss):
    assert legal_names([name], STATA) == {name: stata}
    assert legal_names([name], SPSS) == {name: spss}


def test_legal_names_win_over_changed_ones_and_case_does_not_tell_apart():
    found = legal_names(["a b", "a_b", "A_B"], STATA)
    assert found == {"a b": "a_b_3", "a_b": "a_b", "A_B": "A_B_2"}
    assert legal_names(["mi_m"], STATA, taken=["mi_m"]) == {"mi_m": "mi_m_2"}


@pytest.mark.parametrize("rule", RULES, ids=["stata", "spss"])
@given(names=st.lists(st.text(max_size=80), unique=True, max_size=12))
def test_any_names_become_legal_and_different(rule, names):
    found = legal_names(names, rule, taken=["mi_id"])
    assert list(found) == names
    lower = [new.lower() for new in found.values()]
    assert len({*lower, "mi_id"}) == len(names) + 1
    for new in found.values():
        assert new[0].isalpha()
        assert len(new.encode() if rule.in_bytes else new) <= rule.longest
        assert all(c.isalnum() or c in "_" + rule.also for c in new)
