"""One conformance test for all priors: a new one adds one line to PRIORS."""

import copy
import json
import subprocess
import sys

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import SVI, RenyiELBO
from scipy import stats
from torch import distributions as td
from torch import nn

from pyro_gnr.inference.objective import IWELBO
from pyro_gnr.inference.randomness import RowKeyed
from pyro_gnr.inference.training import TrainingPlan, train
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.features import Features
from pyro_gnr.model.guide import Encoder
from pyro_gnr.model.priors import Flow, GaussianMixture, StandardNormal, VampPrior
from pyro_gnr.model.registry import PRIORS as REGISTERED
from pyro_gnr.model.registry import describe, rebuild
from pyro_gnr.model.start import start
from pyro_gnr.model.transport import transport

PRIORS = {
    "standard_normal": StandardNormal(),
    "gaussian_mixture": GaussianMixture(components=4),
    "vamp": VampPrior(components=5),
    "flow": Flow(hidden=8),
}
K, N, L = 4, 5, 3
FIXED = {"standard_normal"}  # nothing to learn


@pytest.fixture(params=PRIORS)
def name(request):
    return request.param


@pytest.fixture
def built(name, columns_of):
    """Builder of the prior for some L, with all parameters moved away from their start."""

    def build(latent_dim=L, wild=0.4):
        part = copy.deepcopy(PRIORS[name])
        part.build(latent_dim)
        columns = columns_of(continuous=2, levels=(3,))
        part.attach(Encoder(Features(columns), 3, latent_dim=latent_dim, hidden=4))
        with torch.no_grad():
            for p in part.parameters():
                p.add_(wild * torch.randn_like(p))
        return part

    return build


def test_every_registered_prior_is_tested():
    assert {type(part) for part in PRIORS.values()} == set(REGISTERED.values())


# --- the density -----------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("latent_dim", [1, L])
def test_shapes(built, latent_dim):
    p, z = built(latent_dim)(), torch.randn(K, N, latent_dim)
    assert p.batch_shape == () and p.event_shape == (latent_dim,)
    assert p.log_prob(z).shape == (K, N) and p.log_prob(z[0, 0]).shape == ()
    rows = p.expand((N,))
    both = rows.expand((K, N))
    assert rows.batch_shape == (N,) and both.batch_shape == (K, N)
    torch.testing.assert_close(both.log_prob(z), p.log_prob(z))
    torch.testing.assert_close(both.log_prob(z[0]), p.log_prob(z[0]).expand(K, N))
    torch.testing.assert_close(rows.log_prob(z[0, 0]), p.log_prob(z[0, 0]).expand(N))
    assert p.sample().shape == (latent_dim,) and p.sample((7, 2)).shape == (7, 2, latent_dim)
    assert both.sample().shape == (K, N, latent_dim)
    assert both.sample((2,)).shape == (2, K, N, latent_dim)
    assert len(rows.sample().unique()) == N * latent_dim  # rows do not share a draw


def grid(p, latent_dim, *, half=9.0, steps=601):
    """Points of a line and the density on the grid that it spans."""
    line = torch.linspace(-half, half, steps)
    places = torch.cartesian_prod(*[line] * latent_dim).reshape(-1, latent_dim)
    return line, p.log_prob(places).exp().reshape([steps] * latent_dim)


@torch.no_grad()
@pytest.mark.parametrize("latent_dim", [1, 2])
def test_density_integrates_to_one_and_samples_follow_it(built, latent_dim):
    """Draws, and transported uniforms, against the distribution function of each margin."""
    p = built(latent_dim)()
    line, density = grid(p, latent_dim)
    uniforms = torch.rand(4000, latent_dim, dtype=torch.float64)
    samples = [p.sample((4000,)), transport(p.expand((4000,)), uniforms)]
    for dim in range(latent_dim):
        margin = density if latent_dim == 1 else torch.trapezoid(density, line, dim=1 - dim)
        cdf = torch.cumulative_trapezoid(margin, line)
        assert cdf[-1].item() == pytest.approx(1.0, abs=1e-3)
        for z in samples:
            reference = lambda x, cdf=cdf: np.interp(x, line[1:], cdf)  # noqa: E731
            assert stats.kstest(z[:, dim].numpy(), reference).pvalue > 1e-3
            assert stats.kstest(z[:, dim].numpy() + 0.15, reference).pvalue < 1e-3  # has power


@torch.no_grad()
def test_draws_in_the_plane_follow_the_density(built):
    """Not only the margins: the mean log-density of draws is minus the entropy."""
    p = built(2)()
    line, density = grid(p, 2)
    integrand = torch.where(density > 0, density * density.clamp(min=1e-300).log(), 0.0)
    expected = torch.trapezoid(torch.trapezoid(integrand, line), line)
    log_prob = p.log_prob(p.sample((20_000,)))
    error = 4 * log_prob.std() / 20_000**0.5
    assert log_prob.mean().item() == pytest.approx(expected.item(), abs=error.item())


def test_gradients_reach_every_parameter_and_are_right(built):
    prior = built()
    z = torch.randn(K, N, L, requires_grad=True)
    prior().log_prob(z).sum().backward()
    for name, p in [("z", z), *prior.named_parameters()]:
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, name
    assert torch.autograd.gradcheck(lambda z: prior().log_prob(z), z)
    for name, p in prior.named_parameters():
        direction, step = torch.randn_like(p), 1e-6
        with torch.no_grad():
            ends = [prior().log_prob(z).sum()]
            for move in (step, -2 * step):
                p.add_(move * direction)
                ends.append(prior().log_prob(z).sum())
            p.add_(step * direction)
        slope = ((ends[1] - ends[2]) / (2 * step)).item()
        assert (p.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-6), name


def test_reparameterised_draws_move_with_the_parameters(built, name):
    prior = built()
    p = prior()
    if not p.has_rsample:
        with pytest.raises(NotImplementedError):
            p.rsample()
    elif name not in FIXED:
        p.rsample((N,)).square().sum().backward()
        assert all(w.grad.abs().max() > 0 for w in prior.parameters())


@torch.no_grad()
def test_rows_and_particles_are_independent(built):
    alone = built()()
    p, z = alone.expand((K, N)), torch.randn(K, N, L)
    before = p.log_prob(z)
    changed = z.clone()
    changed[2, 3] += 1.0
    different = (p.log_prob(changed) - before).abs() > 1e-12
    assert different.nonzero().tolist() == [[2, 3]]
    for k, n in np.ndindex(K, N):
        torch.testing.assert_close(before[k, n], alone.log_prob(z[k, n]))


@torch.no_grad()
def test_far_from_everything_the_density_is_small_but_finite(built):
    z = 40.0 * torch.ones(1, L)
    log_prob = built()().log_prob(z)
    assert log_prob.isfinite().all() and log_prob < -100


# --- the part --------------------------------------------------------------------------------


def test_description_rebuilds_it(name):
    description = json.loads(json.dumps(describe(PRIORS[name])))
    again = rebuild(description, REGISTERED, {})
    assert type(again) is type(PRIORS[name]) and describe(again) == description
    assert not list(again.parameters())


def test_a_copy_has_parameters_of_its_own(built, name):
    prior = built()
    z = torch.randn(N, L)
    before = prior().log_prob(z)
    twin = copy.deepcopy(prior)
    torch.testing.assert_close(twin().log_prob(z), before, rtol=0, atol=0)
    with torch.no_grad():
        for p in twin.parameters():
            p.add_(0.1)
    torch.testing.assert_close(prior().log_prob(z), before, rtol=0, atol=0)
    assert name in FIXED or not torch.allclose(twin().log_prob(z), before)


def test_weights_come_back_and_precision_follows(built):
    one, two = built(), built()
    z = torch.randn(N, L)
    two.load_state_dict(one.state_dict())
    torch.testing.assert_close(one().log_prob(z), two().log_prob(z), rtol=0, atol=0)
    single = one.float()()
    assert single.log_prob(z.float()).dtype == single.sample().dtype == torch.float32
    torch.testing.assert_close(
        single.log_prob(z.float()).double(), two().log_prob(z), rtol=1e-3, atol=1e-3
    )


def test_showing_it_draws_nothing(built):
    prior = built()
    before = torch.get_rng_state()
    assert type(prior).__name__ in repr(prior)
    assert torch.equal(torch.get_rng_state(), before)


def test_learns_two_groups(built, name):
    """A short fit of the prior alone; nothing that is normal comes close."""
    if name in FIXED:
        return
    sides = torch.where(torch.rand(600, 1) < 0.5, 2.0, -2.0)
    z = sides * torch.tensor([1.0, 0.5]) + 0.4 * torch.randn(600, 2)
    prior = built(2, wild=0.02)
    optimiser = torch.optim.Adam(prior.parameters(), lr=0.03)
    for _ in range(150):
        optimiser.zero_grad()
        loss = -prior().log_prob(z[:300]).mean()
        loss.backward()
        optimiser.step()
    standard = td.Normal(0.0, 1.0).log_prob(z[300:]).sum(-1).mean()
    best = td.MultivariateNormal(z[:300].mean(0), z[:300].T.cov()).log_prob(z[300:]).mean()
    ours = prior().log_prob(z[300:]).mean()
    assert ours > standard + 1.0 and ours > best + 0.2


# --- in the model ----------------------------------------------------------------------------


class Registered(nn.Module):
    """A module whose parameters stock SVI finds."""

    def __init__(self, name, module):
        super().__init__()
        self.name, self.module = name, module

    def forward(self, *args):
        pyro.module(self.name, self.module)
        return self.module(*args)


@pytest.mark.parametrize("fusion", ["deterministic", "amortised"])
def test_bound_equals_renyi_elbo_and_trains(name, mixed, simulate_rows, fusion):
    model, guide = mixed(prior=PRIORS[name], fusion=fusion)
    x, observed = simulate_rows(model, 40)
    loss = RenyiELBO(alpha=0.0, num_particles=6, max_plate_nesting=1, vectorize_particles=True)
    with pyro.get_param_store().scope():
        torch.manual_seed(1)
        ours = IWELBO(6)(model, guide)(x, observed).item()
        torch.manual_seed(1)
        assert ours * 40 == pytest.approx(loss.loss(model, guide, x, observed), rel=1e-10)
        svi = SVI(
            Registered("model", model),
            Registered("guide", guide),
            pyro.optim.Adam({"lr": 0.01}),
            loss=loss,
        )
        losses = [svi.step(x, observed) for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    fit = train(
        model,
        guide,
        (x, observed),
        plan=TrainingPlan(particles=6, max_steps=30, learning_rate=0.01, evaluate_every=10),
        seed=0,
    )
    assert fit.history[-1].loss < fit.history[0].loss
    assert len(pyro.get_param_store()) == 0


def test_training_moves_every_parameter_and_not_the_template(name, mixed, simulate_rows):
    template = copy.deepcopy(PRIORS[name])
    model, guide = mixed(prior=template)
    assert model.prior is not template
    x, observed = simulate_rows(model, 30)
    before = copy.deepcopy(dict(model.prior.named_parameters()))
    plan = TrainingPlan(particles=5, max_steps=3, learning_rate=0.01)
    train(model, guide, (x, observed), plan=plan, seed=0)
    assert not list(template.parameters()) and not template.state_dict()
    assert (name in FIXED) == (not before)
    for key, p in model.prior.named_parameters():
        assert not torch.equal(p, before[key]), key


@torch.no_grad()
def test_simulates_tables_also_by_row_key(name, mixed):
    model, _ = mixed(prior=PRIORS[name])
    x, m = model(size=50)
    assert x.shape == m.shape == (50, 5)
    keys = torch.arange(100, 120)
    with RowKeyed(keys, seed=3):
        whole, _ = model(size=20)
    with RowKeyed(keys[5:9], seed=3):
        part, _ = model(size=4)
    torch.testing.assert_close(part, whole[5:9])


def rows_of_factors(n_rows=300):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(8, 2)) * 0.7
    x = rng.normal(size=(n_rows, 2)) @ w.T + 0.5 * rng.normal(size=(n_rows, 8))
    x = (x - x.mean(0)) / x.std(0)
    observed = rng.uniform(size=x.shape) < 0.75
    return torch.tensor(np.where(observed, x, 0.0)), torch.tensor(observed)


@torch.no_grad()
def test_the_linear_start_survives(name, columns_of):
    """The guide is the exact posterior under N(0, I), and so nearly exact here."""
    x, observed = rows_of_factors()
    bounds = {}
    for prior in ("standard_normal", PRIORS[name]):
        model, guide = assemble(
            columns_of(continuous=8), n_rows=20, latent_dim=2, hidden=4, prior=prior
        )
        generator = torch.Generator().manual_seed(0)
        start(model, guide, x, observed, generator=generator, observed=observed)
        bounds[prior] = IWELBO(20).row_bounds(model, guide, x, observed)
    ours, exact = bounds[PRIORS[name]], bounds["standard_normal"]
    assert ours.mean().item() == pytest.approx(exact.mean().item(), abs=0.1)
    assert (ours - exact).abs().max() < 1.5


# --- what is particular to some --------------------------------------------------------------


def test_standard_normal():
    prior = StandardNormal()
    prior.build(3)
    z = torch.tensor([0.3, -2.0, 1.0])
    assert prior().log_prob(z).item() == pytest.approx(stats.norm.logpdf(z).sum())
    assert not list(prior.parameters()) and not prior.state_dict()


@torch.no_grad()
@pytest.mark.parametrize("components", [1, 2, 10])
@pytest.mark.parametrize("floor", [0.1, 0.99])
def test_gaussian_mixture_starts_with_the_moments_of_the_standard_normal(components, floor):
    prior = GaussianMixture(components=components, floor=floor)
    prior.build(4)
    mean = prior.means.mean(0)
    variance = (prior.scales.square() + prior.means.square()).mean(0) - mean.square()
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-12, rtol=0)
    torch.testing.assert_close(variance, torch.ones(4))
    assert prior.scales.min() > floor
    assert len(prior.means.unique(dim=0)) == components


@torch.no_grad()
def test_gaussian_mixture_equals_that_of_torch():
    prior = GaussianMixture(components=6, floor=0.05)
    prior.build(3)
    for p in prior.parameters():
        p.add_(torch.randn_like(p))
    theirs = td.MixtureSameFamily(
        td.Categorical(logits=prior.logits),
        td.Independent(td.Normal(prior.means, 0.05 + nn.functional.softplus(prior.raw_scales)), 1),
    )
    z = 2 * torch.randn(K, N, 3)
    torch.testing.assert_close(prior().log_prob(z), theirs.log_prob(z))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianMixture(components=0), "got components=0, expected a whole number >= 1"),
        (lambda: GaussianMixture(floor=0.0), r"got floor=0.0, expected a number in \(0, 1\)"),
        (lambda: GaussianMixture(floor=1.0), r"got floor=1.0, expected a number in \(0, 1\)"),
        (lambda: VampPrior(components=2.5), "got components=2.5, expected a whole number >= 1"),
        (lambda: VampPrior(components=True), "got components=True, expected"),
        (lambda: Flow(transforms=0), "got transforms=0, expected a whole number >= 1"),
        (lambda: Flow(hidden="8"), "got hidden='8', expected a whole number >= 1"),
    ],
)
def test_wrong_hyperparameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    assert GaussianMixture(components=np.int64(3)).components == 3


@torch.no_grad()
def test_vamp_is_the_mean_of_the_posteriors_of_its_rows(columns_of):
    """Pseudo-rows that are rows: the definition, with q from the encoder as the guide calls it."""
    model, guide = assemble(
        columns_of(continuous=2, binary=1, levels=(3,)),
        n_rows=20,
        latent_dim=3,
        hidden=4,
        prior=VampPrior(components=6),
    )
    for p in guide.parameters():
        p.add_(0.3 * torch.randn_like(p))
    x, _ = model(size=6)
    observed = torch.rand(6, 4) < 0.7
    visible = observed & (torch.rand(6, 4) < 0.7)  # some are hidden
    prior = model.prior
    prior.features.copy_(guide.encoder.features(x, visible)[0])
    for relaxed, exact in ((prior.visible, visible), (prior.observed, observed)):
        relaxed.copy_(torch.where(exact, 5.0, -5.0))  # as good as 1 and 0
    q = guide.encoder(x, observed, visible)
    z = torch.randn(K, N, 3)
    expected = torch.stack(
        [
            td.MultivariateNormal(
                q.loc[c], precision_matrix=q.precision_tril[c] @ q.precision_tril[c].T
            ).log_prob(z)
            for c in range(6)
        ]
    ).logsumexp(0) - np.log(6)
    torch.testing.assert_close(prior().log_prob(z), expected)


def test_vamp_shares_the_encoder_and_calls_it_once(mixed, simulate_rows, monkeypatch):
    model, guide = mixed(prior="vamp")
    assert model.prior.encoder is guide.encoder
    twin_model, twin_guide = copy.deepcopy((model, guide))
    assert twin_model.prior.encoder is twin_guide.encoder is not guide.encoder
    sizes = []
    whole = Encoder.from_features

    def counted(self, features, visible, m):
        sizes.append(len(features))
        return whole(self, features, visible, m)

    monkeypatch.setattr(Encoder, "from_features", counted)
    IWELBO(4)(model, guide)(*simulate_rows(model, 7)).backward()
    assert sizes == [20, 7, 20]  # the simulation; then guide and model of the bound


def test_vamp_needs_an_encoder():
    prior = VampPrior()
    prior.build(2)
    with pytest.raises(ValueError, match=r"none was attached.*prior\.attach\(guide\.encoder\)"):
        prior()


@torch.no_grad()
def test_vamp_starts_at_rows_and_copies_of_a_row_differ(columns_of):
    """Fewer rows than components: they are used again, but can part."""
    x, observed = (t[:3] for t in rows_of_factors())
    model, guide = assemble(
        columns_of(continuous=8), n_rows=20, latent_dim=2, hidden=4, prior=VampPrior(components=7)
    )
    start(model, guide, x, observed, generator=torch.Generator().manual_seed(0))
    features = model.prior.features
    distance = torch.cdist(features, guide.encoder.features(x, observed)[0]) / 8**0.5
    assert distance.min(1).values.max() < 0.3  # jitter of a tenth, at distance about 0.1
    assert torch.pdist(features).min() > 0.01
    assert set(distance.argmin(1).tolist()) == {0, 1, 2}


@torch.no_grad()
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_flow_starts_at_the_standard_normal(latent_dim):
    prior = Flow()
    prior.build(latent_dim)
    z = 3 * torch.randn(200, latent_dim)
    torch.testing.assert_close(prior().log_prob(z), td.Normal(0.0, 1.0).log_prob(z).sum(-1))


def test_flow_counts_the_volume_and_inverts():
    prior = Flow(transforms=3, hidden=8)
    prior.build(3)
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(0.5 * torch.randn_like(p))
    p, z = prior(), 2 * torch.randn(6, 3)
    image, log_det = p.forth(z)
    torch.testing.assert_close(p.from_noise(image), z)
    for n in range(6):
        jacobian = torch.autograd.functional.jacobian(lambda z: p.forth(z)[0], z[n])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[n])


def test_flow_without_zuko_says_what_to_install(monkeypatch):
    before = dict(vars(td.Distribution))
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(ImportError, match=r"'flow' needs zuko.*pip install pyro-gnr\[flows\]"):
        Flow().build(2)
    assert dict(vars(td.Distribution)) == before


HYGIENE = """
import json, sys
import pyro, torch
import pyro.distributions as dist
from torch.distributions import Distribution, ExpTransform

def refuses(make):
    try:
        make()
    except ValueError:
        return True
    return False

def state():
    return dict(
        torch_validation=Distribution._validate_args,
        pyro_validation=dist.is_validation_enabled(),
        infer_validation=pyro.infer.util.is_validation_enabled(),
        constraints=repr(vars(Distribution)["arg_constraints"]),
        inverse=type(ExpTransform().inv).__name__,
        asked=refuses(lambda: torch.distributions.Normal(0.0, -1.0, validate_args=True)),
        torch_default=refuses(lambda: torch.distributions.Normal(0.0, -1.0)),
        pyro_default=refuses(lambda: dist.Normal(0.0, -1.0)),
        values=refuses(lambda: dist.Bernoulli(0.5).log_prob(torch.tensor(3.0))),
        dtype=str(torch.get_default_dtype()),
        settings=repr(sorted(pyro.settings.get().items())),
    )

before = state()
from pyro_gnr.model.priors import Flow
assert "zuko" not in sys.modules, "imported before it is used"
prior = Flow()
prior.build(3)
assert "zuko" in sys.modules
built = state()
z = pyro.sample("z", prior().expand((5,)))
prior().log_prob(z).sum().backward()
used = state()
print(json.dumps([before, built, used]))
"""


def test_flow_leaves_validation_as_it_was():
    """Importing zuko switches it off for all of torch; in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HYGIENE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, built, used = json.loads(done.stdout)
    assert before == built == used
    refusals = ("asked", "torch_default", "pyro_default", "values")
    assert before["torch_validation"] and all(before[key] for key in refusals)
