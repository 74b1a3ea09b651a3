import copy
import json
from functools import partial

import pytest
from torch import nn

from pyro_gnr.model.likelihoods import Gaussian, Likelihood, StudentT
from pyro_gnr.model.mechanisms import Conjunction, Ignorable, Mechanism
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS, describe, rebuild, resolve

REGISTRIES = [(PRIORS, Prior), (LIKELIHOODS, Likelihood), (MECHANISMS, Mechanism)]
EVERY_PART = [(name, names, base) for names, base in REGISTRIES for name in names]


@pytest.mark.parametrize(("name", "names", "base"), EVERY_PART)
def test_every_registered_part_is_made_described_and_rebuilt(name, names, base):
    part = resolve(name, names, base)
    assert isinstance(part, base) and type(part) is names[name]
    description = json.loads(json.dumps(describe(part)))
    again = rebuild(description, names, {})
    assert type(again) is type(part) and describe(again) == describe(part)


@pytest.mark.parametrize(
    "template", ["gaussian", Gaussian, partial(Gaussian, floor=0.3), Gaussian(floor=0.3)]
)
def test_template_stays_as_it_is(template):
    before = copy.deepcopy(template)
    one, two = (
        resolve(template, LIKELIHOODS, Likelihood),
        resolve(template, LIKELIHOODS, Likelihood),
    )
    assert one is not two and one is not template and type(one) is Gaussian
    assert one.floor == (0.1 if template in ("gaussian", Gaussian) else 0.3)
    one.floor = 0.9
    assert two.floor != 0.9
    if isinstance(template, nn.Module):
        assert template.floor == before.floor == 0.3


def test_hyperparameters_survive():
    part = StudentT(floor=0.2, heteroscedastic=False, df=9.0)
    again = rebuild(describe(part), LIKELIHOODS, {})
    assert (again.floor, again.heteroscedastic, again.df) == (0.2, False, 9.0)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"got mechanism 'conjuction'.*'conjunction', 'ignorable'"
    ):
        resolve("conjuction", MECHANISMS, Mechanism)


@pytest.mark.parametrize("template", [Gaussian, Gaussian(), 3, None, partial(dict)])
def test_something_else_is_refused(template):
    with pytest.raises(TypeError, match=r"expected a name \(conjunction, ignorable, "):
        resolve(template, MECHANISMS, Mechanism)


class Own(Ignorable.__base__):
    """A mechanism of the user's."""

    def build(self, u_dim, rates):
        pass

    def forward(self, u, x, observed=None):
        return None


def test_own_class_only_where_it_is_given():
    description = describe(Own())
    with pytest.raises(ValueError, match="components={'Own': YourClass}"):
        rebuild(description, MECHANISMS, {})
    assert isinstance(rebuild(description, MECHANISMS, {"Own": Own}), Own)
    assert isinstance(resolve(Own, MECHANISMS, Mechanism), Own)
    assert type(rebuild(describe(Conjunction()), MECHANISMS, {"Own": Own})) is Conjunction
