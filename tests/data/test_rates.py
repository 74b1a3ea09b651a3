import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize, special, stats

from pyro_gnr.data.rates import (
    check_link,
    check_rate,
    hard_probabilities,
    soft_probabilities,
)

SCORES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    elements=st.floats(-200.0, 200.0),
)


@given(SCORES, st.floats(0.001, 0.999), st.sampled_from(["logit", "probit"]))
@settings(deadline=None)
def test_soft_probabilities_have_the_rate_for_their_mean(scores, rate, link):
    p = soft_probabilities(scores, rate, link=link)
    np.testing.assert_allclose(p.mean(axis=0), rate, rtol=0, atol=1e-9)
    assert (p >= 0.0).all() and (p <= 1.0).all()


@given(SCORES, st.floats(0.11, 0.89))
@settings(deadline=None)
def test_the_floor_bounds_and_the_rate_stays(scores, rate):
    p = soft_probabilities(scores, rate, floor=0.1)
    np.testing.assert_allclose(p.mean(axis=0), rate, rtol=0, atol=1e-9)
    assert (p >= 0.1).all() and (p <= 0.9).all()


@pytest.mark.parametrize(
    ("link", "cdf"), [("logit", stats.logistic.cdf), ("probit", stats.norm.cdf)]
)
def test_soft_probabilities_are_the_link_at_scipys_intercept(link, cdf):
    scores = np.random.default_rng(0).normal(scale=3.0, size=(50, 1))
    b = optimize.brentq(lambda b: cdf(b + scores).mean() - 0.2, -50, 50, xtol=1e-13)
    np.testing.assert_allclose(
        soft_probabilities(scores, 0.2, link=link), cdf(b + scores), atol=1e-9
    )


def test_the_rate_is_of_the_cells_that_count():
    rng = np.random.default_rng(0)
    scores, counted = rng.normal(size=(50, 2)), rng.random((50, 2)) < 0.4
    p = soft_probabilities(scores, 0.3, counted=counted)
    np.testing.assert_allclose(p.mean(axis=0, where=counted), 0.3, atol=1e-9)
    np.testing.assert_allclose(np.ptp(special.logit(p) - scores, axis=0), 0.0, atol=1e-7)


def test_a_column_does_not_depend_on_its_neighbours():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 3)) * [0.1, 1.0, 100.0]
    together = soft_probabilities(scores, 0.3)
    alone = [soft_probabilities(scores[:, [j]], 0.3) for j in range(3)]
    assert np.array_equal(together, np.column_stack(alone))


def test_the_floor_mixes():
    scores = np.random.default_rng(0).normal(size=(50, 1))
    p = soft_probabilities(scores, 0.3, floor=0.1)
    inner = special.logit((p - 0.1) / 0.8) - scores
    np.testing.assert_allclose(inner.ravel(), inner[0, 0], atol=1e-9)


@given(SCORES, st.floats(0.001, 0.999))
@settings(deadline=None)
def test_hard_probabilities_take_the_highest(scores, rate):
    p = hard_probabilities(scores, rate)
    np.testing.assert_allclose(p.mean(axis=0), rate, rtol=0, atol=1e-9)
    for column, chances in zip(scores.T, p.T, strict=True):
        between = (chances > 0.0) & (chances < 1.0)
        assert len(np.unique(column[between])) <= 1
        if (chances == 0.0).any():
            assert column[chances > 0.0].min() > column[chances == 0.0].max()


def test_hard_is_the_limit_of_soft():
    scores = np.array([[0.3], [1.0], [1.0], [2.0], [-4.0]])
    np.testing.assert_allclose(
        hard_probabilities(scores, 0.5), soft_probabilities(1e5 * scores, 0.5), atol=1e-9
    )


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_rates_outside_the_open_interval(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        check_rate(rate)


def test_rates_that_are_no_numbers_or_beyond_positivity():
    for rate in (True, "0.3", None):
        with pytest.raises(TypeError, match="expected a number"):
            check_rate(rate)
    with pytest.raises(ValueError, match=r"positivity 0.2, expected a rate between 0.2 and 0.8"):
        check_rate(0.1, floor=0.2)


def test_links():
    with pytest.raises(ValueError, match=r"got link 'cloglog', expected one of \['logit', 'pro"):
        check_link("cloglog")
