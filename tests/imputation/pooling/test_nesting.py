import numpy as np
import pytest

from pyro_gnr.imputation.pooling.nesting import as_members, nest


def test_the_rules_follow_from_the_members():
    for members, rule, G, R, one in [
        (None, "rubin", 4, 1, False),
        ([3, 1, 2, 0], "rubin", 4, 1, False),
        ([7, 7, 7, 7], "rubin", 4, 1, True),
        ([1, 0, 0, 1], "nested", 2, 2, False),
    ]:
        found = nest(members, 4)
        assert (found.rule, found.n_members, found.per_member) == (rule, G, R)
        assert (found.one_member, found.m) == (one, 4)
        assert sorted(found.groups.ravel().tolist()) == [0, 1, 2, 3]


def test_tables_of_a_member_stay_together():
    members = np.array([2, 0, 1, 0, 2, 1])
    for group in nest(members, 6).groups:
        assert len(set(members[group])) == 1


@pytest.mark.parametrize(
    ("members", "m", "message"),
    [
        (None, 1, "at least 2"),
        ([0, 1, 1], 3, "1 to 2 tables.*a multiple of 2"),
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
