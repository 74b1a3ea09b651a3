import numpy as np
import pytest
from scipy import stats

from pyro_gnr import pool_scalar
from pyro_gnr.imputation.pooling.scalar import PooledScalar

Q, U = [2.0, 2.4, 1.7, 2.2], [0.3, 0.31, 0.29, 0.3]


def test_names_of_mice():
    pooled = pool_scalar(Q, U, n=30, k=2)
    for name in ("estimate", "ubar", "b", "t", "dfcom", "df", "riv", "lambda_", "fmi"):
        assert isinstance(getattr(pooled, name), float)
    assert (pooled.m, pooled.rule, pooled.dfcom) == (4, "rubin", 28.0)


def test_tests_and_intervals():
    pooled = pool_scalar(Q, U, n=30)
    lower, upper = pooled.conf_int(0.9)
    reference = stats.t(pooled.df, loc=pooled.estimate, scale=pooled.std_error)
    assert reference.cdf([lower, upper]) == pytest.approx([0.05, 0.95])
    assert pooled.p_value == pytest.approx(2 * min(reference.cdf(0), reference.sf(0)))


def test_nested():
    nested = pool_scalar(Q, U, members=[0, 0, 1, 1])
    assert nested.rule == "nested"
    assert nested.w > 0
    assert pool_scalar(Q, U).w == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"Q": [1.0]}, ValueError, "1 estimates in Q and 4"),
        ({"Q": [1.0], "U": [1.0]}, ValueError, "at least 2"),
        ({"Q": [1.0, np.nan, 1.0, 2.0]}, ValueError, "got Q=.*finite"),
        ({"Q": ["a", "b", "c", "d"]}, TypeError, "got Q=.*numbers"),
        ({"Q": [[1.0, 2.0]]}, ValueError, "got Q="),
        ({"U": [0.1, -0.1, 0.1, 0.1]}, ValueError, "not negative"),
        ({"U": [0.0] * 4}, ValueError, "not all 0"),
        ({"n": 3, "k": 3}, ValueError, "n - k = 3 - 3"),
        ({"members": [0, 1]}, ValueError, "each of 4"),
        ({"n": "60"}, TypeError, "got n='60', expected a number"),
        ({"k": None}, TypeError, "got k=None, expected a number"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        pool_scalar(**{"Q": Q, "U": U, **change})


def test_numbers_of_numpy_are_numbers():
    assert pool_scalar(Q, U, n=np.array(60), k=np.int64(2)) == pool_scalar(Q, U, n=60, k=2)


@pytest.mark.parametrize("level", [0, 1, 95, "0.95", True])
def test_bad_level(level):
    with pytest.raises(ValueError, match="level"):
        pool_scalar(Q, U).conf_int(level)


def test_frozen():
    assert isinstance(pool_scalar(Q, U), PooledScalar)
    with pytest.raises(AttributeError):
        pool_scalar(Q, U).b = 0.0
