"""Labelled numbers go by their labels, in whatever order they come; others go by position."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from sklearn.base import BaseEstimator, RegressorMixin

from pyro_gnr import pool

COLUMNS = ["bmi", "age", "visits"]
OTHER = ["visits", "bmi", "age"]


def means(table):
    return table[COLUMNS].mean()


def covariance(table):
    return table[COLUMNS].cov() / len(table)


@pytest.fixture(scope="module")
def wanted(tables):
    return pool(tables, lambda t: (means(t), covariance(t).to_numpy()))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.loc[OTHER, OTHER],
        lambda c: c.loc[OTHER, COLUMNS],
        lambda c: c.loc[COLUMNS, OTHER],
        lambda c: pd.DataFrame(c.loc[OTHER, OTHER].to_numpy(), index=OTHER),
        lambda c: pd.DataFrame(c.loc[OTHER, OTHER].to_numpy(), columns=OTHER),
        lambda c: pd.DataFrame(c.to_numpy()),
    ],
    ids=["both", "rows", "columns", "only rows said", "only columns said", "none"],
)
def test_a_covariance_goes_by_its_labels(tables, wanted, change):
    found = pool(tables, lambda t: (means(t), change(covariance(t))))
    pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(wanted))
    pd.testing.assert_frame_equal(found.covariance(), wanted.covariance())


@pytest.mark.parametrize("as_type", [pd.Series, dict])
def test_variances_go_by_their_labels(tables, wanted, as_type):
    found = pool(tables, lambda t: (as_type(means(t)), t[OTHER].var() / len(t)))
    np.testing.assert_allclose(found, wanted)


def test_order_counts_where_one_side_has_no_labels(tables, wanted):
    arrays = pool(tables, lambda t: (means(t).to_numpy(), t[OTHER].var() / len(t)))
    assert arrays["ubar"].tolist() == pytest.approx(wanted["ubar"][OTHER].tolist())
    numbered = pool(tables, lambda t: (means(t).reset_index(drop=True), covariance(t)))
    np.testing.assert_allclose(numbered["ubar"], wanted["ubar"])


def test_labels_twice_go_by_order_if_that_is_the_same():
    from pyro_gnr.imputation.pooling.labels import in_order_of

    twice = pd.Series([1.0, 2.0, 3.0], ["a", "b", "a"])
    pd.testing.assert_series_equal(in_order_of(["a", "b", "a"], twice), twice)
    with pytest.raises(ValueError, match="each once"):
        in_order_of(["a", "a", "b"], twice)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t[["bmi", "age", "code"]].cov(),
        lambda t: t[["bmi", "age", "code"]].var(),
        lambda t: covariance(t).rename(columns={"age": "years"}),
        lambda t: covariance(t).rename(index={"age": "years"}),
    ],
    ids=["covariance", "variances", "columns", "rows"],
)
def test_other_labels_are_refused(tables, wrong):
    with pytest.raises(ValueError, match=r"(?s)table 1 of 6: got a covariance with labels \["):
        pool(tables, lambda t: (means(t), wrong(t)))


def test_results_of_another_library_go_by_their_labels(tables):
    class Results:
        def __init__(self, fit):
            self.params, self.df_resid, self._fit = fit.params, fit.df_resid, fit

        def cov_params(self):
            return self._fit.cov_params().iloc[::-1, ::-1]

    formula = "bmi ~ age + visits"
    found = pool(tables, lambda t: Results(smf.ols(formula, t).fit()))
    np.testing.assert_allclose(found, pool(tables, formula))


class Labelled(RegressorMixin, BaseEstimator):
    """Least squares by statsmodels, with its labels in another order than the features."""

    def __init__(self, of="bse"):
        self.of = of

    def fit(self, X, y):
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        fit = smf.ols("y ~ " + " + ".join(X.columns), X.assign(y=y)).fit()
        self.coef_ = fit.params.drop("Intercept").iloc[::-1]
        self.intercept_, self.df_resid_ = fit.params["Intercept"], fit.df_resid
        ours = {"Intercept": "const"}
        if self.of == "bse":
            self.bse_ = fit.bse.iloc[::-1].rename(ours)
        elif self.of == "covariance":
            self.covariance_ = fit.cov_params().iloc[::-1].rename(index=ours, columns=ours)
        else:
            self.bse_ = fit.bse.rename({"age": "years"})
        return self


@pytest.mark.parametrize("of", ["bse", "covariance"])
def test_estimators_with_labels(tables, of):
    wanted = pool(tables, "bmi ~ age + visits")
    found = pool(tables, Labelled(of), target="bmi", features=["age", "visits"])
    assert found.index.tolist() == wanted.index.tolist()
    np.testing.assert_allclose(found, wanted)


def test_estimators_with_other_labels(tables):
    with pytest.raises(ValueError, match=r"got standard errors with labels .*'years'"):
        pool(tables, Labelled("other"), target="bmi", features=["age", "visits"])


def test_a_tidy_table_is_read_row_by_row(tables):
    def tidy(table, order):
        fit = smf.ols("bmi ~ age + visits", table).fit()
        columns = {"term": fit.params.index, "estimate": fit.params, "std.error": fit.bse}
        return pd.DataFrame(columns).iloc[order]

    found = pool(tables, lambda t: tidy(t, [2, 0, 1] if t is tables[1] else [0, 1, 2]))
    wanted = pool(tables, "bmi ~ age + visits", dfcom=np.inf)
    np.testing.assert_allclose(found, wanted)


def test_values_of_a_hypothesis_go_by_their_labels(tables):
    pooled = pool(tables, "bmi ~ age + visits")
    values = pooled["estimate"].rename(None)[["visits", "age"]]
    assert pooled.wald(["age", "visits"], value=values).p_value == pytest.approx(1)
    with pytest.raises(ValueError, match="got values with labels"):
        pooled.wald(["age", "visits"], value=pd.Series({"age": 0.0, "bmi": 1.0}))


def test_one_estimate_needs_no_name_of_its_variance():
    pooled = pool([1.0, 2.0], lambda t: (pd.Series({"mean": t}), pd.Series({"var": 0.5})))
    assert pooled["ubar"].tolist() == [0.5]


def test_numbers_are_labels_too_where_they_are_in_another_order():
    def analysis(table):
        return pd.Series([table, 10 * table]), pd.Series([4.0, 1.0], index=[1, 0])

    assert pool([1.0, 2.0], analysis)["ubar"].tolist() == [1.0, 4.0]
