"""Weights, groups and offsets by the names of columns."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from pyro_gnr import pool
from pyro_gnr.imputation.pooling.named_columns import model_columns

FORMULA = "bmi ~ age"


@pytest.fixture(scope="module")
def grouped(tables):
    place = np.arange(60)
    return [
        t.assign(group=place // 6, place=[f"p{i}" for i in place // 6], n=1 + place % 3)
        for t in tables
    ]


@pytest.mark.parametrize(
    ("formula", "model", "option", "column"),
    [
        (FORMULA, "gee", "groups", "place"),
        (FORMULA, "wls", "weights", "n"),
        (FORMULA, "glm", "freq_weights", "n"),
        (FORMULA, "glm", "var_weights", "n"),
        ("visits ~ age", "poisson", "exposure", "n"),
        ("n ~ age", "phreg", "status", "ill"),
    ],
)
def test_a_name_is_its_column(grouped, formula, model, option, column):
    found = pool(grouped, formula, model=model, model_options={option: column})
    build = getattr(smf, model)
    for term in found.index:
        estimates = [
            build(formula, data=t, **{option: t[column].to_numpy()}).fit(
                **({"disp": False} if model == "poisson" else {})
            )
            for t in grouped
        ]
        values = [np.ravel(e.params)[list(found.index).index(term)] for e in estimates]
        assert found.loc[term, "estimate"] == pytest.approx(np.mean(values), rel=1e-6)


def test_survival_has_the_degrees_of_freedom_of_its_events(grouped):
    """As R's mice takes them of coxph: events less terms."""
    found = pool(grouped, "n ~ age + bmi", model="phreg", model_options={"status": "ill"})
    assert set(found["dfcom"]) == {min(int(t["ill"].sum()) for t in grouped) - 2}


def test_rows_with_holes_leave_their_weights_out(grouped):
    holey = [t.assign(age=t["age"].where(t.index > 3)) for t in grouped]
    rest = [t[t.index > 3] for t in grouped]
    for model, option in (("wls", "weights"), ("glm", "freq_weights")):
        options = {"model": model, "model_options": {option: "n"}}
        np.testing.assert_allclose(pool(holey, FORMULA, **options), pool(rest, FORMULA, **options))


def test_clusters_of_robust_errors(grouped):
    options = {"cov_type": "cluster", "cov_kwds": {"groups": "place"}}
    found = pool(grouped, FORMULA, fit_options=options)
    wanted = [
        smf.ols(FORMULA, t).fit(cov_type="cluster", cov_kwds={"groups": t["group"]})
        for t in grouped
    ]
    errors = np.mean([np.asarray(fit.bse) ** 2 for fit in wanted], axis=0)
    np.testing.assert_allclose(found["ubar"], errors)
    holey = [t.assign(age=t["age"].where(t.index > 3)) for t in grouped]
    rest = [t[t.index > 3] for t in grouped]
    np.testing.assert_allclose(
        pool(holey, FORMULA, fit_options=options), pool(rest, FORMULA, fit_options=options)
    )
    assert options["cov_kwds"] == {"groups": "place"}  # the caller's is not changed


def test_mixed_models_give_their_fixed_effects(grouped):
    # No difference between groups: their variance is 0 and has no error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pool(grouped, FORMULA, model="mixedlm", model_options={"groups": "place"})
        fits = [smf.mixedlm(FORMULA, t, groups=t["group"]).fit() for t in grouped]
    assert found.index.tolist() == ["Intercept", "age"]
    np.testing.assert_allclose(found["estimate"], np.mean([f.fe_params for f in fits], axis=0))
    np.testing.assert_allclose(found["ubar"], np.mean([f.bse_fe**2 for f in fits], axis=0))


@pytest.mark.parametrize("option", ["groups", "weights", "freq_weights"])
def test_no_such_column(grouped, option):
    model = {"groups": "gee", "weights": "wls"}.get(option, "glm")
    with pytest.raises(ValueError, match=f"got {option}='nothing', expected a column of"):
        pool(grouped, FORMULA, model=model, model_options={option: "nothing"})
    with pytest.raises(ValueError, match="got groups='nothing'"):
        fit = {"cov_type": "cluster", "cov_kwds": {"groups": "nothing"}}
        pool(grouped, FORMULA, fit_options=fit)


def test_other_options_stay():
    family = sm.families.Poisson()
    table = pd.DataFrame({"drop": [1]})
    given = {"family": family, "missing": "drop", "weights": [1.0]}
    assert model_columns(given, table) == given
