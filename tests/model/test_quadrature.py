"""Integrals at nodes that are dense where the integrand rises, against very fine grids."""

import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import special, stats

from pyro_gnr.data.table import Kind
from pyro_gnr.model.features import Units, curve_masks
from pyro_gnr.model.grids import Tilted
from pyro_gnr.model.likelihoods.beta import OpenBeta
from pyro_gnr.model.quadrature import MOST_NODES, line, nodes
from pyro_gnr.model.tilting import LINKS, OwnTerm, log_chance, tilted
from pyro_gnr.model.transport import cdf, transport
from pyro_gnr.model.truncation import TruncatedNormal


def one(value):
    return torch.tensor([value])


# Each family with its kind, and mean and standard deviation of x on its natural scale.
FAMILIES = {
    "normal": (lambda a, b: dist.Normal(a, b), (0.3, 0.8), None, 0.3, 0.8),
    "student, heavy": (lambda a, b: dist.StudentT(a, b, 0.5), (2.6, 0.1), None, 0.1, 0.5),
    "student": (lambda a, b: dist.StudentT(6.0, a, b), (0.3, 0.8), None, 0.3, 1.0),
    "log-normal": (lambda a, b: dist.LogNormal(a, b), (0.3, 0.8), Kind.POSITIVE, 0.3, 0.8),
    "gamma, skewed": (lambda a, b: dist.Gamma(a, b), (0.7, 0.5), Kind.POSITIVE, -0.6, 1.7),
    "gamma": (lambda a, b: dist.Gamma(a, b), (9.0, 4.0), Kind.POSITIVE, 0.75, 0.35),
    "beta": (lambda a, b: OpenBeta(a, b), (3.0, 6.0), Kind.BOUNDED, -0.8, 0.8),
    "truncated": (
        lambda a, b: TruncatedNormal(a, b, lower=-0.5, upper=3.0),
        *((0.2, 1.0), None, 0.6, 0.7),
    ),
}
STEEPNESS = [0.3, 3.0, 10.0, 30.0, 100.0]
PLACES = [-1.2, 0.0, 0.4, 1.5]


def case(name, steepness, place):
    """Distribution, its parameters, and a term with a threshold `place` deviations off."""
    family, numbers, kind, centre, spread = FAMILIES[name]
    parameters = [torch.tensor([v], requires_grad=True) for v in numbers]
    slope = torch.tensor([steepness], requires_grad=True)
    threshold = torch.tensor([place], requires_grad=True)
    unit = (one(centre), one(spread))
    if kind is None:
        per = slope / unit[1]
        term = OwnTerm(per, per * (unit[0] + unit[1] * threshold))
    else:
        units = Units((kind,), curve_masks([kind]), *unit)
        term = OwnTerm(slope, slope * threshold, natural=units)
    return family(*parameters), [*parameters, slope, threshold], term


def fine(name, distribution, term):
    """Values (S, 1), ascending, and the log-mass of each, by brute force on the natural scale."""
    _, _, kind, centre, spread = FAMILIES[name]
    g = [spread * torch.sinh(torch.linspace(-6.5, 6.5, 8001)) + centre]
    with torch.no_grad():
        b = (term.offset / term.slope).item()
        b = b if kind is None else centre + spread * b
    g.append(b + 1e-3 * spread * torch.sinh(torch.linspace(-9.0, 9.0, 8001)))
    g = torch.cat(g).sort().values
    x = {None: g, Kind.POSITIVE: g.exp(), Kind.BOUNDED: g.sigmoid()}[kind]
    if name == "truncated":
        x = x.clamp(-0.5, 3.0)
    x = x[(x > 1e-300) & (x < 1e100)] if kind is Kind.POSITIVE else x
    ends = torch.cat([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    width = (ends[1:] - ends[:-1]).clamp(min=1e-300).log()
    return x[:, None], distribution.log_prob(x[:, None]) + width[:, None]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", FAMILIES)
def test_chances_and_gradients_do_not_depend_on_steepness(name, link):
    for steepness in STEEPNESS:
        for place in PLACES:
            d, parameters, term = case(name, steepness, place)
            x, log_mass = fine(name, d, term)
            exact = (log_mass + LINKS[link](term(x))).exp().sum()
            found = log_chance(d, term, link).exp().sum()
            assert found.item() == pytest.approx(exact.item(), abs=3e-4), (steepness, place)
            wanted, got = (
                torch.autograd.grad(p, parameters, retain_graph=True) for p in (exact, found)
            )
            for w, g in zip(wanted, got, strict=True):
                assert g.item() == pytest.approx(w.item(), abs=3e-3, rel=5e-3), (steepness, place)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_means_and_draws_given_a_steep_threshold(name, link):
    deviation = math.sqrt(variance(name))
    for steepness in (1.0, 30.0, 100.0):
        for place in (-1.2, 0.4, 1.2):
            d, _, term = case(name, steepness, place)
            x, log_mass = fine(name, d, term)
            mass = (log_mass + LINKS[link](term(x))).softmax(0)
            given = tilted(d, term, link)
            mean = (mass * x).sum().item()
            assert given.mean.item() == pytest.approx(mean, abs=1e-3 * deviation)
            drawn = transport(given, torch.rand(4000, 1, dtype=torch.float64)).flatten().numpy()
            below = mass.flatten().cumsum(0).numpy()
            test = stats.kstest(drawn, lambda v, x=x, p=below: np.interp(v, x.flatten(), p))
            assert test.pvalue > 1e-4, (steepness, place)


def variance(name):
    d, _, term = case(name, 1.0, 0.0)
    x, log_mass = fine(name, d, term)
    mass = log_mass.softmax(0)
    return ((mass * x.square()).sum() - (mass * x).sum().square()).item()


@torch.no_grad()
def test_cdf_of_nodes_is_that_of_a_fine_grid():
    """Closer than draws can tell, on either side of the threshold."""
    for name in ("student", "gamma", "beta"):
        for steepness in (1.0, 30.0):
            d, _, term = case(name, steepness, 0.4)
            given = tilted(d, term, "logit")
            assert isinstance(given, Tilted)
            x, log_mass = fine(name, d, term)
            mass = (log_mass + LINKS["logit"](term(x))).softmax(0)
            middles = mass.cumsum(0) - mass / 2
            torch.testing.assert_close(cdf(given, x), middles, atol=1.5e-3, rtol=0)


@torch.no_grad()
def test_steepness_costs_few_nodes():
    normal = dist.Normal(torch.zeros(1), 1.0)
    counts = [len(nodes(normal, one(0.3 - w), one(0.3 + w))[0]) for w in (1.0, 0.1, 0.01, 1e-9)]
    assert counts == sorted(counts) and counts[0] <= 33 and counts[2] <= 54
    assert counts[3] <= MOST_NODES
    # None are spent on a threshold where no value is.
    assert len(nodes(normal, one(99.0), one(99.001))[0]) <= 33


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_lines_go_back_and_forth(name):
    scale = line(case(name, 1.0, 0.0)[0])
    v = torch.linspace(-3.0, 3.0, 61)[:, None]
    y, log_slope = scale.value(v)
    x = scale.curve.back(y)
    inside = scale.curve.forth(x).sub(y).abs() < 1e-9  # of the bounds that draws are kept off
    torch.testing.assert_close(scale.score(x)[inside], v[inside], atol=1e-6, rtol=1e-6)
    assert inside.float().mean() > 0.9
    ahead, behind = (scale.value(v + step)[0] for step in (1e-5, -1e-5))
    torch.testing.assert_close((ahead - behind) / 2e-5, log_slope.exp(), atol=1e-6, rtol=1e-4)


def test_log_normal_column_with_a_probit_has_a_closed_form():
    d, parameters, term = case("log-normal", 30.0, 0.4)
    slope, offset = term.slope.item(), term.offset.item()
    t = slope * (0.0 - offset / slope) / math.hypot(1.0, slope)  # x is standard on its scale
    assert log_chance(d, term, "probit").exp().item() == pytest.approx(special.ndtr(t), rel=1e-12)
    assert not isinstance(tilted(d, term, "probit"), Tilted)


@torch.no_grad()
def test_a_cell_does_not_depend_on_others():
    """A row has the same chances and draws whatever rows it is computed with."""
    loc = torch.tensor([[0.3], [0.3]])
    for family in (dist.StudentT(4.0, loc, 1.0), dist.Gamma(loc, 1.0)):
        term = OwnTerm(one(1.0), torch.tensor([[0.2], [0.2]]))
        mixed = term._replace(offset=torch.tensor([[0.2], [40.0]]))
        steep = OwnTerm(torch.ones(1) * 90.0, torch.tensor([[18.0], [3.0]]))
        for a, b in ((term, mixed), (steep, steep._replace(offset=torch.tensor([[18.0], [1e6]])))):
            alone = log_chance(family, a, "logit")[0]
            together = log_chance(family, b, "logit")[0]
            torch.testing.assert_close(alone, together, atol=1e-12, rtol=1e-12)
            p = torch.tensor([[0.7], [0.7]])
            x, y = (transport(tilted(family, t, "logit"), p)[0] for t in (a, b))
            torch.testing.assert_close(x, y, atol=1e-7, rtol=1e-7)


# Below, the values that a scale no longer tells apart, and their logarithms or log-odds.
LIMITS = {Kind.BOUNDED: (1e-3, special.logit(1e-3)), Kind.POSITIVE: (1e-12, math.log(1e-12))}


def split(kind, a, b):
    """Natural values, masses and first moments of Beta(a, b), or Gamma(a, b), its ends exact."""
    x, limit = LIMITS[kind]
    if kind is Kind.BOUNDED:
        y, mean = np.linspace(limit, -limit, 40001), a / (a + b)
        log_p = a * special.log_expit(y) + b * special.log_expit(-y) - special.betaln(a, b)
        ends = special.betainc(a, b, x), special.betainc(b, a, x)
        moments = mean * special.betainc(a + 1, b, x), mean * special.betainc(b, a + 1, x)
    else:
        y, mean = np.linspace(limit, math.log(stats.gamma.isf(1e-12, a) / b), 80001), a / b
        log_p = a * (y + math.log(b)) - b * np.exp(y) - special.gammaln(a)
        ends = special.gammainc(a, b * x), 0.0
        moments = mean * special.gammainc(a + 1, b * x), 0.0
    inner = np.exp(log_p) * (y[1] - y[0])
    inner[[0, -1]] /= 2
    values = special.expit(y) if kind is Kind.BOUNDED else np.exp(y)
    whole = (
        np.concatenate([[e[0]], m, [e[1]]]) for e, m in ((ends, inner), (moments, inner * values))
    )
    return np.concatenate([y[:1], y, y[-1:]]), *whole


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [(Kind.BOUNDED, a, b) for a in (0.05, 0.2, 1.0, 1e3) for b in (0.05, 10.0, 1e3)]
    + [(Kind.POSITIVE, a, b) for a in (0.01, 0.05, 0.5, 100.0) for b in (0.05, 1.0)],
)
@torch.no_grad()
def test_mass_near_bounds_is_all_there(kind, a, b, dtype):
    """However small a concentration: its mass is where a bound cannot be told from a value."""
    torch.set_default_dtype(dtype)
    y, mass, moment = split(kind, a, b)
    centre, spread = (mass * y).sum(), math.sqrt((mass * (y - (mass * y).sum()) ** 2).sum())
    scale = 1.0 if kind is Kind.BOUNDED else math.sqrt(a) / b
    units = Units((kind,), curve_masks([kind]), one(float(centre)), one(float(spread)))
    p = (OpenBeta if kind is Kind.BOUNDED else dist.Gamma)(one(a), one(b), validate_args=False)
    back = special.expit if kind is Kind.BOUNDED else np.exp
    at = np.searchsorted(y, np.linspace(y[1] + 0.01, y[-2] - 0.01, 40))
    for link, f in (("probit", special.ndtr), ("logit", special.expit)):
        for slope in (0.1, 3.0, 100.0):
            for place in (-1.2, 0.4):
                event = f(slope * ((y - centre) / spread - place))
                term = OwnTerm(one(slope), one(slope * place), natural=units)
                exact = (mass * event).sum()
                found = log_chance(p, term, link).exp().item()
                assert found == pytest.approx(exact, abs=1e-3), (slope, place)
                if exact < 1e-3:
                    continue
                given = tilted(p, term, link)
                mean = (moment * event).sum() / exact
                assert given.mean.item() == pytest.approx(mean, abs=3e-3 * scale)
                below = ((mass * event).cumsum() - mass * event / 2)[at] / exact
                x = torch.tensor(back(y[at]), dtype=dtype)[:, None]
                assert np.abs(cdf(given, x)[:, 0].numpy() - below).max() < 5e-3, (slope, place)
                drawn = transport(given, (torch.arange(2000).double()[:, None] + 0.5) / 2000)
                shares = (drawn <= x[:, 0]).double().mean(0).numpy()
                assert np.abs(shares - below).max() < 6e-3, (slope, place)


def test_gradients_reach_the_mass_near_bounds():
    """The chance moves with a concentration as the exact one does."""
    for kind, family in ((Kind.BOUNDED, OpenBeta), (Kind.POSITIVE, dist.Gamma)):
        units = Units((kind,), curve_masks([kind]), one(-3.0), one(3.0))
        term = OwnTerm(one(3.0), one(0.0), natural=units)

        def exact(a, b, kind=kind):
            y, mass, _ = split(kind, a, b)
            return (mass * special.ndtr(y + 3.0)).sum()

        a, b = (torch.tensor([v], requires_grad=True) for v in (0.05, 0.3))
        log_chance(family(a, b), term, "probit").exp().sum().backward()
        slopes = (
            (exact(0.0505, 0.3) - exact(0.0495, 0.3)) / 1e-3,
            (exact(0.05, 0.303) - exact(0.05, 0.297)) / 6e-3,
        )
        for p, slope in zip((a, b), slopes, strict=True):
            assert p.grad.item() == pytest.approx(slope, rel=0.02, abs=5e-3)
