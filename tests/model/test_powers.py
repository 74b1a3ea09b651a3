"""Powers of features whose logarithm is the feature, and back: inverses, slopes and moments."""

import pytest
import torch
from scipy import stats

from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.masked_linear import MaskedLinear
from pyro_gnr.model.powers import bent, unbent

Q = torch.tensor([0.4, 0.0, 0.2])


def fit(*, intercept, noise, loadings, threshold=0.5, slope=2.0):
    """A fit to three features with the same numbers, on the scale of w."""
    linear = LinearModel(
        *(torch.full(s, v) for s, v in (((3, 1), loadings), ((3,), intercept))),
        torch.full((3,), noise),
    )
    own = (torch.full((3,), v) for v in (slope, threshold, 1.5, 0.3, 0.0))
    return MaskedLinear(linear, *own)


def test_a_power_of_zero_changes_nothing():
    before = fit(intercept=0.3, noise=0.5, loadings=0.7)
    after = unbent(before, torch.zeros(3))
    for a, b in zip((*before.linear, *before[1:]), (*after.linear, *after[1:]), strict=True):
        assert torch.equal(a, b)
    f = torch.randn(5, 3)
    assert torch.equal(bent(f, torch.zeros(3)), f)


def test_thresholds_and_values_go_back_exactly_and_slopes_by_the_chain_rule():
    before = fit(intercept=0.3, noise=0.5, loadings=0.7)
    after = unbent(before, Q)
    torch.testing.assert_close(bent(after.threshold, Q), before.threshold)
    torch.testing.assert_close(bent(after.value, Q), before.value)
    near = after.threshold + 1e-6
    eta = before.slope * (bent(near, Q) - before.threshold)
    torch.testing.assert_close(eta / 1e-6, after.slope, rtol=1e-5, atol=0)


@pytest.mark.parametrize("intercept", [-0.5, 0.0, 1.5])
def test_moments_are_those_of_what_is_bent(intercept):
    before = fit(intercept=intercept, noise=0.04, loadings=0.1)
    after = unbent(before, Q).linear
    w = intercept + 0.2 * torch.special.ndtri((torch.arange(20_000) + 0.5) / 20_000)[:, None]
    straight = Q == 0
    f = torch.where(straight, w, (1 + Q * w).log() / torch.where(straight, 1.0, Q))
    torch.testing.assert_close(after.intercept, f.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(after.noise.sqrt(), f.std(0), rtol=0.02, atol=0)
    shrunk = after.loadings[:, 0] / after.noise.sqrt()
    torch.testing.assert_close(shrunk, torch.full((3,), 0.5))


@pytest.mark.parametrize("shape", [1.0, 2.0, 10.0])
def test_the_cube_root_of_a_gamma_number_has_no_skew(shape):
    """What the start relies on: its logarithm has."""
    x = torch.tensor(stats.gamma(shape).ppf((torch.arange(4000).numpy() + 0.5) / 4000))
    f = (x.log() - x.log().mean()) / x.log().std()
    w = bent(f, x.log().std() / 3)
    assert abs(stats.skew(w)) < 0.2 < 0.3 < abs(stats.skew(f))


def test_what_no_number_is_stays_finite():
    """A normal's lower tail is below the power of 0."""
    after = unbent(fit(intercept=-9.0, noise=0.5, loadings=0.7, threshold=-99.0), Q)
    assert all(t.isfinite().all() for t in (*after.linear, *after[1:]))
