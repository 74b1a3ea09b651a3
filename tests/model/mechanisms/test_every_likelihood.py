"""Self-masking of a column of every likelihood: sums and integrals against simulation."""

import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.features import Features
from pyro_gnr.model.likelihoods import BlockLikelihood, Truncated
from pyro_gnr.model.likelihoods.zero_inflated import ZeroInflated
from pyro_gnr.model.mechanisms import NoSelfCensoring, Selection, SelfMasking
from pyro_gnr.model.registry import LIKELIHOODS
from pyro_gnr.model.tilting import OwnTerm, log_chance, tilted
from pyro_gnr.model.transport import cdf, transport

KINDS = {
    Kind.CONTINUOUS: Column("a", Kind.CONTINUOUS, "float64", holes=5),
    Kind.POSITIVE: Column("a", Kind.POSITIVE, "float64", scale=7.0, holes=5),
    Kind.BOUNDED: Column("a", Kind.BOUNDED, "float64", scale=20.0, holes=5),
    Kind.COUNT: Column("a", Kind.COUNT, "int64", whole=True, holes=5),
    Kind.BINARY: Column("a", Kind.BINARY, "bool", levels=(False, True), holes=5),
    Kind.ORDINAL: Column("a", Kind.ORDINAL, "category", levels=tuple("pqrs"), holes=5),
    Kind.CATEGORICAL: Column("a", Kind.CATEGORICAL, "str", levels=tuple("pqrs"), holes=5),
    Kind.CENSORED: Column(
        "a", Kind.CENSORED, "str", scale=2.0, intervals=((-np.inf, -1.0), (3.0, np.inf)), holes=5
    ),
}
CASES = [
    (name, kind)
    for name, cls in LIKELIHOODS.items()
    for kind in KINDS
    if kind in cls.kinds and not (name == "categorical" and kind is Kind.BINARY)
]
H, N = 3, 120_000


def built(name, kind, link):
    """p(x | u) of one column, and a mechanism whose threshold is in its middle."""
    torch.manual_seed(2)
    likelihood = Truncated(lower=-2.0, upper=2.5) if name == "truncated" else LIKELIHOODS[name]()
    likelihood.build([KINDS[kind]], H)
    mechanism = SelfMasking(direction=None if kind is Kind.CATEGORICAL else "high", link=link)
    mechanism.build([KINDS[kind]], H, rates=torch.tensor([0.5]))
    with torch.no_grad():
        mechanism.base.add_({Kind.ORDINAL: 0.0, Kind.BINARY: 0.0}.get(kind, 0.2))
        if mechanism.effects is not None:
            mechanism.effects.copy_(torch.tensor([[0.5, -1.0, 2.0, 0.0]]))
    return BlockLikelihood([likelihood], [[0]]), mechanism


@pytest.mark.parametrize("link", ["probit", "logit"])
@pytest.mark.parametrize(("name", "kind"), CASES)
@torch.no_grad()
def test_rates_and_values_of_holes(name, kind, link):
    likelihood, mechanism = built(name, kind, link)
    u = torch.randn(1, H)
    columns = likelihood(u)
    hidden = torch.zeros(1, 1, dtype=torch.bool)
    m = mechanism.collapsed(u, torch.zeros(1, 1), visible=hidden, columns=columns)
    rate = m.base_dist.base_dist.probs.item()
    x = columns.expand((N, 1, 1)).sample()
    simulated = mechanism(u.expand(N, 1, H), x).sample()
    assert simulated.mean().item() == pytest.approx(rate, abs=4 * (0.25 / N) ** 0.5 + 1e-3)
    for observed in (False, True):
        given = mechanism.given_holes(u, columns, observed=torch.tensor([[observed]]))
        kept = x[(simulated == observed).squeeze(-1)].flatten()
        drawn = given.transport(torch.rand(N, 1, 1, dtype=torch.float64)).flatten()
        error = 5 * kept.std().item() / math.sqrt(min(len(kept), N)) + 2e-3 * kept.std().item()
        assert drawn.mean().item() == pytest.approx(kept.mean().item(), abs=error)
        qs = torch.tensor([0.1, 0.5, 0.9])
        a, b = drawn.quantile(qs), kept.quantile(qs)
        spread = kept.std().item()
        assert (a - b).abs().max().item() <= 0.05 * spread + (kind is Kind.COUNT)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_reach_likelihood_and_mechanism(name, kind):
    likelihood, mechanism = built(name, kind, "logit")
    u = torch.randn(4, 5, H)
    visible = torch.zeros(5, 1, dtype=torch.bool)
    m = mechanism.collapsed(u, torch.zeros(5, 1), visible=visible, columns=likelihood(u))
    m.log_prob(torch.zeros(5, 1)).sum().backward()
    for part in (likelihood, mechanism):
        for label, p in part.named_parameters():
            if label in ("free_slope",) or (kind is Kind.CATEGORICAL and label == "raw_slope"):
                continue
            assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, label


@pytest.mark.parametrize("mean", [5.0, 300.0, 30_000.0])
@torch.no_grad()
def test_large_counts_are_not_cut_off(mean):
    """Sums over all counts, or over evenly spaced ones where there are too many."""
    term = OwnTerm(torch.tensor([3.0 / mean]), torch.tensor([3.0]))
    for family, pmf in (
        (dist.Poisson(torch.tensor([mean])), stats.poisson(mean)),
        (
            dist.NegativeBinomial(torch.tensor([4.0]), logits=torch.tensor([mean / 4.0]).log()),
            stats.nbinom(4.0, 1.0 / (1.0 + mean / 4.0)),
        ),
    ):
        k = np.arange(pmf.ppf(1e-12), pmf.ppf(1 - 1e-12) + 1)
        weight = pmf.pmf(k) * stats.norm.cdf(3.0 * k / mean - 3.0)
        found = log_chance(family, term, "probit").exp().item()
        assert found == pytest.approx(weight.sum(), rel=2e-3)
        given = tilted(family, term, "probit")
        expected = (k * weight).sum() / weight.sum()
        assert given.mean.item() == pytest.approx(expected, rel=2e-3)
        drawn = transport(given, torch.rand(20_000, 1, dtype=torch.float64))
        assert drawn.mean().item() == pytest.approx(expected, rel=0.02)
        assert (drawn == drawn.round()).all()


@pytest.mark.parametrize(("failures", "mean"), [(0.02, 5.0), (0.05, 200.0), (0.11, 50.0)])
@torch.no_grad()
def test_counts_that_crowd_at_zero(failures, mean):
    """Nearly all of a very overdispersed count is in its first values, and its tail is long."""
    pmf = stats.nbinom(failures, failures / (failures + mean))
    k = np.arange(pmf.ppf(1 - 1e-10) + 2)
    family = dist.NegativeBinomial(
        torch.tensor([failures]), logits=torch.tensor([mean / failures]).log()
    )
    for threshold in (0.5, 3.0, 40.0):
        slope = 4.0 / threshold
        weight = pmf.pmf(k) * stats.norm.cdf(slope * (k - threshold))
        term = OwnTerm(torch.tensor([slope]), torch.tensor([slope * threshold]))
        found = log_chance(family, term, "probit").exp().item()
        assert found == pytest.approx(weight.sum(), abs=1e-3)
        given = tilted(family, term, "probit").mean.item()
        assert given == pytest.approx((k * weight).sum() / weight.sum(), rel=0.02)


@pytest.mark.parametrize("mean", [0.3, 20.0, 2000.0])
@torch.no_grad()
def test_excess_zeros_are_counted_whatever_the_mean(mean):
    base = dist.Poisson(torch.tensor([[mean]]).expand(2, 3, 1))
    inflated = ZeroInflated(base, gate_logits=torch.tensor([[-1.0]]), validate_args=False)
    k = np.arange(stats.poisson(mean).ppf(1 - 1e-12) + 1)
    gate = 1.0 / (1.0 + math.e)
    mass = (1 - gate) * stats.poisson(mean).pmf(k) + gate * (k == 0)
    hides = stats.norm.cdf(-3.0 * k / mean + 2.0)  # small counts
    term = OwnTerm(torch.tensor([-3.0 / mean]), torch.tensor([-2.0]))
    found = log_chance(inflated, term, "probit").exp()
    expected = (mass * hides).sum()
    np.testing.assert_allclose(found, np.full((2, 3, 1), expected), rtol=1e-3)
    given = tilted(inflated, term, "probit")
    assert given.mean[1, 2, 0].item() == pytest.approx((k * mass * hides).sum() / expected, 2e-3)
    drawn = transport(given, torch.rand(2, 3, 1, dtype=torch.float64))
    assert drawn.shape == (2, 3, 1)
    at_zero = torch.zeros(2, 3, 1)
    assert cdf(given, at_zero)[0, 0, 0].item() == pytest.approx(
        mass[0] * hides[0] / expected, rel=2e-3
    )


@pytest.mark.parametrize("kind", [Kind.ORDINAL, Kind.BINARY])
@pytest.mark.parametrize("direction", ["high", "low"])
def test_levels_start_at_the_missing_rate(kind, direction):
    mechanism = SelfMasking(direction=direction)
    mechanism.build([KINDS[kind]], H, rates=torch.tensor([0.9]))
    middle = (len(KINDS[kind].levels) - 1) / 2
    m = mechanism(torch.zeros(1, H), torch.full((1, 1), middle))
    assert m.base_dist.base_dist.probs.item() == pytest.approx(0.9)


def test_a_large_count_is_no_code_of_an_interval():
    visits = BlockLikelihood([LIKELIHOODS["poisson"]()], [[0]])
    visits.likelihoods[0].build([KINDS[Kind.COUNT]], H)
    assay = BlockLikelihood([LIKELIHOODS["censored"]()], [[0]])
    assay.likelihoods[0].build([KINDS[Kind.CENSORED]], H)
    x = torch.tensor([[2.0**20 + 1.0]])
    assert visits(torch.zeros(1, H)).exact(x).all()
    assert not assay(torch.zeros(1, H)).exact(x).any()


@pytest.mark.parametrize("cls", [Selection, NoSelfCensoring])
def test_other_mechanisms_see_standardised_values(cls):
    mechanism = cls()
    mechanism.build([KINDS[Kind.POSITIVE]], H, rates=torch.tensor([0.9]))
    features = Features([KINDS[Kind.POSITIVE]])
    x = (0.05 * torch.randn(500, 1) + 2.0).exp()
    everything = torch.ones_like(x, dtype=torch.bool)
    features.fit(x, everything)
    mechanism.calibrate(features)
    seen, _ = mechanism.features(x, everything)
    assert seen.mean().abs() < 1e-6 and 0.9 < seen.std() < 1.1
