import copy
import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, RenyiELBO, Trace_ELBO
from torch import nn

from pyro_gnr.inference.objective import GRADIENTS, IWELBO, log_weights, renyi_bound


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


STOCK = {"num_particles": 4, "max_plate_nesting": 1, "vectorize_particles": True}
OBJECTIVES = {
    "RenyiELBO": RenyiELBO(**STOCK),
    "Trace_ELBO": Trace_ELBO(**STOCK),
    **{gradient: IWELBO(4, gradient=gradient) for gradient in GRADIENTS},
}


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("loss", OBJECTIVES.values(), ids=OBJECTIVES)
def test_model_and_guide_train_under_stock_svi(mixed, simulate_rows, loss, fusion):
    source, _ = mixed(seed=1)
    data = simulate_rows(source, 60)
    model, guide = mixed(fusion=fusion)
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


# --- estimators of the gradient --------------------------------------------------------------

FUSIONS = ["deterministic", "replayed", "amortised"]
PAIRS = [
    *[("iwae", order) for order in (0.0, 0.5, 1.0)],
    *[("dreg", 0.0), ("stl", 0.0), ("stl", 1.0)],
]


def parameters_of(model, guide):
    """Parameters by name; one that the two share is the model's."""
    named = [*model.named_parameters(prefix="model"), *guide.named_parameters(prefix="guide")]
    return {name: p for i, (name, p) in enumerate(named) if all(p is not q for _, q in named[:i])}


def gradients(objective, model, guide, data, **options):
    """The gradient of the loss by parameter, 0 where there is none."""
    loss = objective.differentiable_loss(model, guide, *data, **options)
    named = parameters_of(model, guide)
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    pairs = zip(named.items(), found, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in pairs}


def estimates(objective, model, guide, data, *, calls=30, copies=300):
    """Independent estimates of the gradient, (calls, ...) by parameter: means over copies."""
    many = tuple(d.repeat(copies, *[1] * (d.dim() - 1)) for d in data)
    drawn = [gradients(objective, model, guide, many) for _ in range(calls)]
    return {name: torch.stack([g[name] for g in drawn]) for name in drawn[0]}


def z_scores(ours, theirs):
    """Difference of mean estimates over its standard error, by parameter; `theirs` may be exact.

    A coordinate that no draw moves has to agree exactly.
    """
    scores = {}
    for name, ones in ours.items():
        exact = theirs[name].dim() < ones.dim()
        others = theirs[name][None] if exact else theirs[name]
        variance = ones.var(0) / len(ones) + (0.0 if exact else others.var(0) / len(others))
        gap = (ones.mean(0) - others.mean(0)).abs()
        scores[name] = torch.where(gap < 1e-10, 0.0, gap / variance.sqrt())
    return scores


def largest(scores, prefix=""):
    return max(z.max().item() for name, z in scores.items() if name.startswith(prefix))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("particles", [2, 5])
def test_doubly_reparameterised_gradient_is_unbiased(mixed, simulate_rows, particles, fusion):
    """Among some 500 to 700 coordinates |z| stays below 5; sticking the landing goes beyond 20."""
    model, guide = mixed(fusion=fusion, mask_weight=1.5)
    data = simulate_rows(model, 6)
    plain, doubly, landing = (
        estimates(IWELBO(particles, gradient=gradient), model, guide, data)
        for gradient in ("iwae", "dreg", "stl")
    )
    scores = z_scores(doubly, plain)
    assert largest(scores) < 5.0
    assert largest(scores, "model.x_given_u") > 0.5 and largest(scores, "guide.encoder") > 0.5
    assert largest(scores, "model.u_given_z") > 0.5
    assert any(name.startswith("guide.u_given_z") for name in scores) == (fusion == "amortised")
    assert largest(z_scores(landing, plain)) > 20.0  # what a bias looks like here


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("particles", [1, 2, 5])
def test_one_draw_equals_the_two_surrogates_written_out(mixed, simulate_rows, particles, fusion):
    model, guide = mixed(fusion=fusion, mask_weight=1.5)
    x, observed = simulate_rows(model, 7)
    omega = torch.linspace(0.0, 3.0, 7)
    frozen = [copy.deepcopy(part).requires_grad_(False) for part in (model, guide)]

    def fused(guide, z):
        q = guide.u_given_z(z).base_dist
        seen = torch.cat([guide.encoder.features(x, observed)[0], observed.double()], -1)
        return dist.Normal(q.loc + guide.u_shift(seen), q.scale).to_event(1)

    def weigh(model, guide, z, u):
        log_w = model.prior().log_prob(z) - guide.encoder(x, observed, observed).log_prob(z)
        if fusion == "deterministic":
            u = model.u_given_z(z)
        elif fusion == "replayed":  # a function of z and of noise
            u = model.u_given_z.mean(z) + model.u_given_z.log_scale.exp() * noise
        else:
            log_w = log_w + model.u_given_z(z).log_prob(u) - fused(guide, z).log_prob(u)
        cells = torch.where(observed, model.x_given_u(u).log_prob(x), 0.0).sum(-1)
        holes = model.m_given_ux(u, None).log_prob(observed.double())
        return log_w + cells + 1.5 * holes

    torch.manual_seed(5)
    if fusion == "replayed":
        noise = torch.randn(particles, 7, model.u_given_z.out_dim)
    z = guide.encoder(x, observed, observed).expand(torch.Size([particles, 7])).rsample()
    u = fused(guide, z).rsample() if fusion == "amortised" else None
    log_w = weigh(*frozen, z, u)
    w = log_w.detach().softmax(0)
    of_guide = (w.square() * log_w).sum(0)
    still = (z.detach(), None if u is None else u.detach())
    of_model = (w * weigh(model, frozen[1], *still)).sum(0)
    named = parameters_of(model, guide)
    loss = -(omega * (of_guide + of_model)).mean()
    expected = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    torch.manual_seed(5)
    objective = IWELBO(particles, gradient="dreg")
    ours = gradients(objective, model, guide, (x, observed), row_weights=omega)
    for (name, gradient), theirs in zip(ours.items(), expected, strict=True):
        theirs = torch.zeros_like(gradient) if theirs is None else theirs
        torch.testing.assert_close(gradient, theirs, rtol=1e-10, atol=1e-10, msg=name)
    assert sum(bool(g.abs().max() > 1e-6) for g in ours.values()) >= 12


class DrawnByTheModel(nn.Module):
    """z ~ N(0, 1), a coin b of logit slope * z that the model draws itself, y ~ N(2 b + z, 1)."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(1.5))

    def coin(self, z, noise):
        coin = dist.Bernoulli(logits=self.slope * z)
        return (torch.special.ndtr(noise) < coin.probs).to(z), coin

    def forward(self, y):
        with pyro.plate("rows", len(y), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            noise = pyro.sample("noise", dist.Normal(0.0, 1.0))
            b, coin = self.coin(z, noise)
            score = coin.log_prob(b)
            with poutine.infer_config(config_fn=lambda _: {"is_score": True}):
                pyro.factor("score", score - score.detach())
            pyro.sample("y", dist.Normal(2.0 * b + z, 1.0), obs=y)


class GuideOfDrawn(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.3))
        self.shift = nn.Parameter(torch.tensor(-0.2))

    def forward(self, y):
        with pyro.plate("rows", len(y), dim=-1):
            pyro.sample("noise", dist.Normal(0.0, 1.0))
            pyro.sample("z", dist.Normal(self.slope * y + self.shift, 0.8))


@pytest.mark.parametrize("particles", [2, 5])
def test_what_the_model_draws_is_a_fixed_part_of_the_proposal(particles):
    """Its score is for the model's parameters, and on no path of the guide's draws."""
    model, guide = DrawnByTheModel(), GuideOfDrawn()
    y = torch.linspace(-2.0, 4.0, 7)
    plain, doubly = (
        estimates(IWELBO(particles, gradient=g), model, guide, (y,), copies=3000)
        for g in ("iwae", "dreg")
    )
    assert 0.1 < largest(z_scores(doubly, plain)) < 4.5
    # By hand, in the same draws.
    y = y.repeat(3000)
    torch.manual_seed(0)
    ours = gradients(IWELBO(particles, gradient="dreg"), model, guide, (y,))
    torch.manual_seed(0)
    noise, e = (torch.randn(particles, len(y)) for _ in range(2))
    z = guide.slope * y + guide.shift + 0.8 * e
    b, _ = model.coin(z.detach(), noise)
    normal = dist.Normal(2.0 * b + z, 1.0).log_prob(y) + dist.Normal(0.0, 1.0).log_prob(z)
    q = dist.Normal((guide.slope * y + guide.shift).detach(), 0.8).log_prob(z)
    w = (normal - q).detach().softmax(0)
    score = dist.Bernoulli(logits=model.slope * z.detach()).log_prob(b)
    of_guide, of_model = (w.square() * (normal - q)).sum(0), (w * score).sum(0)
    own = [model.slope, guide.slope, guide.shift]
    # The score on the guide's paths would add this.
    path = dist.Bernoulli(logits=model.slope.detach() * z).log_prob(b)
    more = torch.autograd.grad((w.square() * path).sum(0).mean(), guide.slope, retain_graph=True)
    expected = torch.autograd.grad(-(of_guide + of_model).mean(), own)
    torch.testing.assert_close(list(ours.values()), list(expected))
    error = plain["guide.slope"].std(0) / len(plain["guide.slope"]) ** 0.5
    assert more[0].abs() > 5 * error


@pytest.mark.parametrize("mechanism", ["selection", "no_self_censoring"])
def test_mechanisms_that_sample_levels_are_doubly_reparameterised(mixed, simulate_rows, mechanism):
    model, guide = mixed(mechanism=mechanism, mask_weight=1.5)
    data = simulate_rows(model, 6)
    plain, doubly = (
        estimates(IWELBO(5, gradient=gradient), model, guide, data)
        for gradient in ("iwae", "dreg")
    )
    assert largest(z_scores(doubly, plain)) < 4.5  # the guide's: above 5 with scores on its paths


class Shift(nn.Module):
    """p(u) = N(shift, 1)."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, n_rows):
        return dist.Normal(self.shift, 1.0).expand([n_rows])


class TiltModel(nn.Module):
    """u ~ N(shift, 1) and a likelihood exp(slope u)."""

    def __init__(self, prior, slope):
        super().__init__()
        self.prior, self.slope = prior, slope

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            u = pyro.sample("u", self.prior(len(x)))
            pyro.factor("tilt", self.slope * u)


class TiltGuide(nn.Module):
    def __init__(self, prior):
        super().__init__()
        self.prior = prior

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("u", self.prior(len(x)))


@pytest.mark.parametrize("particles", [2, 5])
def test_what_model_and_guide_share_gets_both_parts(particles):
    """The bound of a replayed p(u) is shift * slope + constant: its derivative is the slope."""
    shared, slope, rows = Shift(), 1.5, torch.zeros(200_000)
    model, guide = TiltModel(shared, slope), TiltGuide(shared)
    torch.manual_seed(0)
    ours = gradients(IWELBO(particles, gradient="dreg"), model, guide, (rows,))
    assert -ours["model.prior.shift"].item() == pytest.approx(slope, abs=0.02)
    # By hand: the score of u goes with w~ and its path with w~^2; one weight for both, or the
    # square on the path alone, is wrong (at K = 2 a symmetry makes squares everywhere right).
    torch.manual_seed(0)
    u = log_weights(model, guide, rows, particles=particles).guide.nodes["u"]["value"].detach()
    w = (slope * u).softmax(0)
    both = (w * u).sum(0) + slope * w.square().sum(0)
    assert -ours["model.prior.shift"].item() == pytest.approx(both.mean().item())
    squares = (w.square() * (u + slope)).sum(0).mean().item()
    assert abs(squares - slope) > 0.2 or particles == 2
    assert abs(slope * w.square().sum(0).mean().item() - slope) > 0.2
    assert abs((w * (u + slope)).sum(0).mean().item() - slope) > 0.2


@pytest.mark.parametrize("gradient", ["iwae", "dreg", "stl"])
def test_gradient_of_two_particles_equals_quadrature(gradient):
    """A guide of its own at the model's prior: E sum w~^2 is an integral over one normal."""
    slope, rows = 1.5, torch.zeros(200_000)
    model, guide = TiltModel(Shift(), slope), TiltGuide(Shift())
    nodes, masses = np.polynomial.hermite_e.hermegauss(80)
    first = 1.0 / (1.0 + np.exp(-slope * math.sqrt(2.0) * nodes))  # w~_1; u_1 - u_2 ~ N(0, 2)
    squares = float(((first**2 + (1.0 - first) ** 2) * masses).sum() / masses.sum())
    assert squares == pytest.approx(0.70, abs=0.05)
    ours = gradients(IWELBO(2, gradient=gradient), model, guide, (rows,))
    # The model's part and the guide's sum to the derivative of shift * slope.
    assert -ours["model.prior.shift"].item() == pytest.approx(slope * (1 - squares), abs=0.01)
    right = slope * squares
    if gradient == "stl":  # all the slope, in every draw: biased
        assert -ours["guide.prior.shift"].item() == pytest.approx(slope, abs=1e-10)
    else:
        assert -ours["guide.prior.shift"].item() == pytest.approx(right, abs=0.01)


def exact_elbo(world, guide):
    """Mean over rows of the ELBO of a linear-Gaussian world, in closed form."""
    q = guide.encoder(world.x, world.observed, world.observed)
    covariance = torch.cholesky_inverse(q.precision_tril)
    head = world.model.x_given_u.likelihoods[0].head.weight[: world.x.shape[1]]
    normal = world.model.x_given_u(q.loc).blocks[0].distribution
    spread = torch.einsum("jl,nlk,jk->nj", head, covariance, head)
    cells = normal.log_prob(world.x) - spread / (2 * normal.scale.square())
    # Linear in u at slopes 0, where these are: the mean of u is enough for value and gradient.
    holes = world.model.m_given_ux(q.loc, None)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    log_det = 2 * q.precision_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    kl = 0.5 * (trace + q.loc.square().sum(-1) - q.loc.shape[-1] + log_det)
    m = holes.log_prob(world.observed.double())
    return (torch.where(world.observed, cells, 0.0).sum(-1) + m - kl).mean()


@pytest.mark.parametrize(("particles", "order"), [(1, 0.0), (1, 0.5), (4, 1.0)])
def test_sticking_the_landing_is_unbiased_for_the_elbo(linear_gaussian, particles, order):
    world = linear_gaussian()
    guide = world.spoil()
    with torch.no_grad():
        guide.encoder.hole_directions.add_(0.2)
    loss = -exact_elbo(world, guide)
    named = parameters_of(world.model, guide)
    exact = torch.autograd.grad(loss, list(named.values()))
    data = (world.x, world.observed)
    for gradient in ("iwae", "stl"):
        objective = IWELBO(particles, order, gradient=gradient)
        drawn = estimates(objective, world.model, guide, data)
        scores = z_scores(drawn, dict(zip(named, exact, strict=True)))
        assert largest(scores) < 4.5
    assert sum(bool(g.abs().max() > 1e-3) for g in exact) >= 8
    wrong = {name: 1.05 * g for name, g in zip(named, exact, strict=True)}
    assert largest(z_scores(drawn, wrong)) > 10.0  # 5 % would not pass


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_particle_makes_both_the_same_in_every_draw(mixed, simulate_rows, fusion):
    model, guide = mixed(fusion=fusion)
    data = simulate_rows(model, 9)
    found = {}
    for gradient in GRADIENTS:
        torch.manual_seed(3)
        found[gradient] = gradients(IWELBO(1, gradient=gradient), model, guide, data)
    for name, one in found["dreg"].items():
        torch.testing.assert_close(one, found["stl"][name], rtol=0, atol=0)
    assert any(
        (one - found["iwae"][name]).abs().max() > 0.01 for name, one in found["stl"].items()
    )


@pytest.mark.parametrize("particles", [1, 5])
@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_exact_guide_has_gradient_zero_in_every_draw(linear_gaussian, particles, gradient):
    world = linear_gaussian()
    data = (world.x, world.observed)
    for seed in range(5):
        for name, tolerance in ((gradient, 1e-12), ("iwae", None)):
            torch.manual_seed(seed)
            found = gradients(IWELBO(particles, gradient=name), world.model, world.guide, data)
            guide = max(g.abs().max() for k, g in found.items() if k.startswith("guide"))
            assert guide > 0.01 if tolerance is None else guide < tolerance
            assert max(g.abs().max() for k, g in found.items() if k.startswith("model")) > 0.1


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("particles", [1, 7])
@pytest.mark.parametrize(("gradient", "order"), PAIRS)
def test_value_does_not_depend_on_the_estimator(
    mixed, simulate_rows, gradient, order, particles, fusion
):
    model, guide = mixed(fusion=fusion, mask_weight=1.5)
    data = simulate_rows(model, 9)
    values, states = [], []
    for objective in (IWELBO(particles, order), IWELBO(particles, order, gradient=gradient)):
        torch.manual_seed(3)
        values.append(objective.row_bounds(model, guide, *data).detach())
        states.append(torch.get_rng_state())
        torch.manual_seed(3)
        assert objective.loss(model, guide, *data) == pytest.approx(-values[-1].mean().item())
    assert torch.equal(*values) and torch.equal(*states)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_stock_svi_gets_the_same_gradients(mixed, simulate_rows, gradient, fusion):
    model, guide = mixed(fusion=fusion)
    data = simulate_rows(model, 9)
    objective = IWELBO(4, gradient=gradient)
    _, theirs = value_and_gradients(objective, model, guide, data, 1)
    torch.manual_seed(3)
    for name, ours in gradients(objective, model, guide, data).items():
        torch.testing.assert_close(ours, theirs[name].expand_as(ours), msg=name)


class Anchored(nn.Module):
    """The exact guide of `RowModel`, moved by a tensor that is no parameter."""

    def __init__(self, anchor):
        super().__init__()
        self.anchor = anchor

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Normal(x / 2 + self.anchor, math.sqrt(0.5)))


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_tensors_that_are_no_parameters_are_stopped_too(gradient):
    anchor = torch.zeros((), requires_grad=True)
    x = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    objective, model, guide = IWELBO(4, gradient=gradient), RowModel(), Anchored(anchor)
    torch.manual_seed(0)
    loss = objective.differentiable_loss(model, guide, x)
    of_anchor, of_x = torch.autograd.grad(loss, [anchor, x])
    if gradient == "iwae":
        assert of_anchor.abs() > 0.01
        return
    assert of_anchor.abs() < 1e-12
    torch.manual_seed(0)
    draws = log_weights(model, guide, x, particles=4).guide.nodes["z"]["value"].detach()
    torch.testing.assert_close(of_x, (x.detach() - draws.mean(0)) / 3)  # the likelihood's own


class Fixed(nn.Module):
    """A guide without anything to learn, beside a site that depends on nothing."""

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            noise = pyro.sample("noise", dist.Uniform(0.0, 1.0), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Normal(x / 2 + noise, 1.0))


@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_draws_without_a_gradient(gradient):
    model, found = TiltedRows(), []
    for name in ("iwae", gradient):
        torch.manual_seed(0)
        found.append(gradients(IWELBO(4, gradient=name), model, Fixed(), (X,)))
    assert found[0] == found[1] and found[0]["model.slope"] != 0


class Direct(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.2))

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Normal(x / 2 + 2 * self.shift, 1.0))


class Doubled(Direct):
    """The same by a draw and a transformation of it, as Pyro's automatic guides have it."""

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            half = dist.Normal(x / 4 + self.shift, 0.5)
            half = pyro.sample("half", half, infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(2 * half, log_density=-math.log(2.0)))


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_transformed_draws(gradient):
    found = []
    for guide in (Direct(), Doubled()):
        torch.manual_seed(0)
        found.append(gradients(IWELBO(4, gradient=gradient), TiltedRows(), guide, (X,)))
    assert found[0]["guide.shift"] != 0
    for name, ours in found[0].items():
        torch.testing.assert_close(ours, found[1][name])


class TiltedRows(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(self.slope * z, 1.0), obs=x)


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Normal(self.dropout(x), 1.0))


@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_guide_that_is_another_the_second_time_is_refused(gradient):
    x, guide = torch.randn(50), Dropping()
    objective = IWELBO(4, gradient=gradient)
    assert math.isfinite(objective.loss(RowModel(), guide, x))  # no gradient: run once
    with pytest.raises(ValueError, match="guide site 'z' has another density when .* dropout"):
        objective(RowModel(), guide)(x)
    assert torch.isfinite(objective(RowModel(), guide.eval())(x))


@pytest.mark.parametrize("gradient", ["dreg", "stl"])
def test_contract_is_checked_for_every_estimator(gradient):
    objective = IWELBO(4, gradient=gradient)
    with pytest.raises(ValueError, match="guide site 'z' .* reparameterised"):
        objective(RowModel(), CoinGuide())(X)
    with pytest.raises(ValueError, match="site 'shift' is not inside exactly the plate 'rows'"):
        objective(SharedSite(), SharedGuide())(X)


@pytest.mark.parametrize(
    ("particles", "order", "gradient", "message"),
    [
        (5, 0.0, "reinforce", r"gradient='reinforce', expected one of \['iwae', 'dreg', 'stl'\]"),
        (5, 0.0, None, "gradient=None, expected one of"),
        (5, 0.5, "dreg", "gradient='dreg' with renyi_order=0.5, expected renyi_order=0"),
        (5, 1.0, "dreg", "gradient='dreg' with renyi_order=1.0, expected renyi_order=0"),
        (1, 0.5, "dreg", "gradient='dreg' with renyi_order=0.5, expected renyi_order=0"),
        (2, 0.5, "stl", "gradient='stl' with renyi_order=0.5, expected renyi_order 0 or 1"),
        (2, -1.0, "stl", "gradient='stl' with renyi_order=-1.0, .* or one particle"),
    ],
)
def test_estimators_of_no_such_gradient(particles, order, gradient, message):
    with pytest.raises(ValueError, match=message):
        IWELBO(particles, order, gradient=gradient)


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
