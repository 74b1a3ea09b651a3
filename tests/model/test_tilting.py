"""Sums and integrals over a column's own value, against scipy and by hand."""

import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import integrate, special, stats

from pyro_gnr.model.grids import Tilted
from pyro_gnr.model.skew_normal import ExtendedSkewNormal
from pyro_gnr.model.tilting import OwnTerm, log_chance, log_odds, tilted
from pyro_gnr.model.transport import cdf, transport

SCIPY = {"probit": special.ndtr, "logit": special.expit}
# A block of three columns of each continuous family, and scipy's names for them.
PLACE = ([0.0, 0.5, -1.0], [1.0, 0.3, 2.0])
DF = [3.0, 5.0, 9.0]
FAMILIES = {
    "normal": [stats.norm(0, 1), stats.norm(0.5, 0.3), stats.norm(-1, 2)],
    "student": [stats.t(3), stats.t(5, 0.5, 0.3), stats.t(9, -1, 2)],
}
SLOPES, OFFSETS = [3.0, -2.0, 0.7], [1.5, 0.4, 2.0]


def block(name):
    place = map(torch.tensor, PLACE)
    return dist.Normal(*place) if name == "normal" else dist.StudentT(torch.tensor(DF), *place)


def own_term(sign=1.0):
    return OwnTerm(torch.tensor(SLOPES), torch.tensor(OFFSETS), sign=sign)


def expectation(family, g):
    points = sorted({family.ppf(p) for p in (1e-9, 1e-4, 0.1, 0.5, 0.9, 1 - 1e-4, 1 - 1e-9)})
    parts = zip(points[:-1], points[1:], strict=True)
    return sum(integrate.quad(lambda x: family.pdf(x) * g(x), a, b)[0] for a, b in parts)


@pytest.mark.parametrize("link", SCIPY)
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_chance_of_a_continuous_column(name, link, sign):
    found = log_chance(block(name), own_term(sign), link).exp()
    for j, family in enumerate(FAMILIES[name]):

        def eta(x, j=j):
            return sign * (SLOPES[j] * x - OFFSETS[j])

        expected = expectation(family, lambda x, eta=eta: SCIPY[link](eta(x)))
        assert found[j].item() == pytest.approx(expected, rel=2e-3)


def test_closed_form_agrees_with_quadrature():
    """The same normals, once as Normal and once as a family without a closed form."""

    class Opaque(dist.StudentT):
        pass

    term, normal = own_term(), block("normal")
    nearly = Opaque(torch.full((3,), 1e7), normal.loc, normal.scale)
    closed, numeric = (log_chance(d, term, "probit") for d in (normal, nearly))
    torch.testing.assert_close(closed, numeric, atol=1e-5, rtol=1e-4)
    a, b = tilted(normal, term, "probit"), tilted(nearly, term, "probit")
    assert isinstance(a, ExtendedSkewNormal) and isinstance(b, Tilted)
    torch.testing.assert_close(a.mean, b.mean, atol=1e-4, rtol=1e-4)
    x = torch.linspace(-3, 3, 13)[:, None].expand(13, 3)
    torch.testing.assert_close(cdf(a, x), cdf(b, x), atol=5e-3, rtol=0)


@pytest.mark.parametrize("link", SCIPY)
def test_tilted_mean_and_cdf_of_a_continuous_column(link):
    given = tilted(block("student"), own_term(), link)
    for j, family in enumerate(FAMILIES["student"]):

        def g(x, j=j):
            return SCIPY[link](SLOPES[j] * x - OFFSETS[j])

        total = expectation(family, g)
        mean = expectation(family, lambda x, g=g: x * g(x)) / total
        assert given.mean[j].item() == pytest.approx(mean, rel=5e-3, abs=5e-3)
        for q in (0.1, 0.6, 0.95):
            x = family.ppf(q)
            below = integrate.quad(lambda y, g=g, f=family: f.pdf(y) * g(y), -np.inf, x)[0] / total
            assert cdf(given, torch.full((3,), x))[j].item() == pytest.approx(below, abs=3e-3)


def test_tilted_quantile_inverts_its_cdf():
    given = tilted(block("student"), own_term(), "logit")
    p = torch.rand(200, 3, dtype=torch.float64)
    x = transport(given, p)
    torch.testing.assert_close(cdf(given, x), p, atol=1e-6, rtol=0)
    assert (x.sort(0).values == x.gather(0, p.argsort(0))).all()  # it rises with p


def test_levels_are_summed_over():
    coin = dist.Bernoulli(torch.tensor([[0.2, 0.7]]))
    term = OwnTerm(torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.1]))
    for link, f in SCIPY.items():
        ones, zeros = f(np.array([1.5, -1.1])), f(np.array([-0.5, -0.1]))
        p = np.array([0.2, 0.7])
        expected = p * ones + (1 - p) * zeros
        np.testing.assert_allclose(log_chance(coin, term, link).exp()[0], expected)
        np.testing.assert_allclose(tilted(coin, term, link).probs[0], p * ones / expected)


def test_levels_without_order_have_effects_of_their_own():
    probs = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
    d = dist.Categorical(probs.expand(4, 2, 3))
    effects = torch.tensor([[0.0, 1.0, -2.0], [0.5, -0.5, 9.0]])
    term = OwnTerm(torch.zeros(2), torch.tensor([0.3, 0.0]), effects)
    chance = special.ndtr(effects.numpy() - np.array([[0.3], [0.0]]))
    expected = (probs.numpy() * chance).sum(1)
    np.testing.assert_allclose(log_chance(d, term, "probit").exp()[2], expected)
    given = tilted(d, term, "probit")
    np.testing.assert_allclose(
        given.probs[1], probs.numpy() * chance / expected[:, None], atol=1e-12
    )
    assert given.has_enumerate_support and given.batch_shape == (4, 2)


@pytest.mark.parametrize("link", SCIPY)
def test_gradients_of_the_chance_are_those_of_the_integral(link):
    """Nodes are constants; the gradient is still that of the integral, in every parameter."""
    df, loc, scale, slope = (torch.tensor([v], requires_grad=True) for v in (4.0, 0.3, 0.8, 2.0))
    term = OwnTerm(slope, slope * 0.5)
    log_chance(dist.StudentT(df, loc, scale), term, link).sum().backward()

    def exact(df, loc, scale, slope):
        family = stats.t(df, loc, scale)
        return math.log(expectation(family, lambda x: SCIPY[link](slope * (x - 0.5))))

    at = np.array([4.0, 0.3, 0.8, 2.0])
    for i, p in enumerate((df, loc, scale, slope)):
        step = np.zeros(4)
        step[i] = 1e-3
        slope_of = (exact(*(at + step)) - exact(*(at - step))) / 2e-3
        assert p.grad.item() == pytest.approx(slope_of, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("link", SCIPY)
def test_extreme_numbers_stay_finite(link):
    for loc in (-1e4, 0.0, 1e4):
        for family in (dist.Normal, lambda m, s: dist.StudentT(5.0, m, s)):
            m = torch.tensor([loc], requires_grad=True)
            chance = log_chance(
                family(m, torch.tensor([0.1])), OwnTerm(torch.tensor([30.0]), torch.zeros(1)), link
            )
            chance.sum().backward()
            assert chance.isfinite().all() and m.grad.isfinite().all()


def test_log_odds_are_antisymmetric():
    eta = torch.linspace(-8, 8, 17)
    for link in SCIPY:
        torch.testing.assert_close(log_odds(eta, link), -log_odds(-eta, link))
    torch.testing.assert_close(log_odds(eta, "logit"), eta)
