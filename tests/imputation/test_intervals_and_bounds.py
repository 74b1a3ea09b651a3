"""Tables with cells such as "<0.5", and bounded columns, from fit to the completed tables."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from pandas.testing import assert_frame_equal

from pyro_gnr import GNRImputer
from pyro_gnr.criticism.checks import observed_against_imputed, observed_values
from pyro_gnr.model.likelihoods import Truncated

LIMIT, MOST = 0.8, 5.0


def assay(n_rows=120, *, seed=0):
    """An assay with a limit of detection and a largest value, and a number that goes with it."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_rows)
    crp = np.exp(0.3 + 0.8 * z + 0.4 * rng.normal(size=n_rows))
    text = np.array([f"{v:.6g}" for v in crp], dtype=object)
    text[crp < LIMIT] = "< 0.8"
    text[crp > MOST] = ">5"
    text[3:6] = "0.5-1"
    X = pd.DataFrame({"crp": text, "y": z + 0.5 * rng.normal(size=n_rows)})
    X.loc[rng.uniform(size=n_rows) < 0.2, "crp"] = None
    X.loc[rng.uniform(size=n_rows) < 0.2, "y"] = np.nan
    return X, crp


@pytest.fixture(scope="module")
def table():
    return assay()[0]


@pytest.fixture(scope="module")
def imputer(table, imputer_of):
    return imputer_of(max_steps=30).fit(table)


@pytest.fixture(scope="module")
def imputation(table, imputer):
    return imputer.impute(table, m=4)


def assert_within(completed, table):
    """Numbers as they were, interval cells within their limits, no holes."""
    text = pd.Series(table["crp"].to_list(), dtype=object)
    values = pd.Series(completed["crp"].to_list())
    assert values.dtype == np.float64 and values.notna().all()
    number = pd.to_numeric(text, errors="coerce")
    assert (values[number.notna()] == number.dropna()).all()
    assert values[text == "< 0.8"].between(0.0, LIMIT, inclusive="neither").all()
    assert (values[text == ">5"] > MOST).all()
    assert values[text == "0.5-1"].between(0.5, 1.0).all()


def test_every_table_is_complete_and_keeps_to_the_intervals(table, imputation):
    tables = list(imputation)
    for completed in tables:
        assert_within(completed, table)
        assert completed["y"].notna().all()
    cells = table["crp"] == "< 0.8"
    draws = np.array([t["crp"][cells] for t in tables])
    assert len(np.unique(draws)) == draws.size  # every cell and every table has its own


def test_transform_gives_a_number_within_the_interval(table, imputer):
    assert_within(imputer.transform(table), table)


def test_the_mechanism_counts_intervals_as_observed(table, imputation):
    assert (imputation.table.observed[:, 0] == table["crp"].notna()).all()
    assert imputation.diagnostics["n_imputed"].sum() == len(imputation.table.missing[0])
    assert imputation.table.schema.modelled[0].holes == table["crp"].isna().sum()


def test_rows_get_the_same_draws_alone_and_however_numbers_are_written(table, imputer, imputation):
    some = table.iloc[[2, 4, 7, 30]]
    assert_frame_equal(imputer.impute(some, m=4)[3], imputation[3].iloc[[2, 4, 7, 30]])
    numbers = table[pd.to_numeric(table["crp"], errors="coerce").notna() & table["y"].isna()]
    assert len(numbers) > 3
    as_floats = numbers.assign(crp=numbers["crp"].astype(float))
    drawn = imputer.impute(as_floats, m=4)[0]
    assert_frame_equal(drawn, imputation[0].loc[numbers.index])


def test_polars_gets_the_same(table, imputer_of):
    P = pl.from_pandas(table)
    imputer = imputer_of(max_steps=5).fit(P)
    imputation = imputer.impute(P, m=2)
    for completed in (*imputation, imputer.transform(P)):
        assert completed.schema["crp"] == pl.Float64
        assert_within(completed, table)
    long = imputation.to_long()
    first = long.filter(pl.col(".imp") == 0)
    assert first["crp"].null_count() == len(imputation.table.intervals) - sum(
        pd.to_numeric(table["crp"], errors="coerce").notna()
    )
    assert long[".interval.crp"].drop_nulls().unique().sort().to_list() == ["0.5-1", "< 0.8", ">5"]


def test_long_table_has_numbers_and_beside_them_the_text_of_intervals(table, imputation):
    long = imputation.to_long()
    assert long.columns.tolist() == [".imp", ".id", "crp", "y", ".interval.crp"]
    original = long[long[".imp"] == 0]
    number = pd.to_numeric(table["crp"], errors="coerce")
    np.testing.assert_array_equal(original["crp"], number)
    for _, part in long.groupby(".imp"):
        text = part[".interval.crp"].to_numpy()
        interval = table["crp"].notna() & number.isna()
        assert (text[interval] == table["crp"][interval]).all()
        assert pd.isna(text[~interval]).all()
    taken = table.rename(columns={"y": ".interval.crp"})
    with pytest.raises(ValueError, match=r"\.interval\.crp.*rename"):
        GNRImputer(max_steps=0, random_state=0, verbose=False).fit(taken).impute(
            taken, m=1
        ).to_long()


def test_intervals_are_observed_to_reach_as_far_as_they_say(table, imputation, imputer_of):
    summary = imputation.summary()
    assert summary["n_imputed"].to_dict() == table.isna().sum().to_dict()
    assert summary.loc["crp", "beyond_observed"] == 0.0  # "< 0.8" and ">5": anything was seen
    closed = table.assign(crp=table["crp"].where(~table["crp"].isin(["< 0.8", ">5"]), "0.5-1"))
    imputation = imputer_of(max_steps=30).fit(closed).impute(closed, m=4)
    rows, draws = imputation.decoded("crp")
    draws = draws[:, closed["crp"].isna()[rows]]
    seen = pd.to_numeric(closed["crp"], errors="coerce")
    outside = (draws < min(0.5, seen.min())) | (draws > seen.max())
    assert imputation.summary().loc["crp", "beyond_observed"] == outside.mean() > 0.0


def test_intervals_of_interval_cells_lie_within_them(table, imputation):
    found = imputation.interval(0.9)
    found = found[found["column"] == "crp"].set_index(".id")
    text = table["crp"].reindex(found.index)
    assert (found["lower"] < found["upper"]).all()
    assert (found["upper"][text == "< 0.8"] <= LIMIT).all()
    assert (found["lower"][text == ">5"] >= MOST).all()
    rows, draws = imputation.decoded("crp")
    assert rows.tolist() == found.index.tolist()
    inside = (found["lower"].to_numpy() <= draws) & (draws <= found["upper"].to_numpy())
    assert 0.8 < inside.mean() < 0.98


def test_checks_and_tree_see_numbers_only(table, imputation):
    number = pd.to_numeric(table["crp"], errors="coerce")
    np.testing.assert_array_equal(observed_values(imputation.table)[:, 0], number)
    seen = observed_against_imputed(imputation, "crp")
    assert seen.n_observed == number.notna().sum() and seen.n_imputed == number.isna().sum()
    tree = imputation.to_datatree()
    np.testing.assert_array_equal(tree["observed_data"]["crp"], number)
    assert tree["constant_data"]["observed"].sum() == imputation.table.observed.sum()


def test_below_a_limit_the_logarithm_stays_above_0(table, imputer_of):
    """The kind by default is log-normal; a normal one is warned of, and rightly so."""
    lowest = {}
    for kind in ("censored", "censored_log"):
        imputer = imputer_of(kinds={"crp": kind}, max_steps=30)
        if kind == "censored":
            with pytest.warns(UserWarning, match="'crp' holds positive .* can be negative"):
                imputer.fit(table)
        else:
            imputer.fit(table)
        below = table["crp"] == "< 0.8"
        lowest[kind] = min(t["crp"][below].min() for t in imputer.impute(table, m=4))
    assert lowest["censored"] < 0.0 < lowest["censored_log"]


def test_saved_and_loaded_it_draws_the_same(table, imputer, imputation, tmp_path):
    imputer.save(tmp_path / "model")
    again = GNRImputer.load(tmp_path / "model").set_params(verbose=False)
    assert again.schema_ == imputer.schema_
    assert_frame_equal(again.impute(table, m=2)[1], imputation[1])


@pytest.mark.filterwarnings("ignore:column .* limits of detection")
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["censored", "censored_log", "truncated"])
def test_saved_and_loaded_it_draws_the_same_in_every_bit(
    table, imputer_of, tmp_path, kind, default
):
    """Limits are kept in double precision, whatever that of the networks is."""
    options = {"kinds": {"crp": kind}}
    if kind == "truncated":
        options = {"likelihoods": {"y": Truncated(lower=-5.3, upper=5.7)}}
    imputer = imputer_of(max_steps=3, **options).fit(table)
    imputation = imputer.impute(table, m=3)
    imputer.save(tmp_path / "model")
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(default)
        loaded = GNRImputer.load(tmp_path / "model", device="cpu").set_params(verbose=False)
        assert torch.get_default_dtype() is default
    finally:
        torch.set_default_dtype(before)
    again = loaded.impute(table, m=3)
    np.testing.assert_array_equal(again.draws.values, imputation.draws.values)
    assert_frame_equal(again.interval(0.9), imputation.interval(0.9), check_exact=True)
    fresh, kept = (i._fitted.model.x_given_u.named_buffers() for i in (imputer, loaded))
    for (name, a), (_, b) in zip(fresh, kept, strict=True):
        assert a.dtype is b.dtype and torch.equal(a, b), name


def test_held_out_cells_may_be_intervals(table, imputer_of):
    imputer = imputer_of(validation="cells", validation_fraction=0.3).fit(table)
    assert np.isfinite(imputer.history_["validation"].dropna()).all()
    assert np.isfinite(imputer.score(table))


def test_a_new_limit_of_detection_counts_as_what_it_says(table, imputer, tmp_path):
    """A laboratory's next batch has another limit: its cells keep below it, and tell as much."""
    limits = [0.02, 0.1, 0.3]
    new = table.iloc[: len(limits)].assign(crp=[f"<{v}" for v in limits])
    imputation = imputer.impute(new, m=10)
    drawn = np.array([[float(v) for v in t["crp"]] for t in imputation])
    assert (drawn < limits).all() and (drawn > 0).all()
    bounds = imputation.interval(0.9)
    assert (bounds[bounds["column"] == "crp"]["upper"].to_numpy() <= limits).all()
    # P(X < limit) rises with the limit, and nothing else of the row has changed.
    one = table.iloc[[0]]
    scores = [imputer.score(one.assign(crp=f"<{v}")) for v in [*limits, 1e6]]
    assert scores == sorted(scores)
    # What training saw is scored as before, beside a new one, too; the model is unchanged.
    known = table.iloc[:20]
    before = imputer.transform(known)
    both = imputer.transform(pd.concat([known, new.set_axis([900, 901, 902])]))
    assert_frame_equal(both.iloc[:20], before)
    assert_frame_equal(imputer.transform(known), before)
    imputer.save(tmp_path / "model")
    again = GNRImputer.load(tmp_path / "model", device="cpu").impute(new, m=10)
    np.testing.assert_array_equal(again.draws.values, imputation.draws.values)


@pytest.mark.slow
def test_what_substituting_half_the_limit_gets_wrong(imputer_of):
    """Mean and standard deviation of all values, 40 % of which are below the limit."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=1500)
    x = 6.0 + 1.6 * z + 1.2 * rng.normal(size=1500)
    limit = 5.5
    text = [f"{v!r}" if v > limit else f"<{limit}" for v in x.tolist()]
    X = pd.DataFrame({"a": text, "y": z + 0.3 * rng.normal(size=1500)})
    imputer = imputer_of(kinds={"a": "censored"}, max_steps=300, imputation_particles=200).fit(X)
    tables = list(imputer.impute(X, m=5))
    mean = np.mean([t["a"].mean() for t in tables])
    sd = np.mean([t["a"].std() for t in tables])
    slope = np.mean([np.polyfit(X["y"], t["a"], 1)[0] for t in tables])
    assert (mean, sd) == pytest.approx((x.mean(), x.std()), abs=0.12)
    exact = np.polyfit(X["y"], x, 1)[0]
    assert slope == pytest.approx(exact, abs=0.1)
    naive = np.where(x > limit, x, limit / 2)
    assert abs(naive.mean() - x.mean()) > 0.2 and abs(naive.std() - x.std()) > 0.2
    assert abs(np.polyfit(X["y"], naive, 1)[0] - exact) > 0.15


# --- bounds ------------------------------------------------------------------------------------


def test_bounded_columns_stay_within_their_bounds(imputer_of, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=100)
    X = pd.DataFrame({"share": 100 / (1 + np.exp(-3 * z)), "days": np.rint(np.exp(z)), "z": z})
    X = X.astype({"days": "Int64"})
    X.loc[rng.uniform(size=100) < 0.4, "share"] = None
    X.loc[rng.uniform(size=100) < 0.4, "days"] = None
    bounds = {"share": partial(Truncated, lower=0, upper=100), "days": partial(Truncated, lower=0)}
    imputer = imputer_of(likelihoods=bounds).fit(X)
    imputation = imputer.impute(X, m=30)
    for completed in (*imputation, imputer.transform(X)):
        assert completed["share"].between(0, 100).all() and (completed["days"] >= 0).all()
    share = imputation.decoded("share")[1]
    assert len(np.unique(share)) > 0.99 * share.size  # no heap on a bound
    found = imputation.interval(0.95)
    assert (found["lower"] >= 0).all() and (
        found["upper"][found["column"] == "share"] <= 100
    ).all()
    imputer.save(tmp_path / "model")
    again = GNRImputer.load(tmp_path / "model").set_params(verbose=False)
    assert_frame_equal(again.impute(X, m=1)[0], imputation[0])
    with pytest.raises(ValueError, match="'days' has 1 value.*outside the bounds"):
        again.transform(X.assign(days=[-1] + [2] * 99))


def test_values_outside_the_bounds_are_refused_before_training(imputer_of):
    X = pd.DataFrame({"a": [1.0, -2.0, 3.0, None], "b": [1.0, 2.0, 3.0, 5.0]})
    steps = []
    imputer = imputer_of(likelihoods={"a": partial(Truncated, lower=0)}, callback=steps.append)
    with pytest.raises(ValueError, match=r"'a' has 1 value.*outside the bounds \[0, None\]"):
        imputer.fit(X)
    with pytest.raises(ValueError, match=r"'a'.*functools\.partial\(Truncated, lower=0\)"):
        imputer.set_params(likelihoods={"a": "truncated"}).fit(X)
    assert steps == []
