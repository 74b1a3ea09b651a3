"""Delta adjustment moves what it is told to move, by what it is told, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyro_gnr import Delta, GNRImputer

ALL = {"age": 3.0, "dose": 0.5, "visits": 0.7, "score": 1.0, "grade": 1.5}


def shift(imputation, adjusted, name):
    before, after = (i.decoded(name)[1] for i in (imputation, adjusted))
    return after - before


def test_zero_changes_nothing_bit_for_bit(imputation):
    deltas = [Delta(name, 0.0) for name in ALL]
    deltas += [Delta("smoker", 0.0), Delta("site", 0.0, level="Graz")]
    found = imputation.adjusted(*deltas)
    assert np.array_equal(found.draws.values, imputation.draws.values)
    for one, other in zip(imputation, found, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_mean_moves_by_delta_times_the_missing_rate(imputation, X):
    d, rate = 2.7, X["age"].isna().mean()

    def mean(table):
        return [table["age"].mean()], [[1.0]]

    before, after = imputation.pool(mean), imputation.adjusted(Delta("age", d)).pool(mean)
    moved = (after["estimate"] - before["estimate"]).item()
    assert moved == pytest.approx(d * rate, abs=1e-12)
    np.testing.assert_allclose(after["t"], before["t"])


@pytest.mark.parametrize("name", [*ALL, "smoker", "site"])
def test_other_cells_stay_and_every_kind_goes_up(imputation, name):
    level = "Graz" if name == "site" else None
    found = imputation.adjusted(Delta(name, ALL.get(name, 1.5), level=level))
    cols = imputation.table.missing[1]
    j = [c.name for c in imputation.table.schema.modelled].index(name)
    same = found.draws.values == imputation.draws.values
    assert same[:, cols != j].all()
    assert not same[:, cols == j].all()
    moved = shift(imputation, found, name)
    if name == "site":
        before = (imputation.decoded(name)[1] == 1).mean()
        assert (found.decoded(name)[1] == 1).mean() > before
    else:
        assert (moved >= 0).all()
    for table in found:
        assert not table.isna().any().any()


def test_positive_values_are_multiplied(imputation):
    found = imputation.adjusted(Delta("dose", np.log(2.0)))
    before, after = (i.decoded("dose")[1] for i in (imputation, found))
    np.testing.assert_allclose(after, 2 * before)


def test_levels_get_their_shifted_probabilities_from_each_member(imputer, X):
    imputation = imputer.impute(X, m=400)
    found = imputation.adjusted(Delta("smoker", 1.0))
    cells = np.flatnonzero(imputation.table.missing[1] == 4)
    chances = imputation.level_chances(4)
    np.testing.assert_allclose(chances.sum(-1), 1.0, atol=1e-5)
    for g in (0, 1):
        p = chances[imputation.members == g][..., 1]
        expected = 1 / (1 + (1 - p) / p * np.exp(-1.0))
        got = found.draws.values[imputation.members == g][:, cells]
        spread = np.sqrt((expected * (1 - expected)).mean() / got.size)
        assert abs(got.mean() - expected.mean()) < 4 * spread
        before = imputation.draws.values[imputation.members == g][:, cells]
        assert before.mean() < got.mean() - 0.1  # the test can fail


@pytest.fixture(scope="module")
def twins():
    """Two binary columns that nearly agree, missing together, and nothing else that tells."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=600)
    a, b = (z + 0.3 * rng.normal(size=600) > 0 for _ in range(2))
    X = pd.DataFrame({"a": a.astype(float), "b": b.astype(float), "c": rng.normal(size=600)})
    X.loc[rng.uniform(size=600) < 0.5, ["a", "b"]] = np.nan
    imputer = GNRImputer(
        mechanism="ignorable", members=1, latent_dim=1, max_steps=200, random_state=0,
        verbose=False, imputation_particles=400,
    )  # fmt: skip
    return imputer.fit(X).impute(X, m=60)


def odds_ratio(imputation):
    a, b = (imputation.decoded(name)[1].ravel() > 0 for name in "ab")
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    return table[0][0] * table[1][1] / (table[0][1] * table[1][0])


def test_levels_keep_their_dependence_on_the_rows_other_imputed_cells(twins):
    """Log-odds given the other cell move by delta, so that the odds ratio stays what it is."""
    before = odds_ratio(twins)
    assert before > 8.0
    for by in (1.0, 2.0):
        after = odds_ratio(twins.adjusted(Delta("a", by)))
        assert np.log(after) == pytest.approx(np.log(before), abs=0.35)


def test_chances_given_the_row_are_those_of_the_draws(twins):
    """Among draws that agree in b, a is drawn with the chances that are given for it."""
    chances = twins.level_chances(0)[..., 1]
    a, b = (twins.decoded(name)[1] for name in "ab")
    for level in (0.0, 1.0):
        assert a[b == level].mean() == pytest.approx(chances[b == level].mean(), abs=0.02)
    assert chances[b == 1.0].mean() > chances[b == 0.0].mean() + 0.3


@pytest.mark.parametrize("mechanism", ["conjunction", "ignorable"])
@pytest.mark.parametrize("ordered", [False, True])
def test_columns_with_different_numbers_of_levels(mechanism, ordered):
    rng = np.random.default_rng(0)
    levels = {"two": list("ab"), "three": list("abc"), "five": list("abcde")}
    X = pd.DataFrame({k: rng.choice(v, 60) for k, v in levels.items()})
    X = X.mask(rng.random(X.shape) < 0.3)
    for name, own in levels.items():
        X[name] = pd.Categorical(X[name], own, ordered=ordered)
    small = {"latent_dim": 2, "hidden": 4, "max_steps": 4, "members": 2, "particles": 3}
    imputer = GNRImputer(mechanism=mechanism, random_state=0, verbose=False, **small)
    imputation = imputer.fit(X).impute(X, m=4)
    for name, own in levels.items():
        level = None if ordered else own[-1]
        same = imputation.adjusted(Delta(name, 0.0, level=level))
        assert np.array_equal(same.draws.values, imputation.draws.values)
        up = imputation.adjusted(Delta(name, 30.0, level=level))
        assert set(up.decoded(name)[1].ravel()) == {len(own) - 1}


def test_columns_that_are_named_by_numbers():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=[0, 7]).mask(rng.random((40, 2)) < 0.2)
    imputer = GNRImputer(max_steps=4, members=2, hidden=4, random_state=0, verbose=False)
    imputation = imputer.fit(X).impute(X, m=4)

    def mean(table):
        return [table[7].mean()], [[0.1]]

    by_number, by_name = (imputation.adjusted(Delta(name, 2.0)) for name in (7, "7"))
    assert np.array_equal(by_number.draws.values, by_name.draws.values)
    assert imputation.tipping_point(mean, 7).column == "7"
    assert len(imputation.delta_grid(mean, {7: [0.0, 1.0]})) == 2
    doubled = imputation.constrained({7: lambda table: 2 * table[0]})[0]
    holes = X[7].isna()
    np.testing.assert_allclose(doubled.loc[holes, 7], 2 * doubled.loc[holes, 0])


def test_departures_of_one_cell_add_up(imputation):
    together = imputation.adjusted(Delta("age", 1.0), Delta("age", 2.0))
    once = imputation.adjusted(Delta("age", 3.0))
    np.testing.assert_allclose(together.draws.values, once.draws.values, rtol=1e-12)
    opposite = imputation.adjusted(Delta("smoker", 1.0), Delta("smoker", 1.0, level="no"))
    assert np.array_equal(opposite.draws.values, imputation.draws.values)


@pytest.mark.parametrize(
    "where", ["group == 'a'", lambda table: table["group"] == "a", np.arange(90) % 2 == 1]
)
def test_subgroups_by_expression_function_and_array(imputation, X, where):
    found = shift(imputation, imputation.adjusted(Delta("age", 1.0, where=where)), "age")
    rows = imputation.decoded("age")[0]
    np.testing.assert_allclose(found, np.tile(X["group"].to_numpy()[rows] == "a", (6, 1)))


def test_a_subgroup_by_a_column_with_holes_differs_between_tables(imputation):
    found = shift(
        imputation, imputation.adjusted(Delta("age", 1.0, where="smoker == 'yes'")), "age"
    )
    rows = imputation.decoded("age")[0]
    meant = np.stack([(t["smoker"] == "yes").to_numpy()[rows] for t in imputation])
    np.testing.assert_allclose(found, meant, atol=1e-9)
    assert meant.std(0).max() > 0


def test_a_table_each_and_a_prior(imputation):
    each = np.arange(6.0)
    found = shift(imputation, imputation.adjusted(Delta("age", each)), "age")
    np.testing.assert_allclose(found, np.broadcast_to(each[:, None], found.shape), atol=1e-9)
    prior = imputation.adjusted(Delta("age", stats.norm(1.0, 2.0)))
    drawn = shift(imputation, prior, "age")[:, 0]
    slices = np.sort(np.floor(6 * stats.norm(1.0, 2.0).cdf(drawn)))
    assert slices.tolist() == [0, 1, 2, 3, 4, 5]  # one of each sixth
    again = imputation.adjusted(Delta("age", stats.norm(1.0, 2.0)))
    assert np.array_equal(again.draws.values, prior.draws.values)


def test_a_prior_widens_the_pooled_interval_as_it_should(imputer, X):
    """Var(delta) times the squared missing rate comes on top of the variance between tables."""
    imputation = imputer.impute(X, m=200)
    rate, sd = X["age"].isna().mean(), 6.0

    def mean(table):
        return [table["age"].mean()], [[0.01]]

    before = imputation.pool(mean)["t"].iloc[0]
    after = imputation.adjusted(Delta("age", stats.norm(0, sd))).pool(mean)["t"].iloc[0]
    assert after - before == pytest.approx((rate * sd) ** 2, rel=0.25)


def test_priors_of_two_departures_are_independent():
    one, other = (Delta("age", stats.norm(0, 1)).values(500, 0, place) for place in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.15


def test_rows_are_adjusted_alike_in_any_order(imputer, X):
    deltas = [Delta("smoker", 1.0), Delta("visits", 0.5), Delta("grade", -1.0)]
    some = X.iloc[[7, 3, 50, 20, 81]]
    whole = imputer.impute(X, m=3).adjusted(*deltas)[1]
    part = imputer.impute(some, m=3).adjusted(*deltas)[1]
    pd.testing.assert_frame_equal(part, whole.loc[some.index])


def test_interval_cells_stay_where_they_are_known():
    texts = ["<0.5", "-1.0", "2.0", None, "3.0", "1.5"] * 12
    X = pd.DataFrame({"a": texts, "b": np.arange(72.0)})
    imputer = GNRImputer(
        kinds={"a": "censored"}, members=1, max_steps=5, random_state=0, verbose=False
    )
    imputation = imputer.fit(X).impute(X, m=2)
    moved = shift(imputation, imputation.adjusted(Delta("a", 10.0)), "a")
    interval = imputation.table.intervals[imputation.table.missing]
    np.testing.assert_allclose(moved[:, interval], 0.0)
    np.testing.assert_allclose(moved[:, ~interval], 10.0)


def test_sampled_mechanisms_can_be_adjusted():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=80), "b": rng.choice(["x", "y"], 80)})
    X.loc[rng.uniform(size=80) < 0.3, "a"] = np.nan
    X.loc[rng.uniform(size=80) < 0.3, "b"] = None
    imputer = GNRImputer(
        mechanism="selection", members=1, max_steps=5, imputation_particles=50, random_state=0,
        verbose=False,
    )  # fmt: skip
    imputation = imputer.fit(X).impute(X, m=2)
    found = imputation.adjusted(Delta("a", 1.0), Delta("b", 20.0))
    np.testing.assert_allclose(shift(imputation, found, "a"), 1.0, rtol=1e-6)
    assert (found.decoded("b")[1] == 1).all()


def test_what_is_not_known_of_adjusted_tables_is_refused(imputation):
    found = imputation.adjusted(Delta("age", 1.0))
    assert "delta adjusted: ['age']" in repr(found)
    for ask in (found.interval, found.level_probabilities):
        with pytest.raises(ValueError, match="delta adjusted: ask those"):
            ask()
    with pytest.raises(ValueError, match="give all departures at once"):
        found.adjusted(Delta("age"))
    assert len(found.to_long()) == 7 * 90
    assert found.pool("age ~ score").m == 6


@pytest.mark.parametrize(
    ("delta", "message"),
    [
        (Delta("agee"), r"got column 'agee', expected a modelled one of \['age'"),
        (Delta("site"), r"got level=None for column 'site', expected one of \['Bern'"),
        (Delta("site"), r"as in Delta\('site', level='Linz'\)"),
        (Delta("site", level="Wien"), "got level='Wien' for column 'site'"),
        (Delta("age", level="x"), "it holds numbers"),
        (Delta("grade", level="low"), "levels move together"),
        (Delta("age", [1.0, 2.0]), "got 2 numbers by=.* for each of 6 tables"),
        (Delta("age", where="agee > 3"), "cannot evaluate where='agee > 3' for column 'age'"),
        (Delta("age", where=[True]), "gave bool of shape"),
        (Delta("age", where="age > 1000"), "meets no missing cell of column 'age'"),
        (Delta("group", level="a"), "column 'group' has no missing cell"),
        (Delta("age", where="age + 1"), "gave float64 of shape .* expected 90 truth values"),
    ],
)
def test_bad_departures_are_named(imputation, delta, message):
    with pytest.raises(ValueError, match=message):
        imputation.adjusted(delta)


def test_truth_values_may_be_objects_as_those_of_columns_with_holes_are(imputation):
    old = imputation[0]["age"].to_numpy() > imputation[0]["age"].median()
    wanted = imputation.adjusted(Delta("age", 1.0, where=old)).draws.values
    for same in (old.astype(object), lambda table: pd.Series(old, table.index, dtype=object)):
        made = imputation.adjusted(Delta("age", 1.0, where=same)).draws.values
        assert np.array_equal(made, wanted)
    odd = old.astype(object)
    odd[0] = None
    with pytest.raises(ValueError, match="^where for column 'age' gave object of shape"):
        imputation.adjusted(Delta("age", 1.0, where=odd))


@pytest.mark.parametrize(
    ("delta", "message"),
    [
        (
            Delta("dose", 800.0),
            r"\+800 is too large for column 'dose': imputations became infinite",
        ),
        (
            Delta("dose", stats.norm(0, 1e5)),
            "It is in log .*; expected a number from -3 to 3: log",
        ),
        (
            Delta("visits", 800.0),
            "'visits': imputations became larger than any integer type holds",
        ),
        (Delta("visits", 50.0), r"a delta of \+50 is too large for column 'visits'"),
    ],
)
def test_departures_out_of_all_numbers_say_their_unit(imputation, delta, message):
    with pytest.raises(ValueError, match=message):
        imputation.adjusted(delta)


def test_whole_numbers_out_of_their_type_say_their_unit():
    X = pd.DataFrame({"a": pd.array([1, 3, None, 5] * 9, dtype="Int64"), "b": np.arange(36.0)})
    imputer = GNRImputer(members=1, max_steps=5, random_state=0, verbose=False)
    imputation = imputer.fit(X).impute(X, m=2)
    message = "column's own unit; expected a few of its observed standard deviations, of 1.6"
    with pytest.raises(ValueError, match=message):
        imputation.adjusted(Delta("a", -1e19))


def test_large_departures_that_stay_among_numbers_are_none_of_ours(imputation):
    for delta in (Delta("dose", -800.0), Delta("score", 800.0), Delta("grade", 800.0)):
        assert imputation.adjusted(delta).m == 6


def test_by_is_checked_at_once():
    for odd in ("2", True, np.True_, ["2"], [1.0, True]):  # numpy would read them
        with pytest.raises(TypeError, match="for column 'a', expected a number, one number a tab"):
            Delta("a", odd)
    for day in (np.array(["2020-01-01"], dtype="datetime64[ns]"), pd.Timestamp("2020-01-01")):
        with pytest.raises(TypeError, match="for column 'a', expected a number, one number a tab"):
            Delta("a", day)
    assert Delta("a", np.float32(2.0)).times(1.0).by == Delta("a", np.int64(2)).by == 2
    with pytest.raises(TypeError, match="got by='much' for column 'a'"):
        Delta("a", "much")
    with pytest.raises(ValueError, match="expected finite numbers"):
        Delta("a", np.nan)
    with pytest.raises(TypeError, match="expected a Delta or the name"):
        from pyro_gnr.imputation.sensitivity.delta import as_delta

        as_delta(3.5)


def test_labelled_rows_are_refused_where_the_table_has_no_labels():
    """Labels of the table that an array came from are not its row numbers."""
    table = np.zeros((4, 1))
    given = pd.Series([True, False, True, True], index=[2, 0, 3, 1])
    with pytest.raises(ValueError, match=r"where for column 'x0' has row labels.*to_numpy"):
        Delta("x0", where=given).rows(table)
    assert Delta("x0", where=given.to_numpy()).rows(table).tolist() == given.tolist()
    assert Delta("x0", where=given.reset_index(drop=True)).rows(table).tolist() == given.tolist()


def test_a_departure_prints_readably():
    assert repr(Delta("a")) == "Delta(column='a', by=1.0)"
    assert repr(Delta("a", np.float64(0.5)).times(2)) == "Delta(column='a', by=1.0)"
    assert repr(Delta("a", stats.norm(0, scale=2))) == "Delta(column='a', by=norm(0, scale=2))"
    one = Delta("a", [1, 2], level="x", where=lambda table: table["b"] > 1)
    assert repr(one) == "Delta(column='a', by=[1.0, 2.0], level='x', where=<a function says>)"
    array = repr(Delta("a", where=np.array([True, False])))
    assert array == "Delta(column='a', by=1.0, where=<an array says>)"
