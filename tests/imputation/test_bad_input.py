"""Bad input: a clear error before any training, or a documented behaviour."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from pandas.testing import assert_frame_equal
from sklearn.exceptions import NotFittedError

from pyro_gnr.imputation import fitting
from pyro_gnr.inference.objective import IWELBO
from pyro_gnr.model.likelihoods import Gaussian
from pyro_gnr.model.mechanisms import Conjunction

HOLEY = ["age", "bp", "flag", "smoker", "grade", "site"]


@pytest.fixture
def refused(monkeypatch, imputer_of):
    """Check that a fit is refused before anything is trained, and leaves nothing fitted."""

    def check(T, message, error=ValueError, **options):
        def too_late(*args, **kwargs):
            raise AssertionError("found out only in training")

        with monkeypatch.context() as patch:
            patch.setattr(fitting, "train", too_late)
            patch.setattr(fitting, "start", too_late)
            imputer = imputer_of(**options)
            with pytest.raises(error, match=message) as caught:
                imputer.fit(T)
        assert type(caught.value) in (error, *error.__subclasses__())
        with pytest.raises(NotFittedError):
            imputer.transform(T)
        assert not hasattr(imputer, "n_features_in_")

    return check


def frame(**columns):
    """A small table: column `b` is fine, others as given."""
    return pd.DataFrame({"b": [1.0, 2.0, np.nan, 4.0, 5.5], **columns})


# Tables that cannot be learnt from


@pytest.mark.parametrize("T", [frame().iloc[:0], pl.from_pandas(frame()).clear()])
def test_no_rows(refused, T):
    refused(T, r"0 rows \(shape=\(0, 1\)\), expected at least one")


def test_no_rows_in_an_array(refused):
    refused(np.empty((0, 3)), r"0 sample\(s\)")


@pytest.mark.parametrize("T", [frame().iloc[:1], pl.from_pandas(frame())[:1], np.ones((1, 2))])
def test_one_row(refused, T):
    refused(T, "n_samples=1.*at least two to learn from")


def test_no_column(refused):
    refused(pd.DataFrame(index=range(5)), r"no column to model: 0 feature")
    refused(frame(), "no column to model.*ignore fewer", kinds={"b": "ignore"})
    refused(np.empty((5, 0)), r"0 feature\(s\)")


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT])
def test_a_column_all_missing(refused, missing):
    T = frame(empty=[missing] * 5)
    refused(T, r"column 'empty' has no observed value: drop it.*kinds={'empty': 'ignore'}")


def test_a_polars_and_an_array_column_all_missing(refused):
    refused(pl.DataFrame({"a": [1.0, 2.0], "e": [None, None]}), "column 'e' has no observed")
    refused(np.array([[1.0, np.nan], [2.0, np.nan]]), "column 'x1' has no observed value")


def test_a_column_all_missing_may_be_ignored(imputer_of):
    T = frame(empty=[None] * 5)
    completed = imputer_of(kinds={"empty": "ignore"}).fit_transform(T)
    assert completed["empty"].isna().all()
    assert completed["b"].notna().all()


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_values(refused, infinite):
    T = frame(a=[infinite, 1.0, 2.0, 3.0, infinite])
    refused(T, r"column 'a' has 2 infinite value\(s\), expected finite numbers.*replace")
    refused(pl.from_pandas(T), "column 'a' has 2 infinite")
    refused(T.to_numpy(), "infinity")


def test_duplicate_names(refused):
    T = pd.DataFrame(np.arange(8.0).reshape(4, 2), columns=["a", "a"])
    refused(T, r"duplicate column names \['a'\].*rename them")


@pytest.mark.parametrize(
    "column",
    [
        pd.date_range("2020", periods=5),
        pd.date_range("2020", periods=5, tz="UTC"),
        pd.timedelta_range("1D", periods=5),
        pd.period_range("2020", periods=5, freq="M"),
        [pd.Timestamp("2020").date()] * 5,
        [[1], [2], [3], [4], [5]],
        [1j] * 5,
    ],
    ids=["date", "zone", "duration", "period", "objects", "lists", "complex"],
)
def test_dates_and_other_things_that_are_no_numbers_or_levels(refused, column):
    refused(frame(when=column), r"column 'when' .*kinds={'when': 'ignore'}", error=TypeError)


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime, pl.Duration, pl.Time, pl.List(pl.Int8)])
def test_polars_columns_that_are_no_numbers_or_levels(refused, dtype):
    value = [[1]] if dtype == pl.List(pl.Int8) else [0]
    T = pl.DataFrame({"b": [1.0, 2.0], "when": pl.Series(value * 2).cast(dtype)})
    refused(T, r"column 'when' .*kinds={'when': 'ignore'}", error=TypeError)


def test_free_text(refused):
    T = pd.DataFrame({"b": np.arange(150.0), "note": [f"came at {i}" for i in range(150)]})
    message = r"column 'note' looks like free text: 150 different values.*kinds={'note': 'ignore'}"
    refused(T, message)
    refused(pl.from_pandas(T), message)


def test_free_text_that_is_said_to_be_levels(imputer_of):
    T = pd.DataFrame({"b": np.arange(30.0), "note": [f"n{i}" for i in range(29)] + [None]})
    completed = imputer_of(kinds={"note": "categorical"}).fit_transform(T)
    assert completed["note"].iloc[29] in set(T["note"])


@pytest.mark.parametrize(
    ("T", "message", "error"),
    [
        (np.arange(5.0), "Expected 2D array, got 1D array", ValueError),
        (frame()["b"], "Series.*Pass a DataFrame", ValueError),
        (pl.from_pandas(frame()).lazy(), r"LazyFrame.*call \.collect\(\)", TypeError),
        (pl.from_pandas(frame()).to_arrow(), "got Table, expected a pandas or polars", TypeError),
        (np.array([["a", "b"], ["c", "d"]]), "numeric", ValueError),
        (np.array([["a", 1.0], ["c", 2.0]], dtype=object), "could not convert", ValueError),
        (np.ones((3, 2)) * 1j, "Complex data not supported", ValueError),
        ("table.csv", "Expected 2D array", ValueError),
        (None, "Expected 2D array", ValueError),
    ],
    ids=["1d", "series", "lazy", "arrow", "strings", "objects", "complex", "path", "none"],
)
def test_what_is_no_table(refused, T, message, error):
    refused(T, message, error=error)


# Odd tables that are fine


def test_one_column(imputer_of):
    T = frame()
    imputation = imputer_of(latent_dim=None).fit(T).impute(T, m=2)
    assert all(completed["b"].notna().all() for completed in imputation)
    level = pd.DataFrame({"c": ["x", "y", None, "y"]})
    assert set(imputer_of().fit_transform(level)["c"]) <= {"x", "y"}


def test_no_missing_cell_at_all(imputer_of, X, ignored, numbers_of, table_of):
    """Nothing is imputed in training; holes of new rows are, with a warning (see below)."""
    T = X[["weight"]].assign(w2=X["weight"] * 2.0)
    imputer = imputer_of().fit(T)
    assert imputer.transform(T).equals(T)
    assert all(completed.equals(T) for completed in imputer.impute(T, m=2))
    assert np.isfinite(imputer.score(T))


def test_a_row_all_missing(imputer_of):
    T = frame(c=["x", "y", None, "y", "x"])
    assert T.iloc[2].isna().all()
    imputer = imputer_of().fit(T)
    assert imputer.transform(T).notna().all(axis=None)
    nothing = T.iloc[[2, 2, 2]].reset_index(drop=True)
    completed = imputer.impute(nothing, m=3)
    assert all(table.notna().all(axis=None) for table in completed)
    assert np.isfinite(imputer.score(nothing))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([7.25, None, 7.25, None, 7.25]),
        pd.Series([3, None, 3, None, 3], dtype="Int64"),
        pd.Series(["only", None, "only", None, "only"]),
        pd.Series(["only", None, "only", None, "only"], dtype="category"),
        pd.Series([True, None, True, None, True], dtype="boolean"),
        pd.Series([1.0, None, 1.0, None, 1.0]),
        pd.Series([0.0, None, 0.0, None, 0.0]),
        pd.Series([1e300, None, 1e300, None, 1e300]),
    ],
    ids=["float", "Int64", "text", "category", "boolean", "one", "zero", "huge"],
)
def test_a_constant_column_and_one_level_are_imputed_with_it(imputer_of, column):
    T = frame(same=column)
    imputation = imputer_of().fit(T).impute(T, m=3)
    for completed in [*imputation, imputation.fitted and imputer_of().fit_transform(T)]:
        assert completed["same"].tolist() == [column.iloc[0]] * 5
        assert completed["same"].dtype == column.dtype
    interval = imputation.interval(0.9)
    mine = interval[interval["column"] == "same"].iloc[0]
    if mine["levels"] is None or mine["levels"] != mine["levels"]:
        assert mine["lower"] == mine["upper"] == column.iloc[0]
    else:
        assert mine["levels"] == (column.iloc[0],)
        assert mine["probability"] == pytest.approx(1.0)


def test_only_constant_columns(imputer_of):
    T = pd.DataFrame({"a": [2.0, 2.0, None], "c": ["x", None, "x"]})
    assert imputer_of().fit_transform(T).to_dict("list") == {"a": [2.0] * 3, "c": ["x"] * 3}


def test_huge_and_tiny_numbers(imputer_of):
    T = frame(huge=[1e300, 2e300, None, -1e300, 0.0], tiny=[1e-300, None, 3e-300, 2e-300, 0.0])
    completed = imputer_of().fit_transform(T)
    assert np.isfinite(completed).all(axis=None)
    assert abs(completed["tiny"].iloc[1]) < 1e-298


def test_more_columns_than_rows(imputer_of):
    rng = np.random.default_rng(0)
    T = rng.normal(size=(4, 30))
    T[rng.uniform(size=T.shape) < 0.2] = np.nan
    assert np.isfinite(imputer_of(latent_dim=None).fit_transform(T)).all()


# Tables that do not go with the training table


@pytest.fixture(scope="module")
def plain(X):
    return X[["age", "bp", "site"]]


@pytest.fixture(scope="module")
def knows(plain, imputer_of):
    """An imputer that knows three columns, all with holes."""
    return imputer_of().fit(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda T: T.assign(new=1.0), "(?s)should match those.*unseen at fit time:.*- new"),
        (lambda T: T.drop(columns="bp"), "(?s)should match those.*now missing:.*- bp"),
        (
            lambda T: T.rename(columns={"bp": "rr"}),
            "(?s)unseen at fit time:.*- rr.*missing:.*- bp",
        ),
        (lambda T: T[["bp", "age", "site"]], "(?s)must be in the same order as they were in fit"),
    ],
    ids=["added", "dropped", "renamed", "reordered"],
)
def test_other_columns_than_in_training(knows, plain, change, message):
    for T in (change(plain), pl.from_pandas(change(plain))):
        for ask in (knows.transform, knows.impute, knows.score):
            with pytest.raises(ValueError, match=message):
                ask(T)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_array_for_a_table(knows):
    with pytest.raises(ValueError, match="columns differ from those of the training table"):
        knows.transform(np.ones((3, 3)))
    with pytest.raises(ValueError, match="2 features.*expecting 3 features"):
        knows.transform(np.ones((3, 2)))


def test_columns_without_names_of_their_own(imputer_of, numbers_of, X):
    T = pd.DataFrame(numbers_of(X))  # names 0 to 3: scikit-learn does not check them
    imputer = imputer_of().fit(T)
    with pytest.raises(ValueError, match=r"columns \['1', '0'\] are not where they were"):
        imputer.transform(T[[1, 0, 2, 3]])
    with pytest.raises(ValueError, match=r"new or renamed \['9'\], dropped or renamed \['3'\]"):
        imputer.transform(T.rename(columns={3: 9}))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"bp": "high"}, "column 'bp' came as levels.*expected numbers as in training"),
        ({"site": 3.5}, "column 'site' came as numbers.*expected strings as in training"),
        ({"bp": np.inf}, "column 'bp' has 60 infinite"),
    ],
)
def test_retyped_columns(knows, plain, column, message):
    for T in (plain.assign(**column), pl.from_pandas(plain.assign(**column))):
        with pytest.raises(ValueError, match=message):
            knows.transform(T)


def test_a_column_of_dates_for_one_of_numbers(knows, plain):
    with pytest.raises(TypeError, match="column 'bp' has dtype datetime64"):
        knows.transform(plain.assign(bp=pd.Timestamp("2020")))


def test_other_numeric_dtypes_are_fine(knows, plain):
    expected = knows.transform(plain)
    T = plain.astype({"age": "float64", "bp": "Float64", "site": "category"})
    found = knows.transform(T)
    assert found.dtypes.equals(T.dtypes)
    assert_frame_equal(found, expected, check_dtype=False, check_categorical=False, rtol=1e-5)


def test_a_level_unseen_in_training(knows, plain):
    T = plain.assign(site=plain["site"].replace("Graz", "Wien"))
    message = (
        r"column 'site' has 1 level\(s\) not seen in training: 'Wien'.*'Bern', 'Graz', 'Linz'"
    )
    for table in (T, pl.from_pandas(T)):
        with pytest.raises(ValueError, match=message):
            knows.impute(table)


def test_no_rows_at_transform_and_one(knows, plain):
    with pytest.raises(ValueError, match="0 rows"):
        knows.transform(plain.iloc[:0])
    assert knows.transform(plain.iloc[[1]]).notna().all(axis=None)


def test_duplicate_names_at_transform(knows, plain):
    with pytest.raises(ValueError, match="(?i)duplicate|unique column names"):
        knows.transform(plain.set_axis(["age", "age", "site"], axis=1))


def test_a_hole_where_training_had_none_is_ignorable_and_said_so(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored).fit(X)
    new = X.iloc[:5].astype({"weight": "Int64"})
    new.iloc[:2, new.columns.get_loc("weight")] = pd.NA
    for ask in (imputer.transform, lambda T: imputer.impute(T, m=1)[0]):
        with pytest.warns(
            UserWarning, match=r"columns \['weight'\] had no missing cell.*ignorable"
        ):
            completed = ask(new)
        assert completed["weight"].notna().all()
        assert completed["weight"].between(0, 200).all()
        assert completed["weight"].iloc[2:].tolist() == new["weight"].iloc[2:].tolist()
    with pytest.warns(UserWarning, match="weight"):
        assert np.isfinite(imputer.score(new))


def test_a_hole_after_training_without_any(imputer_of, X):
    T = X[["weight"]].assign(w2=X["weight"] * 2.0)
    imputer = imputer_of().fit(T)
    with pytest.warns(UserWarning, match=r"\['w2'\] had no missing cell"):
        assert imputer.transform(T.assign(w2=np.nan))["w2"].notna().all()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (None, "row_key='key', expected one of the columns"),
        ([1, 2, 2, 3, 4], r"row_key column 'key' repeats values \(1 row\(s\) too many\)"),
        ([1, 2, None, 3, 4], r"row_key column 'key' has 1 missing cell\(s\), expected none"),
    ],
)
def test_an_unusable_row_key(refused, keys, message):
    refused(frame() if keys is None else frame(key=keys), message, row_key="key")


# Arguments


ARGUMENTS = [
    ("mechanism", "selfmasking", ValueError, "got mechanism 'selfmasking', expected one of"),
    ("mechanism", Gaussian, TypeError, "got mechanism .*Gaussian.*expected a name"),
    ("mechanism", 3, TypeError, "got mechanism 3, expected a name"),
    ("mechanism", None, TypeError, "got mechanism None"),
    ("mechanism", partial(Conjunction, slope=2), TypeError, "slope"),
    ("prior", "normal", ValueError, "got prior 'normal', expected one of"),
    ("prior", Conjunction(), TypeError, "got prior Conjunction"),
    ("likelihoods", {"b": "poison"}, ValueError, "got likelihood 'poison', expected one of"),
    ("likelihoods", {"b": "bernoulli"}, ValueError, "'b' has 4 levels.*{'b': 'binary'} follow"),
    ("likelihoods", {"b": "poisson"}, ValueError, "'b' has 1 value.*5.5.*{'b': 'count'} follow"),
    ("likelihoods", {"b": Conjunction}, TypeError, "got likelihood .*Conjunction"),
    ("likelihoods", {"b": partial(Gaussian, floor=7)}, ValueError, "floor=7, expected"),
    ("likelihoods", {"z": "gaussian"}, ValueError, r"likelihoods names \['z'\], expected"),
    ("likelihoods", "gaussian", TypeError, "likelihoods='gaussian', expected a dict"),
    ("kinds", {"z": "binary"}, ValueError, r"kinds names unknown columns \['z'\]"),
    ("kinds", {"b": "magic"}, ValueError, "kind 'magic' for column 'b', expected one of 'cont"),
    ("kinds", {"b": "binary"}, ValueError, "column 'b' has 4 levels.*at most 2"),
    ("kinds", {"c": "continuous"}, ValueError, "column 'c' .*expected numbers"),
    ("kinds", ["binary"], TypeError, r"kinds=\['binary'\], expected a dict"),
    ("latent_dim", 0, ValueError, "latent_dim=0, expected a whole number >= 1"),
    ("latent_dim", 2.0, ValueError, "latent_dim=2.0"),
    ("hidden", -1, ValueError, "hidden=-1, expected a whole number >= 0"),
    ("hidden", None, ValueError, "hidden=None"),
    ("fusion", "random", ValueError, r"fusion='random', expected one of \['deterministic'"),
    ("particles", 0, ValueError, "particles=0, expected a whole number >= 1"),
    ("particles", True, ValueError, "particles=True"),
    ("renyi_order", np.nan, ValueError, "renyi_order=nan, expected a finite number"),
    ("renyi_order", "0", ValueError, "renyi_order='0'"),
    ("gradient", "sgd", ValueError, r"gradient='sgd', expected one of \['iwae', 'dreg', 'stl'\]"),
    ("gradient", None, ValueError, "gradient=None, expected one of"),
    ("mask_weight", -0.1, ValueError, "mask_weight=-0.1, expected a number >= 0"),
    ("mask_weight", np.inf, ValueError, "mask_weight=inf"),
    ("mask_weight", np.nan, ValueError, "mask_weight=nan"),
    ("members", 0, ValueError, "members=0, expected a whole number >= 1"),
    ("members", True, ValueError, "members=True"),
    (
        "n_jobs",
        0,
        ValueError,
        "n_jobs=0, expected a number of processes, -1 for all cores, or None",
    ),
    ("n_jobs", 1.5, ValueError, "n_jobs=1.5"),
    ("max_steps", -1, ValueError, "max_steps=-1, expected a whole number >= 0"),
    ("max_steps", 1e3, ValueError, "max_steps=1000.0"),
    ("batch_size", 0, ValueError, "batch_size=0, expected a whole number >= 1"),
    ("learning_rate", 0.0, ValueError, r"learning_rate=0.0, expected a number in \(0, inf\)"),
    ("learning_rate", np.inf, ValueError, "learning_rate=inf"),
    ("learning_rate", None, ValueError, "learning_rate=None"),
    ("validation", "columns", ValueError, "validation='columns', expected one of"),
    ("validation", True, ValueError, "validation=True"),
    ("validation_fraction", 0.0, ValueError, r"validation_fraction=0.0, expected.*\(0, 1\)"),
    ("validation_fraction", 1, ValueError, "validation_fraction=1"),
    ("patience", 0, ValueError, "patience=0, expected a whole number >= 1"),
    ("imputation_particles", 0, ValueError, "imputation_particles=0, expected"),
    ("row_key", "id", ValueError, "row_key='id', expected one of the columns"),
    ("row_key", 3, ValueError, "row_key=3"),
    ("random_state", "lucky", ValueError, "'lucky' cannot be used to seed"),
    ("random_state", -1, ValueError, "Seed must be between 0"),
    ("random_state", 2**40, ValueError, "Seed must be between 0"),
    ("device", "abacus", ValueError, "device='abacus', which cannot be used here"),
    ("device", "meta", ValueError, "device='meta', which cannot be used here"),
    ("device", None, ValueError, "device=None, which cannot be used here"),
    ("callback", "print", TypeError, "callback='print', expected a function"),
]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"), ARGUMENTS, ids=[f"{a[0]}={a[1]!r}" for a in ARGUMENTS]
)
def test_arguments_are_checked_before_training(refused, name, value, error, message):
    refused(frame(c=["x", "y", None, "y", "x"]), message, error=error, **{name: value})


@pytest.mark.parametrize(("gradient", "order"), [("dreg", 1.0), ("dreg", 0.5), ("stl", 0.5)])
def test_gradient_of_another_bound(refused, gradient, order):
    message = f"gradient='{gradient}' with renyi_order={order}, expected renyi_order"
    refused(frame(), message, gradient=gradient, renyi_order=order)


@pytest.mark.parametrize("mechanism", ["self_masking", "selection", "no_self_censoring"])
def test_a_mechanism_of_the_values_is_not_left_untrained(refused, mechanism):
    message = f"mask_weight=0 and mechanism='{mechanism}'.*never learnt it: use.*'ignorable'"
    refused(frame(), message, mechanism=mechanism, mask_weight=0)


def test_every_argument_has_a_bad_value_above(imputer_of):
    # Anything has a truth value: `verbose` takes it.
    assert {a[0] for a in ARGUMENTS} | {"verbose"} == set(imputer_of().get_params())


@pytest.mark.parametrize("m", [0, -1, True, 2.5, 2.0, "2", None])
def test_the_number_of_tables(knows, plain, m):
    with pytest.raises(ValueError, match=r"got m=.*, expected a whole number of tables >= 1"):
        knows.impute(plain, m=m)


def test_numbers_of_numpy_are_numbers(knows, plain):
    assert knows.impute(plain, m=np.int64(2)).m == 2


@pytest.mark.parametrize("seed", [-1, True, 2.5, "x"])
def test_the_seed_of_the_draws(knows, plain, seed):
    with pytest.raises(ValueError, match=r"got seed=.*, expected a whole number >= 0"):
        knows.impute(plain, m=1, seed=seed)


def test_unfitted(imputer_of, X, tmp_path):
    imputer = imputer_of()
    for ask in (imputer.transform, imputer.impute, imputer.score, imputer.row_bounds):
        with pytest.raises(NotFittedError, match="GNRImputer instance is not fitted yet"):
            ask(X)
    with pytest.raises(NotFittedError):
        imputer.save(tmp_path / "model")
    with pytest.raises(NotFittedError):
        imputer.get_feature_names_out()


# Training that goes wrong


def breaks_at(step, monkeypatch):
    """Make the loss not finite at some step."""
    loss_of, calls = IWELBO.differentiable_loss, []

    def broken(self, *args, **kwargs):
        calls.append(None)
        loss = loss_of(self, *args, **kwargs)
        return loss * torch.nan if len(calls) == step else loss

    monkeypatch.setattr(IWELBO, "differentiable_loss", broken)


@pytest.mark.parametrize("step", [1, 3])
def test_a_loss_that_is_not_finite(X, imputer_of, ignored, monkeypatch, step):
    breaks_at(step, monkeypatch)
    imputer = imputer_of(kinds=ignored)
    with pytest.raises(FloatingPointError, match=rf"at step {step}: the loss is nan. Try a small"):
        imputer.fit(X)
    with pytest.raises(NotFittedError):
        imputer.transform(X)
    assert [name for name in vars(imputer) if name.endswith("_")] == []


def test_a_learning_rate_far_too_large(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored, learning_rate=1e30, max_steps=50, validation=None)
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+.*smaller learning_rate"):
        imputer.fit(X)
    with pytest.raises(NotFittedError):
        imputer.score(X)


def interrupt(progress):
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["diverges", "interrupted", "bad table", "bad argument"])
def test_a_fit_that_fails_leaves_the_imputer_as_it_was(
    X, plain, imputer_of, ignored, how, monkeypatch
):
    imputer = imputer_of(kinds=ignored).fit(X)
    before, expected = dict(vars(imputer)), imputer.impute(X, m=2).draws.values
    imputer.set_params(kinds=None)
    T, error = plain, FloatingPointError
    if how == "diverges":
        breaks_at(2, monkeypatch)
    elif how == "interrupted":
        imputer.set_params(callback=interrupt)
        error = KeyboardInterrupt
    elif how == "bad table":
        T, error = plain.assign(bp=np.inf), ValueError
    else:
        imputer.set_params(particles=0)
        error = ValueError
    with pytest.raises(error):
        imputer.fit(T)
    imputer.set_params(kinds=ignored, callback=None, particles=5)
    assert vars(imputer) == before
    np.testing.assert_array_equal(imputer.impute(X, m=2).draws.values, expected)
