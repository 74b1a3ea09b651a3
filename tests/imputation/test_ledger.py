"""The ledger says what was assumed and checked, in words and in plain values."""

import json

import numpy as np
import pytest
from scipy import stats

from pyro_gnr import Delta, GNRImputer, pool
from pyro_gnr.imputation.fitted import Draws
from pyro_gnr.imputation.ledger import UNTESTABLE
from pyro_gnr.imputation.multiple import MultipleImputation
from pyro_gnr.model.mechanisms import SelfMasking


@pytest.fixture(scope="module")
def imputation(fitted, X):
    return fitted.impute(X, m=4)


def checks(found):
    return {check.name: check for check in found.checks}


def test_it_says_what_the_imputation_is(imputation, X):
    found = imputation.ledger()
    assert found.mechanism == "Conjunction"
    assert found.assumption == "holes depend on what the columns share"
    assert found.untestable == UNTESTABLE
    assert (found.rows, found.m, found.members, found.particles, found.seed) == (60, 4, 1, 50, 0)
    assert found.missing == {name: int(X[name].isna().sum()) for name in found.missing}
    assert sum(found.missing.values()) == len(imputation.table.missing[0])
    assert found.versions["numpy"] == np.__version__
    assert json.loads(json.dumps(found.to_dict()))["checks"][0]["name"] == "importance weights"
    text = str(found)
    for part in ("Conjunction()", "Identified", "Fails, undetectably", "Untestable: Why cells"):
        assert part in text


def test_checks_pass_and_fail_by_the_numbers(imputation):
    n = len(imputation.table.keys)
    draws = imputation.draws
    some = ~np.isnan(draws.ess)

    def with_rows(share, *, k, ess):
        bad = np.flatnonzero(some)[: int(share * some.sum())]
        ks, esses = np.where(some, 0.1, np.nan), np.where(some, 900.0, np.nan)
        ks[bad], esses[bad] = k, ess
        changed = MultipleImputation(
            imputation.table, Draws(draws.values, esses, ks), imputation.fitted
        )
        return checks(changed.ledger())

    assert n == 60
    good = with_rows(0.04, k=0.9, ess=3.0)
    assert good["importance weights"].passed
    assert good["effective particles"].passed
    bad = with_rows(0.2, k=0.9, ess=3.0)
    assert not bad["importance weights"].passed
    assert not bad["effective particles"].passed
    assert "Pareto k above 0.7" in bad["importance weights"].text


def test_checks_are_numbers_too(imputation):
    """What a text says a program can read: no sentence has to be taken apart."""
    draws, pooled = imputation.draws, imputation.pool("age ~ bp")
    told = json.loads(json.dumps(pooled.ledger().to_dict(), allow_nan=False))
    found = {check["name"]: check["numbers"] for check in told["checks"]}
    k, ess = (d[~np.isnan(d)] for d in (draws.pareto_k, draws.ess))
    assert found["importance weights"] == {
        "rows": len(k), "above": int((k > 0.7).sum()), "limit": 0.7,
        "smallest_pareto_k": k.min(), "median_pareto_k": np.median(k), "largest_pareto_k": k.max(),
    }  # fmt: skip
    assert found["effective particles"]["below"] == (ess < 50).sum()
    assert found["effective particles"]["median_ess"] == np.median(ess)
    shares = imputation.summary()["beyond_observed"].dropna()
    assert found["extrapolation"] == shares.to_dict()
    assert found["parameter uncertainty"] == {"members": 1}
    assert found["number of tables"]["tables"] == 4
    assert found["number of tables"]["largest_fmi"] == pooled["fmi"].max()
    assert found["number of tables"]["advised_tables"] == pooled.advice().m


def test_counts_of_constraints_are_numbers(imputation):
    kept = imputation.constrained(keep=lambda t: t["bp"] > 0)
    rule = kept.constraints
    assert checks(kept.ledger())["constraints"].numbers == {
        "redrawn": rule.redrawn, "repaired": rule.repaired, "inconsistent": rule.inconsistent,
        "in_all_draws": rule.in_all_draws,
    }  # fmt: skip


def test_members_are_those_that_made_tables(imputer_of, ignored, X):
    """Of three members two tables show two."""
    found = imputer_of(kinds=ignored, members=3).fit(X).impute(X, m=2).ledger()
    assert (found.members, found.m) == (2, 2)
    assert "2 tables by 2 member(s), 100 particles" in str(found)


def test_one_member_fails_and_several_pass(imputation, imputer_of, ignored, X):
    assert not checks(imputation.ledger())["parameter uncertainty"].passed
    several = imputer_of(kinds=ignored, members=2).fit(X).impute(X, m=4)
    assert checks(several.ledger())["parameter uncertainty"].passed
    assert "2 member(s)" in str(several.ledger())


def test_extrapolation_is_named(imputation):
    values = imputation.draws.values.copy()
    assert checks(imputation.ledger())["extrapolation"].passed
    bp = [c.name for c in imputation.table.schema.modelled].index("bp")
    values[:, imputation.table.missing[1] == bp] = 50.0
    far = MultipleImputation(
        imputation.table, imputation.draws._replace(values=values), imputation.fitted
    )
    check = checks(far.ledger())["extrapolation"]
    assert not check.passed
    assert "bp 100%" in check.text
    assert check in far.ledger().failed


def test_departures_are_told(imputation, X):
    found = imputation.adjusted(Delta("bp", -2.0, where="weight > 60")).ledger()
    chosen = int((X["weight"] > 60).sum())
    assert found.departures == (
        {
            "column": "bp",
            "by": -2.0,
            "level": None,
            "where": "weight > 60",
            "unit": "the column's own unit",
            "rows": chosen,
        },
    )
    assert f"Departure: 'bp' - 2 where weight > 60 ({chosen} rows)" in str(found)


def test_departures_are_told_in_plain_values_whatever_they_are(imputation, X):
    def heavy(completed):
        return (completed["bp"] > 120).to_numpy()

    moved = imputation.adjusted(
        Delta("bp", stats.norm(0, scale=2), where=np.arange(60) < 31),
        Delta("site", 0.5, level=np.str_("Graz"), where=heavy),
        Delta("age", [1, 2, 3, 4], where=lambda completed: np.ones(60, dtype=bool)),
    )
    found = moved.ledger().to_dict()["departures"]
    assert found == json.loads(json.dumps(found))
    assert found[0]["by"] == {"distribution": "norm", "args": [0], "kwds": {"scale": 2}}
    assert (found[0]["where"], found[0]["rows"]) == ({"array": 60}, 31)
    assert (found[1]["where"], found[1]["level"]) == ({"function": "heavy"}, "Graz")
    # As chosen in the tables before: the first departure moves what the second looks at.
    assert found[1]["rows"] == np.mean([heavy(completed).sum() for completed in imputation])
    assert (found[2]["by"], found[2]["where"]) == ([1, 2, 3, 4], {"function": "<lambda>"})
    text = str(moved.ledger())
    for line in (
        "'bp' + norm(0, scale=2) where an array says (31 rows)",
        f"'site' (level 'Graz') + 0.5 where heavy says ({found[1]['rows']:g} rows)",
        "'age' + 1 to 4, a number a table where a function says (60 rows)",
    ):
        assert f"Departure: {line}\n" in text
    assert " at 0x" not in text + json.dumps(found)


def test_what_is_adjusted_and_constrained_tells_the_same(imputation):
    delta = Delta("bp", 50.0, where=lambda completed: (completed["bp"] > 120).to_numpy())
    moved = imputation.adjusted(delta)
    kept = moved.constrained(repair=lambda completed: completed)
    assert kept.departures() == moved.departures()


def test_what_was_pooled_has_m_checked_too(imputation):
    pooled = imputation.pool("bp ~ weight")
    found = checks(pooled.ledger())["number of tables"]
    assert found.text == pooled.advice().text
    assert found.passed == (pooled.advice().limit == "nothing")
    with pytest.raises(ValueError, match="came without the imputation"):
        pool(list(imputation), "bp ~ weight").ledger()


def test_the_tree_carries_it(imputation):
    tree = imputation.to_datatree()
    assert json.loads(tree.attrs["ledger"]) == json.loads(
        json.dumps(imputation.ledger().to_dict())
    )


def test_a_learnt_direction_that_extrapolates_warns_and_a_stated_one_does_not():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 1))
    X = 0.8 * z + 0.6 * rng.normal(size=(300, 3))
    X[X[:, 0] > 0.5, 0] = np.nan

    def made(direction):
        imputer = GNRImputer(
            mechanism=SelfMasking(direction=direction),
            members=1,
            max_steps=30,
            imputation_particles=50,
            random_state=0,
        )
        return imputer.fit(X).impute(X, m=3)

    with pytest.warns(UserWarning, match=r"values of 'x0' \(\d+%\) are beyond .* was learnt"):
        learnt = made("free")
    assert not checks(learnt.ledger())["extrapolation"].passed
    stated = made({"x0": "high"})  # warnings are errors
    assert not checks(stated.ledger())["extrapolation"].passed


def test_a_table_without_holes_rests_on_no_mechanism(fitted, X):
    whole = fitted.transform(X)
    found = fitted.impute(whole, m=2)
    assert "0 of 0 incomplete rows" in checks(found.ledger())["importance weights"].text
    assert found.ledger().missing == {}
    text = str(found.ledger())
    assert "Assumed mechanism: none, as no cell is missing (the model's: Conjunction())" in text
    assert "Untestable" not in text
    assert "assumed mechanism: none at work" in repr(found)


def test_it_prints_as_a_page(imputation):
    found = imputation.ledger()
    assert repr(found) == str(found)
    assert len(repr(found).splitlines()) > 8
