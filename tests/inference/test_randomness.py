import itertools

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import nn

from pyro_gnr.inference import randomness
from pyro_gnr.inference.posterior import infer, resample
from pyro_gnr.inference.randomness import RowKeyed, keyed_uniforms

ADJACENT = torch.arange(2000)
KEYS = torch.tensor([7, -3, 2**62, 11, 0, -(2**63), 12])


# --- uniforms --------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [ADJACENT, ADJACENT << 40, -ADJACENT, ADJACENT * 2**32 + 5])
def test_uniforms_are_uniform(keys):
    u = keyed_uniforms(keys, (10, 2000, 5), seed=0, site="z", row_dim=1)
    assert u.dtype == torch.float64 and u.min() > 0 and u.max() < 1
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    # The last bits too: a fine histogram of the fractional part.
    assert stats.kstest(((u * 2**20) % 1).flatten().numpy(), "uniform").pvalue > 1e-3


def correlation(a, b):
    """Correlation in units of its standard error."""
    a, b = (x.flatten() - 0.5 for x in (a, b))
    return (a @ b / (a.norm() * b.norm())).item() * a.numel() ** 0.5


def test_uniforms_are_uncorrelated_along_and_across_everything():
    u = keyed_uniforms(ADJACENT, (10, 2000, 5), seed=0, site="z", row_dim=1)
    other_seed = keyed_uniforms(ADJACENT, (10, 2000, 5), seed=1, site="z", row_dim=1)
    other_site = keyed_uniforms(ADJACENT, (10, 2000, 5), seed=0, site="u", row_dim=1)
    for dim, lag in itertools.product((0, 1, 2), (1, 2, 3)):
        n = u.shape[dim] - lag
        assert abs(correlation(u.narrow(dim, 0, n), u.narrow(dim, lag, n))) < 4.5, (dim, lag)
    assert abs(correlation(u, other_seed)) < 4.5
    assert abs(correlation(u, other_site)) < 4.5
    # Particle i, dimension j against particle j, dimension i.
    i, j = torch.triu_indices(5, 5, offset=1)
    assert abs(correlation(u[i, :, j], u[j, :, i])) < 4.5


@pytest.mark.parametrize(("a", "b"), [((0, 1), (0, 0)), ((1, 0), (0, 0)), ((0, 1), (1, 0))])
def test_neighbours_fill_the_square(a, b):
    u = keyed_uniforms(ADJACENT, (3, 2000, 3), seed=9, site="z", row_dim=1)
    x, y = (u[i, :, j].numpy() for i, j in (a, b))
    counts = np.histogram2d(x, y, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_all_uniforms_differ():
    u = keyed_uniforms(KEYS, (20, 7, 20), seed=0, site="z", row_dim=1)
    assert len(u.unique()) == u.numel()


def test_row_has_the_same_uniforms_whatever_the_others_are():
    full = keyed_uniforms(KEYS, (6, 7, 3), seed=4, site="z", row_dim=1)
    some = torch.tensor([5, 0, 3])
    part = keyed_uniforms(KEYS[some], (2, 3, 2), seed=4, site="z", row_dim=1)
    assert torch.equal(part, full[:2, some, :2])


def test_largest_hash_stays_below_one(monkeypatch):
    monkeypatch.setattr(randomness, "_mix", lambda x: torch.full_like(x, -1))
    u = keyed_uniforms(KEYS, (7,), seed=0, site="z", row_dim=0)
    assert (u < 1.0).all() and torch.special.ndtri(u).isfinite().all()


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**70])
def test_any_whole_number_is_a_seed(seed):
    assert keyed_uniforms(KEYS, (7,), seed=seed, site="z", row_dim=0).isfinite().all()


def test_known_numbers():
    """Draws are a promise: a saved model gives the same ones after an upgrade."""
    u = keyed_uniforms(torch.tensor([1, 2]), (2, 2), seed=3, site="z", row_dim=1)
    expected = [[0.10646146116890798, 0.1255784732710653], [0.339808913880172, 0.7650786099692913]]
    np.testing.assert_allclose(u, expected, rtol=1e-14)


def test_mixing_is_splitmix64():
    """First outputs of the reference generator from seed 0 (Vigna's splitmix64.c)."""
    golden = 0x9E3779B97F4A7C15
    states = [(i * golden + 2**63) % 2**64 - 2**63 for i in range(3)]
    ours = [x % 2**64 for x in randomness._mix(torch.tensor(states)).tolist()]
    assert ours == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


# --- the handler -----------------------------------------------------------------------------


class Story(nn.Module):
    """A user's own model: latent sites of several families, none discrete in the guide."""

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            rate = pyro.sample("rate", dist.LogNormal(0.0, 0.5))
            shift = pyro.sample("shift", dist.StudentT(5.0, torch.zeros(2), 1.0).to_event(1))
            loc = pyro.deterministic("loc", shift.sum(-1) * rate)
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)


class Proposal(nn.Module):
    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("rate", dist.Exponential(1.0 + x.abs()))
            pyro.sample("shift", dist.Normal(x[:, None].expand(-1, 2), 1.5).to_event(1))


X = torch.linspace(-2, 3, 7, dtype=torch.float64)


def test_own_model_and_guide_by_row_key():
    full = infer(Story(), Proposal(), X, particles=9, keys=KEYS, seed=1)
    some = torch.tensor([6, 1, 4])
    part = infer(Story(), Proposal(), X[some], particles=4, keys=KEYS[some], seed=1)
    assert set(full.latents) == {"rate", "shift", "loc"}
    for site, value in part.latents.items():
        torch.testing.assert_close(value, full.latents[site][:4, some], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(part.log_weights, full.log_weights[:4, some])


def test_other_seeds_sites_and_rows_give_other_draws():
    one, two = (
        infer(Story(), Proposal(), X, particles=9, keys=KEYS, seed=s).latents for s in (1, 2)
    )
    assert (one["rate"] != two["rate"]).all()
    same_x = infer(Story(), Proposal(), X[:1].repeat(7), particles=9, keys=KEYS, seed=1).latents
    assert len(same_x["rate"].unique()) == 63


def test_draws_have_their_distribution():
    def story():
        with pyro.plate("rows", 4000, dim=-1):
            b = pyro.sample("b", dist.LogNormal(0.0, 1.0))
            c = pyro.sample("c", dist.Bernoulli(0.3))
            d = pyro.sample("d", dist.Categorical(torch.tensor([0.1, 0.6, 0.3])))
            e = pyro.sample("e", dist.StudentT(3.0, torch.zeros(2), 1.0).to_event(1))
        return b, c, d, e

    with RowKeyed(torch.arange(4000), seed=0):
        b, c, d, e = story()
    assert stats.kstest(b.numpy(), stats.lognorm(1.0).cdf).pvalue > 1e-3
    assert stats.binomtest(int(c.sum()), 4000, 0.3).pvalue > 1e-3
    assert stats.chisquare(np.bincount(d), 4000 * np.array([0.1, 0.6, 0.3])).pvalue > 1e-3
    assert e.shape == (4000, 2)
    assert stats.kstest(e.flatten().numpy(), stats.t(3.0).cdf).pvalue > 1e-3


@pytest.mark.parametrize("particles", [1, 4])
def test_gnr_draws_the_same_in_any_batch_order_and_number(mixed, simulate_rows, particles):
    model, guide = mixed(fusion="amortised")
    x, observed = simulate_rows(model, 7)
    full = infer(model, guide, x, observed, particles=8, keys=KEYS, seed=5)
    order = torch.tensor([3, 6, 0])
    for rows in (order, torch.arange(7).flip(0), torch.tensor([2])):
        part = infer(
            model, guide, x[rows], observed[rows], particles=particles, keys=KEYS[rows], seed=5
        )
        for site in ("z", "u"):
            torch.testing.assert_close(part.latents[site], full.latents[site][:particles, rows])
        torch.testing.assert_close(part.log_weights, full.log_weights[:particles, rows])
        chosen = resample(part.log_weights, 3, keys=KEYS[rows], seed=5)
        again = resample(full.log_weights[:particles, rows], 6, keys=KEYS[rows], seed=5)
        assert torch.equal(chosen, again[:3])


def test_observed_deterministic_and_replayed_sites_stay():
    def story():
        with pyro.plate("rows", 3, dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.deterministic("twice", 2 * z)
            return z, pyro.sample("x", dist.Normal(z, 1.0), obs=torch.ones(3))

    with RowKeyed(KEYS[:3], seed=0):
        z, x = story()
    trace = pyro.poutine.trace(story).get_trace()
    with RowKeyed(KEYS[:3], seed=0):
        replayed = pyro.poutine.replay(story, trace=trace)()[0]
    assert torch.equal(x, torch.ones(3))
    assert torch.equal(replayed, trace.nodes["z"]["value"]) and not torch.equal(replayed, z)


def outside():
    pyro.sample("shared", dist.Normal(0.0, 1.0))


def in_other_plate():
    with pyro.plate("columns", 3, dim=-2):
        pyro.sample("shared", dist.Normal(0.0, 1.0))


def too_many_rows():
    with pyro.plate("rows", 4, dim=-1):
        pyro.sample("shared", dist.Normal(0.0, 1.0))


@pytest.mark.parametrize("story", [outside, in_other_plate, too_many_rows])
def test_site_that_belongs_to_no_row_is_refused(story):
    with RowKeyed(KEYS[:3], seed=0), pytest.raises(ValueError, match="site 'shared'.*3 rows"):
        story()


def test_global_generators_are_untouched(mixed, simulate_rows):
    model, guide = mixed()
    data = simulate_rows(model, 7)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    posterior = infer(model, guide, *data, particles=3, keys=KEYS, seed=0)
    resample(posterior.log_weights, 5, keys=KEYS, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(np.random.get_state()[1], numpy_before[1])  # noqa: NPY002
    assert len(pyro.get_param_store()) == 0
