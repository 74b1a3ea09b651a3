"""Every mechanism says what it assumes, when it is right, and how it fails."""

import pytest

from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.mechanisms.claims import UNSAID, claims
from pyro_gnr.model.registry import MECHANISMS


@pytest.mark.parametrize("name", MECHANISMS)
def test_every_mechanism_of_this_package_says_so(name):
    said = claims(MECHANISMS[name]())
    assert UNSAID not in said
    assert said.identified.startswith(("Identified", "Right"))
    assert said.fails.startswith("Fails")
    for text in said:
        assert "*" not in text
        assert "Args:" not in text
        assert "Source:" not in text
        assert text.endswith(".") or text == said.assumption
        assert len(text) > 20


def test_the_parts_do_not_overlap():
    said = claims(MECHANISMS["conjunction"]())
    assert "Fails" not in said.identified
    assert "positiv" not in said.fails


class Bare(Mechanism):
    def build(self, columns, u_dim, *, rates):
        pass

    def forward(self, u, x):
        return None


class Told(Bare):
    """Mine.

    *Fails* on Mondays.
    And Tuesdays.

    *Identified*: on Sundays.
    """

    assumption = "it rains"


def test_mechanisms_of_ones_own():
    assert claims(Told()) == (
        "it rains",
        "Identified: on Sundays.",
        "Fails on Mondays. And Tuesdays.",
    )
    found = claims(Bare())
    assert found.identified == found.fails == UNSAID  # never that of the base class
