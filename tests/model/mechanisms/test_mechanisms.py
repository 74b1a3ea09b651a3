"""One conformance test for all mechanisms: a new one adds one line to MECHANISMS."""

import copy

import pyro.distributions as dist
import pytest
import torch

from pyro_gnr.inference.objective import IWELBO
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.mechanisms import Conjunction, Ignorable, Mechanism
from pyro_gnr.model.registry import MECHANISMS as REGISTERED
from pyro_gnr.model.registry import describe, rebuild

MECHANISMS = {"conjunction": Conjunction(), "ignorable": Ignorable()}
K, N, D, H = 4, 5, 3, 6
RATES = torch.tensor([0.7, 1.0, 0.2])  # the second column has no hole


SILENT = {"ignorable"}  # no m site


def build(name):
    part = copy.deepcopy(MECHANISMS[name])
    part.build(H, RATES)
    with torch.no_grad():
        for p in part.parameters():
            p.add_(torch.randn_like(p))
    return part


@pytest.fixture(params=MECHANISMS)
def mechanism(request):
    return build(request.param)


@pytest.fixture(params=[name for name in MECHANISMS if name not in SILENT])
def speaking(request):
    """A mechanism with an m site."""
    return build(request.param)


def test_every_registered_mechanism_is_tested():
    assert {type(part) for part in MECHANISMS.values()} == set(REGISTERED.values())


def test_shapes(speaking):
    x = torch.randn(K, N, D)
    for observed in (None, torch.ones(N, D, dtype=torch.bool)):
        m = speaking(torch.randn(K, N, H), x, observed)
        assert m.batch_shape == (K, N) and m.event_shape == (D,)
        assert m.log_prob(torch.ones(N, D)).shape == (K, N)


def test_probabilities_of_all_patterns_sum_to_one(speaking):
    u, x = torch.randn(H), torch.randn(D)
    patterns = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]).double()
    m = speaking(u.expand(8, H), x.expand(8, D))
    has_hole = RATES < 1
    possible = patterns[:, ~has_hole].all(1)
    assert m.log_prob(patterns)[possible].exp().sum().item() == pytest.approx(1.0)


def test_gradients_reach_every_parameter_and_u(speaking):
    u = torch.randn(K, N, H, requires_grad=True)
    speaking(u, torch.zeros(N, D)).log_prob(torch.ones(N, D)).sum().backward()
    for name, p in [("u", u), *speaking.named_parameters()]:
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, name


def test_column_without_holes_is_always_observed_and_carries_no_factor(speaking):
    u, x = torch.randn(500, H), torch.zeros(500, D)
    m = speaking(u, x)
    simulated = m.sample()
    assert simulated[:, 1].min() == 1
    assert simulated[:, 0].min() == 0 and simulated[:, 2].max() == 1
    with_hole = simulated.clone()
    with_hole[:, 1] = 0.0
    torch.testing.assert_close(m.log_prob(with_hole), m.log_prob(simulated), rtol=0, atol=0)


def test_simulated_rates_agree_with_probabilities(speaking):
    u, x = torch.randn(1, H), torch.randn(1, D)
    m = speaking(u, x)
    simulated = m.sample((40_000,)).mean((0, 1))
    for j in (0, 2):
        ones, hole = torch.ones(1, D), torch.ones(1, D)
        hole[:, j] = 0.0
        odds = (m.log_prob(ones) - m.log_prob(hole)).exp()
        assert simulated[j].item() == pytest.approx((odds / (1 + odds)).item(), abs=0.015)


def test_values_of_missing_cells_play_no_part(speaking):
    observed = torch.rand(N, D) < 0.5
    u, x = torch.randn(K, N, H), torch.randn(N, D)
    other = torch.where(observed, x, 1e6)
    ours = speaking(u, x, observed).log_prob(observed.double())
    theirs = speaking(u, other, observed).log_prob(observed.double())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_description_rebuilds_it(mechanism):
    again = rebuild(describe(mechanism), REGISTERED, {})
    assert type(again) is type(mechanism) and not list(again.parameters())


def test_works_in_the_model(mechanism, columns_of):
    template = rebuild(describe(mechanism), REGISTERED, {})
    columns = columns_of(continuous=2)
    model, _ = assemble(columns, n_rows=10, latent_dim=2, hidden=4, mechanism=template)
    x, m = model(size=50)
    assert x.shape == m.shape == (50, 2)


# --- what is particular to some --------------------------------------------------------------


def test_ignorable_has_no_site_and_no_parameter():
    ignorable = Ignorable()
    ignorable.build(H, RATES)
    assert ignorable(torch.zeros(N, H), torch.zeros(N, D)) is None
    assert not list(ignorable.parameters())


def test_conjunction_starts_at_the_observed_rates():
    conjunction = Conjunction()
    conjunction.build(H, RATES)
    simulated = conjunction(torch.randn(40_000, H), torch.zeros(40_000, D)).sample()
    torch.testing.assert_close(simulated.mean(0), RATES.double(), atol=0.015, rtol=0)


def test_conjunction_is_a_logistic_regression_on_u():
    conjunction = Conjunction()
    conjunction.build(H, RATES)
    with torch.no_grad():
        conjunction.head.weight.normal_()
    u, m = torch.randn(N, H), torch.tensor([1.0, 1.0, 0.0])
    p = (u @ conjunction.head.weight.T + conjunction.head.bias).sigmoid()
    expected = p[:, 0].log() + (1 - p[:, 2]).log()
    torch.testing.assert_close(conjunction(u, u[:, :D]).log_prob(m.expand(N, D)), expected)


def test_a_mechanism_that_needs_x_fails_on_rows_with_holes_instead_of_being_wrong(columns_of):
    """What is missing would have to be integrated out; zeros in its place would be silent."""

    class OfX(Mechanism):
        def build(self, u_dim, rates):
            pass

        def forward(self, u, x, observed=None):
            return dist.Bernoulli(logits=x).to_event(1)

    model, guide = assemble(columns_of(continuous=3), n_rows=9, latent_dim=1, mechanism=OfX)
    x, m = model(size=4)
    assert x.shape == m.shape == (4, 3)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        IWELBO(2)(model, guide)(x, m.bool())
