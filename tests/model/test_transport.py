import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import distributions as td

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated
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


@pytest.mark.parametrize("function", [transport, cdf])
def test_a_distribution_with_neither_quantiles_nor_cdf_says_so(function):
    with pytest.raises(NotImplementedError, match="Geometric has neither `icdf` nor `cdf`"):
        function(dist.Geometric(0.3), torch.tensor(0.5))


class Hidden(dist.TorchDistribution):
    """Another distribution, of which only one of quantile function and CDF is shown."""

    arg_constraints = {}
    support = None

    def __init__(self, base, *, shows):
        super().__init__(base.batch_shape, validate_args=False)
        self.support = base.support
        if shows is not None:
            setattr(self, shows, getattr(base, shows))


BY_CDF = {
    "normal": (lambda: dist.Normal(-30.0, 0.02), stats.norm(-30.0, 0.02)),
    "cauchy": (lambda: dist.Cauchy(0.0, 1.0), stats.cauchy()),
    "log_normal, wide": (lambda: dist.LogNormal(0.2, 5.0), stats.lognorm(5.0, scale=np.exp(0.2))),
    "uniform": (lambda: dist.Uniform(-1.0, 4.0), stats.uniform(-1.0, 5.0)),
    "inverse_gamma": (lambda: dist.InverseGamma(2.0, 1.0), stats.invgamma(2.0)),  # torch's own
}


@pytest.mark.parametrize("name", BY_CDF)
def test_quantiles_are_found_from_the_cdf_alone(name):
    make, reference = BY_CDF[name]
    d = make().expand(PLACES.shape)
    x = transport(d if name == "inverse_gamma" else Hidden(d, shows="cdf"), PLACES)
    # Farthest out a CDF has few digits; and draws keep off hard bounds.
    inside = slice(2, -2) if name == "uniform" else slice(1, -1)
    expected = reference.ppf(PLACES.numpy())
    np.testing.assert_allclose(x[inside], expected[inside], rtol=1e-7, atol=1e-8)
    assert d.support.check(x).all()


def test_quantiles_of_a_mixture_of_positive_numbers_stay_positive():
    shares = dist.Categorical(torch.ones(len(PLACES), 2))
    parts = dist.Gamma(torch.tensor([0.5, 30.0]), 1.0).expand((len(PLACES), 2))
    mixture = dist.MixtureSameFamily(shares, parts)
    x = transport(mixture, PLACES)
    assert (x > 0).all()
    torch.testing.assert_close(mixture.cdf(x), PLACES, rtol=1e-7, atol=1e-9)


def test_quantiles_of_counts_are_found_from_the_cdf_alone():
    d = Hidden(dist.Poisson(7.3).expand(PLACES.shape), shows=None)
    d.cdf = lambda k: cdf(dist.Poisson(7.3).expand(PLACES.shape), k)
    assert torch.equal(transport(d, PLACES), transport(dist.Poisson(7.3).expand((205,)), PLACES))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_cdf_is_found_from_the_quantiles_alone(name):
    make, reference = CONTINUOUS[name]
    d = make()
    hidden = Hidden(d.expand((2, 50)), shows=None)
    hidden.icdf = lambda u: transport(d.expand(u.shape), u)
    x = torch.tensor(reference.ppf(np.linspace(0.01, 0.99, 50)))
    p = cdf(hidden, x)
    assert p.shape == (2, 50)
    np.testing.assert_allclose(p[1], reference.cdf(x.numpy()), atol=1e-8)


# --- counts, positive and bounded numbers ----------------------------------------------------

MEANS = [1e-8, 0.02, 1.0, 7.3, 400.0, 3e6]


def counts_of(name, *, gate=0.0):
    """A batch of distributions of counts, one a mean, and scipy's."""
    mean = torch.tensor(MEANS)
    base, reference = dist.Poisson(mean), stats.poisson(mean.numpy())
    if name == "negative_binomial":
        r = torch.tensor([0.1, 0.5, 1.0, 3.0, 10.0, 100.0])
        base = dist.NegativeBinomial(r, logits=(mean / r).log())
        reference = stats.nbinom(r.numpy(), (r / (r + mean)).numpy())
    if gate:
        base = ZeroInflated(base, gate_logits=torch.full((6,), np.log(gate / (1 - gate))))
    return base, reference


@pytest.mark.parametrize("gate", [0.0, 0.3])
@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_quantiles_of_counts_are_the_smallest_numbers_that_reach_the_uniform(name, gate):
    d, reference = counts_of(name, gate=gate)
    k = transport(d.expand((len(PLACES), 6)), PLACES[:, None].expand(-1, 6))
    assert (k >= 0).all() and (k == k.round()).all()
    k, u = k.numpy(), PLACES.numpy()[:, None]
    reaches, before = (gate + (1 - gate) * reference.cdf(n) for n in (k, k - 1))
    # scipy and torch differ in the last digits: of the tail, where it is small.
    assert (reaches >= u - 1e-11).all() and ((before < u + 1e-11) | (k == 0)).all()


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_counts_are_found_exactly_at_the_jumps_of_the_cdf(name):
    d, _ = counts_of(name)
    k = torch.arange(12.0)[:, None].expand(-1, 6)
    u = cdf(d, k)
    new = (u < 1 - 1e-12) & (u > cdf(d, k - 1))
    assert new.sum() > 30
    expanded = d.expand((12, 6))
    assert torch.equal(transport(expanded, u)[new], k[new])
    above = torch.nextafter(u, torch.tensor(2.0))
    assert (transport(expanded, above.clamp(max=1 - 2.0**-53))[new] > k[new]).all()


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_single_precision_loses_no_count(name):
    d, _ = counts_of(name)
    single = type(d)(
        **{n: getattr(d, n).float() for n in ("rate", "total_count", "logits") if n in d.__dict__}
    )
    torch.set_default_dtype(torch.float32)
    u = torch.rand(500, 1, dtype=torch.float64).expand(-1, 6)
    k = transport(single.expand((500, 6)), u)
    assert k.dtype == torch.float32
    exact = transport(d.expand((500, 6)), u)
    assert (k[:, :5].double() == exact[:, :5]).double().mean() > 0.99
    torch.testing.assert_close(k.double(), exact, rtol=1e-5, atol=1.0)


def test_a_uniform_next_to_one_and_a_huge_mean_end():
    u = torch.tensor([2.0**-53, 1 - 2.0**-53], dtype=torch.float64)
    for d in (dist.Poisson(1e15), dist.NegativeBinomial(0.1, logits=torch.tensor(36.0))):
        k = transport(d.expand((2,)), u)
        assert k.isfinite().all() and k[0] < k[1]
    for mean in (1e18, torch.inf, torch.nan):  # no count is found, but the search ends
        transport(dist.Poisson(torch.tensor(mean), validate_args=False).expand((2,)), u)


POSITIVE = {
    "gamma": (lambda: dist.Gamma(0.3, 2.0), stats.gamma(0.3, scale=0.5)),
    "gamma, narrow": (lambda: dist.Gamma(1e4, 1e4), stats.gamma(1e4, scale=1e-4)),
    "beta": (lambda: dist.Beta(2.0, 0.5), stats.beta(2.0, 0.5)),
    "log_normal, wide": (lambda: dist.LogNormal(0.2, 5.0), stats.lognorm(5.0, scale=np.exp(0.2))),
}


@pytest.mark.parametrize("name", POSITIVE)
def test_quantiles_of_positive_and_bounded_numbers(name):
    make, reference = POSITIVE[name]
    places = PLACES[2:-2] if name == "beta" else PLACES  # in whose tails scipy's inverse warns
    x = transport(make().expand(places.shape), places)
    expected = reference.ppf(places.numpy()).clip(1e-30)
    expected = expected.clip(1e-6, 1 - 1e-6) if name == "beta" else expected
    np.testing.assert_allclose(x, expected, rtol=1e-9)
    inside = torch.linspace(0.01, 0.99, 50)
    x = torch.tensor(reference.ppf(inside))
    np.testing.assert_allclose(cdf(make().expand(x.shape), x), inside, atol=1e-9)
