"""The extended skew normal against its definition: a normal number given a noisy event."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pyro_gnr.model.skew_normal import ExtendedSkewNormal, LogSkewNormal
from pyro_gnr.model.transport import bracket, cdf, transport

# loc, scale, slope c, threshold b: both signs, none, steep, and deep in the tail (t = -6.2, -13).
CASES = [
    (0.0, 1.0, 2.0, 0.5),
    (0.3, 0.5, -3.0, -0.2),
    (-0.5, 2.0, 0.0, 0.0),
    (0.0, 1.0, 40.0, 1.0),
    (0.0, 1.0, 1.2, 8.1),
    (0.2, 1.0, 3.0, 14.0),
    (0.2, 1.0, -3.0, -14.0),
]


def make(loc, scale, slope, threshold):
    return ExtendedSkewNormal(*(torch.tensor(v) for v in (loc, scale, slope, slope * threshold)))


def by_definition(case):
    """Normaliser, mean, sd and CDF of N(x) Phi(c (x - b)), by numerical integration."""
    loc, scale, c, b = case
    grid = np.linspace(loc - 16 * scale, loc + 16 * scale, 400_001)
    log_p = stats.norm(loc, scale).logpdf(grid) + stats.norm.logcdf(c * (grid - b))
    p = np.exp(log_p - log_p.max())
    total = integrate.trapezoid(p, grid)
    mean = integrate.trapezoid(p * grid, grid) / total
    sd = np.sqrt(integrate.trapezoid(p * (grid - mean) ** 2, grid) / total)
    below = integrate.cumulative_trapezoid(p, grid, initial=0.0) / total
    return np.log(total) + log_p.max(), mean, sd, grid, below


@pytest.mark.parametrize("case", CASES)
def test_probability_of_the_event_mean_and_variance(case):
    d, (log_total, mean, sd, _, _) = make(*case), by_definition(case)
    assert torch.special.log_ndtr(d.t).item() == pytest.approx(log_total, rel=1e-6, abs=1e-6)
    assert d.mean.item() == pytest.approx(mean, rel=1e-6, abs=1e-6)
    assert d.variance.sqrt().item() == pytest.approx(sd, rel=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_density_and_cdf(case):
    d, (log_total, _, _, grid, below) = make(*case), by_definition(case)
    loc, scale, c, b = case
    x = grid[::1000]
    expected = stats.norm(loc, scale).logpdf(x) + stats.norm.logcdf(c * (x - b)) - log_total
    np.testing.assert_allclose(d.log_prob(torch.tensor(x)), expected, rtol=1e-5, atol=1e-5)
    deep = d.t < -6  # there e is taken for a shifted exponential
    found = cdf(d, torch.tensor(x))
    np.testing.assert_allclose(found, below[::1000], atol=5e-3 if deep else 1e-5)


@pytest.mark.parametrize("case", CASES)
def test_draws_follow_the_cdf(case):
    d = make(*case).expand((20_000,))
    limit = 0.015 if d.t[0] < -6 else 0.0115  # 1.63 / sqrt(n): 1 %
    for x in (d.sample(), transport(d, torch.rand(20_000, dtype=torch.float64))):
        p = np.sort(cdf(d, x).numpy())
        distance = np.abs(p - np.arange(1, 20_001) / 20_001).max()
        assert distance < limit


def test_draws_and_moments_stay_finite_far_in_the_tail():
    for t in (-40.0, -30.0, 30.0, 40.0):
        for c in (0.1, 3.0, 1e3, -3.0):
            stretch = (1 + c**2) ** 0.5
            d = ExtendedSkewNormal(*(torch.tensor(v) for v in (0.0, 1.0, c, -t * stretch)))
            assert d.t.item() == pytest.approx(t)
            u = torch.tensor([1e-12, 0.3, 1 - 1e-12], dtype=torch.float64)
            x = transport(d.expand((3,)), u)
            assert x.isfinite().all() and d.mean.isfinite() and d.variance >= 0
            assert d.log_prob(d.mean).isfinite()
            low, high = bracket(d, 0.5)
            assert low <= d.mean <= high


def test_gradients_are_finite_far_in_the_tail():
    loc = torch.tensor([-40.0, 0.0, 40.0], requires_grad=True)
    d = ExtendedSkewNormal(loc, torch.tensor(1.0), torch.tensor(5.0), torch.tensor(0.0))
    (torch.special.log_ndtr(d.t) + d.mean).sum().backward()
    assert loc.grad.isfinite().all()


def test_slope_zero_is_the_normal_itself():
    d = make(0.3, 2.0, 0.0, 5.0)
    normal = torch.distributions.Normal(0.3, 2.0)
    x = torch.linspace(-5, 5, 11)
    torch.testing.assert_close(d.log_prob(x), normal.log_prob(x))
    torch.testing.assert_close(cdf(d, x), normal.cdf(x))
    assert d.mean.item() == pytest.approx(0.3) and d.variance.item() == pytest.approx(4.0)


def test_a_steep_slope_is_truncation():
    d = make(0.0, 1.0, 1e5, 0.7)
    expected = stats.truncnorm(0.7, np.inf)
    assert d.mean.item() == pytest.approx(expected.mean(), rel=1e-4)
    x = transport(d.expand((5000,)), torch.rand(5000, dtype=torch.float64))
    assert x.min() > 0.69
    assert stats.kstest(x.numpy(), expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("slope", [-30.0, -1.0, 0.0, 2.0, 30.0])
def test_exponential_of_a_skew_normal(slope):
    d = LogSkewNormal(make(0.3, 0.8, slope, 0.5))
    y = np.linspace(-6.0, 6.0, 200_001)
    density = d.log_prob(torch.from_numpy(np.exp(y))).exp().numpy() * np.exp(y)
    assert integrate.trapezoid(density, y) == pytest.approx(1.0, abs=1e-6)
    assert d.mean.item() == pytest.approx(integrate.trapezoid(density * np.exp(y), y), rel=1e-5)
    x = torch.tensor(1.4)
    below = integrate.trapezoid(density[y <= np.log(1.4)], y[y <= np.log(1.4)])
    assert cdf(d, x).item() == pytest.approx(below, abs=1e-4)
    drawn = transport(d.expand((3000,)), torch.rand(3000, dtype=torch.float64))
    assert stats.kstest(drawn.numpy(), lambda v: cdf(d, torch.from_numpy(v)).numpy()).pvalue > 1e-3
    low, high = bracket(d, 0.5)
    assert 0.0 < low < d.mean < high
