"""What imputations say of themselves: priors over departures, rows that stay inconsistent."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyro_gnr import Delta, GNRImputer

WIDE = Delta("a", stats.norm(0, 30))


def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(10, 1, 60), "b": rng.normal(0, 1, 60)})
    X.loc[rng.random(60) < 0.3, "a"] = np.nan
    return X


def fitted(*, members):
    small = {"latent_dim": 2, "hidden": 8, "particles": 5, "imputation_particles": 50}
    imputer = GNRImputer(**small, max_steps=4, members=members, random_state=0, verbose=False)
    return imputer.fit(table())


@pytest.fixture(scope="module")
def imputation():
    return fitted(members=3).impute(table(), m=24)


def mean(table):
    return table["a"].mean(), table["a"].var() / len(table), len(table) - 1


def draws(table):
    estimate, variance, _ = mean(table)
    noise = np.random.default_rng(1).normal(size=4000)
    return {"estimate": estimate + np.sqrt(variance) * noise}


def test_a_prior_over_departures_is_no_lost_data(imputation):
    doubted = imputation.adjusted(WIDE)
    pooled = doubted.pool(mean)
    mixture = doubted.pool_draws(draws).summary().loc["estimate"]
    interval = pooled.conf_int().loc["estimate"]
    width = mixture["upper"] - mixture["lower"]
    assert interval["upper"] - interval["lower"] == pytest.approx(width, rel=0.15)
    assert pooled["dfcom"].item() == 59
    # The doubt takes no degrees of freedom from what was seen: some 59 of these 15 are left.
    assert 10 < pooled["df"].item() < 59


def regression(table):
    """Slopes of b, which no departure of a moves, and of a; in few rows."""
    design = np.column_stack([np.ones(len(table)), table["b"]])
    inverse = np.linalg.inv(design.T @ design)
    found, variances = [], []
    for y in (table["b"] ** 2, table["a"]):
        beta = inverse @ design.T @ y
        s2 = ((y - design @ beta) ** 2).sum() / (len(table) - 2)
        found.append(beta[1])
        variances.append(s2 * inverse[1, 1])
    return found, np.diag(variances), len(table) - 2


def test_a_narrow_prior_is_none(imputation):
    """Degrees of freedom and tests go over into those without a prior."""
    narrow = imputation.adjusted(Delta("a", stats.norm(0, 1e-9))).pool(regression)
    none = imputation.pool(regression)
    for name in ("estimate", "t", "df", "fmi"):
        np.testing.assert_allclose(narrow[name], none[name], rtol=1e-6)
    assert narrow.wald().df2 == pytest.approx(none.wald().df2, rel=0.05)


def test_a_prior_leaves_alone_what_it_does_not_move(imputation):
    wide, none = imputation.adjusted(WIDE).pool(regression), imputation.pool(regression)
    np.testing.assert_allclose(wide.iloc[0], none.iloc[0])
    assert wide["t"].iloc[1] > 4 * none["t"].iloc[1]
    # Of one member's tables: members' own degrees of freedom are a matter of their own.
    one = fitted(members=1).impute(table(), m=24)
    wide, none = one.adjusted(WIDE).pool(regression), one.pool(regression)
    assert wide["df"].iloc[1] < none["df"].iloc[1] < none["dfcom"].iloc[1]


def test_a_prior_with_a_centre_is_settled_there(imputation):
    doubted = imputation.adjusted(Delta("a", stats.norm(5, 30)))
    centre = float(doubted.deltas[0].values(24, imputation.fitted.seed).mean())
    settled, moved = doubted.settled(), imputation.adjusted(Delta("a", centre))
    np.testing.assert_array_equal(settled.draws.values, moved.draws.values)
    assert imputation.settled() is imputation
    derived = doubted.constrained(derive={"a": lambda table: table["a"].clip(upper=12)})
    assert derived.settled()[0]["a"].max() <= max(12, imputation[0]["a"].max())


def test_it_is_said(imputation):
    notes = imputation.adjusted(WIDE).pool(mean).notes
    [note] = [note for note in notes if "departures of a differ" in note]
    assert "pool_draws" in note
    assert notes[-1].startswith("use ")


def test_departures_that_are_the_same_in_all_tables_are_no_such_doubt(imputation):
    moved = imputation.adjusted(Delta("a", 2.0)).pool(mean)
    assert moved["dfcom"].item() == 59
    assert moved["df"].item() < 59
    assert not any("departures" in note for note in moved.notes)
    by_table = imputation.adjusted(Delta("a", np.linspace(-1, 1, 24))).pool(mean)
    assert any("departures of a" in note for note in by_table.notes)


def test_rows_that_stay_inconsistent_are_mentioned(imputation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        left = imputation.constrained(keep=lambda table: table["a"] > 100, tries=1)
    count = left.constraints.inconsistent
    assert count > 0
    [note] = [note for note in left.pool(mean).notes if "do not satisfy" in note]
    assert note.startswith(f"{count:,} rows")
    kept = imputation.constrained(keep=lambda table: table["a"] > -100)
    assert not any("do not satisfy" in note for note in kept.pool(mean).notes)
