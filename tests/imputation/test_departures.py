"""Departures in plain values and in words."""

import json

import numpy as np
import pytest
from scipy import stats

from pyro_gnr import Delta
from pyro_gnr.imputation.departures import described, in_words


class Own:
    """A prior of one's own."""

    def ppf(self, q):
        return q


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (Delta("a", -0.5), "'a' - 0.5"),
        (Delta("a").times(2.0), "'a' + 2"),
        (Delta("a", [1.0, -1.0]), "'a' + -1 to 1, a number a table"),
        (Delta("a", stats.uniform(np.float64(-1), scale=2)), "'a' + uniform(-1.0, scale=2)"),
        (Delta("a", 1, level=np.bool_(True)), "'a' (level True) + 1"),
        (Delta("a", 1, where=[True, False]), "'a' + 1 where an array says"),
    ],
)
def test_words(delta, words):
    assert in_words(json.loads(json.dumps(described(delta)))) == words
    assert str(delta) == words


def test_a_prior_of_ones_own_is_named_by_its_class():
    found = described(Delta("a", Own(), where=Own.ppf))
    assert found["by"]["distribution"].endswith(".Own")
    assert found["where"] == {"function": "ppf"}
