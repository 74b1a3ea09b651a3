"""The imputer as scikit-learn's users meet it; what its checks leave out is tables with holes."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyro_gnr import GNRImputer
from pyro_gnr.model.likelihoods import Gaussian, StudentT
from pyro_gnr.model.mechanisms import Conjunction, Ignorable

tiny = partial(
    GNRImputer,
    latent_dim=2,
    hidden=4,
    particles=2,
    max_steps=2,
    imputation_particles=20,
    device="cpu",
)


@parametrize_with_checks(
    [
        tiny(),
        tiny(mechanism=Ignorable, fusion="replayed", validation="cells", verbose=False),
        tiny(mechanism=Conjunction(), fusion="amortised", validation=None, row_key=None),
    ]
)
def test_scikit_learn_checks_without_any_expected_failure(estimator, check):
    check(estimator)


@pytest.fixture(params=["pandas", "polars", "array"])
def world(request, X, polars_X, numbers_of, imputer_of, ignored):
    """A table, how to take rows of it, and an imputer fitted to it."""
    if request.param == "pandas":
        return X, lambda T, rows: T.iloc[rows], imputer_of(kinds=ignored).fit(X)
    if request.param == "polars":
        return polars_X, lambda T, rows: T[rows], imputer_of(kinds=ignored).fit(polars_X)
    array = numbers_of(X)
    return array, lambda T, rows: T[rows], imputer_of().fit(array)


def assert_same(found, expected):
    """Equal in everything but the last digits of floats."""
    if isinstance(found, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    elif isinstance(found, pd.DataFrame):
        assert_frame_equal(found, expected, rtol=1e-5)
    else:
        assert_polars_equal(found, expected, rel_tol=1e-5)


@pytest.mark.parametrize("rows", ["reversed", "shuffled", "some", "one"])
def test_rows_are_completed_alike_in_any_order_and_subset(world, rows):
    T, take, imputer = world
    chosen = {
        "reversed": np.arange(60)[::-1],
        "shuffled": np.random.default_rng(1).permutation(60),
        "some": np.array([40, 1, 7]),
        "one": np.array([1]),  # the row without a single observed cell but `weight`
    }[rows]
    part = take(T, chosen.tolist())
    assert_same(imputer.transform(part), take(imputer.transform(T), chosen.tolist()))
    for found, whole in zip(imputer.impute(part, m=3), imputer.impute(T, m=3), strict=True):
        assert_same(found, take(whole, chosen.tolist()))


def test_batches_row_by_row_give_what_one_batch_gives(world):
    T, take, imputer = world
    whole = imputer.transform(T)
    for i in range(5):
        assert_same(imputer.transform(take(T, [i])), take(whole, [i]))


def test_transform_is_idempotent_and_leaves_a_complete_table_alone(world):
    T, _, imputer = world
    completed = imputer.transform(T)
    again = imputer.transform(completed)
    if isinstance(T, np.ndarray):
        np.testing.assert_array_equal(again, completed)
    else:
        assert again.equals(completed)
    repeated = imputer.transform(T)
    assert_same(repeated, completed)


def test_fit_transform_is_fit_then_transform(world):
    T, _, imputer = world
    assert_same(clone(imputer).fit_transform(T), imputer.transform(T))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_decides_the_container_and_nothing_else(world, library):
    T, _, imputer = world
    plain = imputer.transform(T)
    names = imputer.get_feature_names_out().tolist()
    out = clone(imputer).set_output(transform=library).fit(T).transform(T)
    assert isinstance(out, pd.DataFrame if library == "pandas" else pl.DataFrame)
    assert list(out.columns) == names
    if isinstance(T, pd.DataFrame) and library == "pandas":
        assert_same(out, plain)  # index and dtypes too
    for name, column in zip(names, _columns(plain), strict=True):
        assert list(map(_text, out[name])) == list(map(_text, column))


def _text(value):
    return "missing" if value is None or value is pd.NaT else str(value)


def _columns(T):
    if isinstance(T, np.ndarray):
        return T.T
    return (T[name] for name in T.columns)


def test_set_output_polars_keeps_polars_dtypes(polars_X, polars_fitted):
    out = clone(polars_fitted).set_output(transform="polars").fit_transform(polars_X)
    assert out.schema == polars_X.schema


def test_names_of_features(X, fitted, numbers_of, imputer_of):
    assert fitted.get_feature_names_out().tolist() == X.columns.tolist()
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    assert fitted.n_features_in_ == 9
    array = imputer_of().fit(numbers_of(X))
    assert array.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]
    assert not hasattr(array, "feature_names_in_")
    array.fit(pd.DataFrame(numbers_of(X), columns=list("abcd")))
    assert array.feature_names_in_.tolist() == list("abcd")
    array.fit(numbers_of(X))
    assert not hasattr(array, "feature_names_in_")


def test_names_that_are_no_strings(X, numbers_of, imputer_of):
    T = pd.DataFrame(numbers_of(X))
    imputer = imputer_of(kinds={2: "continuous"}).fit(T)
    assert list(imputer.transform(T).columns) == [0, 1, 2, 3]
    T.columns = ["a", 1, 2, 3]
    with pytest.raises(TypeError, match=r"(?s)string names.*convert them all to strings"):
        imputer_of().fit(T)


def test_clone_takes_templates_of_every_sort_and_leaves_them_alone(X, imputer_of, ignored):
    mechanism, template = Conjunction(), Gaussian(floor=0.3)
    likelihoods = {"bp": template, "age": partial(StudentT, floor=0.2), "flag": "categorical"}
    imputer = imputer_of(mechanism=mechanism, likelihoods=likelihoods, kinds=ignored)
    first = imputer.fit(X).transform(X)
    # Not built, not replaced: nothing was made inside of what the user gave.
    assert imputer.mechanism is mechanism
    assert imputer.likelihoods is likelihoods
    assert imputer.likelihoods["bp"] is template
    assert list(mechanism.parameters()) == []
    assert list(template.parameters()) == []
    assert_same(clone(imputer).fit(X).transform(X), first)
    floors = {p.floor for p in imputer.impute(X, m=1).fitted.model.x_given_u.likelihoods[:2]}
    assert floors == {0.2, 0.3}


def test_in_a_pipeline_with_cross_validation_and_search(X, numbers_of, imputer_of):
    T, y = numbers_of(X)[:, [0, 1, 3]], X["weight"].to_numpy(dtype=float)
    pipeline = make_pipeline(imputer_of(), StandardScaler(), Ridge())
    assert np.isfinite(cross_val_score(pipeline, T, y, cv=3)).all()
    search = GridSearchCV(imputer_of(), {"hidden": np.array([0, 4])}, cv=2).fit(T)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["hidden"] in (0, 4)
    assert "GNRImputer" in repr(pipeline)


def test_lists_and_arrays_of_objects_are_arrays(imputer_of):
    rows = [[1.0, 2.0], [None, 3.0], [4.0, 5.5], [0.5, None]]
    array = np.array(rows, dtype=float)
    expected = imputer_of().fit(array).transform(array)
    for T in (rows, np.array(rows, dtype=object)):
        found = imputer_of().fit(T).transform(T)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-6)
