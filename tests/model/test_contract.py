import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.contract import check_model, check_part
from pyro_gnr.model.likelihoods import Likelihood, Truncated
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS
from pyro_gnr.model.transport import transport

NUMBERS = [Column(name, Kind.CONTINUOUS, "float64", holes=2) for name in "ab"]
OTHERS = {
    Kind.POSITIVE: {},
    Kind.BOUNDED: {"scale": 20.0},
    Kind.COUNT: {"whole": True},
    Kind.BINARY: {"levels": (False, True)},
    Kind.CATEGORICAL: {"levels": tuple("pqr")},
    Kind.ORDINAL: {"levels": tuple("pqr")},
    Kind.CENSORED: {"intervals": ((0.0, 0.5),)},
    Kind.CENSORED_LOG: {"intervals": ((-1.0, 0.5),)},
    Kind.CONTINUOUS: {},
}


def columns_of_kind(kind):
    return [Column(name, kind, "float64", holes=2, **OTHERS[kind]) for name in "ab"]


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods_of_this_package_pass(name):
    part = Truncated(lower=-1.0) if name == "truncated" else name
    for kind in LIKELIHOODS[name].kinds:
        check_part(part, columns_of_kind(kind))


@pytest.mark.parametrize("name", MECHANISMS)
def test_mechanisms_of_this_package_pass(name):
    check_part(name, [*columns_of_kind(Kind.POSITIVE)[:1], *columns_of_kind(Kind.ORDINAL)[1:]])


class Own(Likelihood):
    """Normal, or what a test makes of it."""

    kinds = frozenset({Kind.CONTINUOUS, Kind.POSITIVE})

    def __init__(self, make=None):
        super().__init__()
        self.make = make

    def n_parameters(self, columns):
        return 2 * len(columns)

    def distribution(self, parameters):
        location, raw = parameters.chunk(2, -1)
        return (self.make or dist.Normal)(location, 0.1 + softplus(raw))


class Few(Own):
    """Numbers for one column only."""

    def n_parameters(self, columns):
        return 2


class Weibull(Own):
    """Density not finite at 0."""

    def distribution(self, parameters):
        scale, shape = (0.1 + softplus(p) for p in parameters.chunk(2, -1))
        return dist.Weibull(scale, shape, validate_args=self.make)


class OpenWeibull(Weibull):
    """The same with a value where it is."""

    filler = 1.0


class Broken(dist.Normal):
    """It cannot be inverted."""

    def icdf(self, value):
        raise RuntimeError("out of order:\ntensor")


@transport.register
def _(distribution: Broken, uniforms):
    return distribution.icdf(uniforms)


def test_likelihoods_of_ones_own_pass():
    check_part(Own, NUMBERS)
    check_part(OpenWeibull, NUMBERS)


WRONG = {
    "a tensor": (
        Own(lambda location, scale: location),
        TypeError,
        r"likelihood Own of columns \['a', 'b'\] returned Tensor: return a .* from `distribution`",
    ),
    "event dimensions": (
        Own(lambda location, scale: dist.Normal(location, scale).to_event(1)),
        ValueError,
        r"shape \(\(2, 3\), \(2,\)\) for .*, expected \(\(2, 3, 2\), \(\)\): `n_parameters` count",
    ),
    "too few parameters": (Few(), ValueError, r"\(\(2, 3, 1\), \(\)\) .* ALL columns tog"),
    "no way to draw": (
        Own(lambda location, scale: dist.VonMises(location, scale)),
        ValueError,
        "drawn from a VonMises, which has neither .*register it as in pyro_gnr/model/transport.py",
    ),
    "a scale of any sign": (
        Own(lambda location, scale: dist.Laplace(location, location, validate_args=False)),
        ValueError,
        r"Own of columns \['a', 'b'\]: log p is nan .*in their range \(a scale by softplus\)\?",
    ),
    "a scale of any sign, checked": (
        Own(lambda location, scale: dist.Laplace(location, location, validate_args=True)),
        ValueError,
        r"Own of .* failed with ValueError: Expected parameter scale .*invalid values\.$",
    ),
    "an error": (
        Own(lambda location, scale: location.no_such_thing),
        ValueError,
        r"Own of columns \['a', 'b'\]: `forward` for u of shape \(2, 3, \d\) failed with Attr",
    ),
    "an error where it draws": (
        Own(lambda location, scale: Broken(location, scale)),
        ValueError,
        r"Own of columns \['a', 'b'\]: drawing a value failed with RuntimeError: out of order\.$",
    ),
    "no density at 0": (
        Weibull(False),
        ValueError,
        r"at its filler 0.0, .*set `filler` .*log p is",
    ),
    "0 not in the support": (
        Weibull(True),
        ValueError,
        r"at its filler 0.0, .*within the support",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_likelihoods_that_cannot_be_used(case):
    part, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        check_part(part, NUMBERS)


class Holes(Mechanism):
    """What a test makes of log-odds (..., D)."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def build(self, columns, u_dim, *, rates):
        self.head = nn.Linear(u_dim, len(columns))

    def forward(self, u, x):
        return self.make(self.head(u) if x is None else self.head(u) + x)


class BlindHoles(Holes):
    """It does not look at x."""

    missing_x = "unused"


def test_mechanisms_of_ones_own_pass():
    check_part(Holes(lambda logits: dist.Bernoulli(logits=logits).to_event(1)), NUMBERS)
    check_part(Holes(lambda logits: dist.Bernoulli(logits=logits[0]).to_event(1)), NUMBERS)
    check_part(BlindHoles(lambda logits: dist.Bernoulli(logits=logits).to_event(1)), NUMBERS)
    check_part(BlindHoles(lambda logits: None), NUMBERS)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda a: a, TypeError, r"mechanism Holes returned Tensor: return .* Bernoulli\(logits="),
        (lambda a: None, TypeError, "mechanism Holes returned NoneType"),
        (
            lambda a: dist.Bernoulli(logits=a),
            ValueError,
            r"shape \(\(2, 3, 2\), \(\)\) for .*, expected \(\(2, 3\), \(2,\)\): .*\.to_event",
        ),
        (lambda a: dist.Bernoulli(logits=a[..., :1]).to_event(1), ValueError, "each column"),
        (lambda a: dist.Bernoulli(logits=a[:, :1]).to_event(1), ValueError, "each column"),
        (
            lambda a: dist.Normal(a, 1.0).to_event(1),
            ValueError,
            r"gave a distribution with support .*Real.*, expected one of m, 1 where",
        ),
        (lambda a: dist.Poisson(a.exp()).to_event(1), ValueError, "support .*Integer"),
        (
            lambda a: dist.Bernoulli(logits=a + torch.tensor([torch.inf, 0.0])).to_event(1),
            ValueError,
            r"log p\(m\) is not finite for complete rows \(columns \['a'\]\): keep .*mask\(rates",
        ),
        (
            lambda a: dist.Bernoulli(logits=a - torch.inf, validate_args=False).to_event(1),
            ValueError,
            r"not finite for complete rows \(columns \['a', 'b'\]\)",
        ),
    ],
)
def test_mechanisms_that_cannot_be_used(make, error, message):
    with pytest.raises(error, match=message):
        check_part(Holes(make), NUMBERS)


class Unmasked(Holes):
    """Log-odds infinite in a column without holes."""

    def build(self, columns, u_dim, *, rates):
        self.intercept = torch.logit(rates)

    def forward(self, u, x):
        return self.make(self.intercept + 0.0 * x)


def test_infinite_log_odds_of_columns_without_holes():
    columns = [NUMBERS[0], Column("full", Kind.CONTINUOUS, "float64")]
    whole = Unmasked(lambda a: dist.Bernoulli(logits=a, validate_args=False).to_event(1))
    with pytest.raises(ValueError, match=r"columns \['full'\]\): keep log-odds finite"):
        check_part(whole, columns)
    known = torch.tensor([True, False])
    check_part(Unmasked(lambda a: dist.Bernoulli(logits=a).mask(known).to_event(1)), columns)


def test_holes_that_know_no_batch_or_are_mixed():
    """What is over 0 and 1 by another name passes."""
    check_part(Holes(lambda a: dist.Binomial(1, logits=a).to_event(1)), NUMBERS)
    check_part(
        Holes(
            lambda a: dist.MixtureSameFamily(
                dist.Categorical(torch.ones(2)),
                dist.Bernoulli(logits=torch.stack([a, -a], -2)).to_event(1),
            )
        ),
        NUMBERS,
    )


@pytest.mark.parametrize(
    ("missing_x", "message"),
    [
        ("integrate", r"Holes has missing_x = 'integrate', expected one of \('sampled', 'unu"),
        ("collapsed", r'Holes has missing_x = "collapsed": subclass `Collapsible`'),
    ],
)
def test_what_becomes_of_missing_values_has_three_names(missing_x, message, monkeypatch):
    monkeypatch.setattr(Holes, "missing_x", missing_x)
    with pytest.raises(ValueError, match=message):
        check_part(Holes(lambda a: dist.Bernoulli(logits=a).to_event(1)), NUMBERS)


class Reads(Holes):
    """It reads x in `make`."""

    def forward(self, u, x):
        return self.make(x)


def test_errors_of_a_mechanism_say_what_it_was_called_with(monkeypatch):
    sliced = Reads(lambda x: dist.Bernoulli(logits=torch.zeros(4) + x[..., 0]).to_event(1))
    message = r"mechanism Reads: `forward\(u, x\)` for u of .* and x of shape \(2, 3, 2\), failed"
    with pytest.raises(ValueError, match=message) as caught:
        check_part(sliced, NUMBERS)
    assert isinstance(caught.value.__cause__, RuntimeError)
    monkeypatch.setattr(Reads, "missing_x", "unused")
    message = r'and x None, as `missing_x` is "unused", failed with .*not subscriptable\.$'
    with pytest.raises(ValueError, match=message):
        check_part(Reads(lambda x: x[..., 0]), NUMBERS)


def test_a_mechanism_that_is_built_from_something_else(monkeypatch):
    monkeypatch.setattr(Holes, "build", lambda self, columns, u_dim: None)
    message = r"Holes: build takes other arg.*'rates'.*expected `def build\(self, columns, u_dim"
    with pytest.raises(TypeError, match=message):
        check_part(Holes(None), NUMBERS)


def test_what_is_no_part_of_a_column_or_of_holes():
    with pytest.raises(TypeError, match="expected a likelihood or a mechanism"):
        check_part("standard_normal", NUMBERS)


@pytest.mark.parametrize("kinds", [None, "continuous", Kind.CONTINUOUS, frozenset()])
def test_a_likelihood_that_serves_no_kind(kinds, monkeypatch):
    if kinds is None:
        monkeypatch.delattr(Own, "kinds")
    else:
        monkeypatch.setattr(Own, "kinds", kinds)
    with pytest.raises(TypeError, match=r"Own .*state `kinds = frozenset\({Kind.CONTINUOUS}\)`"):
        check_part(Own, NUMBERS)


def test_the_generator_and_the_model_stay_as_they_are(mixed):
    before = torch.get_rng_state()
    check_part(Own, NUMBERS)
    assert torch.equal(torch.get_rng_state(), before)
    model, _ = mixed()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    check_model(model, [Column(n, Kind.CONTINUOUS, "float64") for n in "abcde"])
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
