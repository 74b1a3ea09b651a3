import pytest
import torch
from torch import distributions as td

from pyro_gnr.model.conditionals import Fusion, PrecisionNormal, StochasticFusion, tanh_network


def precision_normal(*batch, n=3):
    c = torch.randn(*batch, n, n).tril(-1) + torch.diag_embed(torch.rand(*batch, n) + 0.5)
    loc = torch.randn(*batch, n)
    return PrecisionNormal(loc, c), td.MultivariateNormal(loc, precision_matrix=c @ c.mT)


@pytest.mark.parametrize("batch", [(), (5,), (3,), (4, 5)])
def test_precision_normal_has_the_density_of_the_normal(batch):
    ours, torchs = precision_normal(*batch)
    x = torch.randn(7, *batch, 3)
    torch.testing.assert_close(ours.log_prob(x), torchs.log_prob(x))


@pytest.mark.parametrize(("particles", "rows"), [(4, 5), (3, 3), (1, 1)])
def test_precision_normal_under_particles_is_one_solve_a_row(particles, rows):
    ours, torchs = precision_normal(rows)
    noise = torch.randn(particles, rows, 3)
    drawn = ours.expand((particles, rows)).from_noise(noise)
    for k in range(particles):
        for n in range(rows):
            expected = ours.loc[n] + torch.linalg.solve(ours.precision_tril[n].T, noise[k, n])
            torch.testing.assert_close(drawn[k, n], expected)
    expanded = torchs.expand((particles, rows))
    torch.testing.assert_close(
        ours.expand((particles, rows)).log_prob(drawn), expanded.log_prob(drawn)
    )


def test_precision_normal_samples_have_its_moments_and_gradients():
    ours, torchs = precision_normal(2)
    ours.loc.requires_grad_(), ours.precision_tril.requires_grad_()
    x = ours.rsample((200_000,))
    x.square().mean().backward()
    assert ours.loc.grad.abs().min() > 0
    for n in range(2):
        covariance = x[:, n].T.detach().cov()
        error = (covariance - torchs.covariance_matrix[n]).abs().max()
        assert error < 0.03 * torchs.covariance_matrix[n].abs().max()
    torch.testing.assert_close(x.mean(0).detach(), torchs.mean, atol=0.03, rtol=0)


def test_fusion_keeps_z_in_front():
    z = torch.randn(4, 5, 2)
    u = Fusion(2, hidden=6)(z)
    assert u.shape == (4, 5, 8) == (4, 5, Fusion(2, hidden=6).out_dim)
    torch.testing.assert_close(u[..., :2], z)
    assert Fusion(2, hidden=0)(z) is z


def test_stochastic_fusion_is_centred_at_a_fusion():
    layer = StochasticFusion(2, hidden=6, scale=0.2)
    z = torch.randn(4, 5, 2)
    u = layer(z)
    assert u.batch_shape == (4, 5) and u.event_shape == (8,)
    torch.testing.assert_close(u.mean, layer.mean(z))
    torch.testing.assert_close(u.stddev, torch.full((4, 5, 8), 0.2))


def test_zero_started_network():
    x = torch.randn(5, 3)
    assert tanh_network(3, 2, 8, zero=True)(x).abs().max() == 0
    assert tanh_network(3, 2, 8)(x).abs().max() > 0
