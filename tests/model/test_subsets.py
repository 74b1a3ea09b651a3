"""Some of a batch of distributions are the same distributions as in the batch."""

import pyro.distributions as dist
import pytest
import torch
from torch import distributions as td

from pyro_gnr.data.columns import Column, Kind
from pyro_gnr.model.likelihoods import Truncated
from pyro_gnr.model.registry import LIKELIHOODS
from pyro_gnr.model.subsets import by_parameters, subset
from pyro_gnr.model.tilting import OwnTerm, tilted
from pyro_gnr.model.transport import cdf, restrict

INDEX = (slice(None), torch.tensor([0, 3, 3]), torch.tensor([1, 0, 1]))
NUMBERS = [
    name
    for name, cls in LIKELIHOODS.items()
    if (cls.natural_kind or min(cls.kinds)) not in (Kind.BINARY, Kind.CATEGORICAL, Kind.ORDINAL)
]


def made_by(name):
    """What a likelihood of two columns makes of (7, 4) particles and rows, and draws of it."""
    likelihood = Truncated(lower=-3.0) if name == "truncated" else LIKELIHOODS[name]()
    kind = likelihood.natural_kind or min(likelihood.kinds)
    likelihood.build([Column(n, kind, "float64") for n in "ab"], u_dim=3)
    with torch.no_grad():
        distribution = likelihood(torch.randn(7, 4, 3))
        return distribution, distribution.sample()


def assert_same(some, whole, x):
    assert some.batch_shape == x[INDEX].shape
    torch.testing.assert_close(cdf(some, x[INDEX]), cdf(whole, x)[INDEX])
    torch.testing.assert_close(some.mean, whole.mean[INDEX])


@pytest.mark.parametrize("name", NUMBERS)
def test_of_every_likelihood(name):
    whole, x = made_by(name)
    some = subset(whole, INDEX)
    assert_same(some, whole, x)
    assert type(some) is type(whole) or name == "censored"
    known = restrict(whole, x)  # what is imputed
    assert_same(subset(known, INDEX), known, x)
    torch.testing.assert_close(some.log_prob(x[INDEX]), whole.log_prob(x)[INDEX])


@pytest.mark.parametrize("link", ["probit", "logit"])
@pytest.mark.parametrize("name", NUMBERS)
def test_of_what_self_masking_imputes(name, link):
    whole, x = made_by(name)
    term = OwnTerm(torch.tensor([1.0, -2.0]), torch.randn(7, 4, 2))
    whole = tilted(restrict(whole, x), term, link)
    assert_same(subset(whole, INDEX), whole, x)


@pytest.mark.parametrize("library", [td, dist])
@pytest.mark.parametrize("name", ["Normal", "LogNormal", "Poisson"])
def test_parameters_are_broadcast(library, name):
    rate = [torch.rand(4, 2) + 0.1] if name == "Poisson" else [torch.randn(7, 4, 1), torch.ones(2)]
    whole = getattr(library, name)(*rate).expand((7, 4, 2))
    some = subset(whole, INDEX)
    assert type(some) is type(whole)
    assert_same(some, whole, whole.sample())


class Shifted(td.Normal):
    """Of the user's, with a constructor of its own."""

    def __init__(self, shift, *, width=2.0):
        super().__init__(shift, width)
        self.shift, self.width = self.loc, self.scale


@pytest.mark.parametrize("base", [Shifted, td.Laplace])
def test_what_is_not_registered_is_left_to_the_caller(base):
    whole = td.Laplace(torch.zeros(2), 1.0) if base is td.Laplace else Shifted(torch.zeros(2))
    assert subset(whole, (torch.tensor([0]),)) is None


def test_a_class_of_the_users_may_be_registered():
    class Own(Shifted):
        def __init__(self, shift, *, width=2.0):
            super().__init__(shift, width=width)

    whole = Own(torch.tensor([0.0, 1.0]), width=torch.tensor([1.0, 3.0]))
    assert subset(whole, (torch.tensor([1]),)) is None
    subset.register(Own, by_parameters(Own, "shift", "width"))
    some = subset(whole, (torch.tensor([1]),))
    assert type(some) is Own and (some.mean.item(), some.stddev.item()) == (1.0, 3.0)
