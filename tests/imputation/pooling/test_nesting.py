import numpy as np
import pytest

from pyro_gnr.imputation.pooling.nesting import as_members, nest


def test_the_rules_follow_from_the_members():
    for members, rule, G, R, one in [
        (None, "rubin", 4, 1, False),
        ([3, 1, 2, 0], "rubin", 4, 1, False),
        ([7, 7, 7, 7], "rubin", 4, 1, True),
        ([1, 0, 0, 1], "nested", 2, 2, False),
        ([1, 0, 1, 1], "nested", 2, 1.5, False),
    ]:
        found = nest(members, 4)
        assert (found.rule, found.n_members, found.per_member) == (rule, G, pytest.approx(R))
        assert (found.one_member, found.m) == (one, 4)
        assert sorted(np.concatenate(found.groups).tolist()) == [0, 1, 2, 3]


def test_tables_of_a_member_stay_together():
    members = np.array([2, 0, 1, 0, 2, 1, 1])
    found = nest(members, 7)
    for group in found.groups:
        assert len(set(members[group])) == 1
    assert found.counts == (2, 3, 2)


def test_as_many_tables_of_each_are_counted_exactly():
    for R in range(1, 30):
        assert nest(np.repeat([0, 1, 2], R), 3 * R).per_member == R


@pytest.mark.parametrize(
    ("members", "m", "message"),
    [
        (None, 1, "at least 2"),
        ([0, 1], 3, "whole number for each of 3"),
        ([0.5, 1.0], 2, "whole number"),
        ([True, False], 2, "whole number"),
        ("ab", 2, "whole number"),
    ],
)
def test_bad_members(members, m, message):
    with pytest.raises(ValueError, match=message):
        nest(members, m)


def test_no_members():
    assert as_members(None, 3) is None
