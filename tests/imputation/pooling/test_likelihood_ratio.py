"""D3 against complete data, against D1, against an evaluation by hand, and its size."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from pyro_gnr import pool
from pyro_gnr.imputation.pooling.likelihood_ratio import d3, log_likelihood

MODELS = [
    ("bmi ~ age + ward", "bmi ~ age", {}),
    ("ill ~ bmi + ward", "ill ~ bmi", {"model": "logit"}),
    ("visits ~ bmi + ward", "visits ~ bmi", {"model": "poisson"}),
    ("code ~ bmi + ill", "code ~ bmi", {"model": "mnlogit"}),
    (
        "visits ~ bmi + ward",
        "visits ~ bmi",
        {"model": "glm", "model_options": {"family": sm.families.Poisson()}},
    ),
]


@pytest.mark.parametrize(("large", "small", "options"), MODELS)
def test_identical_tables_give_the_complete_data_test(tables, large, small, options):
    larger, smaller = (pool([tables[0]] * 4, f, **options) for f in (large, small))
    k = len(larger) - len(smaller)
    ratio = 2 * (larger.fit(0).llf - smaller.fit(0).llf)
    for method in ("D3", "D2"):
        test = larger.likelihood_ratio(smaller, method=method)
        assert test.statistic == pytest.approx(ratio / k, rel=1e-5)
        assert (test.df1, test.method) == (k, method)
        assert test.riv == pytest.approx(0, abs=1e-6)
        assert test.p_value == pytest.approx(stats.chi2.sf(ratio, k), rel=1e-3)


def test_by_hand(tables):
    # Normal likelihoods with the variance that is most likely given the coefficients.
    large, small = "bmi ~ age + ward", "bmi ~ ward"

    def loglike(formula, table, beta):
        model = smf.ols(formula, table)
        residuals = model.endog - model.exog @ beta
        s2 = np.mean(residuals**2)
        return stats.norm(0, np.sqrt(s2)).logpdf(residuals).sum()

    betas = {f: [smf.ols(f, t).fit().params.to_numpy() for t in tables] for f in (large, small)}
    means = {f: np.mean(b, axis=0) for f, b in betas.items()}
    d = [
        2 * (loglike(large, t, betas[large][i]) - loglike(small, t, betas[small][i]))
        for i, t in enumerate(tables)
    ]
    at_means = [
        2 * (loglike(large, t, means[large]) - loglike(small, t, means[small])) for t in tables
    ]
    r = 7 / 5 * (np.mean(d) - np.mean(at_means))
    test = pool(tables, large).likelihood_ratio(pool(tables, small))
    assert test.riv == pytest.approx(r)
    assert test.statistic == pytest.approx(np.mean(at_means) / (1 + r))
    assert test.df2 == pytest.approx(4 + 1 * (1 + (1 - 2 / 5) / r) ** 2)
    assert test.p_value == pytest.approx(stats.f.sf(test.statistic, 1, test.df2))


def test_it_is_close_to_d1_in_large_tables(tables_of):
    tables = tables_of(m=10, n=2000)
    larger, smaller = (
        pool(tables, "ill ~ age + sex", model="logit"),
        pool(tables, "ill ~ sex", model="logit"),
    )
    test, wald = larger.likelihood_ratio(smaller), larger.wald("age")
    assert test.statistic == pytest.approx(wald.statistic, rel=0.05)
    assert test.riv == pytest.approx(wald.riv, rel=0.2)


def test_a_negative_increase_is_none():
    test = d3([4.0, 4.0], [4.2, 4.2], 2)
    assert (test.riv, test.statistic, test.df2) == (0.0, pytest.approx(2.1), np.inf)


def test_models_whose_likelihood_is_not_that_of_their_parameters(tables):
    gaussian = smf.glm("bmi ~ age", tables[0]).fit()
    with pytest.raises(ValueError, match="GLM cannot be evaluated.*Gaussian: use OLS"):
        log_likelihood(gaussian, gaussian.params)
    larger, smaller = (
        pool(tables, f, model="quantreg") for f in ("bmi ~ age + visits", "bmi ~ age")
    )
    with pytest.raises(ValueError, match="QuantReg cannot be evaluated at pooled"):
        larger.likelihood_ratio(smaller)
    functions = pool(tables, lambda t: ({"a": 1.0, "b": 2.0}, np.eye(2)))
    with pytest.raises(ValueError, match="need models of statsmodels"):
        functions.likelihood_ratio(pool(tables, lambda t: ({"a": 1.0}, np.eye(1))))


@pytest.mark.parametrize("method", ["D3", "D2"])
@pytest.mark.parametrize("robust", [(True, True), (True, False), (False, True)])
def test_there_is_no_robust_version(tables, method, robust):
    formulas = "bmi ~ age + ward", "bmi ~ age"
    options = [{"cov_type": "HC3"} if one else None for one in robust]
    larger, smaller = (
        pool(tables, formula, fit_options=option)
        for formula, option in zip(formulas, options, strict=True)
    )
    message = r"OLS was pooled with cov_type='HC3'.*no robust version\. Use wald\(\).*\(D1\)"
    with pytest.raises(ValueError, match=message):
        larger.likelihood_ratio(smaller, method=method)
    assert larger.wald("ward").method == "D1"


def test_models_that_cannot_be_compared(tables):
    larger, smaller = pool(tables, "bmi ~ age + ward"), pool(tables, "bmi ~ age")
    with pytest.raises(ValueError, match="the smaller model has terms"):
        smaller.likelihood_ratio(larger)
    with pytest.raises(ValueError, match="the smaller model has terms"):
        larger.likelihood_ratio(larger)
    with pytest.raises(ValueError, match=r"has terms \['visits'\]"):
        larger.likelihood_ratio(pool(tables, "bmi ~ visits"))
    with pytest.raises(ValueError, match="5 tables of the smaller model and 6"):
        larger.likelihood_ratio(pool(tables[:5], "bmi ~ age"))
    with pytest.raises(ValueError, match="table 1 the outcomes .* differ in 60 of 60 rows"):
        larger.likelihood_ratio(pool(tables, "visits ~ age"))
    moved = [table.assign(bmi=table["bmi"] + (table.index < 5)) for table in tables]
    with pytest.raises(ValueError, match="differ in 5 of 60 rows"):
        larger.likelihood_ratio(pool(moved, "bmi ~ age"))
    holey = [table.assign(age=table["age"].where(table.index > 3)) for table in tables]
    with pytest.raises(ValueError, match="have 60 and 56 rows"):
        larger.likelihood_ratio(pool(holey, "bmi ~ age"))
    with pytest.raises(ValueError, match="method='D1'"):
        larger.likelihood_ratio(smaller, method="D1")
    with pytest.raises(TypeError, match="got DataFrame"):
        larger.likelihood_ratio(pd.DataFrame())
    members = [0, 0, 0, 1, 1, 1]
    nested = [pool(tables, f, members=members) for f in ("bmi ~ age + ward", "bmi ~ age")]
    with pytest.raises(ValueError, match=r"nested rules: use wald\(\)"):
        nested[0].likelihood_ratio(nested[1])
