import itertools
import math

import numpy as np
import pyro
import pytest
import torch
from scipy import stats
from torch import nn

from pyro_gnr.inference.objective import IWELBO, log_weights
from pyro_gnr.inference.posterior import infer, resample
from pyro_gnr.inference.training import TrainingPlan, train
from pyro_gnr.model.assemble import assemble

# --- hand-written log-weights ----------------------------------------------------------------


def column_log_prob(likelihood, c, x, u):
    """log p(x_j | u) of the c-th column of a block, from the raw numbers of its head."""
    eta = (likelihood.head.weight @ u + likelihood.head.bias).numpy()
    name = type(likelihood).__name__
    if name == "Gaussian":
        n = len(eta) // 2
        width = likelihood.ceiling - likelihood.floor
        scale = likelihood.floor + width / (1 + math.exp(-eta[n + c]))
        return stats.norm(eta[c], scale).logpdf(x)
    if name == "Bernoulli":
        p = 1 / (1 + math.exp(-eta[c]))
        return math.log(p if x == 1 else 1 - p)
    first = [0, *np.cumsum(likelihood.valid.sum(1).numpy())]
    logits = eta[first[c] : first[c + 1]]
    return logits[int(x)] - math.log(np.exp(logits).sum())


def hand_written(model, guide, traces, x, observed, visible):
    """Loops over particles, rows and columns: without broadcasting, nothing is misaligned."""
    z = traces.guide.nodes["z"]["value"]
    u = traces.model.nodes["u"]["value"]
    q_z = guide.encoder(x, observed, visible)
    n_particles, n_rows = z.shape[:2]
    out = torch.zeros(n_particles, n_rows)
    for k, n in itertools.product(range(n_particles), range(n_rows)):
        total = stats.norm.logpdf(z[k, n].numpy()).sum()
        covariance = torch.linalg.inv(q_z.precision_tril[n] @ q_z.precision_tril[n].T)
        total -= stats.multivariate_normal(q_z.loc[n].numpy(), covariance.numpy()).logpdf(
            z[k, n].numpy()
        )
        for i, likelihood in enumerate(model.x_given_u.likelihoods):
            for c, j in enumerate(model.x_given_u.positions(i).tolist()):
                if visible[n, j]:
                    total += column_log_prob(likelihood, c, x[n, j].item(), u[k, n])
        eta = model.m_given_ux.head.weight @ u[k, n] + model.m_given_ux.head.bias
        for j in range(x.shape[1]):
            p = 1 / (1 + math.exp(-eta[j].item()))
            if model.m_given_ux.has_holes[j]:
                total += model.mask_weight * math.log(p if observed[n, j] else 1 - p)
        if "u" in traces.guide.nodes:
            total += model.u_given_z(z[k, n]).log_prob(u[k, n]).item()
            shift = guide.u_shift(
                torch.cat([guide.encoder.features(x, visible)[0][n], observed[n].to(x)])
            )
            layer = guide.u_given_z
            total -= stats.norm.logpdf(
                u[k, n].numpy(),
                (layer.mean(z[k, n]) + shift).numpy(),
                layer.log_scale.exp().numpy(),
            ).sum()
        out[k, n] = float(total)
    return out


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("mask_weight", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("particles", "rows"), [(4, 7), (5, 5), (1, 1), (1, 6)])
def test_log_weights_equal_hand_written_ones(
    mixed, simulate_rows, particles, rows, mask_weight, fusion
):
    """Also where K == N == D = 5: there, a mistaken broadcast would go through unnoticed."""
    model, guide = mixed(fusion=fusion, mask_weight=mask_weight)
    x, observed = simulate_rows(model, rows)
    visible = observed & (torch.rand(x.shape) < 0.7)
    traces = log_weights(model, guide, x, observed, visible, particles=particles)
    expected = hand_written(model, guide, traces, x, observed, visible)
    torch.testing.assert_close(traces.log_weights, expected)


@torch.no_grad()
def test_everything_of_the_same_size(linear_gaussian):
    """K == N == D == L == H = 3."""
    world = linear_gaussian(n_rows=3, n_columns=3, latent_dim=3)
    world.spoil()
    traces = log_weights(world.model, world.guide, world.x, world.observed, particles=3)
    ours = traces.log_weights
    world.model.x_given_u.likelihoods[0].head.weight[3:] = 0.0  # homoscedastic, for the loop
    expected = hand_written(
        world.model, world.guide, traces, world.x, world.observed, world.observed
    )
    torch.testing.assert_close(ours, expected)


@torch.no_grad()
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (5, 1)])
def test_one_row_or_one_column(linear_gaussian, rows, columns):
    world = linear_gaussian(n_rows=rows, n_columns=columns)
    world.observed[:] = torch.rand(world.x.shape) < 0.5
    world.x[:] = torch.where(world.observed, 0.7, 0.0)
    bounds = IWELBO(1).row_bounds(world.model, world.guide, world.x, world.observed)
    np.testing.assert_allclose(bounds, world.log_likelihood())


@torch.no_grad()
def test_fully_observed_rows(linear_gaussian):
    world = linear_gaussian()
    world.x[:] = torch.randn(world.x.shape)
    world.observed[:] = True
    bounds = IWELBO(1).row_bounds(world.model, world.guide, world.x, world.observed)
    np.testing.assert_allclose(bounds, world.log_likelihood())


# --- the mask weight -------------------------------------------------------------------------


class Beside(nn.Module):
    """A guide of rows [x; m] that proposes as GNR's own guide does for (x, m)."""

    def __init__(self, guide, n_columns):
        super().__init__()
        self.guide, self.n_columns = guide, n_columns

    def forward(self, xm, observed, visible=None):
        return self.guide(xm[:, : self.n_columns], observed[:, : self.n_columns])


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["deterministic", "replayed"])
def test_gnr_is_miwae_on_rows_of_values_and_holes(columns_of, simulate_rows, fusion):
    columns = columns_of(continuous=2, binary=1, levels=(3,))
    ms = columns_of(binary=4)
    options = dict(n_rows=10, latent_dim=2, hidden=6, fusion=fusion)
    gnr, guide = assemble(columns, **options)
    gnr.m_given_ux.head.weight.normal_()
    # The holes are 4 more binary columns, and their holes are ignored: there are none.
    ms = [c.__class__(**{**vars(c), "name": f"m{j}"}) for j, c in enumerate(ms)]
    miwae, _ = assemble([*columns, *ms], mechanism="ignorable", **options)
    miwae.u_given_z = gnr.u_given_z
    theirs = {type(block).__name__: block for block in miwae.x_given_u.likelihoods}
    for block in gnr.x_given_u.likelihoods:
        target = theirs[type(block).__name__].head
        n = block.head.out_features
        target.weight[:n], target.bias[:n] = block.head.weight, block.head.bias
    theirs["Bernoulli"].head.weight[1:] = gnr.m_given_ux.head.weight
    theirs["Bernoulli"].head.bias[1:] = gnr.m_given_ux.head.bias

    x, observed = simulate_rows(gnr, 30)
    assert 0.2 < observed.double().mean() < 0.9
    xm = torch.cat([x, observed.to(x)], -1)
    all_m = torch.cat([observed, torch.ones_like(observed)], -1)
    torch.manual_seed(5)
    ours = log_weights(gnr, guide, x, observed, particles=6).log_weights
    torch.manual_seed(5)
    beside = log_weights(miwae, Beside(guide, 4), xm, all_m, particles=6).log_weights
    torch.testing.assert_close(ours, beside, rtol=1e-12, atol=1e-12)


def test_weight_zero_is_the_ignorable_mechanism(mixed, simulate_rows):
    model, guide = mixed(mask_weight=0.0)
    ignorable, _ = mixed(mechanism="ignorable")
    ignorable.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("m_given_ux")}
    )
    data = simulate_rows(mixed()[0], 12)
    losses, gradients = [], []
    for m in (model, ignorable):
        guide.zero_grad()
        torch.manual_seed(1)
        loss = IWELBO(5)(m, guide)(*data)
        loss.backward()
        losses.append(loss.item())
        gradients.append(
            [p.grad.clone() for p in [*m.x_given_u.parameters(), *guide.parameters()]]
        )
    assert losses[0] == losses[1]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert all(p.grad is None or not p.grad.any() for p in model.m_given_ux.parameters())


@torch.no_grad()
def test_at_mask_weight_shares_parameters_and_changes_only_the_copy(mixed, simulate_rows):
    model, guide = mixed()
    data = simulate_rows(model, 6)
    heavier = model.at_mask_weight(2.0)
    assert model.mask_weight == 1.0
    assert all(a is b for a, b in zip(model.parameters(), heavier.parameters(), strict=True))
    log_w = []
    for m in (model.at_mask_weight(0.0), model, heavier):
        torch.manual_seed(1)
        log_w.append(log_weights(m, guide, *data, particles=3).log_weights)
    torch.testing.assert_close(log_w[2] - log_w[1], log_w[1] - log_w[0])
    assert (log_w[1] - log_w[0]).abs().min() > 0.1


def test_negative_mask_weight_is_refused(mixed):
    with pytest.raises(ValueError, match="mask_weight=-1"):
        mixed(mask_weight=-1)
    with pytest.raises(ValueError, match="mask_weight=nan"):
        mixed(mask_weight=math.nan)


# --- the three states of a cell --------------------------------------------------------------


def under(x, cells, seed):
    """Other values under some cells: wild numbers, other levels."""
    generator = torch.Generator().manual_seed(seed)
    wild = torch.full_like(x, 1e6)
    wild[:, 2] = 1e3  # a binary column's log-density is linear in its value
    for j, n in ((3, 3), (4, 4)):
        wild[:, j] = torch.randint(n, (len(x),), generator=generator).to(x)
    return torch.where(cells, wild, x)


@pytest.mark.parametrize("fusion", ["deterministic", "amortised"])
def test_values_that_are_not_visible_change_nothing(mixed, simulate_rows, fusion):
    model, guide = mixed(fusion=fusion)
    x, observed = simulate_rows(model, 20)
    visible = observed & (torch.rand(x.shape) < 0.8)
    keys = torch.arange(20)
    results = []
    for values in (x, under(x, ~observed, 1), under(x, ~visible, 2)):
        model.zero_grad(), guide.zero_grad()
        torch.manual_seed(1)
        loss = IWELBO(5)(model, guide)(values, observed, visible)
        loss.backward()
        posterior = infer(model, guide, values, observed, visible, particles=9, keys=keys, seed=1)
        gradients = [p.grad.clone() for p in [*model.parameters(), *guide.parameters()]]
        results.append([loss.detach(), posterior.log_weights, posterior.latents["z"], *gradients])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    # The test could fail: a visible value changes the loss.
    changed = x.clone()
    changed[visible.nonzero()[0, 0], visible.nonzero()[0, 1]] += 1.0
    torch.manual_seed(1)
    assert IWELBO(5).loss(model, guide, changed, observed, visible) != results[0][0].item()


@torch.no_grad()
def test_hidden_cells_leave_x_and_stay_observed_in_m(linear_gaussian):
    world = linear_gaussian()
    visible = world.observed & (torch.rand(world.x.shape) < 0.5)
    assert (visible != world.observed).any()
    bounds = IWELBO(1).row_bounds(world.model, world.guide, world.x, world.observed, visible)
    np.testing.assert_allclose(bounds, world.log_likelihood(visible))
    # As missing cells they would have another m.
    missing = IWELBO(1).row_bounds(world.model, world.guide, world.x, visible)
    assert ((bounds - missing).abs() > 0.01)[(visible != world.observed).any(1)].all()


@torch.no_grad()
def test_fully_missing_row_is_judged_by_its_holes(mixed):
    """Its posterior is p(z | m = 0), by quadrature, not the prior."""
    model, guide = mixed(latent_dim=1, hidden=4, wild=2.0)
    guide.encoder.hole_directions.zero_()  # a wide proposal: the weights are bounded
    x, observed = torch.zeros(1, 5), torch.zeros(1, 5, dtype=torch.bool)
    posterior = infer(model, guide, x, observed, particles=40_000, keys=torch.tensor([1]), seed=0)
    z = torch.linspace(-9, 9, 4001)
    eta = model.m_given_ux.head(model.u_given_z(z[:, None]))
    joint = torch.tensor(stats.norm.pdf(z)) * (1 - eta.sigmoid()).prod(-1)
    evidence = torch.trapezoid(joint, z)
    mean = torch.trapezoid(joint * z, z) / evidence
    estimate = (posterior.weights * posterior.latents["z"][..., 0]).sum(0)
    assert estimate.item() == pytest.approx(mean.item(), abs=0.02)
    assert abs(mean) > 0.2  # the prior mean is 0
    assert posterior.log_evidence.item() == pytest.approx(evidence.log().item(), abs=0.01)


# --- columns without holes -------------------------------------------------------------------


@torch.no_grad()
def test_column_without_holes_carries_no_factor(columns_of):
    columns = columns_of(continuous=2) + columns_of(binary=1, holes=0)
    model, guide = assemble(columns, n_rows=10, latent_dim=2, hidden=4)
    model.m_given_ux.head.weight.normal_()
    _, m = model(size=300)
    assert m[:, 2].min() == 1 and m[:, 0].min() == 0
    x = torch.randn(4, 3)
    x[:, 2] = 0.0
    observed = torch.tensor([[True, False, True]]).expand(4, 3)
    hole = torch.tensor([[True, False, False]]).expand(4, 3)
    posterior = []
    for obs in (observed, hole):
        torch.manual_seed(1)
        # The x factor of the third column apart, by hiding it in both.
        traces = log_weights(model, FixedGuide(), x, obs, hole, particles=3)
        posterior.append(traces.log_weights)
    torch.testing.assert_close(posterior[0], posterior[1], rtol=0, atol=0)


class FixedGuide(nn.Module):
    """Proposes the same z for any row."""

    def forward(self, x, observed, visible=None):
        loc = torch.linspace(-1, 1, 2 * len(x)).reshape(len(x), 2)
        with pyro.plate("rows", len(x), dim=-1):
            return pyro.sample("z", pyro.distributions.Normal(loc, 1e-9).to_event(1))


# --- forward: the prior predictive -----------------------------------------------------------


@torch.no_grad()
def test_prior_predictive_agrees_with_the_linear_gaussian_law(linear_gaussian):
    world = linear_gaussian(n_rows=2)
    x, m = world.model(size=40_000)
    covariance = world.loadings @ world.loadings.T + np.diag(world.scale**2)
    np.testing.assert_allclose(x.mean(0), world.mean, atol=0.06)
    np.testing.assert_allclose(np.cov(x.numpy().T), covariance, atol=0.15)
    np.testing.assert_allclose(m.mean(0), world.rates, atol=0.012)


@torch.no_grad()
def test_prior_predictive_of_mixed_columns_and_their_holes(mixed):
    model, _ = mixed(fusion="replayed")
    n = 40_000
    x, m = model(size=n)
    u = model.u_given_z(torch.randn(n, 2)).sample()
    expected = model.m_given_ux.head(u).sigmoid().mean(0)
    torch.testing.assert_close(m.mean(0), expected, atol=0.012, rtol=0)
    blocks = model.x_given_u(u).blocks
    for block in blocks:
        for c, j in enumerate(block.columns.tolist()):
            d = block.distribution
            if isinstance(d, torch.distributions.Categorical):
                simulated = torch.bincount(x[:, j].long(), minlength=4)[: d.probs.shape[-1]] / n
                torch.testing.assert_close(simulated, d.probs[:, c].mean(0), atol=0.012, rtol=0)
            else:
                error = 5 * x[:, j].std() / n**0.5
                assert abs(x[:, j].mean() - d.mean[:, c].mean()) < 1.5 * error


@pytest.mark.parametrize("mechanism", ["conjunction", "ignorable"])
def test_forward_gives_finite_rows_of_the_right_shape(mixed, mechanism):
    model, _ = mixed(mechanism=mechanism)
    x, m = model(size=7)
    assert x.shape == m.shape == (7, 5)
    assert x.isfinite().all() and x.dtype == torch.get_default_dtype()
    assert set(m.unique().tolist()) <= {0.0, 1.0}


def test_conditioned_forward_gives_the_data(mixed, simulate_rows):
    model, _ = mixed()
    x, observed = simulate_rows(model, 4)
    x_out, m_out = model(x, observed)
    assert torch.equal(x_out, x) and torch.equal(m_out.bool(), observed)


@pytest.mark.parametrize("arguments", [{}, {"x": torch.zeros(2, 5), "size": 3}])
def test_rows_or_size(mixed, arguments):
    model, _ = mixed()
    with pytest.raises(ValueError, match="give rows, or size=n"):
        model(**arguments)


@pytest.mark.parametrize("fusion", ["deterministic", "replayed"])
def test_story_renders(mixed, fusion):
    pytest.importorskip("graphviz", reason="pyro.render_model draws with the graphviz package")
    model, _ = mixed(fusion=fusion)
    source = pyro.render_model(model, model_kwargs={"size": 5}).source
    for site in ("z", "u", "x", "m"):
        assert f"{site} [label={site}" in source
    assert "rows" in source
    assert "z -> x" in source
    assert ("u_noise -> x" in source) == (fusion == "replayed")


# --- stochastic u ----------------------------------------------------------------------------


@torch.no_grad()
def test_replayed_u_cancels(mixed, simulate_rows):
    model, guide = mixed(fusion="replayed")
    x, observed = simulate_rows(model, 8)
    traces = log_weights(model, guide, x, observed, particles=4)
    u, z = traces.model.nodes["u"]["value"], traces.model.nodes["z"]["value"]
    noise = traces.guide.nodes["u_noise"]["value"]
    torch.testing.assert_close(
        u, model.u_given_z.mean(z) + model.u_given_z.log_scale.exp() * noise
    )
    p_x = model.x_given_u(u).mask(observed).to_event(1).log_prob(x)
    p_m = model.m_given_ux(u, x).log_prob(observed.to(x))
    p_z = model.prior().log_prob(z) - guide.encoder(x, observed, observed).log_prob(z)
    torch.testing.assert_close(traces.log_weights, p_x + p_m + p_z)
    assert u.std() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["replayed", "amortised"])
def test_bound_of_stochastic_u_is_valid(columns_of, fusion):
    """u = z + e in a linear model: x's law is Gaussian again, so log p(x, m) is exact."""
    columns = columns_of(continuous=3)
    model, guide = assemble(columns, n_rows=10, latent_dim=2, hidden=0, fusion=fusion)
    model.u_given_z.log_scale.fill_(math.log(0.5))
    guide.encoder.directions.mul_(0.1)
    if fusion == "amortised":
        guide.u_given_z.log_scale.fill_(math.log(0.8))  # wider: weights are bounded
        guide.u_shift.weight.normal_().mul_(0.1)
    head = model.x_given_u.likelihoods[0].head
    head.weight[3:], head.bias[3:] = 0.0, 2.9
    scale = 0.1 + 0.9 / (1 + math.exp(-2.9))
    x, observed = torch.randn(3, 3), torch.ones(3, 3, dtype=torch.bool)
    w = head.weight[:3].numpy()
    covariance = w @ w.T * (1 + 0.25) + np.eye(3) * scale**2
    exact = stats.multivariate_normal(head.bias[:3].numpy(), covariance).logpdf(x.numpy())
    exact += 3 * math.log(0.5)  # constant heads, observed rate 1/2
    bounds = IWELBO(20_000).row_bounds(model, guide, x, observed)
    np.testing.assert_allclose(bounds, exact, atol=0.05)
    few = torch.stack([IWELBO(1).row_bounds(model, guide, x, observed) for _ in range(300)])
    assert (few.mean(0).numpy() < exact - 0.02).all()


# --- simulation-based calibration ------------------------------------------------------------

DRAWS = 19  # so that a rank is one of 20, all equally likely


def calibration_world(columns_of, n_rows):
    """A nonlinear model of mixed columns, whose holes tell about z; true values of all cells."""
    torch.manual_seed(6)
    columns = columns_of(continuous=2, binary=1, levels=(3,))
    model, guide = assemble(columns, n_rows=10, latent_dim=2, hidden=8)
    for block in model.x_given_u.likelihoods:
        block.head.weight.normal_()
    model.m_given_ux.head.weight.normal_()
    model.m_given_ux.head.weight[:, 0] = 2.0  # rows of small z_1 are the emptier ones
    x, m = model(size=n_rows)
    observed = m.bool()
    values = torch.where(observed, x, 0.0)
    model.requires_grad_(False)  # known weights: only the guide learns
    plan = TrainingPlan(max_steps=400, particles=5, learning_rate=5e-3)
    with torch.enable_grad():
        train(model, guide, (values, observed), plan=plan, seed=0)
    return model, guide, x, values, observed


def rank_p_values(model, u, x, observed):
    """Chi-square p-value, column by column, of the true value's rank among imputations from u."""
    draws = model.x_given_u(u).sample()
    ties = (draws == x).sum(0)
    # A discrete value ranks at random among its equals.
    rank = (draws < x).sum(0) + (torch.rand(x.shape) * (ties + 1)).long()
    p_values = []
    for j in range(x.shape[1]):
        counts = np.bincount(rank[~observed[:, j], j], minlength=DRAWS + 1)
        assert counts.sum() > 300
        p_values.append(stats.chisquare(counts).pvalue)
    return np.array(p_values)


@torch.no_grad()
def test_imputations_are_calibrated(columns_of):
    n_rows = 3000
    model, guide, x, values, observed = calibration_world(columns_of, n_rows)
    keys = torch.arange(n_rows)

    def p_values(weighted_by):
        posterior = infer(weighted_by, guide, values, observed, particles=500, keys=keys, seed=2)
        chosen = resample(posterior.log_weights, DRAWS, keys=keys, seed=3)
        u = posterior.latents["u"]
        particles = chosen.unsqueeze(-1).expand(-1, -1, u.shape[-1])
        return rank_p_values(model, u.gather(0, particles), x, observed)

    right = p_values(model)
    assert right.min() > 1e-4, right  # by chance once in 2,500 seeds
    # The check has power: it notices draws from the prior, and holes that are ignored.
    from_prior = model.u_given_z(torch.randn(DRAWS, n_rows, 2))
    assert rank_p_values(model, from_prior, x, observed).min() < 1e-6
    assert p_values(model.at_mask_weight(0.0)).min() < 1e-6
