"""Terms that cannot be told apart: dropped where no table has a level, else refused."""

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import pool
from pyro_gnr.imputation.pooling.designs import aliased

SIZES = pd.CategoricalDtype(["small", "medium", "big", "huge"], ordered=True)


def test_a_level_that_no_table_has_makes_no_term(tables):
    sized = [t.assign(size=pd.Categorical.from_codes(t["code"], dtype=SIZES)) for t in tables]
    found = pool(sized, "bmi ~ size + age")
    assert found.index.tolist() == ["Intercept", "size[T.medium]", "size[T.big]", "age"]
    np.testing.assert_allclose(found, pool(tables, "bmi ~ ward + age"))
    assert "no table has 'huge' of size: there is no such term" in found.notes
    assert not any("no table has" in note for note in pool(sized, "bmi ~ age").notes)


def test_a_level_that_one_table_lacks_is_refused(tables):
    sized = [t.assign(size=pd.Categorical.from_codes(t["code"], dtype=SIZES)) for t in tables]
    sized[3] = sized[3].assign(size=sized[3]["size"].replace({"big": "small"}))
    with pytest.raises(ValueError, match=r"terms \['size\[T.big\]'\] are 0 throughout") as caught:
        pool(sized, "bmi ~ size")
    assert caught.value.__notes__ == ["This was on table 4 of 6."]


@pytest.mark.parametrize(("model", "outcome"), [("ols", "bmi"), ("logit", "ill")])
def test_terms_that_follow_from_others_are_refused(tables, model, outcome):
    with pytest.raises(ValueError, match=r"terms \['I\(3 \* age - 1\)'\]"):
        pool(tables, f"{outcome} ~ age + ward + I(3 * age - 1)", model=model)


def test_scales_are_no_reason():
    year = 2000.0 + np.arange(60) % 20
    design = np.stack([year**0, year, year**2, year**3, 1e-9 * np.sin(year)], axis=1)
    assert np.linalg.matrix_rank(design) < 5  # numpy's own bound would refuse it
    assert aliased(design, list("abcde")) == []
    twice = np.column_stack([design, design[:, 1] + 2.0, np.zeros(60)])
    assert aliased(twice, list("abcdefg")) == ["f", "g"]


def test_fewer_rows_than_columns():
    design = np.random.default_rng(0).normal(size=(3, 5))
    assert aliased(design, list("abcde")) == ["d", "e"]
