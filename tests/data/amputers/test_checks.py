import numpy as np
import pytest

from pyro_gnr.data.amputers.checks import (
    check_direction,
    check_varying,
    rate_or_default,
    too_few_columns,
)
from pyro_gnr.data.source import SourceTable


def test_the_default_rate():
    assert rate_or_default(None) == 0.3
    assert rate_or_default(0.1, floor=0.05) == 0.1
    with pytest.raises(ValueError, match="positivity"):
        rate_or_default(None, floor=0.4)


def test_constant_columns_are_named_with_a_way_out():
    table = SourceTable.of(np.column_stack([np.arange(3.0), np.ones(3), np.zeros(3)]))
    check_varying(table, [0])
    with pytest.raises(ValueError, match=r"\['x1', 'x2'\].*kinds=\{'x1': 'ignore'\}, or use mcar"):
        check_varying(table, [0, 1, 2])


def test_directions():
    for word in ("high", "low", "random"):
        check_direction(word)
    check_direction("off", ["off"])
    for word in ("off", {"x0": "high"}, 1):
        with pytest.raises(ValueError, match=r"expected one of \['high', 'low', 'random'\]\.$"):
            check_direction(word)
    for word in ("free", None):
        with pytest.raises(ValueError, match="holes need one, and 'random' draws it"):
            check_direction(word)


def test_too_few_columns_says_which_there_are():
    table = SourceTable.of(np.zeros((2, 2)), {"x1": "ignore"})
    assert "got 1 column(s) to work with, ['x0']" in str(too_few_columns(table, "two"))
