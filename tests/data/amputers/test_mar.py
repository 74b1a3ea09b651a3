import numpy as np
import pytest
from scipy import special

from pyro_gnr.data.amputation import MAR, ampute


def test_probabilities_do_not_move_with_the_columns_that_lose_cells(mixed):
    frame = mixed()
    rng = np.random.default_rng(1)
    mechanism = MAR(predictors=["age", "region"])
    first = ampute(frame, mechanism, random_state=0)
    other = frame.copy()
    for name in set(frame) - {"age", "region"}:
        other[name] = frame[name].to_numpy()[rng.permutation(len(frame))]
    second = ampute(other, mechanism, random_state=0)
    assert np.array_equal(first.probabilities, second.probabilities)
    assert np.array_equal(first.observed, second.observed)
    other["age"] = frame["age"].to_numpy()[::-1]
    assert not np.allclose(first.probabilities, ampute(other, mechanism, random_state=0)[2])


def test_the_formula_with_one_predictor(normal):
    X = normal()
    holes = ampute(X, MAR(predictors=["x1"], slope=1.7), rate=0.25, random_state=0)
    standard = (X[:, 1] - X[:, 1].mean()) / X[:, 1].std()
    for j in (0, 2, 3):
        intercept = special.logit(holes.probabilities[:, j]) - 1.7 * standard
        np.testing.assert_allclose(intercept, intercept[0], atol=1e-8)
    assert holes.observed[:, 1].all()


@pytest.mark.parametrize(("direction", "sign"), [("high", 1), ("low", -1)])
def test_direction(normal, direction, sign):
    X = normal(2000)
    mechanism = MAR(predictors=["x0", "x1"], direction=direction)
    missing = ~ampute(X, mechanism, random_state=0).observed
    for j in (2, 3):
        for k in (0, 1):
            assert sign * (X[missing[:, j], k].mean() - X[~missing[:, j], k].mean()) > 0.1


def test_random_directions_differ(normal):
    chances = ampute(normal(500, 12), MAR(predictors=["x0"], direction="random"), random_state=0)
    signs = np.sign(np.corrcoef(chances.probabilities[:, 1:].T)[0])
    assert set(signs) == {-1.0, 1.0}


def test_who_predicts(normal):
    X = normal(200, 5)
    lose = [ampute(X, "mar", random_state=s).probabilities.any(axis=0) for s in range(6)]
    assert all(columns.sum() == 3 for columns in lose)
    assert len({tuple(columns) for columns in lose}) > 1  # a random half
    named = ampute(X, "mar", columns=["x3"], random_state=0).probabilities
    assert named.any(axis=0).tolist() == [False, False, False, True, False]
    both = ampute(X, MAR(predictors=["x0"]), columns=["x3"], random_state=0)
    assert both.observed[:, [0, 1, 2, 4]].all() and not both.observed[:, 3].all()


def test_constant_columns_do_not_predict(normal):
    X = normal(200, 4)
    X[:, 1] = 1.0
    for seed in range(8):
        assert ampute(X, "mar", random_state=seed).probabilities[:, 1].any()
    with pytest.raises(ValueError, match=r"constant columns \['x1'\]"):
        ampute(X, MAR(predictors=["x1"]))


@pytest.mark.parametrize(
    ("mechanism", "columns", "text"),
    [
        (MAR(predictors=["x0"]), ["x0", "x1"], r"\['x0'\] are to lose cells and are predictors"),
        (MAR(predictors=["y"]), None, r"unknown columns \['y'\]"),
        (MAR(predictors=["x0", "x1", "x2", "x3"]), None, "one that loses cells"),
        (MAR(), ["x0", "x1", "x2", "x3"], "one that predicts them"),
    ],
)
def test_columns_that_cannot_be(normal, mechanism, columns, text):
    with pytest.raises(ValueError, match=text):
        ampute(normal(), mechanism, columns=columns)


def test_one_column_is_too_few(normal):
    with pytest.raises(ValueError, match=r"got 1 column.*\['x0'\].*two that are not constant"):
        ampute(normal(50, 1), "mar")
