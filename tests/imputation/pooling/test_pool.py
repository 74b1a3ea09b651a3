"""One analysis in all its forms."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from sklearn.linear_model import BayesianRidge, LinearRegression

from pyro_gnr import pool, pool_scalar
from pyro_gnr.imputation.exchange.reading import LongTables

FORMULA = "bmi ~ age + sex"


def by_hand(table):
    X = np.column_stack([np.ones(len(table)), table["sex"] == "m", table["age"]]).astype(float)
    gram = np.linalg.inv(X.T @ X)
    beta = gram @ X.T @ table["bmi"].to_numpy()
    df = len(X) - 3
    variance = float(((table["bmi"] - X @ beta) ** 2).sum()) / df
    names = ["Intercept", "sex[T.m]", "age"]
    return pd.Series(beta, index=names), variance * gram, df


def tidy(table):
    beta, covariance, df = by_hand(table)
    errors = np.sqrt(np.diag(covariance))
    return pd.DataFrame(
        {"term": beta.index, "estimate": beta.values, "std.error": errors, "df.residual": df}
    )


FORMS = {
    "formula": (FORMULA, {}),
    "class": (sm.OLS, {"formula": FORMULA}),
    "function that makes the class": (smf.ols, {"formula": FORMULA}),
    "formula and that function": (FORMULA, {"model": smf.ols}),
    "function of results": (lambda table: smf.ols(FORMULA, table).fit(), {}),
    "estimates and covariance": (by_hand, {}),
    "dict of estimates": (lambda t: (dict(by_hand(t)[0]), *by_hand(t)[1:]), {}),
    "dicts": (
        lambda t: (
            dict(by_hand(t)[0]),
            dict(zip(by_hand(t)[0].index[::-1], np.diag(by_hand(t)[1])[::-1], strict=True)),
            by_hand(t)[2],
        ),
        {},
    ),
    "variances": (lambda t: (by_hand(t)[0], np.diag(by_hand(t)[1]), by_hand(t)[2]), {}),
    "tidy table": (tidy, {}),
    "dfcom said": (lambda table: by_hand(table)[:2], {"dfcom": 57}),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_agree(tables, form):
    analysis, options = FORMS[form]
    found = pool(tables, analysis, **options)
    wanted = pool(tables, FORMULA)
    assert found.columns.tolist() == wanted.columns.tolist()
    np.testing.assert_allclose(found.loc[wanted.index], wanted, rtol=1e-7)


def test_columns_are_those_of_pool_scalar(tables):
    pooled = pool(tables, FORMULA)
    fits = [smf.ols(FORMULA, table).fit() for table in tables]
    for term in pooled.index:
        alone = pool_scalar(
            [f.params[term] for f in fits], [f.bse[term] ** 2 for f in fits], n=60, k=3
        )
        for name in pooled.columns:
            attribute = "lambda_" if name == "lambda" else name
            assert pooled.loc[term, name] == pytest.approx(getattr(alone, attribute), rel=1e-9)


def test_other_models_and_options(tables):
    logit = pool(tables, "ill ~ bmi", model="Logit")
    same = pool(
        tables, sm.GLM, formula="ill ~ bmi", model_options={"family": sm.families.Binomial()}
    )
    np.testing.assert_allclose(logit["estimate"], same["estimate"], rtol=1e-5)
    plain, robust = (pool(tables, FORMULA, fit_options=o) for o in (None, {"cov_type": "HC3"}))
    np.testing.assert_allclose(plain["estimate"], robust["estimate"])
    assert not np.allclose(plain["ubar"], robust["ubar"])
    wards = pool(tables, "code ~ bmi", model="mnlogit")
    assert len(wards) == 4 and wards.index.is_unique
    fit = sm.MNLogit.from_formula("code ~ bmi", tables[0]).fit(disp=False)
    errors = np.asarray(fit.bse).ravel(order="F") ** 2
    identical = pool([tables[0]] * 2, "code ~ bmi", model="mnlogit")
    np.testing.assert_allclose(identical["t"], errors, rtol=1e-6)


def test_a_boolean_outcome_is_1_where_it_is_true(tables):
    for dtype in ("bool", "boolean"):
        found = pool([t.astype({"ill": dtype}) for t in tables], "ill ~ bmi", model="logit")
        np.testing.assert_allclose(found, pool(tables, "ill ~ bmi", model="logit"))


def test_terms_without_names():
    found = pool([1.0, 2.0, 4.0], lambda x: ([x, -x], [[1.0, 0.1], [0.1, 1.0]]))
    assert found.index.tolist() == ["q1", "q2"]
    assert pool([1.0, 2.0, 4.0], lambda x: (x, 0.5)).index.tolist() == ["estimate"]


def test_terms_in_another_order_are_the_same_terms(tables):
    def shuffled(table):
        beta, covariance, df = by_hand(table)
        order = [2, 0, 1] if table is tables[3] else [0, 1, 2]
        return beta.iloc[order], covariance[np.ix_(order, order)], df

    found, wanted = pool(tables, shuffled), pool(tables, by_hand)
    np.testing.assert_allclose(found, wanted)
    np.testing.assert_allclose(found.covariance(), wanted.covariance())


class WithErrors(LinearRegression):
    """Least squares with standard errors."""

    def fit(self, X, y):
        super().fit(X, y)
        design = np.column_stack([np.ones(len(X)), X])
        self.df_resid_ = len(X) - design.shape[1]
        variance = float(((y - self.predict(X)) ** 2).sum()) / self.df_resid_
        self.stderr_ = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
        return self


def test_estimators(tables):
    estimator = WithErrors()
    found = pool(tables, estimator, target="bmi", features=["age", "visits"])
    wanted = pool(tables, "bmi ~ age + visits")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert not hasattr(estimator, "coef_")  # a clone was fitted
    numbers = [table[["bmi", "age", "visits"]] for table in tables]
    bayes = pool(numbers, BayesianRidge(), target="bmi")
    assert bayes.index.tolist() == ["age", "visits"]
    assert np.isfinite(bayes.covariance().to_numpy()).all()
    fitted = pool(numbers, lambda t: WithErrors().fit(t[["age", "visits"]], t["bmi"]))
    np.testing.assert_allclose(fitted, wanted, rtol=1e-6)


def test_degrees_of_freedom_of_an_estimator_are_rows_less_coefficients(tables):
    numbers = [table[["bmi", "age", "visits"]] for table in tables]
    with_intercept = pool(numbers, BayesianRidge(), target="bmi")
    assert (with_intercept["dfcom"] == 57).all()
    without = pool(numbers, BayesianRidge(fit_intercept=False), target="bmi")
    assert (without["dfcom"] == 58).all()
    assert (pool(numbers, BayesianRidge(), target="bmi", dfcom=20)["dfcom"] == 20).all()
    few = [table[:3] for table in numbers]  # no more rows than coefficients
    assert np.isinf(pool(few, BayesianRidge(), target="bmi")["dfcom"]).all()
    # Which rows a function fits to is not known.
    function = pool(numbers, lambda t: BayesianRidge().fit(t[["age", "visits"]], t["bmi"]))
    assert np.isinf(function["dfcom"]).all()


def test_tables_of_polars_and_arrays(tables):
    wanted = pool(tables, FORMULA)
    frames = [pl.from_pandas(table) for table in tables]
    np.testing.assert_allclose(pool(frames, FORMULA), wanted)
    arrays = [table[["bmi", "age"]].to_numpy() for table in tables]
    np.testing.assert_allclose(pool(arrays, "x0 ~ x1"), pool(tables, "bmi ~ age"))
    numbered = [pd.DataFrame(array) for array in arrays]
    np.testing.assert_allclose(pool(numbered, 'Q("0") ~ Q("1")'), pool(arrays, "x0 ~ x1"))
    ridge = pool(numbered, BayesianRidge(), target=0, features=[1])
    np.testing.assert_allclose(ridge, pool(arrays, BayesianRidge(), target="x0", features=["x1"]))


def test_names_of_files_are_tables_of_no_known_number_of_rows(tables):
    files = {f"{i}.csv": table for i, table in enumerate(tables, start=8)}
    found = pool(list(files), lambda name: by_hand(files[name]))
    np.testing.assert_allclose(found, pool(tables, by_hand))
    assert not any("tables have" in note for note in found.notes)


def test_nullable_columns_and_functions_in_formulas(tables):
    def nullable(table):
        table = table.convert_dtypes()
        return table.assign(old=table["age"] > 50, ward=table["ward"].astype("category"))

    found = pool([nullable(t) for t in tables], "bmi ~ np.log(visits + 1) + old + C(ill) + ward")
    assert "np.log(visits + 1)" in found.index
    assert "C(ill)[T.1]" in found.index
    assert "old[T.True]" in found.index


def test_holes_of_nullable_columns_are_left_out_as_others_are(tables):
    def holey(table):
        seen = table.index > 3
        return table.assign(
            age=table["age"].where(seen), sex=table["sex"].where(table.index != 9, None),
            old=pd.Series(table["code"] > 0, dtype="boolean").where(table.index != 7),
        )  # fmt: skip

    formula = "bmi ~ age + sex + old + visits"
    plain = [holey(table).assign(old=holey(table)["old"].astype(object)) for table in tables]
    nullable = [holey(table).convert_dtypes() for table in tables]
    arrow = [holey(table).astype({"sex": "string", "old": "boolean"}) for table in tables]
    wanted = pool([t.assign(old=t["old"].where(t["old"].notna(), np.nan)) for t in plain], formula)
    assert wanted["dfcom"].tolist() == [60 - 6 - 5] * 5
    for found in (nullable, arrow):
        np.testing.assert_allclose(pool(found, formula), wanted)


def test_members_are_those_that_the_tables_remember(tables):
    class Made(list):
        members = (0, 0, 1, 1, 2, 2)

    wanted = pool(tables, FORMULA, members=[0, 0, 1, 1, 2, 2])
    assert wanted.rule == "nested"
    pd.testing.assert_frame_equal(pd.DataFrame(pool(Made(tables), FORMULA)), pd.DataFrame(wanted))
    read = LongTables(original=None, completed=tables, members=np.array([0, 0, 1, 1, 2, 2]))
    np.testing.assert_array_equal(pool(read, FORMULA), wanted)
    assert pool(Made(tables), FORMULA, members=range(6)).rule == "rubin"


def test_an_iterator_will_do(tables):
    np.testing.assert_allclose(pool(iter(tables), FORMULA), pool(tables, FORMULA))


def test_order_of_tables_is_irrelevant(tables):
    order = [3, 5, 0, 4, 1, 2]
    for members in ([0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2]):
        one = pool(tables, FORMULA, members=members)
        other = pool([tables[i] for i in order], FORMULA, members=[members[i] for i in order])
        np.testing.assert_allclose(one, other)
        assert one.wald()[1:] == pytest.approx(other.wald()[1:])


def test_members_count_alike_whatever_their_numbers_of_tables(tables):
    members = [0, 0, 0, 1, 1, 2]
    found = pool(tables, FORMULA, members=members)
    fits = pd.DataFrame([smf.ols(FORMULA, table).fit().params for table in tables])
    means = fits.groupby(members).mean()
    np.testing.assert_allclose(found["estimate"], means.mean())
    np.testing.assert_allclose(found["b"], means.var())
    for term in found.index:
        errors = [smf.ols(FORMULA, table).fit().bse[term] ** 2 for table in tables]
        alone = pool_scalar(fits[term], errors, n=60, k=3, members=members)
        assert found.loc[term, ["t", "df", "w"]].tolist() == pytest.approx(
            [alone.t, alone.df, alone.w]
        )
    assert found.wald("age").statistic == pytest.approx(
        found.loc["age", "estimate"] ** 2 / found.loc["age", "t"]
    )
    assert found.title.startswith("pooled over 6 tables, 1 to 3 of each of 3 members")
    assert found.advice().m >= 2


def test_identical_tables_give_the_complete_data_analysis(tables):
    fit = smf.ols(FORMULA, tables[0]).fit()
    pooled = pool([tables[0]] * 5, FORMULA)
    np.testing.assert_allclose(pooled["estimate"], fit.params)
    np.testing.assert_allclose(pooled["t"], fit.bse**2)
    np.testing.assert_allclose(pooled["df"], 57 * 58 / 60)
    np.testing.assert_allclose(pooled["fmi"], 2 / (57 * 58 / 60 + 3))
    np.testing.assert_allclose(pooled[["b", "riv", "lambda"]], 0, atol=1e-12)
    np.testing.assert_allclose(pooled.covariance(), fit.cov_params())


SINGLE = pd.DataFrame({"bmi": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("analysis", "options", "error", "message"),
    [
        (3, {}, TypeError, "got 3, expected a formula"),
        ("bmi", {}, ValueError, "got formula 'bmi'"),
        (FORMULA, {"model": "lm"}, ValueError, "got model='lm', expected one of"),
        (FORMULA, {"model": LinearRegression}, TypeError, "with formulas"),
        (FORMULA, {"target": "bmi"}, ValueError, "got target, which a formula does not have"),
        (sm.OLS, {}, ValueError, "OLS needs formula="),
        (sm.OLS, {"formula": FORMULA, "model": "ols"}, ValueError, "got model"),
        (by_hand, {"formula": FORMULA}, ValueError, "a function does not have"),
        ("bmi ~ nothing", {}, ValueError, "'bmi ~ nothing' cannot be used.*nothing"),
        (LinearRegression(), {}, ValueError, "needs target="),
        (LinearRegression(), {"target": "height"}, ValueError, r"no column \['height'\]"),
        (
            LinearRegression(),
            {"target": "bmi", "features": ["age"]},
            TypeError,
            "table 1 of 6: LinearRegression has no standard errors",
        ),
        (
            lambda t: stats.ttest_ind(t["bmi"][::2], t["bmi"][1::2]),
            {},
            TypeError,
            r"table 1 of 6.*TtestResult.*p-value is no variance: return \(estimate, variance\)",
        ),
        (lambda t: stats.pearsonr(t["bmi"], t["age"]), {}, TypeError, "p-value is no variance"),
        (lambda t: stats.linregress(t["bmi"], t["age"]), {}, TypeError, "p-value is no variance"),
        (lambda t: "x", {}, TypeError, "the analysis gave str, expected a pair"),
        (lambda t: (1.0,), {}, TypeError, "a tuple of 1"),
        (lambda t: ("x", 1.0), {}, TypeError, "expected a pair"),
        (lambda t: ([1.0, 2.0], np.ones(3)), {}, ValueError, r"covariance of shape \(3,\)"),
        (lambda t: (np.nan, 1.0), {}, ValueError, r"no finite estimate.*\['estimate'\]"),
        (lambda t: (1.0, -1.0), {}, ValueError, "no finite estimate"),
        (lambda t: ({}, []), {}, ValueError, "no finite estimate.*any term"),
        (lambda t: (1.0, 0.0), {}, ValueError, "variance 0 in all tables"),
        (lambda t: (pd.Series([1, 2], ["a", "a"]), [1, 1]), {}, ValueError, "each name once"),
        (lambda t: SINGLE, {}, ValueError, "expected term, estimate and std.error"),
        (by_hand, {"dfcom": 0}, ValueError, "got dfcom=0"),
        (lambda t: ([1.0, 2.0], [[1, 5], [5, 1]]), {}, ValueError, "correlation is beyond 1"),
        (lambda t: ([1.0, 2.0], [[0, 1], [1, 1]]), {}, ValueError, "correlation is beyond 1"),
        (
            lambda t: ({"a": 1.0, "b": 2.0}, [[1, 0.9], [0.1, 1]]),
            {},
            ValueError,
            "not symmetric .0.9 and 0.1 for a and b",
        ),
    ],
)
def test_bad_input(tables, analysis, options, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        pool(tables, analysis, **options)


def test_bad_tables(tables):
    with pytest.raises(TypeError, match="got one DataFrame"):
        pool(tables[0], FORMULA)
    with pytest.raises(ValueError, match="got 1 table"):
        pool(tables[:1], FORMULA)
    with pytest.raises(TypeError, match="got a table of type list"):
        pool([[1.0], [2.0]], FORMULA)
    fewer = tables[2].replace({"ward": {"b": "a"}})
    with pytest.raises(ValueError, match=r"table 3 gave other terms.*ward\[T.b\].*categorical"):
        pool([*tables[:2], fewer], "bmi ~ ward")
    with pytest.raises(TypeError, match="got None, expected a list"):
        pool(None, FORMULA)


@pytest.mark.parametrize(
    "covariance",
    [
        [[1.0, 0.5001, 0.0], [0.4999, 1.0, 0.0], [0.0, 0.0, 1.0]],  # rounding
        [[1.0, 1e-20, 0.0], [1e-20, 0.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.0013, 0.0025, 0.0], [0.0025, 0.0048, 0.0], [0.0, 0.0, 1.0]],  # four decimals
    ],
)
def test_rounding_makes_no_matrix_another(tables, covariance):
    variances = np.diag(covariance) + np.array([0.0, 1e-300, 0.0])
    found = pool(tables, lambda t: ([t["age"].mean(), t["bmi"].mean() + t["age"][0], 1.0],
        np.array(covariance) + np.diag(variances - np.diag(covariance))))  # fmt: skip
    np.testing.assert_allclose(found["ubar"], np.diag(covariance), atol=1e-200)


def test_a_robust_covariance_need_not_be_one_of_all_terms_together(tables):
    """That of clusters in two ways is none at times; each term's standard error is right."""
    indefinite = 0.1 * np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    assert np.linalg.eigvalsh(indefinite)[0] < -0.01
    found = pool(tables, lambda t: (dict(zip("abc", t["age"][:3], strict=True)), indefinite))
    np.testing.assert_allclose(found["ubar"], 0.1)
    assert found.wald(["a", "b"]).df1 == 2
    with pytest.raises(ValueError, match="some combination of these terms has a negative var"):
        found.wald(["a", "b", "c"])


def test_clusters_and_large_numbers_are_pooled(tables):
    far = [t.assign(year=2000 + t["code"] * 7 + t.index % 5, g=t.index // 5) for t in tables]
    formula = "bmi ~ year + I(year**2)"
    options = {"cov_type": "cluster", "cov_kwds": {"groups": "g"}}
    found = pool(far, formula, fit_options=options)
    fits = [smf.ols(formula, t).fit(cov_type="cluster", cov_kwds={"groups": t["g"]}) for t in far]
    wanted = np.mean([fit.bse**2 for fit in fits], axis=0)
    np.testing.assert_allclose(found["ubar"], wanted, rtol=1e-3)
    both = [np.column_stack([t["g"], t["code"]]) for t in far]
    two_ways = pool(far, lambda t: smf.ols("bmi ~ visits", t).fit(
        cov_type="cluster", cov_kwds={"groups": both[0]}))  # fmt: skip
    assert np.isfinite(two_ways["t"]).all()


@pytest.mark.parametrize("error", [RuntimeError, ZeroDivisionError, np.linalg.LinAlgError])
def test_an_error_of_an_analysis_says_on_which_table(tables, error):
    def failing(table):
        if table is tables[3]:
            raise error("no luck")
        return by_hand(table)

    with pytest.raises(error, match="no luck") as caught:
        pool(tables, failing)
    assert caught.value.__notes__ == ["This was on table 4 of 6."]


def test_without_statsmodels(tables, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "statsmodels.formula.api", None)
    with pytest.raises(ModuleNotFoundError, match=r"pyro-gnr\[stats\]"):
        pool(tables, FORMULA)
    assert len(pool(tables, by_hand)) == 3
