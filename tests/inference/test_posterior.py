import time

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from arviz_stats.base import array_stats
from scipy import stats
from torch import nn

from pyro_gnr.inference.posterior import (
    effective_sample_size,
    infer,
    pareto_k,
    resample,
)


def moments(posterior):
    """Self-normalised mean (N, L) and covariance (N, L, L) of z."""
    w, z = posterior.weights[..., None], posterior.latents["z"]
    mean = (w * z).sum(0)
    centred = z - mean
    return mean, torch.einsum("kn,kni,knj->nij", posterior.weights, centred, centred)


# --- exact answers ---------------------------------------------------------------------------


def test_exact_guide_gives_the_evidence_and_equal_weights(linear_gaussian):
    world = linear_gaussian()
    keys = torch.arange(len(world.x))
    posterior = infer(
        world.model, world.guide, world.x, world.observed, particles=30, keys=keys, seed=0
    )
    np.testing.assert_allclose(posterior.log_evidence, world.log_likelihood())
    torch.testing.assert_close(posterior.weights, torch.full((30, len(keys)), 1 / 30))
    torch.testing.assert_close(
        effective_sample_size(posterior.log_weights), torch.full((len(keys),), 30.0)
    )
    assert (pareto_k(posterior.log_weights) == -torch.inf).all()


@pytest.mark.parametrize("spoilt", [False, True])
def test_posterior_moments_are_the_exact_ones(linear_gaussian, spoilt):
    world = linear_gaussian()
    guide = world.spoil() if spoilt else world.guide
    keys = torch.arange(len(world.x))
    posterior = infer(
        world.model, guide, world.x, world.observed, particles=100_000, keys=keys, seed=0
    )
    mean, covariance = moments(posterior)
    exact_mean, exact_covariance = world.posterior()
    np.testing.assert_allclose(mean, exact_mean, atol=0.02)
    np.testing.assert_allclose(covariance, exact_covariance, atol=0.02)
    if spoilt:  # unweighted, the spoilt guide is far off
        assert np.abs(posterior.latents["z"].mean(0).numpy() - exact_mean).max() > 0.1
        ess = effective_sample_size(posterior.log_weights)[:-1]
        assert (ess > 1e4).all() and (ess < 9.9e4).all()


def test_self_normalised_moments_converge(linear_gaussian):
    world = linear_gaussian()
    guide, keys = world.spoil(), torch.arange(len(world.x))
    exact, _ = world.posterior()
    errors = []
    for particles in (2, 32, 512, 8192):
        runs = [
            moments(
                infer(
                    world.model,
                    guide,
                    world.x,
                    world.observed,
                    particles=particles,
                    keys=keys,
                    seed=s,
                )
            )[0]
            for s in range(10)
        ]
        errors.append(np.sqrt(np.mean((torch.stack(runs).numpy() - exact) ** 2)))
    # Error 1/sqrt(K): a sixteenth of the variance, a quarter of the error each time.
    assert (np.array(errors[1:]) < 0.5 * np.array(errors[:-1])).all(), errors


def test_conditionals_are_those_of_single_columns_without_masks(mixed, simulate_rows):
    model, guide = mixed()
    x, observed = simulate_rows(model, 4)
    posterior = infer(model, guide, x, observed, particles=3, keys=torch.arange(4), seed=0)
    assert set(posterior.conditionals) == {"x", "m"}
    assert set(posterior.latents) == {"z", "u"}
    assert posterior.latents["u"].shape == (3, 4, 8)
    for d in posterior.conditionals.values():
        assert d.log_prob(x if d is posterior.conditionals["x"] else observed.to(x)).shape == (
            3,
            4,
            5,
        )
    log_p = posterior.conditionals["x"].log_prob(x)
    torch.testing.assert_close(log_p, model.x_given_u(posterior.latents["u"]).log_prob(x))
    assert (log_p[:, ~observed] != 0).all()  # not masked


def test_site_outside_the_rows_is_refused():
    class Shared(nn.Module):
        def forward(self, x):
            pyro.sample("shared", dist.Normal(0.0, 1.0), obs=torch.tensor(0.0))
            with pyro.plate("rows", len(x), dim=-1):
                z = pyro.sample("z", dist.Normal(0.0, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    class Proposal(nn.Module):
        def forward(self, x):
            with pyro.plate("rows", len(x), dim=-1):
                pyro.sample("z", dist.Normal(x, 1.0))

    with pytest.raises(ValueError, match="site 'shared'"):
        infer(Shared(), Proposal(), torch.zeros(3), particles=2, keys=torch.arange(3), seed=0)


# --- weights ---------------------------------------------------------------------------------


def test_effective_sample_size():
    w = torch.tensor([[0.25, 0.5, 1.0], [0.25, 0.5, 0.0], [0.25, 0.0, 0.0], [0.25, 0.0, 0.0]])
    torch.testing.assert_close(
        effective_sample_size(w.log() + 700.0), torch.tensor([4.0, 2.0, 1.0])
    )


def test_resampling_follows_the_weights():
    w = torch.tensor([[0.1, 0.0, 1.0], [0.2, 0.5, 0.0], [0.7, 0.5, 0.0]])
    chosen = resample(w.log() - 300.0, 20_000, keys=torch.tensor([5, 6, 7]), seed=1)
    assert chosen.shape == (20_000, 3)
    counts = np.stack([np.bincount(chosen[:, n], minlength=3) for n in range(3)], 1)
    assert stats.chisquare(counts[:, 0], 20_000 * w[:, 0].numpy()).pvalue > 1e-3
    assert counts[0, 1] == 0 and stats.binomtest(int(counts[1, 1]), 20_000).pvalue > 1e-3
    assert counts[:, 2].tolist() == [20_000, 0, 0]


def test_resampling_by_row_key():
    log_w = torch.randn(50, 4)
    keys = torch.tensor([9, 8, 7, 6])
    chosen = resample(log_w, 30, keys=keys, seed=1)
    assert torch.equal(resample(log_w, 10, keys=keys, seed=1), chosen[:10])
    some = torch.tensor([3, 1])
    assert torch.equal(resample(log_w[:, some], 30, keys=keys[some], seed=1), chosen[:, some])
    assert not torch.equal(resample(log_w, 30, keys=keys, seed=2), chosen)
    assert not torch.equal(resample(log_w, 30, keys=keys, seed=1, stream="other"), chosen)
    same = resample(log_w[:, :1].expand(-1, 4), 30, keys=keys, seed=1)
    assert not torch.equal(same[:, 0], same[:, 1])


@pytest.mark.parametrize("draws", ["normal", "wide", "heavy", "bounded"])
@pytest.mark.parametrize("particles", [25, 99, 224, 225, 226, 1000])
def test_pareto_k_equals_arviz(particles, draws):
    log_w = {
        "normal": lambda n: torch.randn(n, 12),
        "wide": lambda n: 4 * torch.randn(n, 12),
        "heavy": lambda n: torch.distributions.Exponential(1.0).sample((n, 12)),
        "bounded": lambda n: torch.rand(n, 12),
    }[draws](particles)
    theirs = array_stats.psislw(-log_w.numpy(), axis=0)[1]
    np.testing.assert_allclose(pareto_k(log_w), theirs, rtol=1e-8, atol=1e-10)


def test_pareto_k_finds_the_shape_of_a_pareto_tail():
    shape = torch.tensor([0.2, 0.5, 1.0])
    log_w = shape * torch.distributions.Exponential(1.0).sample((20_000, 3))
    torch.testing.assert_close(pareto_k(log_w), shape, atol=0.15, rtol=0)


def test_pareto_k_of_equal_and_of_few_weights():
    assert (pareto_k(torch.full((100, 3), -7.0)) == -torch.inf).all()
    assert pareto_k(torch.randn(24, 3)).isnan().all()
    assert pareto_k(torch.randn(25, 3)).isfinite().all()
    # Up to an additive constant, and row by row.
    log_w = torch.randn(100, 3)
    torch.testing.assert_close(pareto_k(log_w - 1e3), pareto_k(log_w))
    torch.testing.assert_close(pareto_k(log_w[:, 1:]), pareto_k(log_w)[1:])


def test_pareto_k_of_single_precision_weights():
    log_w = torch.randn(200, 5)
    torch.testing.assert_close(pareto_k(log_w.float()), pareto_k(log_w), atol=1e-4, rtol=0)


def test_pareto_k_of_many_rows_is_fast():
    log_w = torch.randn(200, 5000)
    start = time.perf_counter()
    pareto_k(log_w)
    # A tenth of a second on an idle core; a loop over rows would show.
    assert time.perf_counter() - start < 3
