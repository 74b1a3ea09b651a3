"""The numbers behind the pictures: shares, densities, units, and what is left out."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.criticism.checks import (
    Densities,
    Shares,
    density,
    incomplete_columns,
    observed_against_imputed,
    observed_values,
)
from pyro_gnr.data import Schema


def integral(curve):
    return curve.density.sum() * (curve.x[1] - curve.x[0])


def test_observed_values_are_the_callers_own(mixed_frame, mixed_imputation):
    values = observed_values(mixed_imputation.table)
    dose = mixed_frame["dose"].to_numpy()
    assert np.array_equal(values[:, 0], dose, equal_nan=True)  # bit for bit, no rounding
    children = mixed_frame["children"].astype("Float64").to_numpy(float, na_value=np.nan)
    assert np.array_equal(values[:, 1], children, equal_nan=True)
    codes = mixed_frame["grade"].cat.codes.to_numpy(float)
    assert np.array_equal(values[:, 3], np.where(codes < 0, np.nan, codes), equal_nan=True)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_observed_values_of_any_table(make):
    numbers = np.array([[0.1, 5.0], [np.nan, 7.0], [0.3, 9.0]])
    X = make(numbers)
    assert np.array_equal(observed_values(Schema.learn(X).encode(X)), numbers, equal_nan=True)


def test_observed_values_of_a_column_missing_altogether():
    train = pd.DataFrame({"a": [1.0, 2.0, None], "b": [1.0, 2.0, 3.5]})
    X = pd.DataFrame({"a": [None, None], "b": [1.0, 2.0]}, dtype=object).astype({"b": float})
    assert np.isnan(observed_values(Schema.learn(train).encode(X))[:, 0]).all()


def test_hidden_cells_are_observed():
    X = np.array([[1.0], [2.0], [4.0]])
    table = Schema.learn(X).encode(X).hide(np.array([[True], [False], [False]]))
    assert observed_values(table)[0, 0] == 1.0
    assert incomplete_columns(table) == ()


def test_shares_of_levels(by_hand):
    X = pd.DataFrame({"grade": ["a", "a", "a", "c", None, None], "x": range(6)})
    shares = observed_against_imputed(by_hand(X, [[0, 1], [1, 1], [0, 0]]), "grade")
    assert isinstance(shares, Shares)
    assert shares.labels == ("a", "c")
    assert shares.observed.tolist() == [0.75, 0.25]
    assert shares.imputed.tolist() == [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]]
    assert (shares.n_observed, shares.n_imputed, shares.nearest) == (4, 2, False)


def test_many_levels_are_lumped(by_hand):
    # Level k occurs k + 1 times: 14 frequent ones are kept, the 27 rare ones become one.
    levels = [f"level {k:02d}" for k in range(41)]
    values = [v for k, v in enumerate(levels) for _ in range(k + 1)]
    X = pd.DataFrame({"job": [*values, None, None]})
    imputation = by_hand(X, [[40, 0], [26, 39]], kinds={"job": "categorical"})
    shares = observed_against_imputed(imputation, "job")
    assert shares.labels[:2] == ("level 40", "level 39")
    assert shares.labels[13:] == ("level 27", "other (27 levels)")
    total = 41 * 42 / 2
    assert shares.observed[0] == pytest.approx(41 / total)
    assert shares.observed[-1] == pytest.approx(27 * 28 / 2 / total)
    assert shares.imputed[:, [0, 1, -1]].tolist() == [[0.5, 0, 0.5], [0, 0.5, 0.5]]
    assert shares.observed.sum() == pytest.approx(1)


def test_few_whole_numbers_are_counted(by_hand):
    X = pd.DataFrame({"n": pd.array([0, 0, 2, 2, 10, 10, None, None], dtype="Int64")})
    # 4 is nearer to 2, 7 to 10; -1 and 11 are beyond what was observed.
    shares = observed_against_imputed(by_hand(X, [[4, 7], [-1, 0], [11, 10]]), "n")
    assert shares.labels == ("< 0", "0", "2", "10", "> 10")
    assert shares.nearest
    assert shares.observed == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    expected = [[0, 0, 0.5, 0.5, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]
    assert shares.imputed.tolist() == expected


def test_bars_beyond_the_numbers_only_where_needed(by_hand):
    X = pd.DataFrame({"n": pd.array([1500, 1500, 2000, 2000, None], dtype="Int64")})
    shares = observed_against_imputed(by_hand(X, [[1500], [2100]]), "n")
    assert shares.labels == ("1,500", "2,000", "> 2,000")


def test_constant_column_is_counted(by_hand):
    X = pd.DataFrame({"c": [2.5, 2.5, None], "x": [1.0, 2.0, 4.0]})
    shares = observed_against_imputed(by_hand(X, [[2.5]]), "c")
    assert shares.labels == ("2.5",)
    assert shares.imputed.tolist() == [[1.0]]


def test_densities(by_hand):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": np.concatenate([rng.normal(50, 5, 300), np.full(40, np.nan)])})
    draws = rng.normal(60, 5, (3, 40))
    found = observed_against_imputed(by_hand(X, draws), "x")
    assert isinstance(found, Densities)
    assert found.draws == pytest.approx(draws)
    assert (found.n_observed, found.n_imputed, len(found.imputed)) == (300, 40, 3)
    assert found.observed.x[found.observed.density.argmax()] == pytest.approx(50, abs=3)
    assert found.pooled.x[found.pooled.density.argmax()] == pytest.approx(60, abs=3)
    for curve in (found.observed, found.pooled, *found.imputed):
        assert integral(curve) == pytest.approx(1)
    assert found.pooled.x.min() > draws.min() and found.pooled.x.max() < draws.max()
    assert found.outside == (0, 0)


def test_few_numbers_get_no_curve(by_hand):
    X = pd.DataFrame({"x": [*np.linspace(0, 1, 30), None]})
    found = observed_against_imputed(by_hand(X, [[0.5], [0.7]]), "x")
    assert found.observed is not None
    assert found.imputed == ()
    assert found.pooled is None
    assert found.draws.ravel() == pytest.approx([0.5, 0.7])


def test_column_observed_nowhere(by_hand):
    train = pd.DataFrame({"x": np.linspace(0, 1, 30), "g": ["a", "b"] * 15})
    train.loc[0] = None
    X = pd.DataFrame({"x": [np.nan, np.nan], "g": [None, None]})
    imputation = by_hand(X, [[0.1, 0, 0.2, 1], [0.3, 1, 0.4, 1]], train=train)
    assert observed_against_imputed(imputation, "x").observed is None
    shares = observed_against_imputed(imputation, "g")
    assert np.isnan(shares.observed).all()
    assert shares.imputed.tolist() == [[0.5, 0.5], [0, 1]]


def test_long_tails_are_cut_and_counted(by_hand):
    x = np.concatenate([np.random.default_rng(0).normal(size=2000), [1000.0]])
    X = pd.DataFrame({"x": [*x, None]})
    found = observed_against_imputed(by_hand(X, [[0.0]]), "x")
    assert found.outside == (1, 0)
    assert found.limits[1] < 10


def test_nearly_constant_numbers_keep_their_range(by_hand):
    # So many zeros that all quantiles which set the limits are 0.
    X = pd.DataFrame({"x": [*np.zeros(9000), *np.linspace(0.1, 0.5, 21), None]})
    found = observed_against_imputed(by_hand(X, [[0.0]]), "x")
    assert found.limits == (0.0, 0.5)


def test_density_does_not_leave_the_numbers():
    curve = density(np.random.default_rng(0).exponential(size=5000))
    assert curve.x.min() > 0
    assert curve.density[0] == pytest.approx(1, abs=0.15)
    assert integral(curve) == pytest.approx(1)


def test_density_of_rounded_numbers_is_smooth():
    curve = density(np.random.default_rng(0).normal(120, 20, 1400).round(-1))
    assert integral(curve) == pytest.approx(1)


@pytest.mark.parametrize("column", ["x", "nope"])
def test_column_without_imputations(by_hand, column):
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.5, None]})
    with pytest.raises(ValueError, match=rf"column '{column}'; columns with holes: 'y'"):
        observed_against_imputed(by_hand(X, [[1.0]]), column)


def test_complete_table(by_hand):
    X = pd.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="the table is complete"):
        observed_against_imputed(by_hand(X, np.empty((2, 0))), "x")
