"""One conformance test for all mechanisms: a new one adds one line to MECHANISMS."""

import copy
import itertools
import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import integrate, stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.inference.objective import IWELBO, log_weights
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.likelihoods import Columnwise
from pyro_gnr.model.likelihoods.block import Block
from pyro_gnr.model.mechanisms import (
    Collapsible,
    Conjunction,
    Ignorable,
    Mechanism,
    NoSelfCensoring,
    Selection,
    SelfMasking,
)
from pyro_gnr.model.registry import MECHANISMS as REGISTERED
from pyro_gnr.model.registry import describe, rebuild

MECHANISMS = {
    "conjunction": Conjunction(),
    "ignorable": Ignorable(),
    "self_masking": SelfMasking(),
    "self_masking, high": SelfMasking(direction="high"),
    "self_masking, low, logit": SelfMasking(direction="low", link="logit"),
    "self_masking, by column": SelfMasking(direction={"a": "low", "d": None}),
    "self_masking over conjunction": SelfMasking(direction="high", threshold="latent"),
    "selection": Selection(),
    "selection, network": Selection(hidden=8),
    "no_self_censoring": NoSelfCensoring(),
}
K, N, D, H = 4, 5, 4, 6
COLUMNS = [
    Column("a", Kind.CONTINUOUS, "float64", holes=3),
    Column("b", Kind.CONTINUOUS, "float64"),
    Column("c", Kind.CATEGORICAL, "str", levels=("p", "q", "r"), holes=8),
    Column("d", Kind.BINARY, "bool", levels=(False, True), holes=4),
]
RATES = torch.tensor([0.7, 1.0, 0.2, 0.6])  # the second column has no hole
HOLEY = [0, 2, 3]
SILENT = {"ignorable"}  # no m site
COLLAPSED = [name for name, part in MECHANISMS.items() if isinstance(part, Collapsible)]


def build(name):
    part = copy.deepcopy(MECHANISMS[name])
    part.build(COLUMNS, H, rates=RATES)
    with torch.no_grad():
        for p in part.parameters():
            # Slopes that are learnt count ten times.
            p.add_((0.1 if isinstance(part, SelfMasking) else 0.3) * torch.randn_like(p))
    return part


def values(*lead):
    """Random complete rows of COLUMNS."""
    numbers = torch.randn(*lead, 2)
    level = torch.randint(0, 3, (*lead, 1)).to(numbers)
    return torch.cat([numbers, level, torch.randint(0, 2, (*lead, 1)).to(numbers)], -1)


def conditional(*lead):
    """A p(x | u) of COLUMNS, batch (*lead, D)."""
    normal = dist.Normal(torch.randn(*lead, 2), 0.3 + torch.rand(*lead, 2))
    level = dist.Categorical(logits=torch.randn(*lead, 1, 3))
    coin = dist.Bernoulli(logits=torch.randn(*lead, 1))
    places = [torch.tensor(p) for p in ([0, 1], [2], [3])]
    blocks = [Block(d, p) for d, p in zip((normal, level, coin), places, strict=True)]
    return Columnwise(blocks, torch.arange(4))


@pytest.fixture(params=MECHANISMS)
def mechanism(request):
    return build(request.param)


@pytest.fixture(params=[name for name in MECHANISMS if name not in SILENT])
def speaking(request):
    """A mechanism with an m site."""
    return build(request.param)


@pytest.fixture(params=COLLAPSED)
def collapsible(request):
    """A mechanism that integrates missing values out."""
    return build(request.param)


def test_every_registered_mechanism_is_tested():
    assert {type(part) for part in MECHANISMS.values()} == set(REGISTERED.values())


def test_shapes(speaking):
    m = speaking(torch.randn(K, N, H), values(K, N))
    assert m.batch_shape == (K, N) and m.event_shape == (D,)
    assert m.log_prob(torch.ones(N, D)).shape == (K, N)


def test_probabilities_of_all_patterns_sum_to_one(speaking):
    u, x = torch.randn(H), values()
    patterns = torch.tensor(list(itertools.product((0.0, 1.0), repeat=D)))
    m = speaking(u.expand(len(patterns), H), x.expand(len(patterns), D))
    possible = patterns[:, RATES == 1].all(1)
    assert m.log_prob(patterns)[possible].exp().sum().item() == pytest.approx(1.0)


def test_gradients_reach_every_parameter(speaking):
    x = values(K, N).requires_grad_()
    u = torch.randn(K, N, H, requires_grad=True)
    m = torch.bernoulli(torch.full((N, D), 0.5))
    speaking(u, x).log_prob(m).sum().backward()
    uses_u = isinstance(speaking, (Conjunction, NoSelfCensoring)) or (
        getattr(speaking, "threshold", "") == "latent"
    )
    uses_x = speaking.missing_x != "unused"
    for name, p in [("u", u), ("x", x), *speaking.named_parameters()]:
        if (name == "u" and not uses_u) or (name == "x" and not uses_x):
            assert p.grad is None or p.grad.abs().max() == 0
            continue
        if name in ("raw_slope", "free_slope"):
            continue  # one of the two is in use for a column: see below
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, name


def test_column_without_holes_is_always_observed_and_carries_no_factor(speaking):
    u, x = torch.randn(500, H), values(500)
    m = speaking(u, x)
    simulated = m.sample()
    assert simulated[:, 1].min() == 1
    assert all(simulated[:, j].std() > 0 for j in HOLEY)
    with_hole = simulated.clone()
    with_hole[:, 1] = 0.0
    torch.testing.assert_close(m.log_prob(with_hole), m.log_prob(simulated), rtol=0, atol=0)


def test_simulated_rates_agree_with_probabilities(speaking):
    u, x = torch.randn(1, H), values(1)
    m = speaking(u, x)
    simulated = m.sample((40_000,)).mean((0, 1))
    for j in HOLEY:
        ones, hole = torch.ones(1, D), torch.ones(1, D)
        hole[:, j] = 0.0
        odds = (m.log_prob(ones) - m.log_prob(hole)).exp()
        assert simulated[j].item() == pytest.approx((odds / (1 + odds)).item(), abs=0.015)


# --- missing values: collapsed, sampled, unused ----------------------------------------------


def marginal(m, j):
    """P(m_j = 1) under independent coins with event (D,)."""
    return m.base_dist.base_dist.probs[..., j]


def test_collapsed_rates_agree_with_simulated_ones(collapsible):
    """Draw x ~ p(x|u), then m ~ p(m|x,u): the share observed is what collapsing says."""
    u, columns = torch.randn(1, H), conditional(1)
    nothing = torch.zeros(1, D, dtype=torch.bool)
    rates = collapsible.collapsed(u, torch.zeros(1, D), visible=nothing, columns=columns)
    n = 100_000
    x = columns.expand((n, 1, D)).sample()
    simulated = collapsible(u.expand(n, 1, H), x).sample().mean((0, 1))
    for j in HOLEY:
        assert simulated[j].item() == pytest.approx(marginal(rates, j).item(), abs=0.008)


def test_collapsed_and_complete_agree_on_visible_cells(collapsible):
    u, x, columns = torch.randn(K, N, H), values(N), conditional(K, N)
    everything = torch.ones(N, D, dtype=torch.bool)
    a = collapsible.collapsed(u, x, visible=everything, columns=columns)
    b = collapsible(u, x)
    m = torch.bernoulli(torch.full((N, D), 0.5))
    torch.testing.assert_close(a.log_prob(m), b.log_prob(m))


def test_values_of_cells_that_are_not_visible_play_no_part(collapsible):
    visible = torch.rand(N, D) < 0.5
    u, x, columns = torch.randn(K, N, H), values(N), conditional(K, N)
    m = visible.double()
    found = [
        collapsible.collapsed(u, torch.where(visible, x, junk), visible=visible, columns=columns)
        for junk in (0.0, 1e6, torch.nan)
    ]
    for other in found[1:]:
        torch.testing.assert_close(other.log_prob(m), found[0].log_prob(m), rtol=0, atol=0)


@pytest.mark.parametrize("observed", [True, False])
def test_given_a_hole_values_follow_bayes(collapsible, observed):
    """p(x | u, m) by reweighting draws of p(x | u), and draws of it that were rejected."""
    u, columns = torch.randn(1, H), conditional(1)
    given = collapsible.given_holes(u, columns, observed=torch.full((1, D), observed))
    n = 200_000
    x = columns.expand((n, 1, D)).sample()
    m = collapsible(u.expand(n, 1, H), x).sample()
    drawn = given.expand((n, 1, D)).sample()
    for j in range(D):
        kept = x[m[..., j] == observed, j] if j in HOLEY else x[:, 0, j]
        error = 4 * kept.std().item() / math.sqrt(len(kept)) + 0.004
        assert drawn[:, 0, j].mean().item() == pytest.approx(kept.mean().item(), abs=error)
        assert drawn[..., j].std().item() == pytest.approx(kept.std().item(), rel=0.05, abs=0.01)


class Sampled(Mechanism):
    """Any collapsible mechanism, its missing values drawn instead."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def build(self, columns, u_dim, *, rates):
        self.inner.build(columns, u_dim, rates=rates)

    def forward(self, u, x):
        return self.inner(u, x)


@torch.no_grad()
@pytest.mark.parametrize("name", COLLAPSED)
def test_collapsed_and_sampled_bounds_agree(name):
    """At mask weight 1 both are log p(x_o, m); with 100,000 particles, to Monte Carlo error."""
    bounds = []
    for wrap in (lambda part: part, Sampled):
        torch.manual_seed(1)
        template = copy.deepcopy(MECHANISMS[name])
        model, guide = assemble(
            COLUMNS, n_rows=10, latent_dim=1, hidden=0, mechanism=wrap(template)
        )
        for p in model.m_given_ux.parameters():
            p.add_(0.05 * torch.ones_like(p))
        x, observed = values(N), torch.rand(N, D) < 0.5
        observed[:, 1] = True
        observed[0] = torch.tensor([False, True, False, False])
        visible = observed & (torch.rand(N, D) < 0.8)  # hidden cells, too
        assert (visible != observed).any()
        bounds.append(
            IWELBO(100_000).row_bounds(
                model, guide, torch.where(visible, x, 0.0), observed, visible
            )
        )
    torch.testing.assert_close(*bounds, atol=0.06, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("link", ["probit", "logit"])
def test_bound_converges_to_the_exact_likelihood(link):
    """One latent number, two columns: log p(x_o, m) by two-dimensional integration."""
    columns = COLUMNS[:1] + [Column("e", Kind.CONTINUOUS, "float64", holes=5)]
    mechanism = SelfMasking(direction="high", link=link, slope=2.0)
    model, guide = assemble(columns, n_rows=10, latent_dim=1, hidden=0, mechanism=mechanism)
    x = torch.tensor([[0.4, 0.0], [0.0, -0.3], [0.0, 0.0], [0.2, 0.9]])
    observed = torch.tensor([[True, False], [False, True], [False, False], [True, True]])
    bound = IWELBO(20_000).row_bounds(model, guide, x, observed)
    f = stats.norm.cdf if link == "probit" else lambda t: 1 / (1 + np.exp(-t))
    c, b = model.m_given_ux.slopes().numpy(), model.m_given_ux.base.numpy()

    def cell(z, j, n):
        p = model.x_given_u(torch.tensor([z])).blocks[0].distribution
        family = stats.norm(p.loc[j].item(), p.scale[j].item())
        if observed[n, j]:
            value = x[n, j].item()
            return family.pdf(value) * (1 - f(c[j] * (value - b[j])))
        grid = np.linspace(*family.interval(1 - 1e-12), 801)
        return integrate.simpson(family.pdf(grid) * f(c[j] * (grid - b[j])), x=grid)

    grid = np.linspace(-8, 8, 401)
    for n in range(4):
        density = [stats.norm.pdf(z) * cell(z, 0, n) * cell(z, 1, n) for z in grid]
        exact = math.log(integrate.simpson(density, x=grid))
        assert bound[n].item() == pytest.approx(exact, abs=0.02)


def test_missing_values_are_sampled_only_where_x_is_not_seen():
    model, guide = assemble(COLUMNS, n_rows=10, latent_dim=2, mechanism=Selection())
    x, visible = values(N), torch.rand(N, D) < 0.5
    traces = log_weights(model, guide, torch.where(visible, x, 0.0), visible, particles=K)
    drawn = traces.model.nodes["x_missing"]["value"]
    assert drawn.shape == (K, N, D)
    torch.testing.assert_close(drawn[:, visible], x[visible].expand(K, -1), rtol=0, atol=0)
    assert drawn[..., 0].std(0)[~visible[:, 0]].min() > 0  # particles have values of their own
    assert set(drawn[..., 2].unique().tolist()) <= {0.0, 1.0, 2.0}
    noise = [t.nodes["x_noise"]["log_prob"] for t in (traces.model, traces.guide)]
    torch.testing.assert_close(*noise, rtol=0, atol=0)  # its weight cancels


@pytest.mark.slow
def test_gradient_of_sampled_levels_is_that_of_the_sum_over_levels():
    """Draws of levels cannot be differentiated; their scores give the model its gradient."""
    columns = [COLUMNS[0], COLUMNS[2]]
    grads = []
    for wrap in (lambda part: part, Sampled):
        torch.manual_seed(3)
        model, guide = assemble(
            columns, n_rows=10, latent_dim=1, hidden=0, mechanism=wrap(SelfMasking())
        )
        with torch.no_grad():
            inner = getattr(model.m_given_ux, "inner", model.m_given_ux)
            inner.effects.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 2.0]]))
        x = torch.tensor([[0.3, 0.0], [0.0, 0.0]])
        observed = torch.tensor([[True, False], [False, False]])
        total = [torch.zeros_like(p) for p in model.parameters()]
        for _ in range(40):
            loss = IWELBO(2000)(model, guide)(x, observed)
            gradient = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
            total = [t if g is None else t + g / 40 for t, g in zip(total, gradient, strict=True)]
        grads.append(total)
    for exact, sampled in zip(*grads, strict=True):
        torch.testing.assert_close(exact, sampled, atol=0.01, rtol=0.03)


def test_description_rebuilds_it(mechanism):
    again = rebuild(describe(mechanism), REGISTERED, {})
    assert type(again) is type(mechanism) and not list(again.parameters())


def test_works_in_the_model(mechanism):
    template = rebuild(describe(mechanism), REGISTERED, {})
    model, _ = assemble(COLUMNS, n_rows=10, latent_dim=2, hidden=4, mechanism=template)
    x, m = model(size=50)
    assert x.shape == m.shape == (50, D)


def test_trains_under_pyro_svi(mechanism):
    """Stock SVI and RenyiELBO, a warning being an error: no site is missing in the guide."""
    import pyro

    template = rebuild(describe(mechanism), REGISTERED, {})
    model, guide = assemble(COLUMNS, n_rows=10, latent_dim=2, hidden=4, mechanism=template)
    pyro.nn.module.to_pyro_module_(model), pyro.nn.module.to_pyro_module_(guide)
    elbo = pyro.infer.RenyiELBO(alpha=0, num_particles=3, vectorize_particles=True)
    with pyro.get_param_store().scope():
        svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), elbo)
        x, observed = values(7), torch.rand(7, D) < 0.6
        assert math.isfinite(svi.step(torch.where(observed, x, 0.0), observed))


# --- what is particular to some --------------------------------------------------------------


def test_ignorable_has_no_site_and_no_parameter():
    ignorable = Ignorable()
    ignorable.build(COLUMNS, H, rates=RATES)
    assert ignorable(torch.zeros(N, H), torch.zeros(N, D)) is None
    assert not list(ignorable.parameters())


@pytest.mark.parametrize("cls", [Conjunction, Selection, NoSelfCensoring])
def test_starts_at_the_observed_rates(cls):
    part = cls()
    part.build(COLUMNS, H, rates=RATES)
    simulated = part(torch.randn(40_000, H), values(40_000)).sample()
    torch.testing.assert_close(simulated.mean(0), RATES.double(), atol=0.015, rtol=0)


def test_conjunction_is_a_logistic_regression_on_u():
    conjunction = Conjunction()
    conjunction.build(COLUMNS, H, rates=RATES)
    with torch.no_grad():
        conjunction.head.weight.normal_()
    u, m = torch.randn(N, H), torch.tensor([1.0, 1.0, 0.0, 1.0])
    p = (u @ conjunction.head.weight.T + conjunction.head.bias).sigmoid()
    expected = p[:, 0].log() + (1 - p[:, 2]).log() + p[:, 3].log()
    torch.testing.assert_close(conjunction(u, None).log_prob(m.expand(N, D)), expected)


@pytest.mark.parametrize("name", ["selection", "selection, network"])
def test_selection_depends_on_every_value_and_not_on_u(name):
    part = build(name)
    u, x = torch.randn(N, H), values(N)
    before = part(u, x).base_dist.base_dist.logits
    torch.testing.assert_close(part(u + 1.0, x).base_dist.base_dist.logits, before)
    for j in range(D):
        other = x.clone()
        other[:, j] = (x[:, j] + 1) % 2 if j > 1 else x[:, j] + 1.0
        moved = (part(u, other).base_dist.base_dist.logits - before).abs()
        assert moved[:, HOLEY].min() > 0


def test_no_self_censoring_leaves_each_column_out_of_its_own_reasons():
    part = build("no_self_censoring")
    u, x = torch.randn(N, H), values(N)
    before = part(u, x).base_dist.base_dist.logits
    for j in range(D):
        other = x.clone()
        other[:, j] = (x[:, j] + 1) % 2 if j > 1 else x[:, j] + 1.0
        moved = (part(u, other).base_dist.base_dist.logits - before).abs()
        assert moved[:, j].max() == 0
        assert all(moved[:, i].min() > 0 for i in HOLEY if i != j)
    assert (part(u + 1.0, x).base_dist.base_dist.logits - before)[:, HOLEY].abs().min() > 0


@pytest.mark.parametrize("link", ["probit", "logit"])
def test_self_masking_follows_its_equation(link):
    direction = {"a": "high", "c": None, "d": "low"}
    part = SelfMasking(direction=direction, link=link, threshold="latent")
    part.build(COLUMNS, H, rates=RATES)
    with torch.no_grad():
        for p in part.parameters():
            p.add_(torch.randn_like(p))
    u, x = torch.randn(N, H), values(N)
    f = stats.norm.cdf if link == "probit" else lambda t: 1 / (1 + np.exp(-t))
    b = (part.base + u @ part.head.weight.T).detach().numpy()
    c = [10 * part.raw_slope[0].item(), 10 * part.raw_slope[3].item()]
    c = [math.log1p(math.exp(v)) if v < 30 else v for v in c]
    effects = part.effects.detach().numpy()
    expected = [
        f(c[0] * (x[:, 0].numpy() - b[:, 0])),
        f(effects[2][x[:, 2].long()] - b[:, 2]),
        f(-c[1] * x[:, 3].numpy() - b[:, 3] - 9 * part.base[3].item()),  # ten times the base
    ]
    m = part(u, x)
    for j, hole in zip(HOLEY, expected, strict=True):
        np.testing.assert_allclose(1 - marginal(m, j).detach(), hole, atol=1e-9)


def test_self_masking_directions():
    rates = {}
    for direction in ("high", "low", "off"):
        part = SelfMasking(direction=direction)
        part.build(COLUMNS[:1], H, rates=RATES[:1])
        x = torch.tensor([[-3.0], [0.0], [3.0]])
        rates[direction] = marginal(part(torch.zeros(3, H), x), 0).tolist()
    assert rates["high"][0] > 0.99 > 0.01 > rates["high"][2]
    assert rates["low"][2] > 0.99 > 0.01 > rates["low"][0]
    assert rates["off"] == pytest.approx([0.7] * 3, abs=1e-6)


def test_columns_without_a_name_do_not_mask_themselves():
    part = SelfMasking(direction={"d": "high"})
    part.build(COLUMNS, H, rates=RATES)
    assert part.signs().tolist() == [0.0, 0.0, 0.0, 1.0] and part.effects is None
    x = values(50)
    chances = marginal(part(torch.zeros(50, H), x), 0)
    torch.testing.assert_close(chances, torch.full((50,), 0.7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "direction='up'"),
        ({"direction": {"a": "sideways"}}, "direction='sideways'"),
        ({"link": "cloglog"}, "link='cloglog'"),
        ({"threshold": "u"}, "threshold='u'"),
        ({"slope": 0.0}, "slope=0.0"),
        ({"slope": float("nan")}, "slope=nan"),
    ],
)
def test_self_masking_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        SelfMasking(**options)


@pytest.mark.parametrize(
    ("direction", "message"),
    [({"z": "high"}, "names .*'z'.*expected modelled"), ({"c": "high"}, "'c' has levels")],
)
def test_self_masking_refuses_columns(direction, message):
    with pytest.raises(ValueError, match=message):
        SelfMasking(direction=direction).build(COLUMNS, H, rates=RATES)


def test_selection_refuses_negative_sizes():
    with pytest.raises(ValueError, match="hidden=-1"):
        Selection(hidden=-1)


def test_a_mechanism_of_the_users_own_needs_one_method(columns_of):
    """It says p(m | u, x) for complete x; on rows with holes the model samples what is missing."""

    class OfX(Mechanism):
        def build(self, columns, u_dim, *, rates):
            self.weight = torch.nn.Parameter(torch.ones(len(columns)))

        def forward(self, u, x):
            return dist.Bernoulli(logits=self.weight * x).to_event(1)

    model, guide = assemble(columns_of(continuous=3), n_rows=9, latent_dim=1, mechanism=OfX)
    x, m = model(size=4)
    assert x.shape == m.shape == (4, 3)
    observed = m.bool()
    loss = IWELBO(2)(model, guide)(torch.where(observed, x, 0.0), observed)
    loss.backward()
    assert model.m_given_ux.weight.grad.isfinite().all()
