"""Outcomes of levels: the same numbers in all tables, said, or refused."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.miscmodels.ordinal_model import OrderedModel

from pyro_gnr import pool
from pyro_gnr.imputation.pooling.levels import Levels
from pyro_gnr.imputation.pooling.outcomes import as_codes, outcome_codes, outcome_name

SIZES = pd.CategoricalDtype(["small", "medium", "big", "huge"], ordered=True)
CHANCES = {"model_options": {"family": sm.families.Binomial()}}


@pytest.fixture(scope="module")
def outcomes(tables):
    """The tables with `ill` and `code` as text and as categories."""
    return [
        table.assign(
            state=np.where(table["ill"] == 1, "sick", "healthy"),
            declared=pd.Categorical(
                np.where(table["ill"] == 1, "no", "yes"), categories=["yes", "no", "unheard"]
            ),
            size=pd.Categorical.from_codes(table["code"], dtype=SIZES),
        )
        for table in tables
    ]


@pytest.mark.parametrize("outcome", ["state", "declared", 'Q("state")'])
@pytest.mark.parametrize(("model", "options"), [("logit", {}), ("glm", CHANCES), ("ols", {})])
def test_of_two_levels_the_later_is_1(outcomes, outcome, model, options):
    found = pool(outcomes, f"{outcome} ~ bmi", model=model, **options)
    wanted = pool(outcomes, "ill ~ bmi", model=model, **options)
    np.testing.assert_allclose(found, wanted)
    said = {"declared": "declared: 1 is 'no', 0 is 'yes'"}
    assert said.get(outcome, "state: 1 is 'sick', 0 is 'healthy'") in found.notes


def test_the_coding_is_that_of_all_tables_together(outcomes):
    # Alone, the first table would make 1 of "sick", and refuse to be fitted without it.
    healthy = outcomes[0].assign(state="healthy")
    tables = [healthy, *outcomes[1:]]
    found = pool(tables, lambda t: ((t["state"] == "sick").mean(), 0.01))
    coded = pool(tables, "state ~ 1")
    assert coded["estimate"].item() == pytest.approx(found["estimate"].item())


def test_more_levels(outcomes):
    wanted = pool(outcomes, "code ~ bmi", model="mnlogit")
    for outcome, first in (("ward", "a"), ("size", "small")):
        found = pool(outcomes, f"{outcome} ~ bmi", model="mnlogit")
        np.testing.assert_allclose(found, wanted)
        [note] = [note for note in found.notes if "terms are" in note]
        assert note.endswith(f"each against {first!r}")
    assert "no table has 'huge' of size: there is no such term" in found.notes


def test_ordered_levels(outcomes):
    wanted = pool(outcomes, OrderedModel, formula="code ~ bmi")
    found = pool(outcomes, OrderedModel, formula="size ~ bmi")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found.index.tolist() == ["bmi", "small/medium", "medium/big"]
    named = pool(outcomes, "size ~ bmi", model="ordered")
    logits = {"model_options": {"distr": "logit"}, "fit_options": {"method": "bfgs"}}
    by_class = pool(outcomes, OrderedModel, formula="size ~ bmi", **logits)
    np.testing.assert_allclose(named, by_class, rtol=1e-6)
    assert any("small/medium" in str(t) for t in named.index)
    assert any("logarithms" in note for note in named.notes)
    with pytest.raises(ValueError, match="without an order, which OrderedModel needs"):
        pool(outcomes, OrderedModel, formula="ward ~ bmi")


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        (
            "ward ~ bmi",
            {"model": "logit"},
            "'ward' has levels.*two that Logit takes: use model='mnl",
        ),
        ("size ~ bmi", {"model": "poisson"}, "two that Poisson takes: use model='ordered'"),
        ("I(code + 1) ~ bmi", {"model": "glm", **CHANCES}, "lies in 1 to 3, expected 0 to 1"),
        ("ward ~ bmi", {}, r"say which level counts, as in I\(\(ward == 'c'\) \* 1\)"),
        ("I(ward == 'a') ~ bmi", {"model": "logit"}, "left side is no number"),
        # Which would be fitted, for the chance of False.
        ("I(ward == 'a') ~ bmi", {"model": "glm", **CHANCES}, "left side is no number"),
        ("one ~ bmi", {"model": "logit"}, r"'one' has levels \['x'\], expected at least two"),
    ],
)
def test_what_cannot_be_an_outcome(outcomes, formula, options, message):
    with pytest.raises(ValueError, match=message):
        pool([table.assign(one="x") for table in outcomes], formula, **options)


def test_what_the_errors_advise_can_be_done(outcomes):
    found = pool(outcomes, "I((state == 'sick') * 1) ~ bmi", model="logit")
    np.testing.assert_allclose(found, pool(outcomes, "ill ~ bmi", model="logit"))


def test_truth_values_need_no_note(outcomes):
    tables = [table.astype({"ill": "bool"}) for table in outcomes]
    assert not any("ill" in note for note in pool(tables, "ill ~ bmi", model="logit").notes)


def test_missing_levels_stay_missing():
    for dtype in ("object", "category"):
        column = pd.Series(["a", None, "b"], dtype=dtype)
        found = as_codes(column, {"a": 0, "b": 1})
        assert found.isna().tolist() == [False, True, False]
        assert as_codes(column.dropna(), {"a": 0, "b": 1}).tolist() == [0, 1]


def test_names_and_codes():
    assert outcome_name("Q('a b') ~ x") == "a b"
    assert outcome_name("np.log(a) ~ x") == "np.log(a)"
    assert outcome_codes("a", Levels(("x", "y", "z")), "NominalGEE") == {"x": 0, "y": 1, "z": 2}
    with pytest.raises(ValueError, match="without an order"):
        outcome_codes("a", Levels(("x", "y", "z")), "OrdinalGEE")
