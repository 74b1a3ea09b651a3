import numpy as np
import pytest
import torch
from scipy import stats

from pyro_gnr.model.transport import cdf, transport
from pyro_gnr.model.truncation import NO_LIMIT, TruncatedNormal, log_mass

# (loc, scale, lower, upper)
WINDOWS = [
    (0.0, 1.0, -1.0, 2.0),
    (0.3, 0.5, -8.0, 9.0),
    (0.0, 1.0, 5.0, 6.0),
    (0.0, 1.0, -31.0, -30.0),
    (3.0, 0.1, -1.0, 0.0),
    (0.0, 1.0, -NO_LIMIT, -35.0),
    (0.0, 1.0, -NO_LIMIT, 0.7),
    (0.0, 1.0, 35.0, NO_LIMIT),
    (0.0, 1.0, -0.5, NO_LIMIT),
    (0.0, 1.0, -NO_LIMIT, NO_LIMIT),
]
PLACES = torch.tensor(np.r_[1e-9, np.linspace(0.001, 0.999, 101), 1 - 1e-9])


def made(loc, scale, lower, upper, dtype=None):
    loc, scale = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (loc, scale))
    return TruncatedNormal(loc, scale, lower=lower, upper=upper)


def reference(loc, scale, lower, upper):
    return stats.truncnorm((lower - loc) / scale, (upper - loc) / scale, loc, scale)


@pytest.mark.parametrize("window", WINDOWS)
def test_density_cdf_quantiles_and_mean_are_those_of_scipy(window):
    d, scipys = made(*window), reference(*window)
    x = scipys.ppf(PLACES.numpy())
    mine = transport(d.expand(PLACES.shape), PLACES).numpy()
    np.testing.assert_allclose(mine, x, rtol=1e-7, atol=1e-7)
    at = torch.tensor(x)
    np.testing.assert_allclose(d.log_prob(at).detach(), scipys.logpdf(x), rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(cdf(d, at).detach(), scipys.cdf(x), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(d.mean.item(), scipys.mean(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("window", WINDOWS)
def test_log_mass_is_exact(window):
    loc, scale, lower, upper = window
    a, b = (lower - loc) / scale, (upper - loc) / scale
    if a > 0:
        a, b = -b, -a
    exact = stats.norm.logcdf(b) + np.log1p(-np.exp(stats.norm.logcdf(a) - stats.norm.logcdf(b)))
    mine = log_mass(*(torch.tensor(v) for v in window)).item()
    assert mine == pytest.approx(exact, rel=1e-12, abs=1e-15)


def test_outside_the_limits_there_is_nothing():
    d = made(0.0, 1.0, -1.0, 2.0)
    assert d.log_prob(torch.tensor([-1.1, 2.1])).tolist() == [-np.inf, -np.inf]
    assert d.log_prob(torch.tensor([-1.0, 2.0])).isfinite().all()
    assert cdf(d, torch.tensor([-5.0, 5.0])).tolist() == [0.0, 1.0]


def test_far_beyond_a_limit_it_is_exponential():
    """Rate |loc| / scale^2, to first order; no digit may be lost although log Phi is -5e13."""
    for sign in (1.0, -1.0):
        limits = {"lower": 0.0} if sign > 0 else {"lower": -NO_LIMIT, "upper": 0.0}
        loc = torch.tensor(-sign * 1e6, requires_grad=True)
        d = TruncatedNormal(loc, torch.tensor(0.1), **limits)
        rate = 1e8
        x = torch.tensor([0.0, 1e-8, 3e-8])
        expected = np.log(rate) - rate * x
        torch.testing.assert_close(d.log_prob(sign * x), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(cdf(d, sign * x[1:]), expect(sign, rate * x[1:]))
        drawn = transport(d.expand((3,)), torch.tensor([0.1, 0.5, 0.9]))
        p = torch.tensor([0.1, 0.5, 0.9])
        exact = -torch.log1p(-p) / rate if sign > 0 else p.log() / rate
        # loc + scale q: what is left is the rounding of numbers as large as loc.
        torch.testing.assert_close(drawn, exact, atol=1e-9, rtol=0)
        slope = torch.autograd.grad(d.log_prob(sign * x[1]), loc)[0].item()
        assert slope == pytest.approx(sign * (1e-8 - 1 / rate) / 0.01, abs=1e-8)


def expect(sign, distance):
    """P(X <= x) of an exponential that runs up or down from 0."""
    return -torch.expm1(-distance) if sign > 0 else torch.exp(-distance)


def test_gradients_are_those_of_finite_differences():
    for loc, scale, lower, upper in WINDOWS[:-1]:
        x = torch.tensor(reference(loc, scale, lower, upper).ppf(0.4))

        def density(m, s, x=x, lower=lower, upper=upper):
            return TruncatedNormal(m, s, lower=lower, upper=upper).log_prob(x)

        def mass(m, s, lower=lower, upper=upper):
            return log_mass(m, s, torch.tensor(lower), torch.tensor(upper))

        at = tuple(torch.tensor(v, requires_grad=True) for v in (loc, scale))
        assert torch.autograd.gradcheck(density, at, atol=1e-4, rtol=1e-4)
        assert torch.autograd.gradcheck(mass, at, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loc", [-1e8, -1e4, -3.0, 0.0, 0.4, 3.0, 1e4, 1e8])
@pytest.mark.parametrize(
    "limits",
    [(-1.0, 1.0), (-NO_LIMIT, 0.0), (0.0, NO_LIMIT), (0.3, 0.300001), (-NO_LIMIT, NO_LIMIT)],
)
def test_wherever_the_mean_is_all_is_finite(dtype, loc, limits):
    d = made(loc, 0.1, *limits, dtype=dtype)
    lower, upper = (torch.tensor(v, dtype=dtype) for v in limits)
    x = torch.tensor(0.3, dtype=dtype).clamp(lower, upper)
    for value in (d.log_prob(x), d.mean, log_mass(d.loc, d.scale, d.lower, d.upper)):
        assert value.isfinite()
        for slope in torch.autograd.grad(value, (d.loc, d.scale), retain_graph=True):
            assert slope.isfinite()
    assert d.log_prob(x).dtype == d.mean.dtype == dtype
    drawn = transport(d.expand(PLACES.shape), PLACES)
    assert drawn.dtype == dtype and (drawn.diff() >= 0).all()
    assert (drawn >= lower).all() and (drawn <= upper).all()
    assert lower <= d.mean <= upper


def test_narrow_windows_join_wide_ones():
    """The formula changes at a width of 1e-5: values must not jump there."""
    for place in (0.0, 0.5, -4.0, 20.0):
        width = torch.tensor([0.99e-5, 1.01e-5]) / max(1.0, abs(place))
        lower = torch.full((2,), place)
        mass = log_mass(torch.tensor(0.0), torch.tensor(1.0), lower, lower + width)
        density = stats.norm.logpdf(place + width / 2)
        np.testing.assert_allclose(mass, density + width.log().numpy(), rtol=1e-9)


def test_samples_follow_the_density():
    d = made(2.0, 1.0, -1.0, 1.0)
    p = cdf(d, d.sample((20_000,))).detach().numpy()
    assert stats.kstest(p, "uniform").pvalue > 1e-3
