import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, RenyiELBO, Trace_ELBO
from torch import nn

from pyro_gnr.inference.objective import IWELBO, log_weights, renyi_bound


class Registered(nn.Module):
    """Pyro's own objectives find parameters through the param store."""

    def __init__(self, name, module):
        super().__init__()
        self.name, self.module = name, module

    def forward(self, *args):
        pyro.module(self.name, self.module)
        return self.module(*args)


def grouped_bound(log_w, particles):
    """Mean over many independent groups of K of the same draws, (N,)."""
    groups = log_w.unflatten(0, (-1, particles)).transpose(0, 1)
    return renyi_bound(groups).mean(0)


# --- the exact log-likelihood of a linear-Gaussian model -------------------------------------


def test_bound_with_exact_guide_is_the_log_likelihood_at_one_particle(linear_gaussian):
    world = linear_gaussian()
    bounds = IWELBO(1).row_bounds(world.model, world.guide, world.x, world.observed)
    np.testing.assert_allclose(bounds.detach(), world.log_likelihood(), rtol=1e-10)


def test_weights_of_exact_guide_have_no_variance(linear_gaussian):
    world = linear_gaussian()
    weights = log_weights(world.model, world.guide, world.x, world.observed, particles=50)
    assert weights.log_weights.std(0).max() < 1e-10


@torch.no_grad()
def test_bound_rises_to_the_log_likelihood_with_imperfect_guide(linear_gaussian):
    world = linear_gaussian()
    guide = world.spoil()
    log_w = log_weights(world.model, guide, world.x, world.observed, particles=40_000).log_weights
    bounds = torch.stack([grouped_bound(log_w, k) for k in (1, 2, 5, 20, 100, 1000)]).numpy()
    exact = world.log_likelihood()
    # The groups share draws and the bound rises in K row by row; standard error here < 0.005.
    steps = np.diff(bounds, axis=0)
    # A row without any visible cell has the prior as its exact posterior, even of this guide.
    assert (steps[:4, :-1] > 1e-3).all() and (steps > -1e-3).all()
    assert (exact[:-1] - bounds[0, :-1] > 0.05).all()
    assert (bounds[1:] < exact + 0.01).all()
    np.testing.assert_allclose(bounds[-1], exact, atol=0.01)


@torch.no_grad()
@pytest.mark.parametrize("order", [0.5, 1.0])
def test_positive_orders_stay_below(linear_gaussian, order):
    world = linear_gaussian()
    log_w = log_weights(
        world.model, world.spoil(), world.x, world.observed, particles=20_000
    ).log_weights
    gap = torch.tensor(world.log_likelihood()) - renyi_bound(log_w, order)
    assert (gap[:-1] > 0.02).all()


@torch.no_grad()
def test_mask_weight_above_one_stays_below_and_below_one_exceeds(linear_gaussian):
    world = linear_gaussian()
    m = torch.tensor(world.rates)
    holes = torch.where(world.observed, m.log(), (-m).log1p()).sum(-1).numpy()
    for weight in (0.0, 0.5, 2.0):
        model = world.model.at_mask_weight(weight)
        bounds = IWELBO(1).row_bounds(model, world.guide, world.x, world.observed)
        np.testing.assert_allclose(bounds, world.log_likelihood() + (weight - 1) * holes)


# --- Pyro's RenyiELBO and Trace_ELBO ---------------------------------------------------------


def value_and_gradients(objective, model, guide, data, n_rows):
    """Loss per row and the gradient of every parameter, at a fixed seed."""
    with pyro.get_param_store().scope():
        model.zero_grad(), guide.zero_grad()
        torch.manual_seed(3)
        loss = objective.loss_and_grads(
            Registered("model", model), Registered("guide", guide), *data
        )
    named = [*model.named_parameters(prefix="model"), *guide.named_parameters(prefix="guide")]
    zero = torch.zeros(())
    return loss / n_rows, {k: (zero if p.grad is None else p.grad / n_rows) for k, p in named}


def assert_same(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-10)
    assert ours[1].keys() == theirs[1].keys()
    assert sum(bool(g.abs().max() > 1e-6) for g in ours[1].values()) >= 12  # not all zero
    for name, gradient in ours[1].items():
        torch.testing.assert_close(gradient, theirs[1][name], msg=name, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("order", [0.0, 0.5, -1.0, 2.0])
@pytest.mark.parametrize("particles", [1, 2, 7])
def test_value_and_gradients_equal_renyi_elbo(mixed, simulate_rows, particles, order, fusion):
    model, guide = mixed(fusion=fusion, mask_weight=1.5)
    data = simulate_rows(model, 9)
    theirs = RenyiELBO(
        alpha=order, num_particles=particles, max_plate_nesting=1, vectorize_particles=True
    )
    expected = value_and_gradients(theirs, model, guide, data, 9)
    assert_same(value_and_gradients(IWELBO(particles, order), model, guide, data, 1), expected)
    assert len(pyro.get_param_store()) == 0


@pytest.mark.parametrize("particles", [1, 7])
def test_order_one_equals_trace_elbo(mixed, simulate_rows, particles):
    model, guide = mixed()
    data = simulate_rows(model, 9)
    theirs = Trace_ELBO(num_particles=particles, max_plate_nesting=1, vectorize_particles=True)
    expected = value_and_gradients(theirs, model, guide, data, 9)
    assert_same(value_and_gradients(IWELBO(particles, 1.0), model, guide, data, 1), expected)


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
def test_gradients_equal_finite_differences(mixed, simulate_rows, fusion):
    """Pyro differentiates the same model and guide: it would not notice a detached tensor."""
    model, guide = mixed(fusion=fusion)
    data = simulate_rows(model, 9)

    def loss():
        torch.manual_seed(3)
        return IWELBO(4)(model, guide)(*data)

    loss().backward()
    named = [*model.named_parameters(prefix="model"), *guide.named_parameters(prefix="guide")]
    for name, p in named:
        direction, step = torch.randn_like(p), 1e-5
        with torch.no_grad():
            p.add_(step * direction)
            above = loss()
            p.sub_(2 * step * direction)
            below = loss()
            p.add_(step * direction)
        slope = ((above - below) / (2 * step)).item()
        ours = 0.0 if p.grad is None else (p.grad * direction).sum().item()
        assert ours == pytest.approx(slope, rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("objective", [RenyiELBO, Trace_ELBO, IWELBO])
def test_model_and_guide_train_under_stock_svi(mixed, simulate_rows, objective, fusion):
    source, _ = mixed(seed=1)
    data = simulate_rows(source, 60)
    model, guide = mixed(fusion=fusion)
    loss = (
        IWELBO(4)
        if objective is IWELBO
        else objective(num_particles=4, max_plate_nesting=1, vectorize_particles=True)
    )
    before = [p.detach().clone() for p in guide.parameters()]
    with pyro.get_param_store().scope():
        svi = SVI(
            Registered("model", model),
            Registered("guide", guide),
            pyro.optim.Adam({"lr": 0.02}),
            loss=loss,
        )
        losses = [svi.step(*data) for _ in range(60)]
        assert len(pyro.get_param_store()) > 0
    assert len(pyro.get_param_store()) == 0
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:3])
    assert all(
        not torch.equal(a, b)
        for a, b in zip(before, guide.parameters(), strict=True)
        if b.grad is None or b.grad.abs().max() > 0
    )


# --- the module ------------------------------------------------------------------------------


def test_is_a_module_with_all_parameters_and_the_same_loss(mixed, simulate_rows):
    model, guide = mixed(fusion="replayed")
    data = simulate_rows(model, 5)
    module = IWELBO(3)(model, guide)
    ours = {id(p) for p in module.parameters()}
    assert ours == {id(p) for p in [*model.parameters(), *guide.parameters()]}
    torch.manual_seed(1)
    loss = module(*data)
    torch.manual_seed(1)
    assert IWELBO(3).loss(model, guide, *data) == pytest.approx(loss.item())
    loss.backward()
    assert guide.encoder.directions.grad.abs().max() > 0


@torch.no_grad()
def test_loss_is_minus_the_mean_of_the_row_bounds(mixed, simulate_rows):
    model, guide = mixed()
    data = simulate_rows(model, 5)
    objective = IWELBO(3, 0.5)
    torch.manual_seed(1)
    bounds = objective.row_bounds(model, guide, *data)
    torch.manual_seed(1)
    log_w = log_weights(model, guide, *data, particles=3).log_weights
    by_hand = 2.0 * ((0.5 * log_w).exp().mean(0)).log()
    torch.testing.assert_close(bounds, by_hand)
    torch.manual_seed(1)
    assert objective.loss(model, guide, *data) == pytest.approx(-bounds.mean().item())


@torch.no_grad()
def test_row_weights_multiply_outside_the_logsumexp(mixed, simulate_rows):
    model, guide = mixed()
    data = simulate_rows(model, 5)
    omega = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0])
    torch.manual_seed(1)
    bounds = IWELBO(6).row_bounds(model, guide, *data)
    torch.manual_seed(1)
    loss = IWELBO(6).differentiable_loss(model, guide, *data, row_weights=omega)
    # Not renormalised: the sum of the weights is 7.5, the divisor the number of rows.
    assert loss.item() == pytest.approx(-(omega * bounds).sum().item() / 5)


def test_renyi_bound_decreases_in_the_order_and_has_its_limits():
    log_w = torch.randn(50, 3, dtype=torch.float64)
    bounds = torch.stack([renyi_bound(log_w, a) for a in (-2.0, 0.0, 0.5, 1.0, 2.0)])
    assert (bounds.diff(dim=0) < 0).all()
    near = (renyi_bound(log_w, 1 - 1e-6) + renyi_bound(log_w, 1 + 1e-6)) / 2
    torch.testing.assert_close(near, renyi_bound(log_w, 1.0))
    torch.testing.assert_close(renyi_bound(log_w[:1], 0.5), log_w[0])


@pytest.mark.parametrize("particles", [0, -1, 2.0, "3"])
def test_bad_particles(particles):
    with pytest.raises(ValueError, match="particles="):
        IWELBO(particles)


@pytest.mark.parametrize("order", [math.inf, math.nan])
def test_bad_order(order):
    with pytest.raises(ValueError, match="renyi_order="):
        IWELBO(2, order)


# --- the contract ----------------------------------------------------------------------------


class RowModel(nn.Module):
    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)


class RowGuide(nn.Module):
    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Normal(x / 2, 1.0))


class SharedSite(nn.Module):
    """A latent that all rows share, in model or guide."""

    def forward(self, x):
        shift = pyro.sample("shift", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(shift, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)


class SharedGuide(RowGuide):
    def forward(self, x):
        pyro.sample("shift", dist.Normal(0.0, 1.0))
        super().forward(x)


class NestedPlate(RowModel):
    def forward(self, x):
        with pyro.plate("columns", 2, dim=-2), pyro.plate("rows", len(x), dim=-1):
            pyro.sample("e", dist.Normal(0.0, 1.0), obs=torch.zeros(2, len(x)))
        super().forward(x)


class CoinGuide(nn.Module):
    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Bernoulli(torch.full((len(x),), 0.5)))


X = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)


def test_site_of_the_model_outside_the_rows_is_refused():
    with pytest.raises(ValueError, match="site 'shift' is not inside exactly the plate 'rows'"):
        IWELBO(4)(SharedSite(), SharedGuide())(X)


class GlobalFactor(RowModel):
    def forward(self, x):
        pyro.sample("penalty", dist.Normal(0.0, 1.0), obs=torch.tensor(0.5))
        super().forward(x)


def test_observed_site_outside_the_rows_is_refused():
    with pytest.raises(ValueError, match="site 'penalty'"):
        IWELBO(4)(GlobalFactor(), RowGuide())(X)


class GuideExtra(RowGuide):
    def forward(self, x):
        pyro.sample("extra", dist.Normal(0.0, 1.0), infer={"is_auxiliary": True})
        super().forward(x)


def test_site_of_the_guide_outside_the_rows_is_refused():
    with pytest.raises(ValueError, match="site 'extra'"):
        IWELBO(4)(RowModel(), GuideExtra())(X)


def test_further_plate_is_refused():
    with pytest.raises((ValueError, RuntimeError)):
        IWELBO(4)(NestedPlate(), RowGuide())(X)


def test_guide_site_without_rsample_is_refused():
    with pytest.raises(ValueError, match="guide site 'z' .* reparameterised"):
        IWELBO(4)(RowModel(), CoinGuide())(X)


@pytest.mark.parametrize("particles", [1, 5])
def test_weights_always_have_a_particle_dimension(particles):
    weights = log_weights(RowModel(), RowGuide(), X, particles=particles)
    assert weights.log_weights.shape == (particles, 3)


def test_a_users_scale_and_mask_count_in_the_weights():
    class Scaled(RowModel):
        def forward(self, x):
            with poutine.scale(scale=2.0):
                super().forward(x)

    torch.manual_seed(0)
    traces = log_weights(Scaled(), RowGuide(), X, particles=4)
    z = traces.guide.nodes["z"]["value"]
    joint = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(z, 1.0).log_prob(X)
    expected = 2 * joint - dist.Normal(X / 2, 1.0).log_prob(z)
    torch.testing.assert_close(traces.log_weights, expected)


def test_as_a_pyro_elbo_it_traces_as_stock_objectives_do():
    traces = list(IWELBO(4)._get_traces(RowModel(), RowGuide(), (X,), {}))
    assert len(traces) == 1 and traces[0][0].nodes["z"]["value"].shape == (4, 3)
