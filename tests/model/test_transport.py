import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import distributions as td

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.transport import cdf, transport

CONTINUOUS = {
    "normal": (lambda: dist.Normal(1.5, 0.3), stats.norm(1.5, 0.3)),
    "student_t": (lambda: dist.StudentT(3.0, -1.0, 2.0), stats.t(3.0, -1.0, 2.0)),
    "heavy_t": (lambda: dist.StudentT(0.7, 0.0, 1.0), stats.t(0.7)),
    "exponential": (lambda: dist.Exponential(2.0), stats.expon(scale=0.5)),
    "uniform": (lambda: dist.Uniform(-1.0, 4.0), stats.uniform(-1.0, 5.0)),
    "log_normal": (lambda: dist.LogNormal(0.2, 0.5), stats.lognorm(0.5, scale=np.exp(0.2))),
}
PLACES = torch.tensor(np.r_[1e-12, 1e-6, np.linspace(0.001, 0.999, 201), 1 - 1e-6, 1 - 1e-12])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_transport_is_the_quantile_function(name):
    make, reference = CONTINUOUS[name]
    x = transport(make().expand(PLACES.shape), PLACES)
    np.testing.assert_allclose(x, reference.ppf(PLACES.numpy()), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_cdf_agrees_with_scipy(name):
    make, reference = CONTINUOUS[name]
    x = torch.tensor(reference.ppf(np.linspace(0.01, 0.99, 50)))
    np.testing.assert_allclose(cdf(make().expand(x.shape), x), reference.cdf(x.numpy()), atol=1e-9)


def test_cdf_of_student_t_broadcasts_particles_and_columns():
    t = dist.StudentT(torch.tensor([3.0, 8.0]), torch.randn(4, 5, 2), torch.rand(4, 5, 2) + 0.1)
    x = torch.randn(5, 2)
    p = cdf(t, x)
    assert p.shape == (4, 5, 2)
    k, n, j = 2, 3, 1
    expected = stats.t.cdf(x[n, j], 8.0, t.loc[k, n, j], t.scale[k, n, j])
    assert p[k, n, j].item() == pytest.approx(expected)


def test_transported_uniforms_have_the_distribution():
    u = torch.rand(20_000, dtype=torch.float64)
    t = transport(dist.StudentT(4.0).expand(u.shape), u)
    assert stats.kstest(t.numpy(), stats.t(4.0).cdf).pvalue > 1e-3
    assert stats.kstest(t.numpy(), stats.norm.cdf).pvalue < 1e-3  # the test has power


def test_bernoulli_frequencies():
    p = torch.tensor([0.0, 0.02, 0.5, 0.9, 1.0])
    u = torch.rand(50_000, 5, dtype=torch.float64)
    x = transport(dist.Bernoulli(p).expand(u.shape), u)
    assert x[:, 0].max() == 0 and x[:, 4].min() == 1
    torch.testing.assert_close(x.mean(0), p, atol=0.01, rtol=0)


def test_categorical_frequencies():
    p = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0]])
    u = torch.rand(50_000, 4, dtype=torch.float64)
    x = transport(dist.Categorical(p).expand(u.shape), u)
    frequencies = torch.stack([(x == level).double().mean(0) for level in range(3)], -1)
    torch.testing.assert_close(frequencies, p, atol=0.01, rtol=0)
    assert ((frequencies > 0) <= (p > 0)).all()


@pytest.mark.parametrize("levels", [1, 2, 3, 7])
def test_categorical_never_leaves_its_levels_in_single_precision(levels):
    # A column with fewer levels than its block is padded with impossible ones.
    logits = torch.full((1000, 9), -torch.inf, dtype=torch.float32)
    logits[:, :levels] = 3 * torch.randn(1000, levels, dtype=torch.float32)
    for u in (1.0 - 2.0**-53, 2.0**-53):
        draw = transport(dist.Categorical(logits=logits), torch.full((1000,), u).double())
        assert draw.min() >= 0 and draw.max() < levels


def test_normal_tails_are_finite_and_in_the_default_dtype():
    torch.set_default_dtype(torch.float32)
    u = torch.tensor([2.0**-53, 1 - 2.0**-53], dtype=torch.float64)
    for d in (dist.Normal(0.0, 1.0), dist.StudentT(2.5), dist.LogNormal(0.0, 1.0)):
        x = transport(d.expand((2,)), u)
        assert x.dtype == torch.float32
        assert x.isfinite().all(), d
    assert transport(dist.Normal(0.0, 1.0).expand((2,)), u).abs().min() > 8


def test_independent_and_masked_go_to_the_distribution_within():
    u = torch.rand(5, 2, dtype=torch.float64)
    normal = dist.Normal(torch.randn(5, 2), 0.4)
    expected = transport(normal, u)
    torch.testing.assert_close(transport(normal.to_event(1), u), expected)
    masked = normal.mask(torch.tensor([True, False])).to_event(1)
    torch.testing.assert_close(transport(masked, u), expected)


def test_multivariate_normals_have_their_covariance():
    factor = torch.tensor([[1.0, 0.0], [0.7, 0.5]])
    covariance = factor @ factor.T
    u = torch.rand(100_000, 2, dtype=torch.float64)
    loc = torch.tensor([1.0, -2.0])
    by_precision = PrecisionNormal(loc, torch.linalg.cholesky(torch.linalg.inv(covariance)))
    for d in (td.MultivariateNormal(loc, scale_tril=factor), by_precision):
        x = transport(d.expand((100_000,)), u)
        torch.testing.assert_close(x.mean(0), loc, atol=0.02, rtol=0)
        torch.testing.assert_close(x.T.cov(), covariance, atol=0.02, rtol=0)


def test_unknown_distribution_says_so():
    with pytest.raises(NotImplementedError):
        transport(dist.Poisson(3.0), torch.tensor(0.5))
