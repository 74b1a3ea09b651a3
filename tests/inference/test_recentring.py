"""Proposals that pilot runs have moved, against exact posteriors and evidences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pyro_gnr.inference.posterior import effective_sample_size, infer
from pyro_gnr.inference.recentring import infer_recentred, tempered


@pytest.fixture
def misplaced(double, linear_gaussian):
    """Twenty rows whose guide is the exact posterior, one to two standard deviations away."""
    world = linear_gaussian(n_rows=20, n_columns=5, latent_dim=3)
    with torch.no_grad():
        world.guide.encoder.hole_shift.bias.add_(torch.tensor([2.0, -2.0, 2.0]))
    return world


def inferred(world, *, pilots, particles=500, seed=0, rows=slice(None)):
    keys = torch.arange(len(world.x))[rows]
    return infer_recentred(
        world.model, world.guide, world.x[rows], world.observed[rows],
        particles=particles, keys=keys, seed=seed, pilots=pilots,
    )  # fmt: skip


def test_without_pilots_it_is_the_guides_own(misplaced):
    found, keys = inferred(misplaced, pilots=0), torch.arange(20)
    plain = infer(
        misplaced.model, misplaced.guide, misplaced.x, misplaced.observed,
        particles=500, keys=keys, seed=0,
    )  # fmt: skip
    assert torch.equal(found.log_weights, plain.log_weights)
    assert torch.equal(found.latents["z"], plain.latents["z"])


def test_pilots_bring_a_misplaced_guide_to_the_posterior(misplaced):
    mean, _ = misplaced.posterior()
    share, error = [], []
    for pilots in range(4):
        found = inferred(misplaced, pilots=pilots)
        z = (found.weights.unsqueeze(-1) * found.latents["z"]).sum(0)
        share.append(found.ess.mean().item() / 500)
        error.append(np.square(z.numpy() - mean).mean() ** 0.5)
    assert share == sorted(share)
    assert share[0] < 0.1
    assert share[3] > 0.95  # the exact one but for the noise of the pilots' means
    assert error[3] < 0.15 * error[0]


def test_evidence_is_unbiased(misplaced):
    """Pilots are not used again: whatever they drew, the mean weight is the evidence."""
    log_p = misplaced.log_likelihood()
    bounds = [inferred(misplaced, pilots=1, seed=s).log_evidence.numpy() for s in range(300)]
    ratio = np.exp(np.array(bounds) - log_p)
    error = ratio.std(0) / 300**0.5
    assert (error < 0.1).all()
    assert (np.abs(ratio.mean(0) - 1.0) < 4 * error).all()


def test_a_row_is_alone(misplaced):
    """Other rows and their order change nothing."""
    every = inferred(misplaced, pilots=2)
    some = torch.tensor([7, 3, 15])
    found = inferred(misplaced, pilots=2, rows=some)
    torch.testing.assert_close(found.log_weights, every.log_weights[:, some])
    torch.testing.assert_close(found.latents["z"], every.latents["z"][:, some])
    other = inferred(misplaced, pilots=2, seed=1)
    assert not torch.isclose(other.latents["z"], every.latents["z"]).any()


@settings(deadline=None)
@given(
    arrays(np.float64, (20, 3), elements=st.floats(-1e4, 1e4)),
    st.sampled_from([0.05, 0.2, 0.5]),
)
def test_tempered_weights_are_spread_as_wanted(log_weights, share):
    log_weights = torch.from_numpy(log_weights)
    found = tempered(log_weights, share)
    plain, spread = (effective_sample_size(w) for w in (log_weights, found))
    enough = plain >= 20 * share
    assert torch.equal(found[:, enough], log_weights[:, enough])
    # The least temperature: not much more than wanted, unless the hottest was too cold.
    hottest = effective_sample_size(log_weights / 1000.0)
    assert (enough | (spread >= 0.999 * torch.minimum(hottest, torch.tensor(20 * share)))).all()
    for a, b in zip(log_weights.T, found.T, strict=True):
        order = a.argsort()
        assert (b[order].diff() >= 0).all()
