"""One analysis under several mechanisms, each as if it had been done alone."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from pyro_gnr import GNRImputer, compare_mechanisms
from pyro_gnr.imputation.fitted import FittedModel
from pyro_gnr.imputation.sensitivity.ladder import MECHANISMS
from pyro_gnr.model.mechanisms import Ignorable, SelfMasking


def table(n=70):
    rng = np.random.default_rng(1)
    a = rng.normal(size=n)
    X = pd.DataFrame({"a": a, "b": a + rng.normal(size=n), "c": rng.choice(["x", "y"], n)})
    return X.mask(rng.uniform(size=X.shape) < 0.2)


@pytest.fixture(scope="module")
def quick():
    return GNRImputer(
        max_steps=5, members=2, latent_dim=1, imputation_particles=50, random_state=0,
        verbose=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(quick):
    return compare_mechanisms(table(), "a ~ b", imputer=quick, m=4)


def test_all_of_the_ladder_side_by_side(found, quick):
    assert found.index.get_level_values("mechanism").unique().tolist() == list(MECHANISMS)
    assert found.failed == {}
    alone = quick.set_params(mechanism="conjunction").fit(table()).impute(table(), m=4)
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.loc["conjunction"]), alone.pool("a ~ b").summary()
    )
    quick.set_params(mechanism="selection")  # the caller's imputer was not touched
    assert found.pooled["selection"].m == 4


def test_fit_is_of_rows_held_out_and_decides_nothing(found):
    fit = found.fit
    assert fit["held_out_values"].notna().all()
    # Ignorable says nothing of the holes: a bound on both it does not have.
    assert fit["held_out_values_and_holes"].isna().tolist() == [True] + [False] * 5
    rest = fit.iloc[1:]
    assert (rest["held_out_values_and_holes"] < rest["held_out_values"]).all()
    assert "cannot decide among these mechanisms" in repr(found)


def test_bounds_are_those_of_the_rows_that_were_fitted(found):
    fit = found.fit
    assert fit.columns[:2].tolist() == ["bound_values", "bound_values_and_holes"]
    assert fit["bound_values_and_holes"].isna().tolist() == [True] + [False] * 5
    for name in ("ignorable", "selection"):
        tables = found.imputations[name]
        rows = tables.fitted.row_bounds(tables.table, holes=False)
        assert fit.loc[name, "bound_values"] == rows.mean()
    joint = found.imputations["selection"]
    rows = joint.fitted.row_bounds(joint.table)
    assert fit.loc["selection", "bound_values_and_holes"] == rows.mean()


def texts(quick, imputer_class=GNRImputer, *, X=None, analysis="a ~ b", **parameters):
    """What is warned of while two mechanisms are compared."""
    imputer = imputer_class(**{**quick.get_params(), **parameters})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        compare_mechanisms(
            table() if X is None else X, analysis, imputer=imputer, m=2,
            mechanisms={"first": "ignorable", "second": "conjunction"},
        )  # fmt: skip
    return [str(w.message) for w in caught if w.category is UserWarning]


def test_what_is_true_of_the_table_is_warned_of_once(quick):
    X = table()
    X["d"] = np.random.default_rng(2).choice([9, 10, 11], 70)
    X["e"] = np.arange(70) % 23 + 0.5
    X.loc[3, "d"] = None
    found = texts(quick, X=X, kinds={"d": "count", "e": "categorical"})
    # Numbers in them may be others of fewer rows: those come once, too.
    of_levels = [text for text in found if "different numbers with decimals" in text]
    of_counts = [text for text in found if "its observed counts have mean" in text]
    assert [text.partition(" ")[0] for text in of_levels] == ["column", "held-out"]
    assert [text.partition(" ")[0] for text in of_counts] == ["column", "held-out"]
    assert not any(text.startswith(("first", "second")) for text in found)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(UserWarning, match="column 'e'"):
            compare_mechanisms(
                X, "a ~ b", imputer=clone(quick).set_params(kinds={"e": "categorical"}), m=2
            )


def test_what_a_mechanism_gives_rise_to_names_it_each_time(quick):
    class Warns(GNRImputer):
        def fit(self, X, y=None):
            warnings.warn("far beyond all observed ones", UserWarning, stacklevel=2)
            if len(X) < 70:
                warnings.warn("of fewer rows", UserWarning, stacklevel=2)
            return super().fit(X, y)

    def mean(completed):
        warnings.warn("of the analysis", UserWarning, stacklevel=2)
        return [completed["a"].mean()], [[1.0]]

    assert texts(quick, Warns, analysis=mean) == [
        "first: far beyond all observed ones",
        "first: of the analysis",
        "first, held-out fit: of fewer rows",
        "second: far beyond all observed ones",
        "second: of the analysis",
        "second, held-out fit: of fewer rows",
    ]


def test_a_table_that_cannot_be_used_is_no_fault_of_the_mechanisms(quick):
    unknown = clone(quick).set_params(kinds={"d": "count"})
    with pytest.raises(ValueError, match="'d'") as caught:
        compare_mechanisms(table(), "a ~ b", imputer=unknown, m=2)
    assert "no mechanism" not in str(caught.value)


@pytest.fixture
def never_fits(quick):
    """An imputer that must not be reached."""

    class Never(GNRImputer):
        def fit(self, X, y=None):
            raise AssertionError("fitted")

    return Never(**quick.get_params())


@pytest.mark.parametrize(
    ("analysis", "options", "message"),
    [
        ("a ~ b", {"mechanisms": ["ignorable", "conjuntion"]},
         r"got mechanism 'conjuntion', expected one of .*'selection'.*did you mean 'conjunction'"),
        ("a ~ b", {"mechanisms": {"own": {"name": "self_masking", "directon": "high"}}},
         "got argument 'directon'"),
        ("a ~ bb", {}, r"got 'bb' in the formula 'a ~ bb', expected columns of the table, "
         r"\['a', 'b', 'c'\]"),
        ("np.log(aa) ~ b", {}, "got 'aa'"),
        ("a ~ b + Q('b b')", {}, "got 'b b'"),
        ("a ~ b +", {}, "the formula 'a ~ b .' cannot be read"),
        ("a ~ b", {"model": "olss"}, "got model='olss'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_any_fit(never_fits, analysis, options, message):
    with pytest.raises(ValueError, match=message):
        compare_mechanisms(table(), analysis, imputer=never_fits, m=2, **options)


def test_in_a_notebook_it_shows_what_it_prints(found, quick):
    page = found._repr_html_()
    for part in ("one analysis under 6 mechanisms", "cannot decide", "bound_values", "std.error"):
        assert part in page
    copy = found.copy()
    assert type(copy) is pd.DataFrame
    wrong = {"<b>": {"name": "self_masking", "direction": {"<d>": "high"}}, "&": "ignorable"}
    part = compare_mechanisms(
        table(), "a ~ 1", imputer=quick, m=2, mechanisms=wrong, held_out=0
    )._repr_html_()
    assert "&lt;b&gt; failed" in part
    assert "&amp;" in part
    assert not {"<b>", "<d>"} & set(part.split())
    assert "<b>" not in part
    assert "<d>" not in part


def test_a_fit_that_fails_has_warned_before(quick):
    class Fails(GNRImputer):
        def fit(self, X, y=None):
            warnings.warn("look here", UserWarning, stacklevel=2)
            raise ValueError("no way")

    with pytest.warns(UserWarning, match="look here"), pytest.raises(ValueError, match="no way"):
        compare_mechanisms(
            table(), "a ~ b", imputer=Fails(**quick.get_params()), m=2, mechanisms=["ignorable"]
        )


def test_one_that_fails_is_told_and_the_rest_goes_on(quick):
    steps = {"sound": "ignorable", "wrong": {"name": "self_masking", "direction": {"d": "high"}}}
    found = compare_mechanisms(table(), "a ~ b", imputer=quick, m=2, mechanisms=steps, held_out=0)
    assert list(found.failed) == ["wrong"]
    assert "wrong failed" in repr(found)
    assert found.fit["held_out_values"].isna().all()
    with pytest.raises(ValueError, match="no mechanism could be fitted"):
        compare_mechanisms(table(), "a ~ b", imputer=quick, m=2, mechanisms={"w": steps["wrong"]})


def test_bounds_that_fail_do_not_take_the_others_along(quick, monkeypatch):
    rows = FittedModel.row_bounds

    def row_bounds(self, table, *, holes=True):
        if not isinstance(self.model.m_given_ux, Ignorable):
            raise FloatingPointError("no bound")
        return rows(self, table, holes=holes)

    monkeypatch.setattr(FittedModel, "row_bounds", row_bounds)
    names = ["ignorable", "conjunction"]
    found = compare_mechanisms(table(), "a ~ b", imputer=quick, m=2, mechanisms=names, held_out=0)
    assert found.failed == {"conjunction": "no bound"}
    assert found.fit.index.tolist() == ["ignorable"]


def test_levels_that_only_held_out_rows_have_do_not_stop_it(quick):
    X = table()
    rows = np.random.default_rng(0).permutation(70)
    X.loc[rows[0], "c"] = "rare"
    found = compare_mechanisms(
        X, "a ~ b", imputer=quick, m=2, mechanisms=["ignorable"], held_out=0.1
    )
    assert list(found.failed) == ["ignorable, held-out fit"]
    assert len(found) == 2


def test_arrays_and_polars(quick):
    pl = pytest.importorskip("polars")
    X = table()[["a", "b"]]

    def mean(completed):
        column = completed[:, 0] if isinstance(completed, np.ndarray) else completed["a"]
        return [column.mean()], [[1.0]]

    kinds = [compare_mechanisms(x, mean, imputer=quick, m=2, mechanisms=["ignorable"]) for x in (
        X.to_numpy(), pl.from_pandas(X))]  # fmt: skip
    assert all(len(one) == 1 for one in kinds)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"held_out": 1.0}, ValueError, "got held_out=1.0"),
        ({"m": 1}, ValueError, "got m=1"),
        ({"mechanisms": "ignorable"}, TypeError, "expected a list of names"),
        ({"mechanisms": []}, ValueError, "got no mechanism"),
        ({"level": 95}, ValueError, "level"),
        ({"max_steps": 60}, TypeError, "got max_steps, which pool.. does not have.*imputer="),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        compare_mechanisms(table(), "a ~ b", **options)


def test_each_rung_has_its_ledger(found):
    ledgers = found.ledger()
    assert list(ledgers) == list(MECHANISMS)
    assert ledgers["selection"].mechanism == "Selection"
    assert ledgers["selection"].checks[-1].name == "number of tables"


def test_differences_in_fit_have_a_standard_error_over_the_same_rows(found, quick):
    rows = np.random.default_rng(0).permutation(70)
    apart, rest = table().iloc[np.sort(rows[:14])], table().iloc[np.sort(rows[14:])]
    bounds = {}
    for name, mechanism in MECHANISMS.items():
        second = clone(quick).set_params(mechanism=mechanism, members=1).fit(rest)
        bounds[name] = second.row_bounds(apart)
    best = found.fit["held_out_values_and_holes"].idxmax()
    errors = found.fit["se_difference_values_and_holes"]
    assert errors[best] == 0.0
    assert np.isnan(errors["ignorable"])
    other = "self-masking, low" if best != "self-masking, low" else "selection"
    gap = bounds[other] - bounds[best]
    assert found.fit["held_out_values_and_holes"][other] == pytest.approx(bounds[other].mean())
    assert errors[other] == pytest.approx(gap.std(ddof=1) / np.sqrt(14))
    values = found.fit["se_difference_values"]
    assert values[found.fit["held_out_values"].idxmax()] == 0.0
    assert (values >= 0.0).all()
    assert "se_difference_values" in repr(found)


def test_one_held_out_row_has_no_standard_error(quick):
    found = compare_mechanisms(
        table(), "a ~ b", imputer=quick, m=2, mechanisms=["ignorable"], held_out=0.01
    )
    assert np.isfinite(found.fit["held_out_values"]).all()
    assert found.fit["se_difference_values"].isna().all()


def test_steps_go_by_the_names_that_the_whole_ladder_gives_them(quick):
    name = "self-masking, high"
    found = compare_mechanisms(table(), "a ~ b", imputer=quick, m=2, mechanisms=[name], held_out=0)
    mechanism = found.imputations[name].fitted.model.m_given_ux
    assert type(mechanism) is SelfMasking
    assert mechanism.direction == "high"
