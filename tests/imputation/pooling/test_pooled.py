"""The pooled table: what it prints, tests, and says of itself."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from pyro_gnr import pool
from pyro_gnr.imputation.pooling.terms import find_terms

FORMULA = "bmi ~ age + ward"
MICE = ["estimate", "ubar", "b", "t", "dfcom", "df", "riv", "lambda", "fmi"]


@pytest.fixture(scope="module")
def pooled(tables):
    return pool(tables, FORMULA)


def test_it_is_a_table(pooled):
    assert isinstance(pooled, pd.DataFrame)
    assert pooled.columns.tolist() == MICE
    assert pooled.index.name == "term"
    assert (pooled.rule, pooled.m, pooled.n_members) == ("rubin", 6, 6)
    for part in (pooled.round(2), pooled[["estimate"]], pooled.T, pooled.loc[["age"]]):
        assert type(part) is pd.DataFrame


def test_it_prints_as_a_table(pooled):
    first, header, *rows = str(pooled).splitlines()
    assert first == "pooled over 6 tables, by Rubin's rules"
    assert header.split() == MICE
    assert [row.split()[0] for row in rows[:4]] == pooled.index.tolist()
    assert rows[4].startswith("- ")
    assert "<table" in pooled._repr_html_()
    assert "np." not in repr(pooled.advice())
    assert repr(pooled.advice()).startswith("Advice(m=")


def test_names_of_levels_are_no_html():
    smoke, age = ["<i>no", "yes"] * 6, [1.0, 4.0, 3.0, 2.0] * 3
    tables = [pd.DataFrame({"smoke": smoke, "age": [*age[:-1], last]}) for last in (2.0, 2.5)]
    page = pool(tables, "smoke ~ age", model="logit")._repr_html_()
    assert "0 is &#x27;&lt;i&gt;no&#x27;" in page
    assert "<i>" not in page


def test_summary_and_intervals(pooled):
    summary = pooled.summary(0.9)
    assert summary.columns.tolist() == [
        "estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high", "fmi",
    ]  # fmt: skip
    reference = stats.t(pooled["df"], loc=pooled["estimate"], scale=np.sqrt(pooled["t"]))
    np.testing.assert_allclose(reference.cdf(summary["conf.low"]), 0.05)
    np.testing.assert_allclose(reference.cdf(summary["conf.high"]), 0.95)
    tails = np.minimum(reference.cdf(0), reference.sf(0))
    np.testing.assert_allclose(summary["p.value"], 2 * tails)
    np.testing.assert_allclose(pooled.conf_int(0.9)["upper"], summary["conf.high"])
    with pytest.raises(ValueError, match="level"):
        pooled.conf_int(95)


def test_nested_rules_are_named_and_show_both_variances(tables):
    nested = pool(tables, FORMULA, members=[0, 1, 2, 0, 1, 2])
    assert nested.columns.tolist() == [*MICE[:3], "w", *MICE[3:]]
    assert (nested.rule, nested.n_members) == ("nested", 3)
    assert "2 of each of 3 members, by nested rules (Shen 2000)" in nested.title
    t = nested["ubar"] + 4 / 3 * nested["b"] + nested["w"] / 2
    np.testing.assert_allclose(nested["t"], t)
    assert nested.wald().df1 == 3


def test_one_member_is_said_to_be_improper(tables):
    improper = pool(tables, FORMULA, members=[0] * 6)
    assert improper.rule == "rubin"
    assert improper.n_members == 1
    np.testing.assert_allclose(improper, pool(tables, FORMULA))
    text = str(improper)
    assert "of one member" in text
    assert "variances are understated" in text
    assert improper.advice().limit == "members"


def test_other_notes(tables):
    holey = [table.assign(age=table["age"].where(table.index > 3)) for table in tables]
    assert "used 56 of 60 rows: other columns have holes, too" in str(pool(holey, FORMULA))
    some = pool(tables, lambda t: smf.ols(FORMULA, t[t["code"] > 0]).fit())
    n = int((tables[0]["code"] > 0).sum())
    assert any(note == f"the analysis used {n} of 60 rows" for note in some.notes)
    old = [table[table["age"] > 50] for table in tables]
    sizes = sorted(map(len, old))
    for found, text in (
        (pool(old, FORMULA), f"tables have {sizes[0]} to {sizes[-1]} rows: which ones hangs on"),
        (
            pool(tables, lambda t: smf.ols(FORMULA, t[t["age"] > 50]).fit()),
            f"the analysis used {sizes[0]} to {sizes[-1]} of 60 rows: which ones hangs on what",
        ),
    ):
        assert text in str(found)
    women = [table.assign(sex=pd.Categorical(["f"] * 60)) for table in tables]
    assert "- all tables have 'f' of sex only\n" in str(pool(women, "bmi ~ age + sex"))

    class Results:
        params, df_resid, converged = pd.Series({"a": 1.0}), 10, False

        def cov_params(self):
            return np.ones((1, 1))

    assert "did not converge on table(s) 1, 2, 3, 4, 5, 6" in str(
        pool(tables, lambda t: Results())
    )


def test_unknown_degrees_of_freedom_are_mentioned_where_they_matter(tables, tables_of):
    def mean(table):
        return table["age"].mean(), table["age"].var() / len(table)

    unknown = "taken as infinite though a table has 60 rows: .*; dfcom= sets them"
    assert sum(bool(re.search(unknown, note)) for note in pool(tables, mean).notes) == 1
    assert re.search(unknown, str(pool(tables, mean)))
    assert re.search(unknown, pool(tables, mean)._repr_html_())
    said = [
        pool(tables, mean, dfcom=59),
        pool(tables, mean, dfcom=np.inf),
        pool(tables, lambda t: (*mean(t), 59)),
        pool(tables, FORMULA),
        pool(tables_of(m=3, n=400), mean),
    ]
    assert not any("infinite" in str(pooled) for pooled in said)
    # Rows that are not known are none that were found to be many.
    numbers = pool([1.0, 2.0, 4.0], lambda x: (x, 0.5))
    assert "taken as infinite: intervals" in str(numbers)


def test_wald_tests_columns_and_terms(pooled, tables):
    assert pooled.wald("ward") == pooled.wald(["ward[T.b]", "ward[T.c]"])
    assert pooled.wald().df1 == 3
    away = pooled.wald(["age", "ward"], value=pooled["estimate"].to_numpy()[[3, 1, 2]])
    assert away.df1 == 3
    assert pooled.wald("age", value=pooled.loc["age", "estimate"]).p_value == pytest.approx(1)
    with pytest.raises(ValueError, match="got term 'war', expected some of"):
        pooled.wald("war")
    with pytest.raises(ValueError, match="got 2 values for 3 terms"):
        pooled.wald(value=[0, 1])
    variances = pool(tables, lambda t: ({"a": t["age"].mean(), "b": 1.0}, [1.0, 2.0]))
    assert variances.wald("a").df1 == 1
    with pytest.raises(ValueError, match="only their variances"):
        variances.wald()


def test_finding_terms():
    known = ["Intercept", "age", "ages", "C(ward, Treatment('a'))[T.b]", "age:sex[T.m]", "x"]
    assert find_terms(known, None) == [1, 2, 3, 4, 5]
    assert find_terms(known, ["x", "age", "x"]) == [5, 1]
    assert find_terms(["Intercept", "C(a)[T.1]", "C(ab)[T.1]"], "a") == [1]
    with pytest.raises(ValueError, match="got no terms"):
        find_terms(["Intercept"], None)


def test_fits_are_done_again_on_demand(pooled, tables):
    fit = smf.ols(FORMULA, tables[2]).fit()
    np.testing.assert_allclose(pooled.fit(2).params, fit.params)
    np.testing.assert_allclose(pooled.fit(-1).params, smf.ols(FORMULA, tables[5]).fit().params)
    with pytest.raises(IndexError):
        pooled.fit(6)


def test_it_can_be_pickled(pooled):
    again = pickle.loads(pickle.dumps(pooled))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(pooled))
    assert str(again) == str(pooled)
    assert again.wald() == pooled.wald()


def test_advice_is_about_the_term_with_most_missing_information(pooled, tables):
    advice = pooled.advice(cv=0.1)
    many_rows = pool(tables, FORMULA, dfcom=1e12)["fmi"]
    assert advice.term == many_rows.idxmax()
    assert advice.fmi == pytest.approx(many_rows.max())
    assert advice.fmi < pooled["fmi"].max()
    assert pooled.advice(cv=0.01).m > advice.m
