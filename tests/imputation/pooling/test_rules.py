"""Rules against exact arithmetic, identities, and what they promise in repetitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from pyro_gnr.imputation.pooling.nesting import nest
from pyro_gnr.imputation.pooling.rules import moments, spread


def exact(Q, U, groups, dfcom):
    """Shen's rules as they are written, in fractions; with R = 1 Rubin's.

    With other numbers of tables by member R is their harmonic mean.
    """
    G, M = len(groups), len(Q)
    R = G / sum(Fraction(1, len(g)) for g in groups)
    Q, U = [Fraction(q) for q in Q], [Fraction(u) for u in U]
    means = [sum(Q[i] for i in g) / len(g) for g in groups]
    mean = sum(means) / G
    msb = R / (G - 1) * sum((q - mean) ** 2 for q in means)
    msw = Fraction(0)
    if M > G:
        squares = [(Q[i] - q) ** 2 for g, q in zip(groups, means, strict=True) for i in g]
        msw = sum(squares) / (M - G)
    ubar = sum(sum(U[i] for i in g) / len(g) for g in groups) / G
    of_b, of_w = 1 / R * (1 + Fraction(1, G)) * msb, (1 - 1 / R) * msw
    t = ubar + of_b + of_w
    inverse = (of_b / t) ** 2 / (G - 1)
    inverse += (of_w / t) ** 2 / (M - G) if M > G else 0
    if dfcom is not None:
        inverse += 1 / (Fraction(dfcom * (dfcom + 1), dfcom + 3) * ubar / t)
    df = 1 / inverse if inverse else None
    riv = (of_b + of_w) / ubar
    fmi = (riv + (2 / (df + 3) if df else 0)) / (riv + 1)
    return {"ubar": ubar, "t": t, "df": df, "riv": riv, "lambda_": (of_b + of_w) / t, "fmi": fmi}


def pooled(Q, U, members=None, dfcom=np.inf):
    nesting = nest(members, len(Q))
    found = moments(np.array(Q)[:, None], np.array(U)[:, None, None], nesting)
    return spread(found, dfcom)


def number(x):
    return float(np.ravel(x)[0])


numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 6))
variances = st.floats(1e-3, 1e3)
freedom = st.one_of(st.none(), st.integers(1, 10**6))


@st.composite
def designs(draw):
    G, R = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    each = st.lists(st.integers(1, 4), min_size=G, max_size=G)
    counts = draw(st.one_of(st.just([R] * G), each))
    members = draw(st.permutations([g for g in range(G) for _ in range(counts[g])]))
    M = len(members)
    Q = draw(st.lists(numbers, min_size=M, max_size=M))
    U = draw(st.lists(variances, min_size=M, max_size=M))
    return Q, U, members, draw(freedom)


@settings(max_examples=60, deadline=None)
@given(designs())
def test_exact_arithmetic(design):
    Q, U, members, dfcom = design
    found = pooled(Q, U, members, np.inf if dfcom is None else dfcom)
    wanted = exact(Q, U, [g.tolist() for g in nest(members, len(Q)).groups], dfcom)
    for name, value in wanted.items():
        if value is not None:
            assert number(getattr(found, name)) == pytest.approx(float(value), rel=1e-8, abs=1e-12)


@given(designs())
def test_order_of_tables_is_irrelevant(design):
    Q, U, members, dfcom = design
    dfcom = np.inf if dfcom is None else dfcom
    order = np.random.default_rng(len(Q)).permutation(len(Q))
    one = pooled(Q, U, members, dfcom)
    other = pooled(
        [Q[i] for i in order], [U[i] for i in order], [members[i] for i in order], dfcom
    )
    for a, b in zip(one, other, strict=True):
        assert number(a) == pytest.approx(number(b), rel=1e-6)


@given(designs())
def test_df_never_exceeds_that_of_complete_data(design):
    Q, U, members, dfcom = design
    assume(dfcom is not None)
    found = pooled(Q, U, members, dfcom)
    assert 0 < number(found.df) <= dfcom
    assert number(found.ubar) <= number(found.t) * (1 + 1e-12)
    assert 0 <= number(found.lambda_) <= number(found.fmi) <= 1


@given(numbers, variances, st.integers(1, 10**5), st.integers(2, 30))
def test_identical_tables_are_complete_data(q, u, v, m):
    found = pooled([q] * m, [u] * m, dfcom=v)
    assert number(found.t) == pytest.approx(u)
    assert number(found.df) == pytest.approx(v * (v + 1) / (v + 3))
    assert number(found.fmi) == pytest.approx(2 / (number(found.df) + 3))
    assert number(found.riv) == pytest.approx(0, abs=1e-12)
    many = pooled([1.0] * m, [u] * m)
    assert (number(many.df), number(many.fmi)) == (np.inf, 0)


@given(st.lists(st.tuples(numbers, variances), min_size=2, max_size=12), freedom)
def test_nested_rules_with_one_table_a_member_are_rubins(rows, dfcom):
    Q, U = zip(*rows, strict=True)
    dfcom = np.inf if dfcom is None else dfcom
    own, unknown = pooled(Q, U, list(range(len(Q))), dfcom), pooled(Q, U, None, dfcom)
    assert own == unknown
    m = len(Q)
    by_hand = np.mean(U) + (1 + 1 / m) * np.var(Q, ddof=1)
    assert number(own.t) == pytest.approx(by_hand)
    if np.isinf(dfcom) and np.var(Q) > 1e-12:
        b = np.var(Q, ddof=1)
        assert number(own.df) == pytest.approx((m - 1) * (1 + np.mean(U) / ((1 + 1 / m) * b)) ** 2)


def test_barnard_and_rubin():
    # Their abstract: df increase with those of complete data, never exceed them, and are Rubin's
    # where complete data have infinitely many.
    Q, U = [1.0, 1.3, 0.8, 1.1], [0.2, 0.21, 0.19, 0.2]
    com = [2, 5, 20, 100, 10_000, np.inf]
    df = [number(pooled(Q, U, dfcom=v).df) for v in com]
    assert df == sorted(df)
    assert all(d <= v for d, v in zip(df, com, strict=True))
    found = pooled(Q, U)
    assert df[-1] == pytest.approx(3 / number(found.lambda_) ** 2)


def test_mice_before_319_had_a_floor():
    # lambda >= 1e-4 in mice's barnard.rubin, which later versions and we do without.
    Q, U, dfcom = [1.0, 1.0001, 0.9999], [1.0] * 3, 100
    lambda_ = number(pooled(Q, U, dfcom=dfcom).lambda_)
    assert lambda_ < 1e-4
    floor = max(lambda_, 1e-4)
    old, seen = 2 / floor**2, (dfcom + 1) / (dfcom + 3) * dfcom * (1 - floor)
    mice = old * seen / (old + seen)
    assert number(pooled(Q, U, dfcom=dfcom).df) == pytest.approx(mice, rel=1e-3)


def shen(Q, U, R):
    """The rules for R tables of each member, on an array (G, R, p), as they were written first."""
    G = len(Q) // R
    grouped = Q.reshape(G, R, -1)
    means = grouped.mean(1)
    b = np.cov(means.T)
    within = (grouped - means[:, None]).reshape(len(Q), -1)
    w = within.T @ within / (G * (R - 1))
    return means.mean(0), U.mean(0), b, w, U.mean(0) + (1 + 1 / G) * b + (1 - 1 / R) * w


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 100))
def test_as_many_tables_of_each_member_are_shens_case(G, R, seed):
    rng = np.random.default_rng(seed)
    Q, A = rng.normal(size=(G * R, 3)), rng.normal(size=(G * R, 3, 3))
    U = A @ A.transpose(0, 2, 1)
    found = moments(Q, U, nest(np.repeat(range(G), R), G * R))
    parts = (found.estimate, found.ubar, found.b, found.w, found.t)
    for one, other in zip(parts, shen(Q, U, R), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    assert (found.per_member, found.within_df) == (R, G * (R - 1))


def test_covariances_are_pooled_alike():
    rng = np.random.default_rng(0)
    Q, A = rng.normal(size=(12, 3)), rng.normal(size=(12, 3, 3))
    U = A @ A.transpose(0, 2, 1)
    for members in (np.repeat(range(4), 3), [0] * 5 + [1] * 4 + [2] * 3):
        found = moments(Q, U, nest(members, 12))
        L = rng.normal(size=(2, 3))
        turned = moments(Q @ L.T, L @ U @ L.T, nest(members, 12))
        np.testing.assert_allclose(turned.t, L @ found.t @ L.T)
        np.testing.assert_allclose(turned.estimate, L @ found.estimate)


def simulate(G, R, *, b, w, repetitions, seed=0):
    """Estimates (repetitions, G R) of 0 with sampling variance 1, members' b and tables' w."""
    rng = np.random.default_rng(seed)
    sampling = rng.normal(size=(repetitions, 1, 1))
    # The observed data leave the estimate b + w more variable than complete data would.
    observed = np.sqrt(b + w) * rng.normal(size=(repetitions, 1, 1))
    members = np.sqrt(b) * rng.normal(size=(repetitions, G, 1))
    tables = np.sqrt(w) * rng.normal(size=(repetitions, G, R))
    return (sampling + observed + members + tables).reshape(repetitions, G * R)


@pytest.mark.parametrize(("G", "R", "b", "w"), [(5, 4, 0.5, 0.5), (4, 2, 1.0, 0.2), (8, 1, 1, 0)])
def test_intervals_cover_and_variances_are_right(G, R, b, w):
    Q = simulate(G, R, b=b, w=w, repetitions=4000)
    members = np.repeat(range(G), R)
    found = [pooled(q, np.ones(G * R), members) for q in Q]
    t, df = (np.array([number(getattr(f, name)) for f in found]) for name in ("t", "df"))
    assert t.mean() == pytest.approx(Q.mean(1).var(), rel=0.08)
    covered = np.abs(Q.mean(1)) <= stats.t.ppf(0.975, df) * np.sqrt(t)
    assert covered.mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("counts", "b", "w"), [((6, 7, 7), 0.5, 2.0), ((1, 2, 9, 2), 0.1, 3.0)])
def test_variances_are_right_with_other_numbers_of_tables(counts, b, w):
    G, most = len(counts), max(counts)
    Q = simulate(G, most, b=b, w=w, repetitions=6000, seed=1).reshape(-1, G, most)
    Q = np.concatenate([Q[:, g, :n] for g, n in enumerate(counts)], axis=1)
    members = np.repeat(range(G), counts)
    nesting = nest(members, len(members))
    found = [moments(q[:, None], np.ones((len(q), 1, 1)), nesting) for q in Q]
    t, estimates = (
        np.array([number(getattr(f, name)) for f in found]) for name in ("t", "estimate")
    )
    # The exact variance of the estimate, and what its sample says.
    exactly = 1 + (b + w) + b / G + w * sum(1 / n for n in counts) / G**2
    assert t.mean() == pytest.approx(exactly, rel=0.03)
    assert estimates.var() == pytest.approx(exactly, rel=0.06)
    df = [number(spread(f, np.inf).df) for f in found]
    covered = np.abs(estimates) <= stats.t.ppf(0.975, df) * np.sqrt(t)
    assert covered.mean() == pytest.approx(0.95, abs=0.02)


def test_rubins_rules_understate_nested_tables():
    Q = simulate(5, 4, b=1.0, w=0.2, repetitions=2000)
    rubin = np.mean([number(pooled(q, np.ones(20)).t) for q in Q])
    nested = np.mean([number(pooled(q, np.ones(20), np.repeat(range(5), 4)).t) for q in Q])
    true = Q.mean(1).var()
    assert rubin < 0.95 * true
    assert nested == pytest.approx(true, rel=0.08)
