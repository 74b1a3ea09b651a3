"""What a formula may name, and what is not asked of other analyses."""

import numpy as np
import pandas as pd
import pytest

from pyro_gnr.imputation.sensitivity.analyses import check_analysis

X = pd.DataFrame(
    {"y": [1.0, None], "x": [0.0, 1.0], "body mass": [1.0, 2.0], "g": ["a", "b"], 7: 1}
)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x", {}),
        ("np.log(y) ~ x * C(g, Treatment('b')) + bs(x, df=4)", {}),
        ("Q('body mass') ~ np.where(g == 'a', x, pd.isna(x)) - 1", {"dfcom": 3.0}),
        ("y ~ I([v + 1 for v in x]) + max(map(lambda w: w, x))", {"model": "glm"}),
        ("I((g == 'a') * 1) ~ center(x) + len(g) + Q('7')", {"model": "logit"}),
        ("y + x ~ 1", {}),
    ],
)
def test_what_patsy_finds_is_accepted(formula, options):
    check_analysis(formula, X, options)


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("yy ~ x", "yy"),
        ("y ~ x + np.log(xx)", "xx"),
        ("y ~ C(h)", "h"),
        ("y ~ Q('body')", "body"),
        ("y ~ x:nmp.log(x)", "nmp"),
    ],
)
def test_what_is_no_column_is_refused(formula, name):
    with pytest.raises(ValueError, match=f"got '{name}' in the formula .*'body mass', 'g', '7'"):
        check_analysis(formula, X, {})


def test_tables_of_other_libraries():
    pl = pytest.importorskip("polars")
    for table in (np.ones((2, 2)), pl.DataFrame({"x0": [1.0], "x1": [2.0]})):
        check_analysis("x0 ~ x1", table, {})
        with pytest.raises(ValueError, match="got 'x2'"):
            check_analysis("x0 ~ x2", table, {})


def test_other_analyses_are_not_looked_into():
    class Own:
        @classmethod
        def from_formula(cls, formula, data):
            raise AssertionError

    check_analysis(lambda table: table["nowhere"], X, {})
    check_analysis(Own, X, {"formula": "y ~ x + EntityEffects | z"})


@pytest.mark.parametrize("formula", ["y ~ a b", "y ~ np.log(x y)", "y ~ x if"])
def test_what_is_no_expression_is_a_formula_that_cannot_be_read(formula):
    with pytest.raises(ValueError, match=r"cannot be read at .*write Q\('a b'\) for a column"):
        check_analysis(formula, X, {})
