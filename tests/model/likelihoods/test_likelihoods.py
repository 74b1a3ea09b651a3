"""One conformance test for all likelihoods: a new one adds one line to LIKELIHOODS."""

import copy

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyro_gnr.data.columns import Column, Kind
from pyro_gnr.model.features import Features
from pyro_gnr.model.likelihoods import (
    Bernoulli,
    BlockLikelihood,
    Categorical,
    Censored,
    Columnwise,
    Gaussian,
    StudentT,
    Truncated,
)
from pyro_gnr.model.likelihoods.block import Block
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.registry import LIKELIHOODS as REGISTERED
from pyro_gnr.model.registry import describe, rebuild
from pyro_gnr.model.transport import cdf, transport

NUMBERS = [Column(name, Kind.CONTINUOUS, "float64") for name in "abc"]
COINS = [Column(name, Kind.BINARY, "bool", levels=(False, True)) for name in "abc"]
LIMITED = [
    Column(name, Kind.CENSORED, "str", location=2.0, scale=2.0, intervals=intervals)
    for name, intervals in (
        ("a", ((-np.inf, 0.0), (6.0, np.inf))),
        ("b", ((-np.inf, 3.0), (1.0, 2.0), (2.0, np.inf))),
        ("c", ()),
    )
]
LEVELS = [
    Column(name, Kind.CATEGORICAL, "str", levels=tuple("pqrst"[:n]))
    for name, n in (("a", 3), ("b", 5), ("c", 2))
]
# name: (template, columns it serves)
LIKELIHOODS = {
    "gaussian": (Gaussian(), NUMBERS),
    "gaussian, one scale": (Gaussian(floor=0.3, heteroscedastic=False), NUMBERS),
    "student_t": (StudentT(), NUMBERS),
    "student_t, one scale": (StudentT(df=3.0, heteroscedastic=False), NUMBERS),
    "truncated": (Truncated(lower=-7.0, upper=8.0), NUMBERS),
    "truncated, one side": (Truncated(upper=7, ceiling=1.0, heteroscedastic=False), NUMBERS),
    "censored": (Censored(), LIMITED),
    "censored, one scale": (Censored(floor=0.3, heteroscedastic=False), LIMITED),
    "bernoulli": (Bernoulli(), COINS),
    "categorical": (Categorical(), LEVELS),
    "categorical, two levels": (Categorical(), COINS),
}
K, N, C, H = 4, 5, 3, 6


@pytest.fixture(params=LIKELIHOODS)
def served(request):
    """A built likelihood with random parameters, and its columns."""
    template, columns = LIKELIHOODS[request.param]
    likelihood = copy.deepcopy(template)
    likelihood.build(columns, u_dim=H)
    with torch.no_grad():
        for p in likelihood.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return likelihood, columns


def counts(columns):
    return [None if c.levels is None else len(c.levels) for c in columns]


def levels_of(columns, j):
    """Rows (levels, C) in which column j goes through its levels, the others stay at theirs."""
    x = torch.zeros(len(columns[j].levels), C)
    x[:, j] = torch.arange(len(x))
    return x


def test_every_registered_likelihood_is_tested():
    assert {type(template) for template, _ in LIKELIHOODS.values()} == set(REGISTERED.values())


def test_serves_the_kinds_it_says(served):
    likelihood, columns = served
    assert {c.kind for c in columns} <= likelihood.kinds


def test_shapes(served):
    likelihood, columns = served
    u = torch.randn(K, N, H)
    d = likelihood(u)
    assert d.batch_shape == (K, N, C) and d.event_shape == ()
    assert likelihood.head.out_features == likelihood.n_parameters(columns)
    assert d.log_prob(torch.zeros(N, C)).shape == (K, N, C)
    assert d.expand((7, K, N, C)).log_prob(torch.zeros(N, C)).shape == (7, K, N, C)
    assert likelihood(torch.randn(H)).batch_shape == (C,)


def test_rows_and_particles_do_not_mix(served):
    likelihood, _ = served
    u = torch.randn(K, N, H)
    x = torch.ones(N, C)
    whole = likelihood(u).log_prob(x)
    for k in range(K):
        for n in range(N):
            torch.testing.assert_close(whole[k, n], likelihood(u[k, n]).log_prob(x[n]))


def test_density_sums_or_integrates_to_one(served):
    likelihood, columns = served
    d = likelihood(torch.randn(H))
    for j, n_levels in enumerate(counts(columns)):
        if n_levels is None:
            grid = torch.cat([-torch.logspace(4, -4, 4000), torch.logspace(-4, 4, 4000)])
            x = d.mean[:, None] + grid
            density = d.log_prob(x.T).exp()
            total = torch.trapezoid(density, x.T, dim=0)[j]
            assert total.item() == pytest.approx(1.0, abs=1e-3)
        else:
            x = levels_of(columns, j)
            assert d.log_prob(x)[:, j].exp().sum().item() == pytest.approx(1.0)


def test_gradients_reach_every_parameter_and_u(served):
    likelihood, _ = served
    u = torch.randn(K, N, H, requires_grad=True)
    likelihood(u).log_prob(torch.ones(N, C)).sum().backward()
    for name, p in [("u", u), *likelihood.named_parameters()]:
        assert p.grad is not None and p.grad.isfinite().all(), name
        assert p.grad.abs().max() > 0, name


def test_draws_stay_in_the_support_and_follow_the_density(served):
    likelihood, columns = served
    n = 20_000
    one = likelihood(torch.randn(H))
    d = one.expand((n, C))
    uniforms = torch.rand(n, C, dtype=torch.float64)
    for x in (d.sample(), transport(d, uniforms)):
        for j, n_levels in enumerate(counts(columns)):
            if n_levels is None:
                p = cdf(d, x)[:, j].detach()
                assert stats.kstest(p.numpy(), "uniform").pvalue > 1e-3
                continue
            assert set(x[:, j].unique().tolist()) <= set(range(n_levels))
            seen = np.bincount(x[:, j].long(), minlength=n_levels)
            expected = n * one.log_prob(levels_of(columns, j)).exp()[:, j].detach()
            assert stats.chisquare(seen, expected.numpy()).pvalue > 1e-3


def test_start_is_the_linear_model_near_zero(served):
    """At z = 0 it expects the observed means, and their slope along z is the loading."""
    likelihood, columns = served
    n_levels = counts(columns)
    features = Features(columns)
    draws = [torch.randn(500) if n is None else torch.arange(500.0) % n for n in n_levels]
    x = torch.stack(draws, 1)
    scale = features.fit(x, torch.ones_like(x, dtype=torch.bool))
    f = features.out_dim
    loadings = 0.3 * torch.randn(f, 2)
    if columns is LEVELS:  # a linear model of all levels: they sum to one, the slopes to zero
        for part, s in zip(loadings.split([3, 5, 2]), scale.scale.split([3, 5, 2]), strict=True):
            part -= (s[:, None] * part).sum(0) / s.sum()
    before = [p.detach().clone() for p in likelihood.parameters()]
    likelihood.start(LinearModel(loadings, torch.zeros(f), torch.full((f,), 0.8)), scale)
    if type(likelihood) is Categorical and columns is COINS:  # documented: at random
        assert all(map(torch.equal, before, likelihood.parameters()))
        return

    def means(u):
        d = likelihood(u)
        if isinstance(d, dist.Categorical):
            return torch.cat([d.probs[j, :n] for j, n in enumerate(n_levels)])
        return d.mean

    torch.testing.assert_close(means(torch.zeros(H)).detach(), scale.mean)
    slopes = torch.autograd.functional.jacobian(means, torch.zeros(H))
    torch.testing.assert_close(slopes[:, :2], scale.scale[:, None] * loadings, atol=0.01, rtol=0)
    assert slopes[:, 2:].abs().max() == 0
    if n_levels[0] is None:
        torch.testing.assert_close(likelihood(torch.zeros(H)).scale, scale.scale * 0.8**0.5)


def test_description_rebuilds_it(served):
    likelihood, _ = served
    again = rebuild(describe(likelihood), REGISTERED, {})
    assert describe(again) == describe(likelihood)
    assert not list(again.parameters())


def test_single_precision(served):
    likelihood, _ = served
    d = likelihood.float()(torch.randn(K, N, H, dtype=torch.float32))
    torch.set_default_dtype(torch.float32)
    assert d.log_prob(torch.zeros(N, C)).dtype == torch.float32
    assert transport(d, torch.rand(K, N, C).double()).dtype in (torch.float32, torch.int64)


# --- what is particular to some --------------------------------------------------------------


@pytest.mark.parametrize("cls", [Gaussian, StudentT, Censored])
def test_scale_has_a_floor_and_a_ceiling(cls):
    likelihood = cls(floor=0.2)
    likelihood.build(LIMITED if cls is Censored else NUMBERS, u_dim=H)
    with torch.no_grad():
        likelihood.head.bias[C:] = -1e3
        assert likelihood(torch.zeros(H)).scale.tolist() == [0.2] * C
        likelihood.head.bias[C:] = 1e3
        assert likelihood(torch.zeros(H)).scale.tolist() == [1.0] * C
    for ceiling in (0.2, 0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="ceiling="):
            cls(floor=0.2, ceiling=ceiling)
    for floor in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="floor="):
            cls(floor=floor)


@pytest.mark.parametrize("cls", [Gaussian, StudentT])
def test_heteroscedastic_or_not(cls):
    for heteroscedastic in (True, False):
        likelihood = cls(heteroscedastic=heteroscedastic)
        likelihood.build(NUMBERS, u_dim=H)
        scale = likelihood(torch.randn(9, H)).scale
        assert bool(scale.std(0).max() > 1e-3) is heteroscedastic


def test_student_t_learns_its_degrees_of_freedom_above_its_limit():
    likelihood = StudentT(df=4.0)
    likelihood.build(NUMBERS, u_dim=H)
    torch.testing.assert_close(likelihood(torch.zeros(H)).df, torch.full((C,), 4.0))
    with torch.no_grad():
        likelihood.raw_df.fill_(-1e3)
    assert likelihood(torch.zeros(H)).df.min() >= 2.5
    with pytest.raises(ValueError, match="df=2.5"):
        StudentT(df=2.5)


def test_categorical_of_different_numbers_of_levels():
    likelihood = Categorical()
    likelihood.build(LEVELS, u_dim=H)
    u = torch.randn(H)
    probs = likelihood(u).probs
    logits = likelihood.head(u).split([3, 5, 2])
    for j, (own, n) in enumerate(zip(logits, (3, 5, 2), strict=True)):
        torch.testing.assert_close(probs[j, :n], own.softmax(-1))
        assert probs[j, n:].abs().sum() == 0


@pytest.mark.parametrize("family", ["mixed", "one"])
def test_columnwise_puts_columns_in_their_places(family):
    torch.manual_seed(0)
    normal = dist.Normal(torch.randn(K, N, 2), 0.1)
    coin = dist.Bernoulli(torch.rand(K, N, 1))
    if family == "mixed":
        blocks = [Block(normal, torch.tensor([2, 0])), Block(coin, torch.tensor([1]))]
        d = Columnwise(blocks, torch.tensor([2, 0, 1]).argsort())
    else:
        d = Columnwise([Block(normal, torch.tensor([0, 1]))], torch.tensor([0, 1]))
    x = d.sample((3,))
    assert x.shape == (3, K, N, len(d.order))
    log_p = d.log_prob(x)
    if family == "mixed":
        torch.testing.assert_close(log_p[..., 2], normal.log_prob(x[..., [2, 0]])[..., 0])
        torch.testing.assert_close(log_p[..., 0], normal.log_prob(x[..., [2, 0]])[..., 1])
        torch.testing.assert_close(log_p[..., 1], coin.log_prob(x[..., 1:2])[..., 0])
        assert set(x[..., 1].unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(x[..., 0].mean(0), normal.mean[..., 1], atol=0.4, rtol=0)
    else:
        torch.testing.assert_close(log_p, normal.log_prob(x))
    u = torch.rand(K, N, len(d.order), dtype=torch.float64)
    drawn = transport(d, u)
    numbers = [2, 0] if family == "mixed" else [0, 1]
    # Every column by its own uniform: shared ones would make columns depend on each other.
    torch.testing.assert_close(drawn[..., numbers], transport(normal, u[..., numbers]))
    if family == "mixed":
        torch.testing.assert_close(drawn[..., [1]], transport(coin, u[..., [1]]))
    torch.testing.assert_close(d.expand((3, K, N, len(d.order))).log_prob(x), log_p)


def test_block_likelihood_keeps_its_places_out_of_the_state_dict():
    numbers, coins = Gaussian(), Bernoulli()
    numbers.build(NUMBERS, u_dim=H), coins.build(COINS[:1], u_dim=H)
    block = BlockLikelihood([numbers, coins], [[3, 0, 2], [1]])
    assert set(block.state_dict()) == {
        f"likelihoods.{i}.head.{name}" for i in (0, 1) for name in ("weight", "bias")
    } | {"likelihoods.0.width"}
    u, x = torch.randn(H), torch.tensor([7.0, 1.0, 8.0, 9.0])
    ours = block(u).log_prob(x)
    torch.testing.assert_close(ours[[3, 0, 2]], numbers(u).log_prob(x[[3, 0, 2]]))
    torch.testing.assert_close(ours[[1]], coins(u).log_prob(x[[1]]))
