"""Points, quantiles and levels of a weighted mixture, against scipy and brute force."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Gamma,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
)

from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation import mixtures
from pyro_gnr.imputation.mixtures import Mixture
from pyro_gnr.model.likelihoods import Truncated
from pyro_gnr.model.likelihoods.block import Block, Columnwise
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated
from pyro_gnr.model.registry import LIKELIHOODS

P = torch.tensor([0.01, 0.05, 0.5, 0.9, 0.999])


def mixture_of(weights, *distributions):
    """Blocks of one column each, batch (K, N, 1), in their own order."""
    blocks = [Block(d, torch.tensor([j])) for j, d in enumerate(distributions)]
    return Mixture(weights, Columnwise(blocks, torch.arange(len(blocks))))


@pytest.fixture(autouse=True)
def _double(double):
    """Double precision inside the test."""


def random_weights(rng, k=7, n=3):
    return torch.tensor(rng.dirichlet(np.ones(k), size=n).T)


def test_where_one_particle_has_all_the_weight_its_own_quantiles_are_found():
    loc, scale = torch.randn(4, 2, 1), torch.rand(4, 2, 1) + 0.5
    weights = torch.zeros(4, 2)
    weights[1, 0] = weights[3, 1] = 1.0
    mixture = mixture_of(weights, Normal(loc, scale), StudentT(3.0, loc, scale))
    found = mixture.quantiles(P).numpy()
    for n, k in enumerate([1, 3]):
        at = {"loc": loc[k, n].item(), "scale": scale[k, n].item()}
        np.testing.assert_allclose(found[:, n, 0], stats.norm(**at).ppf(P), atol=1e-7)
        np.testing.assert_allclose(found[:, n, 1], stats.t(3.0, **at).ppf(P), atol=1e-6)
    np.testing.assert_allclose(mixture.point()[:, 0], [loc[1, 0, 0], loc[3, 1, 0]])


def test_quantiles_invert_the_cdf_of_the_mixture():
    rng = np.random.default_rng(0)
    weights = random_weights(rng)
    loc, scale = rng.normal(scale=3.0, size=(7, 3, 1)), rng.uniform(0.05, 2.0, size=(7, 3, 1))
    found = mixture_of(weights, Normal(torch.tensor(loc), torch.tensor(scale))).quantiles(P)
    for q, p in zip(found.numpy()[..., 0], P.numpy(), strict=True):
        cdf = (weights.numpy() * stats.norm(loc, scale).cdf(q[:, None])[..., 0]).sum(0)
        np.testing.assert_allclose(cdf, p, atol=1e-6)


def test_quantiles_and_points_are_those_of_a_big_sample():
    rng = np.random.default_rng(1)
    weights = random_weights(rng, n=1)
    loc, scale = rng.normal(scale=3.0, size=7), rng.uniform(0.1, 1.0, size=7)
    batch = (torch.tensor(a)[:, None, None] for a in (loc, scale))
    mixture = mixture_of(weights, Normal(*batch))
    k = rng.choice(7, size=400_000, p=weights[:, 0].numpy())
    sample = rng.normal(loc[k], scale[k])
    found = mixture.quantiles(P)[:, 0, 0].numpy()
    shares = [(sample <= q).mean() for q in found]
    np.testing.assert_allclose(shares, P, atol=4 * 0.5 / np.sqrt(400_000))
    assert mixture.point().item() == pytest.approx(sample.mean(), abs=0.03)


def test_levels_are_averaged_by_weight_and_the_point_is_their_mode():
    rng = np.random.default_rng(2)
    weights = random_weights(rng)
    p = rng.dirichlet(np.ones(4), size=(7, 3, 1))
    coin = rng.uniform(size=(7, 3, 1))
    mixture = mixture_of(weights, Categorical(torch.tensor(p)), Bernoulli(torch.tensor(coin)))
    found = mixture.level_probabilities(4).numpy()
    w = weights.numpy()
    np.testing.assert_allclose(found[:, 0], np.einsum("kn,knl->nl", w, p[:, :, 0]), atol=1e-12)
    one = (w * coin[..., 0]).sum(0)
    np.testing.assert_allclose(found[:, 1, :2], np.stack([1 - one, one], -1), atol=1e-12)
    assert (found[:, 1, 2:] == 0.0).all()
    np.testing.assert_array_equal(mixture.point()[:, 0], found[:, 0].argmax(-1))
    np.testing.assert_array_equal(mixture.point()[:, 1], one > 0.5)


def test_numbers_have_no_levels_and_levels_no_quantiles_whatever_their_order():
    rng = np.random.default_rng(3)
    weights = random_weights(rng)
    normal = Normal(torch.zeros(7, 3, 2), 1.0)
    coin = Bernoulli(torch.full((7, 3, 1), 0.3))
    blocks = [Block(normal, torch.tensor([0, 2])), Block(coin, torch.tensor([1]))]
    order = torch.tensor([0, 2, 1])  # column 0 is first, column 1 third, column 2 second
    mixture = Mixture(weights, Columnwise(blocks, order))
    levels, quantiles = mixture.level_probabilities(2), mixture.quantiles(P)
    assert levels.shape == (3, 3, 2)
    assert quantiles.shape == (5, 3, 3)
    assert levels[:, [0, 2]].isnan().all()
    assert quantiles[..., 1].isnan().all()
    np.testing.assert_allclose(levels[:, 1, 1], 0.3)
    np.testing.assert_allclose(quantiles[:, 0, 2], stats.norm.ppf(P), atol=1e-7)


def test_equal_particles_need_no_search():
    mixture = mixture_of(torch.full((5, 1), 0.2), Normal(torch.ones(5, 1, 1), 2.0))
    expected = stats.norm(1.0, 2.0).ppf(P)
    np.testing.assert_allclose(mixture.quantiles(P)[:, 0, 0], expected, atol=1e-7)


def counts_mixture(rng, name, k=7, n=3):
    weights = random_weights(rng, k, n)
    mean = torch.tensor(rng.uniform(0.05, 60.0, size=(k, n, 1)))
    if name == "poisson":
        return weights, Poisson(mean), stats.poisson(mean.numpy())
    r = torch.tensor(rng.uniform(0.3, 5.0, size=(k, n, 1)))
    ours = NegativeBinomial(r, logits=(mean / r).log())
    if name == "zero_inflated":
        return weights, ZeroInflated(ours, gate_logits=torch.zeros(k, n, 1)), None
    return weights, ours, stats.nbinom(r.numpy(), (r / (r + mean)).numpy())


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "zero_inflated"])
def test_quantiles_of_counts_are_the_smallest_whole_numbers(name):
    rng = np.random.default_rng(4)
    weights, ours, reference = counts_mixture(rng, name)
    mixture = mixture_of(weights, ours)
    found = mixture.quantiles(P)
    ks = torch.arange(5000.0)
    p = torch.stack([(weights[..., None] * ours.log_prob(k).exp()).sum(0)[..., 0] for k in ks])
    cdf = p.cumsum(0)  # (5000, N)
    for q, level in zip(found[..., 0], P, strict=True):
        assert torch.equal(q, (cdf < level).sum(0).to(q))
    mean = (p * ks[:, None]).sum(0)
    torch.testing.assert_close(mixture.point()[:, 0], mean, rtol=1e-6, atol=0)
    assert mixture.level_probabilities(3).isnan().all()
    if reference is not None:
        w = weights.numpy()[..., None]
        np.testing.assert_allclose(p[0], (w * reference.pmf(0)).sum(0)[:, 0])


def test_counts_beyond_single_precision_have_whole_quantiles():
    weights = torch.full((3, 1), 1 / 3, dtype=torch.float32)
    mean = torch.tensor([0.01, 50.0, 1e9], dtype=torch.float32)[:, None, None]
    found = mixture_of(weights, Poisson(mean)).quantiles(torch.tensor([0.2, 0.5, 0.9]))[:, 0, 0]
    assert found[0] == 0
    assert found[1] == 50
    assert found[2].item() == pytest.approx(1e9, rel=1e-3)


def test_quantiles_of_positive_numbers_where_particles_differ_by_orders_of_magnitude():
    weights = torch.tensor([[0.999], [1e-3]])
    loc, scale = torch.tensor([0.0, 60.0])[:, None, None], 0.5
    found = mixture_of(weights, LogNormal(loc, scale)).quantiles(torch.tensor([0.05, 0.5]))
    expected = stats.lognorm(scale).ppf(np.array([0.05, 0.5]) / 0.999)
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-6)


def test_quantiles_of_gamma_and_beta_invert_the_cdf_of_the_mixture():
    rng = np.random.default_rng(5)
    weights = random_weights(rng)
    a, b = (torch.tensor(rng.uniform(0.5, 9.0, size=(7, 3, 1))) for _ in range(2))
    found = mixture_of(weights, Gamma(a, b), Beta(a, b)).quantiles(P).numpy()
    references = stats.gamma(a.numpy(), scale=1 / b.numpy()), stats.beta(a.numpy(), b.numpy())
    for j, reference in enumerate(references):
        for q, p in zip(found[..., j], P.numpy(), strict=True):
            cdf = (weights.numpy() * reference.cdf(q[:, None])[..., 0]).sum(0)
            np.testing.assert_allclose(cdf, p, atol=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_quantiles_of_some_cells_are_those_of_all(name, monkeypatch):
    """Taken out of the batch or not: whatever a likelihood makes is found alike."""
    likelihood = Truncated(lower=-3.0) if name == "truncated" else LIKELIHOODS[name]()
    kind = likelihood.natural_kind or min(likelihood.kinds)
    levels = ("p", "q", "r")[: 2 if kind is Kind.BINARY else 3]
    levels = levels if kind in (Kind.BINARY, Kind.CATEGORICAL, Kind.ORDINAL) else None
    likelihood.build([Column(n, kind, "float64", levels=levels) for n in "ab"], u_dim=3)
    with torch.no_grad():
        distribution = likelihood(torch.randn(7, 4, 3))
    weights = random_weights(np.random.default_rng(6), n=4)
    block = Block(distribution, torch.tensor([0, 1]))
    mixture = Mixture(weights, Columnwise([block], torch.arange(2)))
    wanted = torch.tensor([[True, False], [False, True], [True, True], [False, False]])
    some = mixture.quantiles(P, wanted)
    with monkeypatch.context() as patch:
        patch.setattr(mixtures, "subset", lambda distribution, index: None)
        whole = mixture.quantiles(P)
    assert bool(whole.isnan().all()) is (levels is not None)
    torch.testing.assert_close(whole[:, wanted], some[:, wanted], equal_nan=True)
    assert some[:, ~wanted].isnan().all()


class Own(Normal):
    """A distribution of the user's, with a constructor of its own."""

    def __init__(self, shift):
        super().__init__(shift, 1.0)


def test_a_distribution_of_the_users_own_is_not_taken_apart():
    weights = torch.full((2, 3), 0.5)
    found = mixture_of(weights, Own(torch.zeros(2, 3, 1))).quantiles(P, torch.eye(3)[:, :1] > 0)
    np.testing.assert_allclose(found[:, 0, 0], stats.norm.ppf(P), atol=1e-7)
