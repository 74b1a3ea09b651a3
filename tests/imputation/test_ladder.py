"""Every mechanism at work in the imputer: what it imputes, by row key, saved and loaded."""

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import GNRImputer
from pyro_gnr.model.mechanisms import SelfMasking

LADDER = {
    "self_masking": "self_masking",
    "self_masking, logit": SelfMasking(direction={"age": "high", "bp": "low"}, link="logit"),
    "self_masking over conjunction": SelfMasking(direction="high", threshold="latent"),
    "selection": "selection",
    "no_self_censoring": "no_self_censoring",
}


@pytest.fixture(scope="module", params=LADDER)
def ladder(request, X, imputer_of, ignored):
    """A fitted imputer of each mechanism."""
    return imputer_of(mechanism=LADDER[request.param], kinds=ignored).fit(X)


def test_completes_tables_and_keeps_what_is_observed(ladder, X):
    imputation = ladder.impute(X, m=3)
    for completed in [*imputation, ladder.transform(X)]:
        assert completed.drop(columns="visit").notna().all().all()
        for name in X.columns:
            seen = X[name].notna()
            assert (completed[name][seen] == X[name][seen]).all()
        assert set(completed["site"]) <= {"Bern", "Graz", "Linz"}
    assert not imputation[0].equals(imputation[1])
    assert np.isfinite(ladder.score(X))


def test_intervals_hold_most_draws(ladder, X):
    imputation = ladder.impute(X, m=40)
    bounds = imputation.interval(0.9)
    numbers = bounds[bounds["levels"].isna()].dropna(subset=["lower"])
    assert (numbers["lower"] <= numbers["upper"]).all()
    rows, draws = imputation.decoded("bp")
    own = numbers[numbers["column"] == "bp"]
    inside = (draws >= own["lower"].to_numpy()) & (draws <= own["upper"].to_numpy())
    assert 0.8 < inside.mean() < 0.98
    levels = bounds[bounds["column"] == "site"]
    assert levels["probability"].between(0.9, 1.0).all()


def test_draws_belong_to_rows(ladder, X):
    """A subset in another order gets the draws of the whole, up to rounding."""
    some = X.iloc[[40, 7, 1, 23]]
    whole, part = ladder.impute(X, m=2), ladder.impute(some, m=2)
    for a, b in zip(whole, part, strict=True):
        a = a.loc[some.index]
        np.testing.assert_allclose(a["bp"], b["bp"], rtol=1e-4)
        pd.testing.assert_series_equal(a["site"], b["site"])


def test_comes_back_from_disk(ladder, X, tmp_path):
    ladder.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu").set_params(verbose=False)
    assert type(loaded._fitted.model.m_given_ux) is type(ladder._fitted.model.m_given_ux)
    pd.testing.assert_frame_equal(loaded.impute(X, m=1)[0], ladder.impute(X, m=1)[0])


def masked_numbers(n=600, *, seed=0, sign=1.0):
    """Two related columns; the first is missing where sign * it is above 0.4: table, complete."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    complete = np.column_stack([0.7 * z + 0.7 * rng.normal(size=n), z + 0.3 * rng.normal(size=n)])
    hole = sign * complete[:, 0] > 0.4
    holed = complete.copy()
    holed[hole, 0] = np.nan
    return holed, complete, hole


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:more than 50% of the imputed values of 'x0'")  # as it should
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("known", [True, False])
def test_self_masking_finds_the_values_beyond_the_threshold(sign, known):
    """Where ignorable and conjunction models cannot: no other column tells the tail."""
    holed, complete, hole = masked_numbers(sign=sign)
    direction = {1.0: "high", -1.0: "low"}[sign] if known else None
    options = {"max_steps": 300, "random_state": 0, "verbose": False, "hidden": 8}
    error = {}
    for name, mechanism in (("self", SelfMasking(direction=direction)), ("mar", "ignorable")):
        imputer = GNRImputer(mechanism=mechanism, **options).fit(holed)
        completed = imputer.transform(holed)
        error[name] = abs(completed[hole, 0].mean() - complete[hole, 0].mean())
        draws = np.stack([t[hole, 0] for t in imputer.impute(holed, m=10)])
        if name == "self":
            assert (sign * draws > 0.2).mean() > 0.98  # they lie beyond the threshold
            assert draws.std() == pytest.approx(complete[hole, 0].std(), rel=0.35)
    assert error["self"] < 0.15 < 0.3 < error["mar"]


@pytest.mark.slow
def test_hidden_cells_are_predicted_from_the_observed_side():
    """A hidden cell was observed: its value is predicted from below the threshold."""
    holed, complete, hole = masked_numbers()
    imputer = GNRImputer(
        mechanism=SelfMasking(direction="high"), max_steps=200, random_state=0, verbose=False
    ).fit(holed)
    table = imputer._encoded(holed)
    some = np.zeros(table.values.shape, dtype=bool)
    some[:, 0] = ~hole
    fitted = imputer._at_work()
    hidden = table.hide(some)
    rows = np.arange(len(holed))
    found = np.concatenate(
        [
            fitted._blend(batches).point()[:, 0].numpy()
            for batches in fitted._posteriors(hidden, rows)
        ]
    )
    in_units = table.decode(np.zeros(1, dtype=int), found[:, None])[:, 0]
    assert in_units[~hole].max() < 0.5
    assert in_units[~hole].mean() == pytest.approx(complete[~hole, 0].mean(), abs=0.15)
    assert in_units[hole].min() > 0.3
