"""D1 and D2: exact arithmetic, limits, invariance, and their size under the null hypothesis."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pyro_gnr.imputation.pooling.nesting import nest
from pyro_gnr.imputation.pooling.rules import moments, spread
from pyro_gnr.imputation.pooling.wald import d1, d2, denominator_df, reiter_df


def random_moments(rng, m=8, k=3, members=None):
    Q = rng.normal(size=(m, k)) + 2
    A = rng.normal(size=(m, k, k + 2))
    return moments(Q, A @ A.transpose(0, 2, 1), nest(members, m))


def reiter_long_form(t, r, com):
    """Reiter (2007, equation 2), each of his terms by itself, in fractions."""
    t, r, com = Fraction(t), Fraction(r), Fraction(com)
    a = r * t / (t - 2)
    nu = com * (com + 1) / (com + 3)
    x, y, s = nu - 4 * (1 + a), nu - 2 * (1 + a), 1 / (t - 4)
    total = 1 / x
    total += s * (a**2 * y / ((1 + a) ** 2 * x))
    total += s * (8 * a**2 * y / ((1 + a) * x**2) + 4 * a**2 / ((1 + a) * x))
    total += s * (4 * a**2 / (x * y) + 16 * a**2 * y / x**3)
    total += s * (8 * a**2 / x**2)
    return float(4 + 1 / total)


@given(st.integers(5, 200), st.floats(0, 3), st.integers(30, 10**5))
def test_reiters_degrees_of_freedom(t, r, com):
    found = reiter_df(t, r, com)
    if found is None:
        assert com * (com + 1) / (com + 3) <= 4 * (1 + r * t / (t - 2))
    else:
        assert found == pytest.approx(reiter_long_form(t, r, com), rel=1e-9)


@given(st.integers(1, 6), st.integers(2, 40), st.floats(1e-3, 5), st.integers(1, 10**6))
def test_df_never_exceeds_that_of_complete_data(k, m, r, com):
    df = denominator_df(k, m, r, com)
    assert 0 < df <= com
    assert df <= denominator_df(k, m, r) * (1 + 1e-9) or com > 100
    # Many rows: those of Li, Raghunathan and Rubin, or of Rubin.
    assert denominator_df(k, m, r, 1e12) == pytest.approx(denominator_df(k, m, r), rel=1e-3)


def test_no_missing_information():
    U = np.array([[2.0, 0.3], [0.3, 1.0]])
    q = np.array([1.0, -1.0])
    for com, df2 in [(np.inf, np.inf), (50, 50 * 51 / 53)]:
        test = d1(moments(np.stack([q] * 5), np.stack([U] * 5), nest(None, 5)), dfcom=com)
        assert test.statistic == pytest.approx(q @ np.linalg.inv(U) @ q / 2)
        assert (test.df1, test.riv) == (2, 0)
        assert test.df2 == pytest.approx(df2)
    wald = q @ np.linalg.inv(U) @ q
    unlimited = d1(moments(np.stack([q] * 5), np.stack([U] * 5), nest(None, 5)))
    assert unlimited.p_value == pytest.approx(stats.chi2.sf(wald, 2))


def test_by_hand():
    found = random_moments(np.random.default_rng(0))
    inverse = np.linalg.inv(found.ubar)
    r = (1 + 1 / 8) * np.trace(found.b @ inverse) / 3
    test = d1(found, value=[1.0, 2.0, 3.0])
    away = found.estimate - [1.0, 2.0, 3.0]
    assert test.riv == pytest.approx(r)
    assert test.statistic == pytest.approx(away @ inverse @ away / (3 * (1 + r)))
    df2 = 4 + (21 - 4) * (1 + (1 - 2 / 21) / r) ** 2
    assert test.df2 == pytest.approx(df2)
    assert test.p_value == pytest.approx(stats.f.sf(test.statistic, 3, df2))


@pytest.mark.parametrize("members", [None, [0, 0, 1, 1, 2, 2, 3, 3]])
def test_linear_maps_do_not_matter(members):
    rng = np.random.default_rng(1)
    Q, A, L = rng.normal(size=(8, 3)), rng.normal(size=(8, 3, 5)), rng.normal(size=(3, 3))
    U = A @ A.transpose(0, 2, 1)
    nesting = nest(members, 8)
    one = d1(moments(Q, U, nesting), dfcom=40)
    other = d1(moments(Q @ L.T, L @ U @ L.T, nesting), dfcom=40)
    assert one[1:] == pytest.approx(other[1:])


def test_one_term_has_the_statistic_of_its_t_test():
    found = random_moments(np.random.default_rng(2), k=1)
    alone = spread(found, np.inf)
    test = d1(found)
    assert test.statistic == pytest.approx((found.estimate[0] ** 2 / alone.t).item())
    assert test.riv == pytest.approx(alone.riv.item())


def test_one_term_of_nested_tables_has_shens_degrees_of_freedom():
    found = random_moments(np.random.default_rng(3), k=1, members=[0, 0, 0, 0, 1, 1, 1, 1])
    for com in (np.inf, 30):
        assert d1(found, dfcom=com).df2 == pytest.approx(spread(found, com).df.item())


@pytest.mark.parametrize(("G", "R"), [(6, 5), (10, 1)])
def test_size(G, R):
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky(np.array([[1.0, 0.5, 0.2], [0.5, 2.0, 0.1], [0.2, 0.1, 0.5]]))
    nesting = nest(np.repeat(range(G), R), G * R)
    U, b, w = np.stack([root @ root.T] * (G * R)), 0.4, 0.4 if R > 1 else 0.0
    p = []
    for _ in range(3000):
        own = np.sqrt(1 + b + w) * rng.normal(size=3)
        member = np.sqrt(b) * np.repeat(rng.normal(size=(G, 3)), R, axis=0)
        table = np.sqrt(w) * rng.normal(size=(G * R, 3))
        p.append(d1(moments((own + member + table) @ root.T, U, nesting)).p_value)
    for level in (0.05, 0.2):
        assert np.mean(np.array(p) < level) == pytest.approx(level, abs=0.02)


def test_unknown_covariances():
    U = np.full((3, 2, 2), np.nan)
    U[:, [0, 1], [0, 1]] = 1.0
    found = moments(np.ones((3, 2)), U, nest(None, 3))
    with pytest.raises(ValueError, match="only their variances"):
        d1(found)


def test_singular():
    found = moments(np.ones((3, 2)), np.ones((3, 2, 2)), nest(None, 3))
    with pytest.raises(ValueError, match="singular"):
        d1(found)


def test_d2():
    same = d2([6.0, 6.0, 6.0], 2)
    assert (same.statistic, same.df2) == (3.0, np.inf)
    assert same.p_value == pytest.approx(stats.chi2.sf(6.0, 2))
    d = np.array([5.0, 8.0, 4.0, 6.5])
    r = 1.25 * np.var(np.sqrt(d), ddof=1)
    test = d2(d, 3)
    assert test.statistic == pytest.approx((d.mean() / 3 - 5 / 3 * r) / (1 + r))
    assert test.df2 == pytest.approx(3 ** (-3 / 4) * 3 * (1 + 1 / r) ** 2)
    assert test.method == "D2"
    with pytest.raises(ValueError, match="1 statistic"):
        d2([3.0], 1)


def test_it_prints_plain_numbers():
    test = d2([np.float64(7.1), 9.4, 6.2, 8.0, 5.9], 2)._replace(df2=np.float64(2.5))
    assert repr(test).startswith("PooledTest(method='D2', statistic=")
    assert ", df1=2, df2=2.5, p_value=" in repr(test)
    assert "np." not in repr(test)
    assert eval(repr(test), {"PooledTest": type(test)}) == test
