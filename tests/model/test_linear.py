import numpy as np
import pytest
import torch
from scipy import stats

from pyro_gnr.model.linear import LinearModel, factor_analysis


def world(n_rows=600, n_features=5, latent_dim=2, rate=0.7, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n_features, latent_dim))
    mu, psi = rng.normal(size=n_features), rng.uniform(0.2, 0.6, size=n_features)
    covariance = w @ w.T + np.diag(psi)
    x = rng.multivariate_normal(mu, covariance, size=n_rows)
    seen = rng.uniform(size=x.shape) < rate
    return (
        torch.tensor(np.where(seen, x, 0.0)),
        torch.tensor(seen, dtype=torch.float64),
        mu,
        covariance,
    )


def log_likelihood(x, seen, model: LinearModel):
    """Exact and by pattern of holes, with scipy."""
    w, mu, psi = (t.numpy() for t in model)
    covariance = w @ w.T + np.diag(psi)
    total = 0.0
    patterns, which = np.unique(seen.numpy().astype(bool), axis=0, return_inverse=True)
    for i, v in enumerate(patterns):
        if v.any():
            rows = x.numpy()[which.ravel() == i][:, v]
            total += stats.multivariate_normal(mu[v], covariance[np.ix_(v, v)]).logpdf(rows).sum()
    return total


def fit(x, seen, **options):
    return factor_analysis(x, seen, generator=torch.Generator().manual_seed(1), **options)


@pytest.mark.parametrize("rate", [1.0, 0.6])
def test_log_likelihood_rises_at_each_em_step(rate):
    x, seen, *_ = world(rate=rate)
    path = [
        log_likelihood(x, seen, fit(x, seen, latent_dim=2, steps=steps)) for steps in range(25)
    ]
    # The ridge of the M step costs less than this.
    assert (np.diff(path) > -1e-2).all()
    assert path[-1] - path[0] > 100


@pytest.mark.parametrize("rate", [1.0, 0.6])
def test_it_goes_on_to_the_maximum(rate):
    x, seen, *_ = world(rate=rate)
    best = log_likelihood(x, seen, fit(x, seen, latent_dim=2, steps=3000))
    assert log_likelihood(x, seen, fit(x, seen, latent_dim=2)) > best - 0.5
    assert log_likelihood(x, seen, fit(x, seen, latent_dim=2, steps=10)) < best - 1.0


@pytest.mark.parametrize("floor", [0.3, torch.tensor([0.1, 0.9, 0.1, 0.9, 0.1])])
def test_noise_keeps_its_floor_at_the_maximum(floor):
    x, seen, *_ = world()
    model = fit(x, seen, latent_dim=4, smallest_noise=floor)
    assert (model.noise >= floor - 1e-9).all()
    assert (model.noise - floor).abs().min() < 1e-6  # some would be below


def test_known_covariance_is_recovered_under_holes():
    x, seen, mu, covariance = world(n_rows=6000, rate=0.7)
    model = fit(x, seen, latent_dim=2)
    ours = (model.loadings @ model.loadings.T + model.noise.diag()).numpy()
    np.testing.assert_allclose(ours, covariance, atol=0.2)
    np.testing.assert_allclose(model.intercept, mu, atol=0.1)
    truth = LinearModel(
        torch.linalg.cholesky(torch.tensor(covariance)), torch.tensor(mu), torch.zeros(5)
    )
    gain = log_likelihood(x, seen, model) - log_likelihood(x, seen, truth)
    assert 0 < gain < 25  # 20 free parameters: about half of that


def test_values_that_are_not_visible_play_no_part():
    x, seen, *_ = world()
    other = torch.where(seen.bool(), x, 1e6)
    for a, b in zip(fit(x, seen, latent_dim=2), fit(other, seen, latent_dim=2), strict=True):
        torch.testing.assert_close(a, b)


def test_generator_decides_the_start():
    x, seen, *_ = world(n_rows=50)
    before = torch.get_rng_state()
    one = fit(x, seen, latent_dim=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one, fit(x, seen, latent_dim=2), strict=True))


@pytest.mark.parametrize("latent_dim", [1, 4, 9])
def test_hard_tables_stay_finite(latent_dim):
    """More factors than features or rows, equal columns, a constant one, one never seen."""
    x = torch.randn(6, 1).expand(6, 5).clone()
    x[:, 3] = 0.0
    seen = torch.ones(6, 5)
    seen[:, 4] = 0.0
    seen[2] = 0.0
    model = fit(x * seen, seen, latent_dim=latent_dim, smallest_noise=0.01)
    assert all(part.isfinite().all() for part in model)
    assert model.noise.min() >= 0.01


def test_take_selects_features():
    model = LinearModel(torch.randn(4, 2), torch.randn(4), torch.rand(4))
    some = model.take(torch.tensor([2, 0]))
    assert torch.equal(some.loadings, model.loadings[[2, 0]])
    assert torch.equal(some.noise, model.noise[[2, 0]])
