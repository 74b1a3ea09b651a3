import math

import pytest
import torch
from pyro import distributions as dist
from scipy import stats
from torch import distributions as td

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.densities import PrecisionMixture, WarpedNormal

K, N, C, L = 4, 5, 3, 2


@pytest.fixture
def mixture():
    factors = torch.randn(C, L, L).tril(-1) + torch.diag_embed(0.5 + torch.rand(C, L))
    return PrecisionMixture(torch.randn(C), PrecisionNormal(2 * torch.randn(C, L), factors))


def reference(p):
    factor = p.components.precision_tril
    normals = td.MultivariateNormal(p.components.loc, precision_matrix=factor @ factor.mT)
    return td.MixtureSameFamily(td.Categorical(logits=p.logits), normals)


@pytest.mark.parametrize("batch", [(), (N,), (K, N)])
def test_mixture_equals_that_of_torch(mixture, batch):
    z = 3 * torch.randn(K, N, L)
    torch.testing.assert_close(mixture.expand(batch).log_prob(z), reference(mixture).log_prob(z))


def test_draws_and_transported_uniforms_have_the_moments_of_the_mixture(mixture):
    uniforms = torch.rand(40_000, L, dtype=torch.float64)
    exact = reference(mixture)
    for z in (mixture.sample((40_000,)), mixture.from_uniforms(uniforms)):
        error = 5 * exact.stddev / 200
        assert ((z.mean(0) - exact.mean).abs() < error).all()
        torch.testing.assert_close(z.var(0), exact.variance, rtol=0.05, atol=0)
        second = exact.sample((200_000,)).T.cov()[0, 1]
        assert (z.T.cov()[0, 1] - second).abs() < 0.05 * exact.variance.max()


def test_uniforms_at_the_edge_stay_finite(mixture):
    edge = torch.tensor([2.0**-53, 0.5, 1 - 2.0**-53], dtype=torch.float64)
    z = mixture.from_uniforms(torch.cartesian_prod(edge, edge))
    assert z.isfinite().all() and z.abs().max() < 40


def test_a_component_of_no_weight_is_never_drawn(mixture):
    p = PrecisionMixture(torch.tensor([0.0, -800.0, 0.0]), mixture.components)
    p.components.loc[1] = 1000.0
    uniforms = torch.rand(5000, L, dtype=torch.float64)
    for z in (p.sample((5000,)), p.from_uniforms(uniforms)):
        assert z.isfinite().all() and z.max() < 100


def test_draws_carry_no_gradient_and_say_so(mixture):
    mixture.components.loc.requires_grad_()
    assert not mixture.has_rsample and not mixture.sample().requires_grad


def test_warped_normal_is_the_law_of_the_inverse_of_noise():
    """z = exp(e), one number: log-normal."""
    p = WarpedNormal(lambda z: (z.log(), -z.log().sum(-1)), torch.exp, zero=torch.zeros(1))
    z = torch.rand(K, N, 1) + 0.1
    torch.testing.assert_close(
        p.expand((K, N)).log_prob(z), dist.LogNormal(0.0, 1.0).log_prob(z)[..., 0]
    )
    draws = p.expand((3000,)).sample()[:, 0]
    assert stats.kstest(draws.numpy(), stats.lognorm(1.0).cdf).pvalue > 1e-3
    assert p.rsample((2, 3)).shape == (2, 3, 1)
    assert p.log_prob(torch.ones(1)).item() == pytest.approx(-0.5 * math.log(2 * math.pi))
