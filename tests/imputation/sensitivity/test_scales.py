"""Numbers and levels move on the scale of their link, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation.sensitivity.scales import (
    moved_chances,
    moved_levels,
    moved_numbers,
    unit,
)

HALF = np.full((1, 3), 0.5)
DELTAS = st.floats(-5, 5)
CHANCES = arrays(np.float64, st.integers(2, 5), elements=st.floats(0.01, 1)).map(
    lambda p: p / p.sum()
)


def column(kind, **options):
    return Column("a", kind, "float64", **options)


def test_each_kind_has_its_link():
    x, d = np.array([[0.2, 0.5, 0.9]]), np.array([[0.7, -0.4, 0.1]])
    normal = column(Kind.CONTINUOUS, location=5.0, scale=4.0)
    in_units = normal.to_units(moved_numbers(normal, x, d, uniforms=HALF))
    np.testing.assert_allclose(in_units, normal.to_units(x) + d, rtol=1e-13)
    found = moved_numbers(column(Kind.POSITIVE, scale=3.0), x, d, uniforms=HALF)
    np.testing.assert_allclose(found, x * np.exp(d), rtol=1e-13)
    found = moved_numbers(column(Kind.BOUNDED, scale=20.0), x, d, uniforms=HALF)
    np.testing.assert_allclose(logit(found), logit(x) + d, rtol=1e-10)
    logs = column(Kind.CENSORED_LOG, location=1.0, scale=2.0)
    in_units = logs.to_units(moved_numbers(logs, x, d, uniforms=HALF))
    np.testing.assert_allclose(in_units, logs.to_units(x) * np.exp(d), rtol=1e-12)


def test_truncated_columns_move_within_their_bounds():
    a = column(Kind.CONTINUOUS, location=10.0, scale=5.0)
    x, d = np.array([[-1.0, 0.0, 1.5]]), np.array([[2.0, -2.0, 0.5]])

    def moved(*bounds):
        return a.to_units(moved_numbers(a, x, d, bounds=bounds, uniforms=HALF))

    units = a.to_units(x)
    np.testing.assert_allclose(moved(2.0, np.inf), 2 + (units - 2) * np.exp(d))
    np.testing.assert_allclose(moved(-np.inf, 30.0), 30 - (30 - units) * np.exp(-d))
    share = (moved(2.0, 30.0) - 2) / 28
    np.testing.assert_allclose(logit(share), logit((units - 2) / 28) + d)
    for bounds in ((2.0, np.inf), (-np.inf, 30.0), (2.0, 30.0)):  # up is up
        assert np.array_equal(moved(*bounds) > units, d > 0)


def test_counts_have_their_mean_multiplied():
    uniforms = ((np.arange(40_000) + 0.5) / 40_000)[None]
    for x in (0.0, 1.0, 7.0):
        found = moved_numbers(
            column(Kind.COUNT), np.full_like(uniforms, x), np.full_like(uniforms, 0.3),
            uniforms=uniforms,
        )  # fmt: skip
        assert set(np.unique(found % 1)) == {0.0}
        assert found.mean() == pytest.approx(x * np.exp(0.3), abs=1e-4)


@pytest.mark.parametrize(
    "kind", [Kind.CONTINUOUS, Kind.POSITIVE, Kind.BOUNDED, Kind.COUNT, Kind.CENSORED_LOG]
)
def test_zero_changes_no_bit(kind):
    x = np.random.default_rng(0).uniform(size=(2, 50))
    x = np.rint(9 * x) if kind is Kind.COUNT else x
    found = moved_numbers(
        column(kind, location=0.1, scale=0.3), x, np.zeros((2, 50)), uniforms=np.ones((2, 50))
    )
    assert np.array_equal(found, x)


@given(CHANCES, DELTAS)
def test_log_odds_of_a_level_move_by_delta(p, d):
    delta = np.zeros(len(p))
    delta[1] = d
    found = moved_chances(p, delta, ordered=False)
    assert found.sum() == pytest.approx(1)
    assert logit(found[1]) == pytest.approx(logit(p[1]) + d, abs=1e-9)
    rest = np.arange(len(p)) != 1  # odds among the others stay
    np.testing.assert_allclose(found[rest] / found[rest].sum(), p[rest] / p[rest].sum())


@given(CHANCES, DELTAS)
def test_cumulative_log_odds_of_ordered_levels_move_by_delta(p, d):
    found = moved_chances(p, np.array([d]), ordered=True)
    assert found.sum() == pytest.approx(1)
    above = np.cumsum(found[::-1])[::-1][1:]
    np.testing.assert_allclose(above, expit(logit(np.cumsum(p[::-1])[::-1][1:]) + d), atol=1e-12)


def test_a_level_without_probability_stays_without():
    p = np.array([0.0, 0.4, 0.6])
    np.testing.assert_allclose(moved_chances(p, np.array([3.0, 0, 0]), ordered=False), p)
    found = moved_chances(np.array([0.0, 1.0, 0.0]), np.array([2.0]), ordered=True)
    np.testing.assert_allclose(found, [0.0, 1.0, 0.0])


@given(CHANCES, DELTAS, st.booleans())
def test_moved_levels_have_the_moved_probabilities(p, d, ordered):
    delta = np.array([d]) if ordered else np.r_[d, np.zeros(len(p) - 1)]
    moved = moved_chances(p, delta, ordered=ordered)
    uniforms = ((np.arange(4000) + 0.5) / 4000)[None]
    got = np.zeros(len(p))
    kept = 0.0
    for k in range(len(p)):
        codes = moved_levels(
            np.full_like(uniforms, k), p, np.broadcast_to(moved, (1, 4000, len(p))), uniforms
        )
        shares = np.bincount(codes[0].astype(int), minlength=len(p)) / 4000
        got += p[k] * shares
        kept += p[k] * shares[k]
    np.testing.assert_allclose(got, moved, atol=2e-3)
    # No coupling keeps more.
    assert kept == pytest.approx(np.minimum(p, moved).sum(), abs=2e-3)


@pytest.mark.parametrize(
    ("kind", "bounds", "word"),
    [
        (Kind.CONTINUOUS, (-np.inf, np.inf), "own unit"),
        (Kind.CONTINUOUS, (0.0, np.inf), "distance"),
        (Kind.CONTINUOUS, (0.0, 1.0), "log-odds"),
        (Kind.COUNT, (-np.inf, np.inf), "10 %"),
        (Kind.BOUNDED, (-np.inf, np.inf), "log-odds"),
    ],
)
def test_units_are_said_in_words(kind, bounds, word):
    assert word in unit(column(kind), bounds)


def test_the_unit_of_levels_is_log_odds():
    assert unit(Column("a", Kind.BINARY, "object", levels=("x", "y"))) == "log-odds"
