import numpy as np
import pytest

from pyro_gnr.data.amputers.scores import combinations, signed
from pyro_gnr.data.source import SourceTable


@pytest.mark.parametrize("direction", ["high", "low", "random"])
def test_combinations_are_standardised_and_leave_out_the_target(normal, direction):
    X = normal(300, 4)
    table = SourceTable.of(X)
    rng = np.random.default_rng(0)
    scores = combinations(table, range(4), [1, 3], direction=direction, rng=rng)
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scores.std(axis=0), 1.0)
    found = np.linalg.lstsq(X - X.mean(axis=0), scores, rcond=None)[0]
    np.testing.assert_allclose([found[1, 0], found[3, 1]], 0.0, atol=1e-12)
    entered = found[np.array([[1, 1], [0, 1], [1, 1], [1, 0]], dtype=bool)]
    if direction != "random":
        assert (np.sign(entered) == (1 if direction == "high" else -1)).all()


def test_signs():
    weights = np.array([-2.0, 1.0])
    assert [signed(weights, d).tolist() for d in ("high", "low", "random")] == [
        [2.0, 1.0],
        [-2.0, -1.0],
        [-2.0, 1.0],
    ]
