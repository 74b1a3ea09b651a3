"""Self-masking of a column of every likelihood: sums and integrals against simulation."""

import math

import numpy as np
import pytest
import torch

from pyro_gnr.data.columns import Column, Kind
from pyro_gnr.model.likelihoods import BlockLikelihood, Truncated
from pyro_gnr.model.mechanisms import SelfMasking
from pyro_gnr.model.registry import LIKELIHOODS

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
        mechanism.base.add_({Kind.COUNT: 0.7, Kind.ORDINAL: 1.5, Kind.BINARY: 0.5}.get(kind, 0.2))
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
