"""Posterior draws of M tables: their mixture, and what ArviZ gets."""

import numpy as np
import pandas as pd
import pytest
from arviz_base import from_dict

from pyro_gnr.imputation.pooling.draws import pool_draws


def posterior(table, n=4000):
    """Normal draws around the mean of a table, seeded by it."""
    rng = np.random.default_rng(int(1e6 * abs(table.mean())) % 2**32)
    return {"mean": rng.normal(table.mean(), 0.5, size=n), "both": rng.normal(size=(n, 2))}


@pytest.fixture(scope="module")
def arrays():
    return np.random.default_rng(0).normal(size=(50, 4))


def test_the_mixture_has_rubins_variance(arrays):
    mixed = pool_draws(arrays, posterior)
    means = arrays.mean(1)
    row = mixed.summary().loc["mean"]
    assert row["mean"] == pytest.approx(means.mean(), abs=0.01)
    assert row["sd"] ** 2 == pytest.approx(0.25 + means.var(), rel=0.02)
    assert row["lambda"] == pytest.approx(means.var() / (0.25 + means.var()), rel=0.05)
    all_draws = mixed.draws["mean"].ravel()
    np.testing.assert_allclose(row[["lower", "median", "upper"]].tolist(),
                               np.quantile(all_draws, [0.025, 0.5, 0.975]))  # fmt: skip
    assert mixed.summary().index.tolist() == ["mean", "both[0]", "both[1]"]
    assert mixed.m == 50


def test_all_forms_agree(arrays):
    wanted = pool_draws(arrays, lambda t: {"mean": posterior(t)["mean"]})
    frames = pool_draws(arrays, lambda t: pd.DataFrame({"mean": posterior(t)["mean"]}))
    trees = pool_draws(
        arrays,
        lambda t: from_dict({"posterior": {"mean": posterior(t)["mean"].reshape(4, 1000)}}),
    )
    for other in (frames, trees):
        np.testing.assert_array_equal(other.draws["mean"], wanted.draws["mean"])


def test_arviz_gets_all_posteriors(arrays):
    mixed = pool_draws(arrays[:6], posterior, members=[0, 0, 1, 1, 2, 2])
    tree = mixed.to_datatree()
    assert dict(tree["posterior"]["both"].sizes) == {"chain": 6, "draw": 4000, "both_dim_0": 2}
    np.testing.assert_array_equal(tree["posterior"]["mean"], mixed.draws["mean"])
    assert tree["constant_data"]["member"].values.tolist() == [0, 0, 1, 1, 2, 2]
    assert "nothing about convergence" in tree["posterior"].attrs["note"]
    assert "constant_data" not in pool_draws(arrays, posterior).to_datatree().children


@pytest.mark.parametrize(
    ("analysis", "error", "message"),
    [
        ("a ~ b", TypeError, "expected a function"),
        (lambda t: 3.0, TypeError, "table 1 gave float"),
        (lambda t: {}, TypeError, "table 1 gave dict"),
        (lambda t: {"a": 3.0}, ValueError, "single numbers"),
        (lambda t: {"a": np.zeros(3 + (t.mean() > 0))}, ValueError, "numbers of draws"),
        (lambda t: {"a": np.ones(2), "b": [1, np.nan]}, ValueError, r"table 1 gave.*\['b'\]"),
    ],
)
def test_bad_input(arrays, analysis, error, message):
    with pytest.raises(error, match=message):
        pool_draws(arrays, analysis)


def test_members_are_those_that_the_tables_remember(arrays):
    class Made(list):
        members = np.arange(50) // 10

    assert pool_draws(Made(arrays), posterior).members.tolist() == Made.members.tolist()
    assert pool_draws(Made(arrays), posterior, members=range(50)).members.tolist() == [*range(50)]


def test_an_error_says_on_which_table(arrays):
    def failing(table):
        return posterior(table) if table is not third else 1 / 0

    rows = list(arrays)
    third = rows[2]
    for tables in (rows, iter(rows)):
        with pytest.raises(ZeroDivisionError) as caught:
            pool_draws(tables, failing)
        assert caught.value.__notes__ == ["This was on table 3 of 50."]


def test_it_prints_no_arrays(arrays):
    found = repr(pool_draws(arrays, posterior))
    assert found == "MixedDraws(m=50, draws a table=4000, parameters=['mean', 'both'])"


def test_no_tables():
    with pytest.raises(ValueError, match="no tables"):
        pool_draws([], posterior)
    with pytest.raises(ValueError, match="each of 1 tables"):
        pool_draws([np.zeros(3)], posterior, members=[0, 1])
    with pytest.raises(ValueError, match="level"):
        pool_draws([np.zeros(3)], posterior).summary(2)


def test_the_mixture_carries_the_ledger_of_what_made_the_tables(arrays):
    class Made(list):
        def ledger(self):
            return "the ledger"

    assert pool_draws(Made(arrays), posterior).ledger() == "the ledger"
    with pytest.raises(ValueError, match="came without the imputation"):
        pool_draws(arrays, posterior).ledger()
