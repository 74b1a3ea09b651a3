import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_gnr.imputation.pooling import pool
from pyro_gnr.imputation.pooling.advice import Precision, advise, suggest_m, upper_fmi
from pyro_gnr.imputation.pooling.nesting import nest
from pyro_gnr.imputation.pooling.rules import moments, spread


@given(st.floats(0.001, 0.999), st.integers(2, 200), st.floats(0.01, 0.5))
def test_the_quadratic_rule(fmi, m, cv):
    upper = upper_fmi(fmi, m)
    assert fmi < upper < 1 or upper == pytest.approx(fmi)
    logit = math.log(fmi / (1 - fmi)) + 1.959963984540054 * math.sqrt(2 / m)
    assert upper == pytest.approx(1 / (1 + math.exp(-logit)))
    assert suggest_m(fmi, m, cv=cv) == max(math.ceil(1 + (upper / cv) ** 2 / 2), 2)


def test_limits_of_the_rule():
    assert suggest_m(0.0, 5) == 2
    assert suggest_m(1.0, 5) == 201
    for bad in ({"fmi": 1.1, "m": 5}, {"fmi": 0.1, "m": 0}, {"fmi": 0.1, "m": 5, "cv": 0}):
        with pytest.raises(ValueError, match="got"):
            suggest_m(**bad)


def test_a_standard_error_with_so_many_tables_repeats_so_well():
    # The rule itself: with M tables the standard error varies by `cv` between repetitions.
    rng = np.random.default_rng(0)
    fmi, cv = 0.4, 0.05
    m = math.ceil(1 + (fmi / cv) ** 2 / 2)
    b = fmi / (1 - fmi)
    errors = np.sqrt(
        1 + (1 + 1 / m) * np.sqrt(b) ** 2 * rng.normal(size=(20000, m)).var(1, ddof=1)
    )
    assert errors.std() / errors.mean() == pytest.approx(cv, rel=0.1)


def precision(b, w, G, R):
    t = 1 + (1 + 1 / G) * b + (1 - 1 / R) * w
    return Precision((t - 1) / t, b / t, w / t, G, G * R, R)


def test_degrees_of_freedom_are_those_of_the_rules():
    rng = np.random.default_rng(1)
    Q = rng.normal(size=(12, 1)) + np.repeat(rng.normal(size=(4, 1)), 3, axis=0)
    found = moments(Q, np.ones((12, 1, 1)), nest(np.repeat(range(4), 3), 12))
    one = spread(found, np.inf)
    part = Precision(one.fmi[0], (one.b / one.t)[0], (one.w / one.t)[0], 4, 12, 3)
    assert part.df() == pytest.approx((one.df * one.lambda_**2).item())
    assert part.df(3) == pytest.approx(part.df())


def test_members_with_other_numbers_of_tables():
    rng = np.random.default_rng(1)
    Q, nesting = rng.normal(size=(20, 1)), nest(np.arange(20) % 3, 20)
    one = spread(moments(Q, np.ones((20, 1, 1)), nesting), np.inf)
    of_t = (one.fmi[0], (one.b / one.t)[0], (one.w / one.t)[0])
    part = Precision(*of_t, 3, 20, nesting.per_member)
    assert part.df() == pytest.approx((one.df * one.lambda_**2).item())
    assert part.df(6) < part.df() < part.df(7)
    enough = advise({"a": part}, one_member=False, cv=0.5)
    assert (enough.limit, enough.m, enough.members) == ("nothing", 20, 3)
    more = advise({"a": part}, one_member=False, cv=0.02)
    assert more.m % more.members == 0
    assert more.m > 20


def test_more_tables_help_where_tables_are_the_limit():
    part = precision(b=0.02, w=0.3, G=10, R=2)
    advice = advise({"age": part}, one_member=False, cv=0.04)
    assert (advice.limit, advice.members) == ("tables", 10)
    r = advice.m // 10
    needed = (advice.upper / 0.04) ** 2 / 2
    assert part.df(r) >= needed > part.df(r - 1)
    assert "of the 10 members" in advice.text


def test_more_tables_are_more_than_there_are():
    # By chance members' means vary less than their tables make them: b < w / R.
    part = precision(b=0.01, w=0.3, G=5, R=4)
    assert part.df() < part.df(4)
    needed = (part.df() + part.df(4)) / 2
    cv = upper_fmi(part.fmi, part.df() + 1) / math.sqrt(2 * needed)
    advice = advise({"race": part}, one_member=False, cv=cv)
    assert (advice.limit, advice.members, advice.m) == ("tables", 5, 25)
    assert "use 25 tables of the 5 members instead of 20" in advice.text
    uneven = Precision(part.fmi, part.between, part.within, 5, 19, 5 / (4 / 4 + 1 / 3))
    for cv in np.geomspace(0.01, 1.0, 200):
        advice = advise({"race": uneven}, one_member=False, cv=cv)
        assert advice.limit == "nothing" or advice.m > 19


@pytest.mark.parametrize(
    ("cv", "text"), [(0.05, "5%"), (0.005, "0.5%"), (0.015, "1.5%"), (0.0004, "0.04%")]
)
def test_the_aim_is_said_with_its_digits(cv, text):
    advice = advise({"a": precision(0.1, 0, 20, 1)}, one_member=False, cv=cv)
    assert f"repeat within {text} (a, whose fmi is" in advice.text


def test_members_are_the_limit_where_no_number_of_tables_helps():
    part = precision(b=0.6, w=0.05, G=5, R=4)
    assert part.df(10**6) < 5
    advice = advise({"age": part}, one_member=False)
    assert advice.limit == "members"
    assert advice.m == 4 * advice.members
    assert "members, not tables, are the limit" in advice.text
    assert "instead of 5" in advice.text


def test_the_most_demanding_term_counts():
    parts = {"a": precision(0.1, 0, 20, 1), "b": precision(0.5, 0, 20, 1)}
    advice = advise(parts, one_member=False)
    assert advice.term == "b"
    assert advice.m == suggest_m(parts["b"].fmi, 20)
    assert advice.limit == "tables"
    assert f"use {advice.m} tables instead of 20" in advice.text


def test_a_smaller_fraction_between_members_may_need_more_than_a_larger_between_tables():
    parts = {
        "within": Precision(0.30, 0.01, 0.30, n_members=5, m=50, per_member=10),
        "between": Precision(0.28, 0.23, 0.01, n_members=5, m=50, per_member=10),
    }
    alone = {name: advise({name: part}, one_member=False) for name, part in parts.items()}
    assert (alone["within"].limit, alone["between"].limit) == ("nothing", "members")
    assert advise(parts, one_member=False) == alone["between"]


def test_enough():
    advice = advise({"a": precision(0.01, 0, 20, 1)}, one_member=False)
    assert (advice.limit, advice.m, advice.members) == ("nothing", 20, 20)
    assert "20 tables suffice" in advice.text
    nested = advise({"a": precision(0.01, 0.01, 20, 5)}, one_member=False)
    assert (nested.limit, nested.m, nested.members) == ("nothing", 100, 20)


def test_one_member():
    for b in (0.01, 0.5):
        advice = advise({"a": precision(b, 0, 20, 1)}, one_member=True)
        assert (advice.limit, advice.members) == ("members", 1)
        assert "more tables do not stand in for more members" in advice.text


def test_no_missing_information():
    part = Precision(0.0, 0.0, 0.0, 3, 12, 4)
    assert part.df() == 11
    assert advise({"a": part}, one_member=False).limit == "nothing"


def test_few_rows_are_no_reason_for_more_tables():
    table = pd.DataFrame({"a": np.arange(12.0), "b": np.tile([0.0, 2.0, 1.0], 4)})
    pooled = pool([table] * 5, "a ~ b")
    assert (pooled["fmi"] > 0.1).all()  # 2 / (df + 3)
    assert pooled.advice().limit == "nothing"
    assert pooled.advice().m == 5
    # Not the fmi of the column: the sentence says so.
    assert "whose fmi is 0.00 without what few rows add" in str(pooled)


def test_bad_input():
    part = {"a": precision(0.1, 0, 20, 1)}
    for bad in ({"cv": 0}, {"cv": "5%"}, {"level": 1.0}):
        with pytest.raises(ValueError, match="got"):
            advise(part, one_member=False, **bad)
