import numpy as np
import pytest
from scipy import optimize, stats

from pyro_gnr.data.censoring import Cells
from pyro_gnr.data.columns.normal_fit import normal_fit

INF = float("inf")


def censored(x, low, high):
    """Cells of numbers below `low` and above `high` of which no more than that is known."""
    codes = np.where(x < low, 0, np.where(x > high, 1, -1))
    return Cells(np.where(codes < 0, x, np.nan), codes, ((-INF, low), (high, INF)))


def test_normal_fit_is_the_maximum_of_the_likelihood():
    x = np.random.default_rng(1).normal(3.0, 2.0, size=200)
    cells = censored(x, 2.5, 5.0)

    def loss(at):
        normal = stats.norm(at[0], np.exp(at[1]))
        known = normal.logpdf(cells.numbers[cells.codes < 0]).sum()
        n = np.bincount(cells.codes[cells.codes >= 0])
        return -(known + n[0] * normal.logcdf(2.5) + n[1] * normal.logsf(5.0))

    best = optimize.minimize(loss, [3.0, 0.5], method="BFGS").x
    assert normal_fit(cells) == pytest.approx((best[0], np.exp(best[1])), rel=1e-4)


def test_normal_fit_finds_what_is_not_seen():
    x = np.random.default_rng(0).normal(5.0, 2.0, size=20_000)
    assert normal_fit(censored(x, 5.0, 1e9)) == pytest.approx((5.0, 2.0), abs=0.1)
    # Far from zero and in other units alike.
    assert normal_fit(censored(1e6 + 1e-3 * x, 1e6 + 5e-3, 1e9)) == pytest.approx(
        (1e6 + 5e-3, 2e-3), abs=1e-4
    )


def test_intervals_alone_are_enough():
    x = np.random.default_rng(0).normal(5.0, 2.0, size=20_000)
    edges = np.array([-INF, 3.0, 5.0, 6.0, INF])
    codes = np.searchsorted(edges, x) - 1
    cells = Cells(np.full(len(x), np.nan), codes, tuple(zip(edges[:-1], edges[1:], strict=True)))
    assert normal_fit(cells) == pytest.approx((5.0, 2.0), abs=0.1)


@pytest.mark.parametrize(
    "numbers, intervals",
    [
        ([1.0, 1.0], [(-INF, 1.0)]),
        ([1.0, 1.0], [(0.0, 2.0)]),
        ([0.0], [(-INF, 0.0)]),
        ([], [(-INF, 3.0)]),
        ([], [(2.0, INF), (2.0, INF)]),
        ([1.0, 2.0], [(1e6, INF)]),
    ],
)
def test_normal_fit_of_hardly_anything_is_still_a_normal(numbers, intervals):
    distinct = tuple(sorted(set(intervals)))
    codes = [-1] * len(numbers) + [distinct.index(i) for i in intervals]
    values = np.array([*numbers, *[np.nan] * len(intervals)])
    location, scale = normal_fit(Cells(values, np.array(codes), distinct))
    assert np.isfinite(location) and np.isfinite(scale) and scale > 0
