import numpy as np
import pyro
import pytest
import torch

from pyro_gnr.model.guide import LARGEST_LOG_PRECISION


@torch.no_grad()
def test_started_encoder_is_the_exact_posterior(linear_gaussian):
    """Whatever the pattern of holes, a fully missing row (the prior) included."""
    world = linear_gaussian(n_rows=40)
    visible = world.observed & (torch.rand(world.x.shape) < 0.8)
    q = world.guide.encoder(world.x, world.observed, visible)
    mean, covariance = world.posterior(visible)
    np.testing.assert_allclose(q.loc, mean, atol=1e-10)
    factor = q.precision_tril
    np.testing.assert_allclose(torch.linalg.inv(factor @ factor.mT), covariance, atol=1e-10)


@torch.no_grad()
def test_encoder_follows_its_equation(mixed, simulate_rows):
    """Row by row and feature by feature, as its docstring says."""
    model, guide = mixed(latent_dim=3)
    x, observed = simulate_rows(model, 6)
    visible = observed & (torch.rand(x.shape) < 0.8)
    encoder = guide.encoder
    q = encoder(x, observed, visible)
    f, v = encoder.features(x, visible)
    for n in range(6):
        m = observed[n].to(x)
        r, raw = encoder.network(torch.cat([f[n], visible[n].to(x), m])).chunk(2)
        precision = torch.diag(
            torch.exp(LARGEST_LOG_PRECISION * (raw / LARGEST_LOG_PRECISION).tanh())
        )
        for j in range(len(m)):
            o = encoder.hole_directions[int(m[j]), j]
            precision = precision + torch.outer(o, o)
        pull = encoder.hole_shift.weight @ m + encoder.hole_shift.bias + r
        for i in range(encoder.features.out_dim):
            if v[n, i]:
                d, a = encoder.log_precision[i].exp(), encoder.directions[i]
                precision = precision + d * torch.outer(a, a)
                pull = pull + d * (f[n, i] - encoder.centre[i]) * a
        torch.testing.assert_close(q.precision_tril[n] @ q.precision_tril[n].T, precision)
        torch.testing.assert_close(q.loc[n], torch.linalg.solve(precision, pull))


@torch.no_grad()
def test_a_half_visible_cell_speaks_with_half_its_precision(linear_gaussian):
    """Pseudo-rows (see `VampPrior`): between seen and unseen everything is linear."""
    encoder = linear_gaussian().guide.encoder
    features, m = torch.randn(1, 4), torch.ones(1, 4)
    visible = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    half = visible.clone()
    half[0, 1] = 0.5
    unseen = visible.clone()
    unseen[0, 1] = 0.0
    precisions, pulls = [], []
    for v in (visible, half, unseen):
        q = encoder.from_features(features, v, m)
        precisions.append(q.precision_tril[0] @ q.precision_tril[0].T)
        pulls.append(precisions[-1] @ q.loc[0])
    torch.testing.assert_close(precisions[1], (precisions[0] + precisions[2]) / 2)
    torch.testing.assert_close(pulls[1], (pulls[0] + pulls[2]) / 2)
    assert (precisions[0] - precisions[2]).abs().max() > 0.1


def test_hidden_cell_is_told_from_a_missing_one(mixed, simulate_rows):
    """m is 1 for a hidden cell and 0 for a missing one; x is seen of neither."""
    model, guide = mixed()
    x, observed = torch.zeros(1, 5), torch.ones(1, 5, dtype=torch.bool)
    visible = observed.clone()
    visible[0, 0] = False
    hidden = guide.encoder(x, observed, visible).loc
    missing = guide.encoder(x, visible, visible).loc
    assert (hidden - missing).abs().max() > 1e-3


def test_every_parameter_has_a_gradient(mixed, simulate_rows):
    for fusion in ("deterministic", "replayed", "amortised"):
        model, guide = mixed(fusion=fusion)
        x, observed = simulate_rows(model, 8)
        draws = guide(x, observed)
        sum(d.square().sum() for d in draws.values()).backward()
        for name, p in guide.named_parameters():
            assert p.grad is not None and p.grad.abs().max() > 0, (fusion, name)


@pytest.mark.parametrize(
    ("fusion", "sites"),
    [("deterministic", {"z"}), ("replayed", {"z"}), ("amortised", {"z", "u"})],
)
def test_sites_and_shapes(mixed, simulate_rows, fusion, sites):
    model, guide = mixed(fusion=fusion)
    x, observed = simulate_rows(model, 4)
    trace = pyro.poutine.trace(guide).get_trace(x, observed)
    assert {name for name in ("z", "u") if name in trace.nodes} == sites
    assert trace.nodes["_RETURN"]["value"].keys() == sites
    assert trace.nodes["z"]["value"].shape == (4, 2)
    assert ("u_noise" in trace.nodes) == (fusion == "replayed")
    if "u" in sites:
        assert trace.nodes["u"]["value"].shape == (4, 8)


@torch.no_grad()
def test_amortised_u_is_shifted_by_what_is_seen(mixed):
    _, guide = mixed(fusion="amortised")
    x = torch.zeros(1, 5)
    seen = torch.tensor([[True, True, False, True, True]])
    distributions = []
    for value in (0.0, 1.0):
        x[0, 0] = value
        torch.manual_seed(0)
        trace = pyro.poutine.trace(guide).get_trace(x, seen)
        u, z = trace.nodes["u"]["fn"].mean, trace.nodes["z"]["value"]
        distributions.append(u - guide.u_given_z.mean(z))
    assert (distributions[0] - distributions[1]).abs().max() > 1e-2
    replayed = mixed(fusion="replayed")[1]
    assert replayed.u_given_z is None and replayed.u_shift is None
