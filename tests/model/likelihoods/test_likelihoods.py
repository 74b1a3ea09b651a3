"""One conformance test for all likelihoods: a new one adds one line to LIKELIHOODS."""

import copy

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.model.features import Features, natural
from pyro_gnr.model.likelihoods import (
    Bernoulli,
    Beta,
    BlockLikelihood,
    Categorical,
    Censored,
    Columnwise,
    Gamma,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Ordinal,
    Poisson,
    StudentT,
    Truncated,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
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
GRADES = [
    Column(name, Kind.ORDINAL, "category", levels=tuple("pqrst"[:n]))
    for name, n in (("a", 3), ("b", 5), ("c", 2))
]
SIZES = [Column(name, Kind.POSITIVE, "float64", scale=7.0) for name in "abc"]
SCORES = [Column(name, Kind.BOUNDED, "float64", scale=20.0) for name in "abc"]
VISITS = [Column(name, Kind.COUNT, "int64", whole=True) for name in "abc"]
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
    "ordinal": (Ordinal(), GRADES),
    "log_normal": (LogNormal(), SIZES),
    "log_normal, one spread": (LogNormal(floor=0.3, heteroscedastic=False), SIZES),
    "gamma": (Gamma(), SIZES),
    "beta": (Beta(), SCORES),
    "poisson": (Poisson(), VISITS),
    "negative_binomial": (NegativeBinomial(), VISITS),
    "zero_inflated_poisson": (ZeroInflatedPoisson(), VISITS),
    "zero_inflated_negative_binomial": (ZeroInflatedNegativeBinomial(), VISITS),
}
K, N, C, H = 4, 5, 3, 6


def example(columns, n):
    """Values (n, C) that the columns can hold."""
    draws = {
        Kind.CONTINUOUS: lambda: torch.randn(n),
        Kind.CENSORED: lambda: torch.randn(n),
        Kind.POSITIVE: lambda: (0.7 * torch.randn(n)).exp(),
        Kind.BOUNDED: lambda: torch.sigmoid(0.5 + torch.randn(n)),
        Kind.COUNT: lambda: torch.poisson(torch.randn(n).exp() * 2.0),
    }
    parts = [
        torch.arange(float(n)) % len(c.levels) if c.levels else draws[c.kind]() for c in columns
    ]
    return torch.stack(parts, 1)


@pytest.fixture(params=LIKELIHOODS)
def served(request):
    """A built likelihood with random parameters, and its columns."""
    template, columns = LIKELIHOODS[request.param]
    likelihood = copy.deepcopy(template)
    likelihood.build(columns, u_dim=H)
    likelihood.calibrate(example(columns, 200), torch.rand(200, C) < 0.8)
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
    x = example(columns, N)
    assert d.log_prob(x).shape == d.sample().shape == (K, N, C)
    assert d.expand((7, K, N, C)).log_prob(x).shape == (7, K, N, C)
    assert likelihood(torch.randn(H)).batch_shape == (C,)


def test_rows_and_particles_do_not_mix(served):
    likelihood, columns = served
    u = torch.randn(K, N, H)
    x = example(columns, N)
    whole = likelihood(u).log_prob(x)
    for k in range(K):
        for n in range(N):
            torch.testing.assert_close(whole[k, n], likelihood(u[k, n]).log_prob(x[n]))


def test_density_sums_or_integrates_to_one(served):
    likelihood, columns = served
    d = likelihood(torch.randn(H))
    for j, n_levels in enumerate(counts(columns)):
        if columns[j].kind is Kind.COUNT:
            k = torch.arange(200_000.0)[:, None].expand(-1, C)
            assert d.log_prob(k).exp().sum(0)[j].item() == pytest.approx(1.0, abs=1e-4)
        elif n_levels is None:
            grid = torch.cat([-torch.logspace(4, -4, 4000), torch.logspace(-4, 4, 4000)])
            x = d.mean[:, None] + grid
            if columns[j].kind not in (Kind.CONTINUOUS, Kind.CENSORED):
                t = torch.linspace(-60.0, 60.0, 8000).expand(C, -1)
                x = t.exp() if columns[j].kind is Kind.POSITIVE else torch.sigmoid(t)
            density = d.log_prob(x.T).exp()
            total = torch.trapezoid(density, x.T, dim=0)[j]
            assert total.item() == pytest.approx(1.0, abs=1e-3)
        else:
            x = levels_of(columns, j)
            assert d.log_prob(x)[:, j].exp().sum().item() == pytest.approx(1.0)


def test_gradients_reach_every_parameter_and_u(served):
    likelihood, columns = served
    u = torch.randn(K, N, H, requires_grad=True)
    likelihood(u).log_prob(example(columns, N)).sum().backward()
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
            if columns[j].kind is Kind.COUNT:
                assert (x[:, j] >= 0).all() and (x[:, j] == x[:, j].round()).all()
                k = torch.arange(x[:, j].max() + 1)[:, None].expand(-1, C)
                p = one.log_prob(k).exp()[:, j].detach().numpy()
                enough = n * np.minimum(p.cumsum(), 1 - p.cumsum()) > 10
                ends = np.r_[0, 1 + np.flatnonzero(enough)]
                ends = ends[np.r_[True, n * np.diff(np.r_[0, p.cumsum()[ends[1:] - 1]]) > 5]]
                seen = np.bincount(x[:, j].long(), minlength=len(p))
                seen, expected = (np.add.reduceat(f, ends) for f in (seen, n * p))
                expected[-1] += n - expected.sum()
                assert stats.chisquare(seen, expected).pvalue > 1e-3
                continue
            low, high = {Kind.POSITIVE: (0.0, np.inf), Kind.BOUNDED: (0.0, 1.0)}.get(
                columns[j].kind, (-np.inf, np.inf)
            )
            assert ((low < x[:, j]) & (x[:, j] < high)).all()
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
    x = example(columns, 500)
    everything = torch.ones_like(x, dtype=torch.bool)
    scale = features.fit(x, everything)
    likelihood.calibrate(x, everything)
    f = features.out_dim
    loadings = 0.3 * torch.randn(f, 2)
    if columns is LEVELS:  # a linear model of all levels: they sum to one, the slopes to zero
        for part, s in zip(loadings.split([3, 5, 2]), scale.scale.split([3, 5, 2]), strict=True):
            part -= (s[:, None] * part).sum(0) / s.sum()
    likelihood.start(LinearModel(loadings, torch.zeros(f), torch.full((f,), 0.8)), scale)

    def means(u):
        return feature_means(likelihood(u), columns)

    slopes = torch.autograd.functional.jacobian(means, torch.zeros(H))
    assert slopes[:, 2:].abs().max() == 0
    if columns is VISITS:
        # Of log(1 + mean), to first order; and over z the mean of x is the observed one.
        z = torch.zeros(100_000, H)
        z[:, :2] = torch.randn(100_000, 2)
        ours, mean = likelihood(z).mean.mean(0), x.mean(0)
        torch.testing.assert_close(ours.detach(), mean, rtol=0.03, atol=0)
        rate = likelihood.centre.exp()
        slope = (scale.scale * (1 + rate) / rate)[:, None] * loadings
        relative = slopes[:, :2] / likelihood(torch.zeros(H)).mean.detach()[:, None]
        torch.testing.assert_close(relative, slope)
        return
    if columns is COINS:  # over z, exactly but for the probit in place of the logit
        z = torch.zeros(200_000, H)
        z[:, :2] = torch.randn(200_000, 2)
        p = means(z).detach()
        torch.testing.assert_close(p.mean(0), scale.mean, atol=0.01, rtol=0)
        covariance = (p - p.mean(0)).T @ z[:, :2] / len(z)
        torch.testing.assert_close(covariance, scale.scale[:, None] * loadings, atol=0.01, rtol=0)
        return
    torch.testing.assert_close(means(torch.zeros(H)).detach(), scale.mean)
    torch.testing.assert_close(slopes[:, :2], scale.scale[:, None] * loadings, atol=0.01, rtol=0)
    if columns is NUMBERS:
        torch.testing.assert_close(likelihood(torch.zeros(H)).scale, scale.scale * 0.8**0.5)
    if n_levels[0] is None:  # the noise, on the natural scale
        draws = natural(likelihood(torch.zeros(H)).sample((20_000,)), columns[0].kind)
        if type(likelihood) is not StudentT:
            assert draws.std(0) == pytest.approx(scale.scale * 0.8**0.5, rel=0.1)


def feature_means(d, columns):
    """Expected features (natural scale) of x ~ d, in closed form; of counts their means."""
    if isinstance(d, dist.Categorical):
        levels = torch.arange(d.probs.shape[-1])
        if columns in (GRADES, COINS):
            return (d.probs * levels).sum(-1)
        return torch.cat([d.probs[j, : len(c.levels)] for j, c in enumerate(columns)])
    if isinstance(d, dist.LogNormal):
        return d.loc
    if isinstance(d, dist.Gamma):
        return torch.digamma(d.concentration) - d.rate.log()
    if isinstance(d, dist.Beta):
        return torch.digamma(d.concentration1) - torch.digamma(d.concentration0)
    return d.mean


def test_inverse_cdf_inverts_the_cdf(served):
    likelihood, columns = served
    if columns[0].levels is not None:
        return  # tested by frequencies
    d = likelihood(torch.randn(9, H)).expand((500, 9, C))
    u = torch.rand(500, 9, C, dtype=torch.float64)
    u[0], u[1] = 2.0**-52, 1 - 2.0**-52
    x = transport(d, u)
    if columns is VISITS:
        assert (cdf(d, x) >= u).all()
        assert ((cdf(d, x - 1) < u) | (x == 0)).all()
        assert cdf(d, torch.tensor(-1.0)).max() == 0
    else:
        inside = (x > 1e-6) & (x < 1 - 1e-6) if columns is SCORES else x.abs() > 1e-12
        assert inside[2:].double().mean() > 0.99
        torch.testing.assert_close(cdf(d, x)[inside], u[inside], atol=1e-6, rtol=1e-6)
    assert x.isfinite().all()


EXTREMES = {
    Kind.CONTINUOUS: [-1e6, 1e6],
    Kind.CENSORED: [-1e5, 1e5],
    Kind.POSITIVE: [1e-12, 1e-3, 1e12],
    Kind.BOUNDED: [1e-3, 1 - 1e-3],
    Kind.COUNT: [0.0, 1e6],
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_extreme_inputs_stay_finite_in_value_and_gradient(served, dtype):
    likelihood, columns = served
    torch.set_default_dtype(dtype)
    likelihood.to(dtype)
    values = range(2) if columns[0].levels else EXTREMES[columns[0].kind]
    if isinstance(likelihood, Truncated):  # beyond its bounds nothing has a density
        low, high = likelihood.lower, likelihood.upper
        values = [-1e6 if low is None else low, 1e6 if high is None else high]
    for size in (-50.0, 50.0):
        for value in values:
            u = torch.full((N, H), size, requires_grad=True)
            d = likelihood(u)
            log_p = d.log_prob(torch.full((N, C), float(value)))
            for p in likelihood.parameters():
                p.grad = None
            log_p.sum().backward()
            assert log_p.isfinite().all()
            assert all(p.grad.isfinite().all() for p in [u, *likelihood.parameters()])
            drawn = transport(d, torch.full((N, C), 0.7, dtype=torch.float64)), d.sample()
            for x in drawn:
                assert d.log_prob(x).isfinite().all()
            if columns[0].levels is None:
                assert d.mean.isfinite().all()


@pytest.mark.parametrize("behind", [0.0, -1.0, 7.5, 1e300, torch.inf, torch.nan])
def test_what_stands_behind_the_mask_changes_nothing(served, behind):
    likelihood, columns = served
    block = BlockLikelihood([likelihood], [[0, 1, 2]])
    seen, x = torch.rand(N, C) < 0.5, example(columns, N)
    seen[0], seen[1] = False, True
    found = []
    for values in (x, torch.where(seen, x, behind)):
        u = torch.randn(K, N, H, generator=torch.Generator().manual_seed(0)).requires_grad_()
        for p in likelihood.parameters():
            p.grad = None
        log_p = block(u).mask(seen).to_event(1).log_prob(values)
        log_p.sum().backward()
        found.append([log_p.detach(), u.grad, *(p.grad for p in likelihood.parameters())])
    for a, b in zip(*found, strict=True):
        assert a.isfinite().all() and torch.equal(a, b)
    assert (found[0][0][:, 0] == 0).all()
    alone = likelihood(u).log_prob(x)
    torch.testing.assert_close(found[0][0], torch.where(seen, alone, 0.0).sum(-1).detach())


def test_a_short_fit_recovers_known_parameters(served):
    """Intercepts only: maximum likelihood on simulated draws."""
    likelihood, columns = served
    with torch.no_grad():
        truth = likelihood(torch.zeros(H)).expand((4000, C))
        x = truth.sample().to(torch.get_default_dtype())
        wanted = truth.log_prob(x).mean(0)
    fresh = copy.deepcopy(LIKELIHOODS[next(n for n in LIKELIHOODS if same(n, served))][0])
    fresh.build(columns, u_dim=H)
    fresh.calibrate(x, torch.ones_like(x, dtype=torch.bool))
    optimizer = torch.optim.Adam(fresh.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        (-fresh(torch.zeros(H)).log_prob(x).mean()).backward()
        optimizer.step()
    d = fresh(torch.zeros(H))
    reached = d.log_prob(x).mean(0).detach()
    # The maximum is at or above the truth, by chi-square / 2n: parameters over 8000.
    assert (reached > wanted - 2e-3).all() and (reached < wanted + 5e-3).all()
    grid = transport(truth.expand((4000, C)), torch.rand(4000, C, dtype=torch.float64))
    grid = grid.to(x.dtype)
    gap = (truth.log_prob(grid) - d.log_prob(grid)).mean(0)
    assert gap.abs().max() < 6e-3  # Kullback-Leibler divergence from new draws


def same(name, served):
    template, columns = LIKELIHOODS[name]
    return columns is served[1] and describe(template) == describe(served[0])


def test_description_rebuilds_it(served):
    likelihood, _ = served
    again = rebuild(describe(likelihood), REGISTERED, {})
    assert describe(again) == describe(likelihood)
    assert not list(again.parameters())


def test_single_precision(served):
    likelihood, columns = served
    x = example(columns, 50)
    likelihood.calibrate(x, torch.ones_like(x, dtype=torch.bool))
    u = torch.randn(K, 50, H)
    exact = likelihood(u).log_prob(x)
    d = likelihood.float()(u.float())
    torch.set_default_dtype(torch.float32)
    log_p = d.log_prob(x.float())
    assert log_p.dtype == torch.float32
    torch.testing.assert_close(log_p.double(), exact, rtol=1e-3, atol=1e-2)
    x = transport(d, torch.rand(K, 50, C).double())
    assert x.dtype in (torch.float32, torch.int64)
    assert d.log_prob(x).isfinite().all()


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


def test_columns_are_masked_before_their_densities_are_computed():
    loc = torch.zeros(K, N, 1, requires_grad=True)
    blocks = [
        Block(dist.LogNormal(loc, 1.0, validate_args=False), torch.tensor([1]), filler=1.0),
        Block(dist.Normal(loc, 1.0, validate_args=False), torch.tensor([0])),
    ]
    d = Columnwise(blocks, torch.tensor([1, 0]))
    x = torch.tensor([[0.3, 2.0]]).expand(N, 2)
    seen = torch.rand(N, 2) < 0.5
    masked = d.mask(seen)
    expected = torch.where(seen, d.log_prob(x), 0.0)
    torch.testing.assert_close(masked.log_prob(x), expected)
    torch.testing.assert_close(masked.expand((7, K, N, 2)).log_prob(x)[3], expected)
    # Masks add up, as Pyro's do, and a larger one broadcasts.
    twice = masked.mask(torch.tensor([True, False]))
    torch.testing.assert_close(twice.log_prob(x)[..., 0], expected[..., 0])
    assert twice.log_prob(x)[..., 1].abs().max() == 0
    assert d.mask(torch.ones(9, K, N, 2, dtype=torch.bool)).batch_shape == (9, K, N, 2)
    assert d.mask(False).log_prob(x).abs().max() == 0
    torch.testing.assert_close(d.mask(True).log_prob(x), d.log_prob(x))
    assert masked.sample().shape == (K, N, 2)  # draws do not care
    # Pyro's own mask would spoil the gradients.
    zero = torch.zeros(N, 2)
    masked.log_prob(torch.where(seen, x, zero)).sum().backward()
    assert loc.grad.isfinite().all() and loc.grad.abs().max() > 0
    spoilt = torch.autograd.grad(
        torch.where(seen, d.log_prob(torch.where(seen, x, zero)), 0.0).sum(), loc
    )[0]
    assert spoilt.isnan().any()


def test_block_likelihood_keeps_its_places_out_of_the_state_dict():
    numbers, coins = Gaussian(), Bernoulli()
    numbers.build(NUMBERS, u_dim=H), coins.build(COINS[:1], u_dim=H)
    block = BlockLikelihood([numbers, coins], [[3, 0, 2], [1]])
    assert set(block.state_dict()) == {
        f"likelihoods.{i}.head.{name}" for i in (0, 1) for name in ("weight", "bias")
    } | {"likelihoods.0.width", "likelihoods.0.inflation"}
    u, x = torch.randn(H), torch.tensor([7.0, 1.0, 8.0, 9.0])
    ours = block(u).log_prob(x)
    torch.testing.assert_close(ours[[3, 0, 2]], numbers(u).log_prob(x[[3, 0, 2]]))
    torch.testing.assert_close(ours[[1]], coins(u).log_prob(x[[1]]))


# --- against closed forms ----------------------------------------------------------------------


def built(template, columns):
    likelihood = copy.deepcopy(template)
    likelihood.build(columns, u_dim=H)
    likelihood.calibrate(example(columns, 300), torch.ones(300, C, dtype=torch.bool))
    return likelihood


@torch.no_grad()
@pytest.mark.parametrize("name", ["log_normal", "gamma", "beta"])
def test_densities_of_numbers_agree_with_scipy(name):
    template, columns = LIKELIHOODS[name]
    likelihood = built(template, columns)
    u = torch.randn(N, H)
    d = likelihood(u)
    h, raw = likelihood.head(u).chunk(2, -1)
    eta = likelihood.centre + likelihood.unit * h
    s = likelihood.unit * (0.1 + 0.9 * torch.sigmoid(raw))
    if name == "log_normal":
        reference = stats.lognorm(s.numpy(), scale=eta.exp().numpy())
    elif name == "gamma":  # mean exp(eta), coefficient of variation s
        reference = stats.gamma(s.numpy() ** -2, scale=(eta.exp() * s**2).numpy())
        np.testing.assert_allclose(d.mean, eta.exp())
        np.testing.assert_allclose(d.stddev / d.mean, s)
    else:  # mean, and variance relative to m (1 - m)
        m, w = torch.sigmoid(eta), torch.sigmoid(likelihood.centre)
        v = s.square() * w * (1 - w)
        precision = 1 / v - 1
        reference = stats.beta((m * precision).numpy(), ((1 - m) * precision).numpy())
        np.testing.assert_allclose(d.mean, m)
        np.testing.assert_allclose(d.variance, v * m * (1 - m))
    x = example(columns, N)
    np.testing.assert_allclose(d.log_prob(x), reference.logpdf(x.numpy()), rtol=1e-7)
    np.testing.assert_allclose(cdf(d, x), reference.cdf(x.numpy()), rtol=1e-7)
    p = torch.rand(N, C, dtype=torch.float64)
    np.testing.assert_allclose(transport(d, p), reference.ppf(p.numpy()), rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(
    "name", [n for n, (_, columns) in LIKELIHOODS.items() if columns is VISITS]
)
def test_probabilities_of_counts_agree_with_scipy(name):
    template, columns = LIKELIHOODS[name]
    likelihood = built(template, columns)
    u = torch.randn(N, H)
    d = likelihood(u)
    h, *more = likelihood.head(u).chunk(likelihood.n_parameters(columns) // C, -1)
    mean = (likelihood.centre + h).exp().numpy()
    base, gate = stats.poisson(mean), np.zeros((N, C))
    if "negative" in name:
        s = (0.1 + 2.9 * torch.sigmoid(more[0])).numpy()
        base = stats.nbinom(s**-2.0, 1 / (1 + s**2 * mean))
        np.testing.assert_allclose(base.var(), mean + (s * mean) ** 2)
    if "zero" in name:
        gate = torch.sigmoid(more[-1]).numpy()
    for k in (0, 1, 2, 7, 40):
        p = gate * (k == 0) + (1 - gate) * base.pmf(k)
        x = torch.full((N, C), float(k))
        np.testing.assert_allclose(d.log_prob(x), np.log(p), rtol=1e-7)
        np.testing.assert_allclose(cdf(d, x), gate + (1 - gate) * base.cdf(k), rtol=1e-9)
    np.testing.assert_allclose(d.mean, (1 - gate) * mean)
    if "zero" not in name:
        u = torch.rand(1000, N, C, dtype=torch.float64)
        found = transport(d.expand((1000, N, C)), u)
        np.testing.assert_array_equal(found, base.ppf(u.numpy()))


@torch.no_grad()
def test_ordinal_is_the_cumulative_logit_model():
    likelihood = built(Ordinal(), GRADES)
    u = torch.randn(N, H)
    probs, eta = likelihood(u).probs, likelihood.head(u)
    torch.testing.assert_close(probs.sum(-1), torch.ones(N, C))
    for j, column in enumerate(GRADES):
        n = len(column.levels)
        steps = 1e-3 + torch.nn.functional.softplus(likelihood.raw_steps[j, : n - 2])
        cuts = torch.cat([torch.zeros(1), steps.cumsum(0)])
        below = torch.sigmoid(cuts - eta[:, j : j + 1])
        torch.testing.assert_close(probs[:, j, : n - 1].cumsum(-1), below)
        assert probs[:, j, n:].abs().sum() == 0
    # Higher eta, higher levels.
    higher = likelihood.distribution(torch.linspace(-5, 5, 20)[:, None].expand(-1, C))
    means = (higher.probs * torch.arange(5)).sum(-1)
    assert (means.diff(dim=0) > 0).all()


@torch.no_grad()
def test_ordinal_starts_with_the_observed_frequencies():
    x = torch.stack([torch.arange(100.0) % 3, (torch.arange(100.0) % 15).clamp(max=4.0)], 1)
    visible = torch.rand(100, 2) < 0.7
    likelihood = Ordinal()
    likelihood.build(GRADES[:2], u_dim=H)
    likelihood.calibrate(torch.where(visible, x, 0.0), visible)
    probs = likelihood(torch.zeros(H)).probs
    for j, n in enumerate((3, 5)):
        seen = torch.bincount(x[visible[:, j], j].long(), minlength=5) / visible[:, j].sum()
        torch.testing.assert_close(probs[j, :n], seen[:n], atol=1e-6, rtol=0)


@torch.no_grad()
def test_one_and_two_ordered_levels():
    for levels in ("p", "pq"):
        likelihood = Ordinal()
        likelihood.build([Column("a", Kind.ORDINAL, "category", levels=tuple(levels))], u_dim=H)
        likelihood.calibrate(torch.zeros(5, 1), torch.ones(5, 1, dtype=torch.bool))
        u = torch.randn(N, H)
        probs = likelihood(u).probs
        assert probs.shape == (N, 1, len(levels))
        expected = torch.sigmoid(likelihood.head(u)) if len(levels) == 2 else torch.ones(N, 1)
        torch.testing.assert_close(probs[..., -1], expected)


@pytest.mark.parametrize("cls", [LogNormal, Gamma, Beta])
@torch.no_grad()
def test_spread_has_a_floor_and_a_ceiling_in_units_of_the_column(cls):
    columns = SCORES if cls is Beta else SIZES
    likelihood = built(cls(floor=0.2, ceiling=0.8), columns)
    t = natural(example(columns, 20_000), columns[0].kind)
    for raw, share in ((-1e3, 0.2), (1e3, 0.8)):
        likelihood.head.bias.fill_(0.0)
        likelihood.head.bias[C:] = raw
        d = likelihood(torch.zeros(H))
        if cls is LogNormal:
            spread = d.scale
        elif cls is Gamma:
            spread = d.concentration.rsqrt()
        else:
            w = torch.sigmoid(likelihood.centre)
            spread = (d.variance / (w * (1 - w)).square()).sqrt()
        torch.testing.assert_close(spread, share * t.std(0), rtol=0.1, atol=0)
    for floor, ceiling in ((0.2, 0.2), (0.0, 1.0), (0.2, float("inf"))):
        with pytest.raises(ValueError, match="floor=|ceiling="):
            cls(floor=floor, ceiling=ceiling)


@pytest.mark.parametrize("cls", [NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_limits_of_overdispersion(cls):
    likelihood = built(cls(floor=0.2, ceiling=0.8), VISITS)
    with torch.no_grad():
        for raw, spread in ((-1e3, 0.2), (1e3, 0.8)):
            likelihood.head.bias[C : 2 * C] = raw
            d = likelihood(torch.zeros(H))
            failures = getattr(d, "base_dist", d).total_count
            torch.testing.assert_close(failures, torch.full((C,), spread**-2))
    for floor, ceiling in ((0.2, 0.2), (0.0, 1.0), (1.0, 2.0), (0.2, float("inf"))):
        with pytest.raises(ValueError, match="floor=|ceiling="):
            cls(floor=floor, ceiling=ceiling)


def test_density_of_a_bounded_column_on_its_bound_has_a_limit():
    """The encoded bound is 0.001: no parameters make it worth much more than others."""
    likelihood = built(Beta(), SCORES)
    x = torch.full((50, C), 1e-3)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        (-likelihood(torch.zeros(H)).log_prob(x).mean()).backward()
        optimizer.step()
    assert 0 < likelihood(torch.zeros(H)).log_prob(x).max() < 12


def test_excess_zeros_are_found_where_there_are_some():
    x = torch.poisson(torch.full((5000, C), 3.0)) * (torch.rand(5000, C) < 0.6)
    likelihood = ZeroInflatedPoisson()
    likelihood.build(VISITS, u_dim=H)
    likelihood.calibrate(x, torch.ones_like(x, dtype=torch.bool))
    torch.testing.assert_close(likelihood.gate, torch.full((C,), 0.4), atol=0.03, rtol=0)
    torch.testing.assert_close(likelihood.centre.exp(), torch.full((C,), 3.0), atol=0.15, rtol=0)


@pytest.mark.parametrize("name", ["log_normal", "gamma", "beta"])
def test_units_are_those_of_the_visible_cells(name):
    template, columns = LIKELIHOODS[name]
    likelihood, x = built(template, columns), example(columns, 100)
    visible = torch.rand(100, C) < 0.5
    likelihood.calibrate(torch.where(visible, x, torch.nan), visible)
    for j in range(C):
        t = natural(x[visible[:, j], j], columns[0].kind)
        torch.testing.assert_close(likelihood.centre[j], t.mean())
        torch.testing.assert_close(likelihood.unit[j], t.std(correction=0))


@pytest.mark.parametrize("name", ["log_normal", "gamma", "beta"])
@torch.no_grad()
def test_locations_go_no_farther_than_ten_units(name):
    template, columns = LIKELIHOODS[name]
    likelihood = built(template, columns)
    far = likelihood.centre + 10 * likelihood.unit
    for head in (10.0, 11.0, 1e6):
        likelihood.head.bias[:C] = head
        d = likelihood(torch.zeros(H))
        if name == "log_normal":
            torch.testing.assert_close(d.loc, far)
        else:
            mean = far.exp() if name == "gamma" else torch.sigmoid(far)
            torch.testing.assert_close(d.mean, mean)


@torch.no_grad()
def test_beta_keeps_what_is_left_of_one_in_single_precision():
    likelihood = built(Beta(), SCORES)
    likelihood.unit.fill_(2.0)
    likelihood.head.bias[:C] = 9.0
    exact = likelihood(torch.zeros(H)).concentration0
    single = likelihood.float()(torch.zeros(H).float()).concentration0
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=0)


SCALED = [name for name, (template, _) in LIKELIHOODS.items() if hasattr(template, "scale_score")]


@pytest.mark.parametrize("served", SCALED, indirect=True)
def test_what_cells_say_of_a_scale_are_its_derivatives(served):
    """Against differences of log p, numbers and intervals alike; of a normal r^2 - 1 and 2 r^2."""
    likelihood, columns = served
    likelihood = copy.deepcopy(likelihood).double()
    u, x = torch.randn(40, H, dtype=torch.float64), example(columns, 40).double()
    if columns[0].intervals:
        x[::3, 0] = CODE_BASE
    score, curvature = likelihood.scale_score(u, x)

    def log_prob(step):
        wider = copy.deepcopy(likelihood)
        wider.inflate(torch.tensor(np.exp(step)))
        return wider(u).log_prob(x).detach()

    h = 1e-4
    up, here, down = (log_prob(step) for step in (h, 0.0, -h))
    torch.testing.assert_close(score, (up - down) / (2 * h), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(curvature, -(up - 2 * here + down) / h**2, rtol=1e-3, atol=1e-4)
    if isinstance(likelihood, Gaussian):
        torch.testing.assert_close(curvature, 2 * (score + 1))
