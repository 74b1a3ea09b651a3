"""Factor analysis of values and holes: exact posteriors, parameters, factors of their own."""

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_gnr.model.hole_factors import _truncated, hole_factor_analysis, own_factors
from pyro_gnr.model.propagation import Sites


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def probit_world(n, *, seed=0):
    """Four values of one factor; holes of the first two by that factor, of the third by chance."""
    rng = np.random.default_rng(seed)
    w, psi = np.array([0.9, 0.7, 0.8, 0.6]), np.array([0.3, 0.5, 0.4, 0.6])
    a, b = np.array([1.2, -0.8, 0.0, 0.0]), np.array([0.6, 0.5, 0.8, 9.0])
    z = rng.normal(size=(n, 1))
    x = z * w + np.sqrt(psi) * rng.normal(size=(n, 4))
    m = z * a + b + rng.normal(size=(n, 4)) > 0
    return x * m, m, (w, psi, a, b)


def fit(x, m, **options):
    x, m = torch.tensor(np.asarray(x, np.float64)), torch.tensor(np.asarray(m, bool))
    return hole_factor_analysis(x * m, m.double(), m, generator=generator(), **options)


def test_known_parameters_are_recovered():
    x, m, (w, psi, a, b) = probit_world(10_000)
    found = fit(x, m, latent_dim=1, steps=150)
    sign = found.values.loadings[0].sign()
    np.testing.assert_allclose(sign * found.values.loadings[:, 0], w, atol=0.05)
    np.testing.assert_allclose(found.values.intercept, 0.0, atol=0.05)
    np.testing.assert_allclose(found.values.noise, psi, atol=0.05)
    np.testing.assert_allclose(sign * found.slopes[:, 0], a, atol=0.08)
    np.testing.assert_allclose(found.intercept[:3], b[:3], atol=0.08)
    # Complete rows alone, or the visible cells without their holes, are not centred at 0.
    assert abs(x[m[:, 0], 0].mean()) > 0.2


def test_what_holes_say_on_average_gives_nearly_the_exact_posterior():
    """By quadrature over the factor, of a pattern of holes; the values' part is exact anyway."""
    x, m, _ = probit_world(4000)
    found = fit(x, m, latent_dim=1, steps=100)
    z = np.linspace(-6, 6, 2001)
    eta = z[:, None] * found.slopes.numpy().T + found.intercept.numpy()
    for pattern in ([1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [1, 0, 0, 1]):
        seen = np.array(pattern)
        exact = stats.norm.pdf(z) * stats.norm.cdf((2 * seen - 1) * eta)[:, :3].prod(1)
        exact = exact / exact.sum()
        mean, holes = (exact * z).sum(), np.arange(3)
        precision = 1 / (1 + found.noise[seen[:3], holes])
        pull = precision * (found.value[seen[:3], holes] - found.intercept[:3])
        slopes = found.slopes[:3, 0]
        variance = 1 / (1 + (precision * slopes**2).sum())
        # Means of up to 0.9: what a hole says on average is too little where others agree.
        assert (variance * (pull * slopes).sum()).item() == pytest.approx(mean, abs=0.2)
        spread = (exact * (z - mean) ** 2).sum()
        assert variance.item() == pytest.approx(spread, abs=0.1)


@pytest.mark.parametrize("mean", [-9.0, -1.0, 0.0, 0.5, 30.0])
def test_factors_give_the_moments_of_a_truncated_normal(mean):
    """A column on both sides of 0; the factor times its cavity is matched to scipy."""
    m = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    cavity = torch.tensor([[mean, -mean]], dtype=torch.float64), torch.full_like(m, 1.7)
    sites = Sites(torch.full_like(m, 1e-6), torch.zeros_like(m))
    for _ in range(60):
        sites = _truncated(cavity, sites, m)
    precision = sites.precision + 1 / cavity[1]
    found = (sites.precision * sites.value + cavity[0] / cavity[1]) / precision
    sd = np.sqrt(1.7)
    exact = stats.truncnorm(-mean / sd, np.inf, mean, sd)
    np.testing.assert_allclose(found[0], [exact.mean(), -exact.mean()], rtol=1e-4)
    np.testing.assert_allclose(1 / precision[0], max(exact.var(), 1e-4 * 1.7), rtol=1e-3)


def blocks(k, n=600, seed=0):
    """Blocks of three of four columns, each missing together and by chance; two factors."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(2, 4 * k))
    x = rng.normal(size=(n, 2)) @ w / np.linalg.norm(w, axis=0) + rng.normal(size=(n, 4 * k))
    m = np.ones(x.shape, bool)
    for b in range(k):
        m[np.ix_(rng.random(n) < 0.3, [4 * b, 4 * b + 1, 4 * b + 2])] = False
    return x, m


@pytest.mark.parametrize("k", [1, 2, 3])
def test_columns_missing_together_take_a_factor_of_their_own(k):
    x, m = blocks(k)
    assert own_factors(torch.tensor(m[:, ~m.all(0)]).double(), most=9).shape == (3 * k, k)
    found = fit(x, m, latent_dim=4 * k - 1)
    shared, own = found.values.loadings[:, :-k], found.values.loadings[:, -k:]
    assert own.abs().max() < 1e-3 < 0.5 < shared.abs().max()
    slopes = found.slopes[~m.all(0)]
    assert slopes[:, -k:].norm(dim=1).min() > 1.5  # the indicators themselves would be endless
    assert slopes[:, :-k].norm(dim=1).max() < 0.5 * slopes[:, -k:].norm(dim=1).min()


@pytest.mark.parametrize(("n", "columns"), [(600, 6), (2000, 3)])
def test_holes_by_chance_take_none(n, columns):
    counts = []
    for seed in range(20):
        m = (torch.rand(n, columns, generator=generator(seed)) < 0.7).double()
        counts.append(own_factors(m, most=3).shape[1])
    assert np.mean(counts) < 0.5


def test_at_most_a_third_of_the_factors_is_left_to_the_holes():
    x, m = blocks(3)
    for latent_dim, own in ((9, 3), (6, 2), (2, 1), (1, 0)):
        loadings = fit(x, m, latent_dim=latent_dim).values.loadings
        assert loadings.shape[1] == latent_dim
        assert (loadings.abs().amax(0) < 1e-3).sum() == own
    one = torch.eye(3).repeat(50, 1)
    assert own_factors(one, most=0).shape == (3, 0)
    assert own_factors(one[:, :1], most=3).shape == (1, 0)
    assert own_factors(one[:, :0], most=3).shape == (0, 0)


@pytest.mark.parametrize(("columns", "together", "latent_dim"), [(7, 3, 1), (3, 2, 2), (2, 2, 1)])
def test_one_factor_is_that_of_the_values(columns, together, latent_dim):
    """However few there are, holes by chance do not take it: imputed means stay near the truth."""
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = 0.8 * rng.normal(size=(600, 1)) + 0.6 * rng.normal(size=(600, columns))
        m = np.ones(x.shape, bool)
        m[np.ix_(rng.random(600) < 0.3, range(together))] = False
        found = fit(x, m, latent_dim=latent_dim)
        assert found.slopes[:, 0].abs().max() < 0.4
        errors.append(found.values.intercept[:together].numpy() - x[:, :together].mean(0))
    assert np.sqrt(np.square(errors).mean(0)).max() < 0.1


def test_values_that_are_not_visible_play_no_part():
    x, m, _ = probit_world(300)
    other = np.where(m, x, 1e6)
    for a, b in zip(fit(x, m, latent_dim=3)[1:], fit(other, m, latent_dim=3)[1:], strict=True):
        torch.testing.assert_close(a, b)


def test_columns_without_holes_have_no_slope():
    x, m, _ = probit_world(300)
    m[:, 1] = True
    found = fit(x, m, latent_dim=2)
    assert found.slopes[1].abs().max() == 0.0 == found.slopes[3].abs().max()
    assert found.slopes[0].abs().max() > 0.1


def test_without_holes_it_is_the_factor_analysis():
    x, m, _ = probit_world(2000)
    found = fit(x, np.ones_like(m), latent_dim=1, steps=200)
    covariance = found.values.loadings @ found.values.loadings.T + found.values.noise.diag()
    np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), atol=0.05)


@pytest.mark.parametrize("latent_dim", [1, 4, 9])
def test_hard_tables_stay_finite(latent_dim):
    """More factors than features or rows, equal columns, one never seen, a row without a cell."""
    x = torch.randn(6, 1, generator=generator()).expand(6, 5).clone()
    m = torch.ones(6, 5, dtype=torch.bool)
    m[:, 4] = False
    m[2] = False
    m[3, 1:3] = False
    found = hole_factor_analysis(x * m, m.to(x), m, latent_dim=latent_dim, generator=generator())
    for part in (*found.values, *found[1:-1]):
        assert part.isfinite().all()
    assert found.values.loadings.shape == (5, latent_dim) == found.slopes.shape


def test_generator_decides_the_start():
    x, m, _ = probit_world(100)
    before = torch.get_rng_state()
    one, two = fit(x, m, latent_dim=2), fit(x, m, latent_dim=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one[1:-1], two[1:-1], strict=True))
