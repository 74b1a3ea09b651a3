"""Positive, bounded, count and ordinal columns from table to completed tables."""

import ast
import re

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr import GNRImputer
from pyro_gnr.data import Kind
from pyro_gnr.model import likelihoods

LEVELS = ["none", "school", "college", "doctorate"]
KINDS = {"income": "positive", "score": "bounded(0, 20)", "share": "bounded", "visits": "count"}
OTHERS = {
    "default": {},
    "gamma, poisson": {"income": "gamma", "visits": "poisson"},
    "zero-inflated poisson": {"visits": "zero_inflated_poisson"},
    "zero-inflated negative binomial": {"visits": "zero_inflated_negative_binomial"},
}


def make_table(n_rows=150, *, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_rows)
    noise = rng.normal(size=(3, n_rows))
    X = pd.DataFrame(
        {
            "income": np.exp(10 + z + 0.4 * noise[0]),
            "score": pd.array(np.rint(20 / (1 + np.exp(-z - noise[1]))), dtype="Int64"),
            "share": 1 / (1 + np.exp(1 - z + 0.5 * noise[2])),
            "visits": pd.array(rng.poisson(np.exp(0.5 + 0.7 * z)).astype(int), dtype="Int16"),
            "degree": pd.cut(z + 0.3 * rng.normal(size=n_rows), [-9, -1, 0, 1, 9], labels=LEVELS),
            "age": 50 + 10 * z,
        }
    )
    holes = rng.uniform(size=X.shape) < 0.25
    holes[:, -1] = False
    holes[3, :-1] = True
    return X.mask(holes).astype(X.dtypes.to_dict())


@pytest.fixture(scope="module")
def T():
    return make_table()


@pytest.fixture(scope="module", params=OTHERS)
def imputer(request, T):
    return GNRImputer(
        kinds=KINDS,
        likelihoods=OTHERS[request.param],
        latent_dim=2,
        hidden=8,
        particles=5,
        max_steps=20,
        imputation_particles=100,
        random_state=0,
        device="cpu",
        verbose=False,
    ).fit(T)


def assert_in_range(completed, T):
    assert completed.dtypes.equals(T.dtypes)
    assert not completed.isna().any(axis=None)
    assert completed["income"].gt(0).all()
    assert completed["score"].between(0, 20).all()
    assert completed["share"].between(0, 1, inclusive="neither").all()
    assert completed["visits"].ge(0).all()
    assert completed["degree"].cat.ordered and list(completed["degree"].cat.categories) == LEVELS
    for name in T:
        seen = T[name].notna()
        assert completed.loc[seen, name].equals(T.loc[seen, name])  # bit-equal


def test_draws_and_points_are_what_the_columns_can_hold(T, imputer):
    kinds = [str(c.kind) for c in imputer.schema_.columns]
    assert kinds == ["positive", "bounded", "bounded", "count", "ordinal", "continuous"]
    imputation = imputer.impute(T, m=20)
    for completed in [*imputation, imputer.transform(T)]:
        assert_in_range(completed, T)
    for name in T.columns[:-1]:  # imputations differ between tables
        holes = T[name].isna()
        assert len({tuple(c.loc[holes, name]) for c in imputation}) > 15


def test_intervals(T, imputer):
    imputation = imputer.impute(T, m=200)
    found = imputation.interval(0.9)
    rows, _ = imputation.decoded("visits")
    for name in ("income", "score", "share", "visits"):
        own = found[found["column"] == name]
        low, high = own["lower"].to_numpy(), own["upper"].to_numpy()
        _, draws = imputation.decoded(name)
        assert ((low <= draws) & (draws <= high)).mean() > 0.86
        assert (low <= high).all() and own["levels"].isna().all()
        if name in ("score", "visits"):
            assert (low == np.rint(low)).all() and (high == np.rint(high)).all()
    limits = {"income": (0, np.inf), "score": (0, 20), "share": (0, 1), "visits": (0, np.inf)}
    for name, (least, most) in limits.items():
        own = found[found["column"] == name]
        assert own["lower"].ge(least).all() and own["upper"].le(most).all()
    degrees = found[found["column"] == "degree"]
    assert degrees["lower"].isna().all() and degrees["probability"].ge(0.9 - 1e-6).all()
    assert all(set(levels) <= set(LEVELS) for levels in degrees["levels"])


def test_saved_and_loaded_it_gives_the_same_draws(T, imputer, tmp_path):
    imputer.save(tmp_path / "model")
    again = GNRImputer.load(tmp_path / "model")
    assert again.schema_ == imputer.schema_
    assert again.kinds == KINDS
    for mine, other in zip(imputer.impute(T, m=2), again.impute(T, m=2), strict=True):
        assert_frame_equal(mine, other)
    assert_frame_equal(imputer.transform(T), again.transform(T))
    again.set_params(max_steps=1).fit(T)


def test_polars_comes_back_as_it_is():
    pl = pytest.importorskip("polars")
    T = make_table(60)
    P = pl.from_pandas(T.astype({"degree": "string"})).with_columns(
        pl.col("degree").cast(pl.Enum(LEVELS))
    )
    imputer = GNRImputer(
        kinds=KINDS | {"degree": "ordinal"},
        latent_dim=1,
        hidden=4,
        max_steps=3,
        imputation_particles=30,
        random_state=0,
        device="cpu",
        verbose=False,
    ).fit(P)
    assert imputer.schema_.columns[4].kind is Kind.ORDINAL
    completed = imputer.impute(P, m=1)[0]
    assert completed.schema == P.schema
    assert completed.null_count().sum_horizontal().item() == 0
    assert completed["income"].min() > 0 and completed["visits"].min() >= 0


def test_columns_follow_what_they_are_tied_to():
    """The truth behind the holes, better than a column's own median, on its natural scale."""
    rng = np.random.default_rng(1)
    full = make_table(600, seed=1)
    z = (full["age"] - 50) / 10
    truth = {"income": np.exp(10 + z), "visits": np.exp(0.5 + 0.7 * z)}
    T = full.copy()
    for name in truth:
        T.loc[rng.uniform(size=600) < 0.2, name] = pd.NA
    imputer = GNRImputer(
        kinds=KINDS, max_steps=200, hidden=16, random_state=0, device="cpu", verbose=False
    ).fit(T)
    completed = imputer.transform(T)
    for name, values in truth.items():
        holes = T[name].isna()
        logs = np.log1p(completed.loc[holes, name].astype(float)), np.log1p(values[holes])
        assert np.corrcoef(*logs)[0, 1] > 0.9
        ratio = completed.loc[holes, name].astype(float).mean() / values[holes].mean()
        assert 0.75 < ratio < 1.35


@pytest.mark.parametrize(
    "column, likelihood, kind",
    [
        ("income", "gamma", "positive"),
        ("income", likelihoods.LogNormal(), "positive"),
        ("share", "beta", "bounded"),
        ("visits", "zero_inflated_poisson", "count"),
        ("visits", "ordinal", "ordinal"),
        ("visits", "categorical", "categorical"),
        ("degree", "categorical", "categorical"),
        ("age", "student_t", "continuous"),
    ],
)
def test_a_likelihood_brings_its_kind(imputer_of, T, column, likelihood, kind):
    fitted = imputer_of(likelihoods={column: likelihood}).fit(T)
    (found,) = (c for c in fitted.schema_.columns if c.name == column)
    assert found.kind == kind
    others = [c.kind for c in fitted.schema_.columns if c.name not in (column, "degree")]
    assert set(others) == {Kind.CONTINUOUS}
    assert fitted.kinds is None


@pytest.mark.parametrize("likelihood", ["poisson", "zero_inflated_poisson"])
def test_zeros_and_ones_can_be_counts(imputer_of, likelihood):
    """A column that would be binary by its values; the kind that the likelihood needs wins."""
    rng = np.random.default_rng(0)
    falls = (rng.uniform(size=80) < 0.3).astype(float)
    X = pd.DataFrame({"falls": falls, "age": rng.normal(size=80)})
    X.loc[::5, "falls"] = np.nan
    imputer = imputer_of(likelihoods={"falls": likelihood}).fit(X)
    assert imputer.schema_.columns[0].kind is Kind.COUNT
    drawn = imputer.impute(X, m=2)[1]["falls"]
    assert (drawn >= 0).all() and (drawn == drawn.round()).all()
    said = imputer_of(likelihoods={"falls": likelihood}, kinds={"falls": "binary"})
    with pytest.raises(ValueError, match="binary, but .* kinds={'falls': 'count'}"):
        said.fit(X)


def test_a_likelihood_brings_its_kind_where_text_would_be_refused(imputer_of):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.normal(size=268), "town": [f"t{i % 134}" for i in range(268)]})
    X.loc[3, "town"] = None
    with pytest.raises(ValueError, match="'town' looks like free text: 134"):
        imputer_of().fit(X)
    fitted = imputer_of(max_steps=0, likelihoods={"town": "categorical"}).fit(X)
    assert fitted.schema_.columns[1].kind is Kind.CATEGORICAL
    with pytest.raises(ValueError, match="'town' has 134 levels .* for kind 'binary'"):
        imputer_of(likelihoods={"town": "bernoulli"}).fit(X)


@pytest.mark.parametrize("n_rows", [12, 60])  # levels by their number, or free text
def test_cells_that_are_no_numbers_of_a_censored_column(imputer_of, n_rows):
    X = pd.DataFrame({"age": range(n_rows), "bmi": [f"{20 + i}.5" for i in range(n_rows)]})
    X.loc[2, "bmi"], X.loc[3, "bmi"] = "5-2", "<18"
    with pytest.raises(ValueError, match="column 'bmi' holds '5-2', expected a number or an int"):
        imputer_of(likelihoods={"bmi": "censored"}).fit(X)
    X.loc[2, "bmi"] = "2-5"
    fitted = imputer_of(max_steps=0, likelihoods={"bmi": "censored"}).fit(X)
    assert fitted.schema_.columns[1].kind is Kind.CENSORED_LOG  # which it serves, and data ask for


def test_a_likelihood_that_does_not_fit_the_values_or_the_kind_said(imputer_of, T):
    with pytest.raises(ValueError, match=r"'share' has .* not whole.*{'share': 'count'} follow"):
        imputer_of(likelihoods={"share": "poisson"}).fit(T)
    with pytest.raises(ValueError, match="'income' is positive, but its likelihood Gaussian"):
        imputer_of(likelihoods={"income": "gaussian"}, kinds={"income": "positive"}).fit(T)
    unordered = T.assign(degree=T["degree"].cat.as_unordered())
    for options in ({"likelihoods": {"degree": "ordinal"}}, {"kinds": {"degree": "ordinal"}}):
        with pytest.raises(ValueError, match="'degree' is an unordered category"):
            imputer_of(**options).fit(unordered)


def test_criticism_knows_the_kinds(imputer, T):
    from pyro_gnr.criticism.checks import observed_against_imputed

    imputation = imputer.impute(T, m=3)
    tree = imputation.to_datatree()
    assert tree["posterior"]["degree"].attrs["levels"] == LEVELS
    assert tree["posterior"]["visits"].attrs["kind"] == "count"
    assert observed_against_imputed(imputation, "degree").labels == tuple(LEVELS)
    assert observed_against_imputed(imputation, "income").limits[0] > 0
    assert not observed_against_imputed(imputation, "visits").labels[0].startswith("<")


def test_gamma_refuses_values_that_hardly_vary():
    X = make_table(60)
    X["density"] = 1 + 0.002 * X["age"].rank() / len(X)
    X.loc[:9, "density"] = np.nan
    imputer = GNRImputer(likelihoods={"density": "gamma"}, max_steps=1, members=1, verbose=False)
    with pytest.raises(ValueError, match=r"'density'.* vary by 0\.000\d+ .*'log_normal'"):
        imputer.fit(X)


def test_gamma_takes_new_rows_that_are_alike():
    X = make_table(60)[["income", "age"]]
    imputer = GNRImputer(likelihoods={"income": "gamma"}, max_steps=1, members=1, verbose=False)
    new = X.iloc[:3].assign(income=[2e4, 2e4, np.nan])
    completed = imputer.fit(X).transform(new)
    assert completed["income"].notna().all()


@pytest.mark.parametrize("constant", [0, 3, 10**9 + 1])
def test_a_constant_count_is_imputed_with_itself(imputer_of, constant):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"visits": [float(constant), None] * 20, "age": rng.normal(size=40)})
    imputer = imputer_of(kinds={"visits": "count"}).fit(X)
    for completed in imputer.impute(X, m=2):
        assert (completed["visits"] == constant).all()
    with pytest.warns(UserWarning, match=rf"'visits' was always {constant} in training, but 1"):
        imputer.transform(X.head(1).assign(visits=7.0))


def test_counts_that_a_count_likelihood_cannot_follow(imputer_of):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": 1e9 + np.rint(10 * rng.normal(size=40)), "age": rng.normal(size=40)})
    X.loc[::4, "x"] = np.nan
    text = r"'x': its observed counts .* variance of a NegativeBinomial.*kinds={'x': 'continuous'}"
    with pytest.raises(ValueError, match=text):
        imputer_of(kinds={"x": "count"}).fit(X)
    X["x"] -= 1e9 - 150  # as heights: it can be fitted, badly
    with pytest.warns(UserWarning, match="'x': its observed counts .* spread more than"):
        imputer = imputer_of(kinds={"x": "count"}, likelihoods={"x": "poisson"}).fit(X)
    imputer.transform(X)  # nothing is said twice


def test_numbers_next_to_a_bound_are_refused_with_bounds_that_serve(imputer_of):
    rng = np.random.default_rng(0)
    values = np.exp(rng.uniform(np.log(9e-6), np.log(7e-4), size=60))
    X = pd.DataFrame({"p": values, "age": rng.normal(size=60)})
    X.loc[::4, "p"] = np.nan
    with pytest.raises(
        ValueError, match=r"'p' lies between .*farther from its bound 0"
    ) as refused:
        imputer_of(likelihoods={"p": "beta"}).fit(X)
    kinds = re.search(r"kinds=(\{.*?\})", str(refused.value))
    completed = imputer_of(kinds=ast.literal_eval(kinds[1])).fit(X).impute(X, m=2)[1]["p"]
    assert completed.max() < 8e-4 and 0.2 < completed[::4].mean() / X["p"].mean() < 5


def test_a_likelihood_for_a_column_that_is_ignored(imputer_of):
    X = make_table(30)[["income", "age", "visits"]]
    for options in ({"kinds": {"visits": "ignore"}}, {"row_key": "visits"}):
        with pytest.raises(ValueError, match=r"\['visits'\], which kinds or row_key leave out"):
            imputer_of(likelihoods={"visits": "poisson"}, **options).fit(X)
