import numpy as np
import pandas as pd
import pytest
from scipy import special

from pyro_gnr.data.amputation import NoSelfCensoring, ampute


@pytest.mark.parametrize("name", ["income", "age", "smokes", "region", "code"])
def test_a_cells_own_value_does_not_move_its_chance(mixed, name):
    frame = mixed()
    j = frame.columns.get_loc(name)
    first = ampute(frame, "no_self_censoring", random_state=0).probabilities
    rng = np.random.default_rng(1)
    for values in (
        frame[name].to_numpy()[rng.permutation(len(frame))],
        rng.choice(["p", "q", "r", "s"], size=len(frame)),
    ):
        other = frame.copy()
        other[name] = values
        second = ampute(other, "no_self_censoring", random_state=0).probabilities
        assert np.array_equal(first[:, j], second[:, j])
        assert not any(np.allclose(first[:, k], second[:, k]) for k in range(7) if k != j)


def test_the_formula(normal):
    X = normal(2000, 4)
    mechanism = NoSelfCensoring(slope=1.2, noise=0.0)
    logits = special.logit(ampute(X, mechanism, random_state=0).probabilities)
    np.testing.assert_allclose(logits.std(axis=0), 1.2, rtol=1e-7)
    for j in range(4):
        others = np.delete(X, j, axis=1)
        design = np.column_stack([np.ones(len(X)), others])
        residual = logits[:, j] - design @ np.linalg.lstsq(design, logits[:, j], rcond=None)[0]
        np.testing.assert_allclose(residual, 0.0, atol=1e-7)


def test_the_rows_own_normal(normal):
    """What the other columns leave of the logits is the same normal for the whole row."""
    X = normal(5000, 3)
    logits = special.logit(
        ampute(X, NoSelfCensoring(noise=2.0, slope=1.0), random_state=0).probabilities
    )
    design = np.column_stack([np.ones(len(X)), X])
    rest = logits - design @ np.linalg.lstsq(design, logits, rcond=None)[0]
    np.testing.assert_allclose(rest, rest[:, :1] + np.zeros(3), atol=1e-7)
    assert rest[:, 0].std() == pytest.approx(2.0 / np.hypot(1.0, 2.0), abs=0.03)


@pytest.mark.parametrize(
    "X", [{"a": [1.0, 2.0, 3.0]}, {"a": [1.0, 2.0, 3.0], "same": [1.0, 1.0, 1.0]}]
)
def test_too_few_columns(X):
    with pytest.raises(ValueError, match="one besides 'a' that is not constant"):
        ampute(pd.DataFrame(X), "no_self_censoring")
