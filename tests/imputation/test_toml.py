"""What is written is what is read."""

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_gnr import GNRImputer
from pyro_gnr.imputation.configuration import SECTIONS, defaults
from pyro_gnr.imputation.toml import EXAMPLES, NOTES, template, to_toml
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.text(alphabet='"\\\x7f\x00\x1f\r\n\t\u2028é😀'),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_everything_plain_comes_back(config):
    again = tomllib.loads(to_toml(config))
    assert again == config
    assert _types(again) == _types(config)


def _types(value):
    """1 is 1.0 is True to Python, but not in a file."""
    if isinstance(value, dict):
        return {key: _types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_types(inner) for inner in value]
    return type(value), str(value)


def test_no_number_is_one_in_toml():
    assert math.isnan(tomllib.loads(to_toml({"a": math.nan}))["a"])


@pytest.mark.parametrize("value", [None, object(), {"b": None}, [None]])
def test_what_toml_cannot_say(value):
    with pytest.raises(ValueError, match=r"got (a|b|a\.b)=.*, which TOML cannot say"):
        to_toml({"a": value})


def test_nothing():
    assert to_toml({}) == ""
    assert tomllib.loads(to_toml({"kinds": {}})) == {"kinds": {}}


def test_the_template_is_the_defaults():
    found = tomllib.loads(template(GNRImputer))
    assert found == GNRImputer().to_config()
    assert repr(GNRImputer.from_config(found).get_params()) == repr(GNRImputer().get_params())


def test_every_key_has_a_note_and_every_unset_one_an_example():
    known = defaults(GNRImputer)
    assert set(NOTES) == set(known)
    assert set(EXAMPLES) == {name for name, value in known.items() if value is None}
    text = template(GNRImputer)
    assert all(len(line) <= 99 and line.isprintable() for line in text.splitlines())
    for name in (*MECHANISMS, *PRIORS, *LIKELIHOODS):
        assert name in text


def test_the_examples_are_valid_where_their_comment_sign_is_removed():
    lines = template(GNRImputer).splitlines()
    shown = {
        f"# {line}" for key in EXAMPLES for line in to_toml({key: EXAMPLES[key]}).splitlines()
    }
    assert shown <= set(lines)
    text = "\n".join(line.removeprefix("# ") if line in shown else line for line in lines)
    found = tomllib.loads(text)
    assert {key: found[key] for key in EXAMPLES} == EXAMPLES
    imputer = GNRImputer.from_config(found)
    assert imputer.likelihoods["income"] == "student_t"
    assert set(SECTIONS) <= set(found)
