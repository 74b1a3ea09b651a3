import copy
import json
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.likelihoods import Gaussian, Likelihood, StudentT, Truncated
from pyro_gnr.model.mechanisms import Conjunction, Ignorable, Mechanism
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS, describe, rebuild, resolve

REGISTRIES = [(PRIORS, Prior), (LIKELIHOODS, Likelihood), (MECHANISMS, Mechanism)]
EVERY_PART = [(name, names, base) for names, base in REGISTRIES for name in names]


@pytest.mark.parametrize(("name", "names", "base"), EVERY_PART)
def test_every_registered_part_is_made_described_and_rebuilt(name, names, base):
    part = resolve(name, names, base)
    assert isinstance(part, base) and type(part) is names[name]
    description = json.loads(json.dumps(describe(part, names)))
    assert description["name"] == name
    for again in (rebuild(description, names, {}, base), resolve(description, names, base)):
        assert type(again) is type(part) and describe(again, names) == description


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
    assert one.floor == (0.05 if template in ("gaussian", Gaussian) else 0.3)
    one.floor = 0.9
    assert two.floor != 0.9
    if isinstance(template, nn.Module):
        assert template.floor == before.floor == 0.3


def test_hyperparameters_survive():
    part = StudentT(floor=0.2, heteroscedastic=False, df=9.0)
    again = rebuild(describe(part, LIKELIHOODS), LIKELIHOODS, {}, Likelihood)
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


class Wanting(Ignorable):
    """A mechanism that is not made without an argument."""

    def __init__(self, *, column):
        super().__init__()
        self.column = column


@pytest.mark.parametrize("template", [Wanting, partial(Wanting), partial(Wanting, row=1)])
def test_a_class_without_its_arguments(template):
    with pytest.raises(
        TypeError, match=r"got mechanism Wanting, which .*: .*__init__\(\)"
    ) as caught:
        resolve(template, MECHANISMS, Mechanism)
    assert "Pass an instance, Wanting(...), or functools.partial(Wanting, ...)" in str(
        caught.value
    )
    assert isinstance(caught.value.__cause__, TypeError)
    assert resolve(partial(Wanting, column="a"), MECHANISMS, Mechanism).column == "a"


class Own(Ignorable.__base__):
    """A mechanism of the user's."""

    def build(self, u_dim, rates):
        pass

    def forward(self, u, x, observed=None):
        return None


def test_own_class_only_where_it_is_given():
    description = describe(Own(), MECHANISMS)
    assert description == {"name": "Own"}
    with pytest.raises(ValueError, match="components={'Own': YourClass}"):
        rebuild(description, MECHANISMS, {}, Mechanism)
    with pytest.raises(ValueError, match="got mechanism 'Own', expected one of"):
        resolve(description, MECHANISMS, Mechanism)
    for template in (description, "Own"):
        assert type(rebuild(template, MECHANISMS, {"Own": Own}, Mechanism)) is Own
    assert isinstance(resolve(Own, MECHANISMS, Mechanism), Own)
    again = rebuild(describe(Conjunction(), MECHANISMS), MECHANISMS, {"Own": Own}, Mechanism)
    assert type(again) is Conjunction


def test_a_given_class_must_be_of_its_slot_and_cannot_replace_ours():
    with pytest.raises(TypeError, match="got mechanism {'name': 'Gaussian'}, expected a name"):
        rebuild({"name": "Gaussian"}, MECHANISMS, {"Gaussian": Gaussian}, Mechanism)
    part = rebuild("ignorable", MECHANISMS, {"ignorable": Own}, Mechanism)
    assert type(part) is Ignorable


@pytest.mark.parametrize("template", [Ignorable, Ignorable(), 3, None, ["ignorable"]])
def test_only_words_and_tables_are_rebuilt(template):
    with pytest.raises(TypeError, match="expected a name, such as 'conjunction', or a table"):
        rebuild(template, MECHANISMS, {}, Mechanism)


TABLES = {
    "no name": ({"slope": 2.0}, ValueError, r"expected 'name' in it: one of \['conjunction'"),
    "a name of no sort": ({"name": 3}, ValueError, "expected 'name' in it"),
    "a typo in the name": (
        {"name": "self_maskin"},
        ValueError,
        r"got mechanism 'self_maskin', expected one of .*\(did you mean 'self_masking'\?\)",
    ),
    "a typo in an argument": (
        {"name": "self_masking", "directon": "high"},
        ValueError,
        r"got argument 'directon' of mechanism 'self_masking', expected some of \['direction', "
        r"'link', 'threshold', 'slope'\] \(did you mean 'direction'\?\)",
    ),
    "an argument where there is none": (
        {"name": "ignorable", "slope": 2.0},
        ValueError,
        "got argument 'slope' of mechanism 'ignorable', which takes none",
    ),
    "a method": ({"name": "ignorable", "forward": 1}, ValueError, "'forward'.*takes none"),
    "a value that the part refuses": (
        {"name": "self_masking", "direction": "up"},
        ValueError,
        "^got direction='up', expected one of",
    ),
    "a value of another sort": (
        {"name": "self_masking", "slope": "steep"},
        TypeError,
        "self_masking.*slope is 'steep', expected a number",
    ),
    "half a unit": ({"name": "selection", "hidden": 2.5}, ValueError, "got hidden=2.5"),
}


@pytest.mark.parametrize(("table", "error", "message"), TABLES.values(), ids=TABLES)
def test_what_is_wrong_with_a_table_is_said(table, error, message):
    before = copy.deepcopy(table)
    with pytest.raises(error, match=message):
        resolve(table, MECHANISMS, Mechanism)
    assert table == before


def test_text_is_no_truth_value():
    with pytest.raises(ValueError, match="got heteroscedastic='false', expected True or False"):
        resolve({"name": "gaussian", "heteroscedastic": "false"}, LIKELIHOODS, Likelihood)


NO_NUMBERS = [
    ("student_t", "floor", "0.1"),
    ("student_t", "df", "5"),
    ("gaussian", "ceiling", None),
    ("log_normal", "floor", True),
    ("negative_binomial", "floor", [0.1]),
    ("truncated", "lower", "0"),
    ("truncated", "upper", True),
]


@pytest.mark.parametrize(("name", "argument", "value"), NO_NUMBERS)
def test_hyperparameters_that_are_no_numbers(name, argument, value):
    message = re.escape(f"got {argument}={value!r}, expected a number.")
    with pytest.raises(TypeError, match=f"^{message}$"):
        LIKELIHOODS[name](**{argument: value})
    with pytest.raises(TypeError, match=f"got likelihood .*{argument}.*, expected a number"):
        resolve({"name": name, argument: value}, LIKELIHOODS, Likelihood)


def test_numbers_may_be_numpy_s():
    assert StudentT(floor=np.float32(0.25), df=np.int64(4)).df == 4


def test_a_table_stays_as_it_is_and_is_not_shared():
    table = {"name": "self_masking", "direction": {"a": "high"}}
    part = resolve(table, MECHANISMS, Mechanism)
    part.direction["a"] = "low"
    assert table == {"name": "self_masking", "direction": {"a": "high"}}


class Greedy(Own):
    """A class whose argument has the word that names classes."""

    def __init__(self, *, name="x"):
        super().__init__()
        self.name = name


def test_classes_that_a_table_cannot_name():
    impostor = type("Conjunction", (Own,), {})
    with pytest.raises(ValueError, match="your class 'Conjunction' has the name of one"):
        describe(impostor(), MECHANISMS)
    impostor = type("conjunction", (Own,), {})
    with pytest.raises(ValueError, match="your class 'conjunction' has the name of one"):
        describe(impostor(), MECHANISMS)
    with pytest.raises(ValueError, match="your class 'Greedy' has an argument 'name'"):
        describe(Greedy(), MECHANISMS)


def test_descriptions_are_plain():
    part = StudentT(floor=np.float64(0.25), df=np.int64(4))
    description = describe(part, LIKELIHOODS)
    assert [type(v) for v in description.values()] == [str, float, float, bool, int]
    assert "lower" in describe(Truncated(lower=0.0), LIKELIHOODS)
    assert "upper" not in describe(Truncated(lower=0.0), LIKELIHOODS)
    with pytest.raises(TypeError, match=r"tensor\(.*cannot be written as JSON"):
        describe(StudentT(df=torch.tensor(4.0)), LIKELIHOODS)


class Floored(Gaussian):
    """It hands its argument on, as a number."""

    def __init__(self, floor):
        super().__init__(floor=float(floor))


class Elsewhere(Gaussian):
    """It keeps its argument under another name than its parent does."""

    def __init__(self, floor):
        super().__init__()
        self.lowest = floor


class Nowhere(Gaussian):
    """It keeps its argument under a name that no one knows."""

    def __init__(self, width):
        super().__init__()
        self.w = width


class Unnamed(Gaussian):
    """It does not name its parent's arguments."""

    def __init__(self, extra=1, **others):
        super().__init__(**others)
        self.extra = extra


class Choosy(Gaussian):
    """It does not take what it keeps."""

    def __init__(self, floor):
        if not isinstance(floor, str):
            raise TypeError("expected text")
        super().__init__(floor=float(floor))


@pytest.mark.parametrize(
    "again", [lambda part: part, copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))]
)
def test_a_part_is_described_only_if_that_makes_it_again(again):
    assert describe(again(Floored("0.3"))) == {"name": "Floored", "floor": 0.3}
    assert describe(again(Unnamed(2))) == {"name": "Unnamed", "extra": 2}
    with pytest.raises(ValueError, match=r"'Elsewhere' keeps .*its lowest is 0.05 and not 0.1"):
        describe(again(Elsewhere(0.1)))
    with pytest.raises(
        TypeError, match=r"Nowhere does not keep .*'width'.*\(self.width = width\)"
    ):
        describe(again(Nowhere(3)))
    with pytest.raises(ValueError, match=r"'Unnamed' keeps {'extra': 1} .*is 0.05 and not 0.2"):
        describe(again(Unnamed(floor=0.2)))
    with pytest.raises(ValueError, match=r"'Choosy' cannot be made from .*\(expected text\)"):
        describe(again(Choosy("0.3")))


def test_what_was_changed_or_built_since_is_described_as_it_is():
    part = Gaussian(floor=0.2)
    part.build([Column("a", Kind.CONTINUOUS, "float64")], 2)
    part.floor = 0.3
    assert describe(part)["floor"] == 0.3
    before = torch.get_rng_state()
    describe(part)
    assert torch.equal(torch.get_rng_state(), before)
