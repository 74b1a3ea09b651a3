"""Constrained imputations are consistent, counted, and follow the posterior given that."""

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import Delta, GNRImputer


def people(n=120, *, seed=0):
    rng = np.random.default_rng(seed)
    height = rng.normal(1.7, 0.1, n)
    X = pd.DataFrame(
        {
            "height": height,
            "weight": 22 * height**2 + rng.normal(0, 8, n),
            "low": rng.normal(80, 8, n),
            "site": rng.choice(["a", "b"], n),
        }
    )
    X["high"] = X["low"] + np.abs(rng.normal(8, 8, n))
    X["bmi"] = X["weight"] / X["height"] ** 2
    X.loc[rng.uniform(size=n) < 0.3, "weight"] = np.nan
    X.loc[rng.uniform(size=n) < 0.3, "high"] = np.nan
    X.loc[rng.uniform(size=n) < 0.2, "site"] = None
    X.loc[X["weight"].isna() | (rng.uniform(size=n) < 0.1), "bmi"] = np.nan
    return X


def bmi(table):
    return table["weight"] / table["height"] ** 2


def ordered(table):
    return table["low"] < table["high"]


def apart(table):
    return table["low"] + 8 < table["high"]


def make(**kinds):
    return GNRImputer(
        kinds=kinds, members=2, latent_dim=2, hidden=8, max_steps=20, imputation_particles=100,
        random_state=0, verbose=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def X():
    return people()


@pytest.fixture(scope="module")
def imputation(X):
    return make(bmi="ignore").fit(X).impute(X, m=4)


def test_a_derived_column_follows_from_the_others(imputation, X):
    found = imputation.constrained({"bmi": bmi})
    for table, before in zip(found, imputation, strict=True):
        missing = X["bmi"].isna()
        pd.testing.assert_series_equal(table["bmi"][~missing], X["bmi"][~missing])
        np.testing.assert_array_equal(table["bmi"][missing], bmi(before)[missing])
        pd.testing.assert_frame_equal(table.drop(columns="bmi"), before.drop(columns="bmi"))
    long = found.to_long()
    assert long.loc[long[".imp"] == 0, "bmi"].isna().sum() == X["bmi"].isna().sum()
    assert not long.loc[long[".imp"] > 0, "bmi"].isna().any()
    assert found.pool("bmi ~ height").m == 4


def test_a_modelled_column_can_be_derived_too(X):
    found = make().fit(X).impute(X, m=2).constrained({"bmi": bmi})
    for table in found:
        missing = X["bmi"].isna()
        np.testing.assert_allclose(table["bmi"][missing], bmi(table)[missing], rtol=1e-12)
    rows, values = found.decoded("bmi")
    np.testing.assert_allclose(values[1], found[1]["bmi"].to_numpy()[rows])


def test_levels_can_be_derived_and_later_ones_see_earlier_ones(imputation):
    found = imputation.constrained(
        {
            "site": lambda t: pd.Series(np.where(t["weight"] > 65, "a", "b")),
            "bmi": lambda t: np.where(t["site"] == "a", 1.0, 2.0),
        }
    )
    table, missing = found[0], people()["bmi"].isna()
    assert (
        table["bmi"][missing].tolist()
        == np.where(table["site"] == "a", 1.0, 2.0)[missing].tolist()
    )


def test_inconsistent_rows_are_drawn_anew_and_counted(X):
    imputation = make(bmi="ignore").fit(X).impute(X, m=8)
    before = np.stack([~ordered(table) for table in imputation])
    assert before.sum() > 5  # the test can fail
    found = imputation.constrained(keep=ordered)
    assert found.constraints.redrawn == before.sum()
    assert found.constraints.inconsistent == 0
    assert all(ordered(table).all() for table in found)
    of_objects = imputation.constrained(keep=lambda table: ordered(table).astype(object))
    assert np.array_equal(of_objects.draws.values, found.draws.values)
    for i, (old, new) in enumerate(zip(imputation, found, strict=True)):
        pd.testing.assert_frame_equal(old[~before[i]], new[~before[i]])
        observed = X.notna()
        pd.testing.assert_frame_equal(new.where(observed), X.where(observed))
    assert "constraints" in {check.name for check in found.ledger().checks}


def test_what_is_kept_follows_the_posterior_given_that_it_is_consistent(X):
    """Rejection: the same distribution as that of the consistent ones among many draws."""
    imputer = make(bmi="ignore").fit(X)
    many = imputer.impute(X, m=2000)
    rows, values = many.decoded("high")
    low = X["low"].to_numpy()[rows]
    kept = values > low + 8
    expected = np.array([v[k].mean() for v, k in zip(values.T, kept.T, strict=True)])
    spread = np.array([v[k].std() for v, k in zip(values.T, kept.T, strict=True)])
    # Some observed pairs are not apart: nothing can be done about their other cells.
    with pytest.warns(UserWarning, match="inconsistent after 30 tries"):
        constrained = imputer.impute(X, m=200).constrained(keep=apart, tries=30)
    _, found = constrained.decoded("high")
    enough = kept.mean(0) > 0.2
    z = (found.mean(0) - expected)[enough] / (spread[enough] / np.sqrt(200))
    # All draws of a member share its importance sample: wider than independent draws.
    assert np.sqrt(np.mean(z**2)) < 1.8
    plain = (values.mean(0) - expected)[enough] / (spread[enough] / np.sqrt(200))
    assert np.sqrt(np.mean(plain**2)) > 3  # without rejection it would be seen


def test_rows_that_cannot_be_consistent_are_repaired_or_counted(imputation):
    def never(table):
        return table["high"] > 1000

    def mended(table):
        table["high"] = np.where(table["high"] <= 1000, 2000.0, table["high"])
        return table.where(people().isna(), people())

    with pytest.warns(UserWarning, match="rows .* are inconsistent after 2 tries"):
        stuck = imputation.constrained(keep=never, tries=2)
    n = int(people()[["weight", "high", "site", "bmi"]].isna().any(axis=1).sum())
    assert stuck.constraints.inconsistent >= 4 * int(people()["high"].isna().sum())
    assert stuck.constraints.inconsistent <= 4 * n
    assert not {c.name: c for c in stuck.ledger().checks}["constraints"].passed
    with pytest.warns(UserWarning, match="are inconsistent after 1 try:"):
        found = imputation.constrained(keep=never, repair=mended, tries=1)
    missing = people()["high"].isna()
    assert all((table["high"][missing] == 2000.0).all() for table in found)
    assert found.constraints.repaired == 4 * missing.sum()
    assert "repaired" in str(found.constraints)


def test_rows_that_no_draw_can_mend_are_counted_apart(imputation, X):
    def short(table):
        return table["height"] < 1.8  # of a complete column: no draw changes it

    incomplete = X.isna().any(axis=1)
    hopeless = int((~short(X) & incomplete).sum())
    assert hopeless > 1
    expected = f"{hopeless} rows were inconsistent in all draws of all tables: probably their obs"
    with pytest.warns(UserWarning, match=f"inconsistent after 4 tries: .* {expected}"):
        found = imputation.constrained(keep=short, tries=4)
    assert found.constraints.in_all_draws == hopeless
    assert found.constraints.inconsistent == 4 * hopeless
    assert expected in str(found.constraints)
    assert expected in {c.name: c for c in found.ledger().checks}["constraints"].text
    assert any(expected in note for note in found.pool("weight ~ low").notes)
    # 4 tables of 4 draws are too few to suggest anything.
    with pytest.warns(UserWarning, match="inconsistent after 3 tries: see `constraints`.*`.$"):
        few = imputation.constrained(keep=short, tries=3)
    assert few.constraints.in_all_draws == 0
    assert "all draws" not in str(few.constraints)
    # Rows that can be mended are drawn as if the others were not there.
    both = imputation.constrained
    with pytest.warns(UserWarning, match="observed values"):
        mixed = both(keep=lambda t: ordered(t) & short(t), tries=20)
    alone = both(keep=ordered, tries=20)
    mended = short(X).to_numpy()
    for one, other in zip(mixed, alone, strict=True):
        pd.testing.assert_frame_equal(one[mended], other[mended])


def labelled(X, labels):
    """The same rows with labels, and their imputations."""
    named = X.set_axis(labels, axis=0)
    return make(bmi="ignore").fit(named).impute(named, m=2)


@pytest.fixture(scope="module")
def named(X):
    return labelled(X, [f"r{i}" for i in range(len(X))])


ORDERS = {
    "sorted": lambda s: s.sort_values(),
    "reversed": lambda s: s.iloc[::-1],
    "array": lambda s: s.to_numpy(),
    "without labels": lambda s: s.reset_index(drop=True),
}


@pytest.mark.parametrize("order", ORDERS)
def test_what_functions_give_goes_by_row_labels(named, order):
    change = ORDERS[order]
    wanted = named.constrained({"bmi": bmi}, keep=ordered)
    found = named.constrained({"bmi": lambda t: change(bmi(t))}, keep=lambda t: change(ordered(t)))
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)
    heavier = named.adjusted(Delta("weight", 5.0, where=lambda t: t["height"] > 1.7))
    where = Delta("weight", 5.0, where=lambda t: change(t["height"] > 1.7))
    pd.testing.assert_frame_equal(named.adjusted(where)[0], heavier[0])


def test_numbered_rows_can_be_sorted_too(imputation):
    found = imputation.constrained({"bmi": lambda t: bmi(t).sort_values()})
    for one, other in zip(found, imputation.constrained({"bmi": bmi}), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_repaired_tables_go_by_row_labels(named):
    def mended(table):
        table["high"] = table["high"].where(ordered(table), table["low"] + 1)
        return table

    def turned(table):
        return mended(table).iloc[::-1]

    found = named.constrained(keep=ordered, repair=turned, tries=0)
    wanted = named.constrained(keep=ordered, repair=mended, tries=0)
    for one, other in zip(found, wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert found.constraints.repaired > 0


def relabelled(table):
    return bmi(table).rename(lambda name: f"{name}!")


def repeated(table):
    found = bmi(table)
    return found.set_axis([found.index[0], *found.index[:-1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derive": {"bmi": relabelled}}, "derived column 'bmi' has row labels .*such as .*r0!"),
        ({"derive": {"bmi": repeated}}, "derived column 'bmi' has .* more than once"),
        ({"keep": lambda t: relabelled(t) > 0}, "keep's result has row labels that the table has"),
        ({"repair": lambda t: t.rename(str.upper)}, "repair's result has row labels that"),
    ],
)
def test_other_row_labels_are_refused(named, options, message):
    with pytest.raises(ValueError, match=message):
        named.constrained(**options)
    with pytest.raises(ValueError, match="where for column 'weight' has row labels that"):
        named.adjusted(Delta("weight", 1.0, where=lambda t: relabelled(t) > 0))


def test_row_labels_that_occur_twice(X):
    twice = labelled(X, [i // 2 for i in range(len(X))])
    table = twice.constrained({"bmi": bmi})[0]
    missing = X["bmi"].isna().to_numpy()
    np.testing.assert_allclose(table["bmi"][missing], bmi(table)[missing])
    assert twice.constrained({"bmi": lambda t: bmi(t).reset_index(drop=True)})[0].equals(table)
    with pytest.raises(ValueError, match="labels in another order, but some .* more than once"):
        twice.constrained({"bmi": lambda t: bmi(t).sort_values()})


def test_numbers_in_another_order(X):
    """Labels that are 0, 1, 2, ... in order may be labels or none, where the table's are not."""
    shuffled = labelled(X, list(reversed(range(len(X)))))
    wanted = shuffled.constrained({"bmi": bmi})
    for change in (lambda s: s.sort_values(), lambda s: s.sort_index()):
        found = shuffled.constrained({"bmi": lambda t, change=change: change(bmi(t))})
        pd.testing.assert_frame_equal(found[0], wanted[0])
    with pytest.raises(ValueError, match=r"0 to 119 in order, .* give an array \(.to_numpy\(\)\)"):
        shuffled.constrained({"bmi": lambda t: pd.Series(bmi(t).to_numpy())})


def test_repair_of_consistent_rows_is_not_taken(imputation):
    def constant(table):
        # Above all that low is: rows are consistent then.
        table.loc[people()["high"].isna(), "high"] = 130.0
        return table

    found = imputation.constrained(keep=ordered, repair=constant, tries=0)
    for old, new in zip(imputation, found, strict=True):
        good = ordered(old)
        pd.testing.assert_frame_equal(old[good], new[good])
        assert (new["high"][~good] == 130.0).all()


def test_departures_of_constrained_imputations(imputation):
    found = imputation.constrained({"bmi": bmi}, keep=ordered)
    same = found.adjusted(Delta("weight", 0.0))
    for one, other in zip(found, same, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert same.constraints.redrawn == found.constraints.redrawn > 0
    heavier = found.adjusted(Delta("weight", 5.0))
    table, missing = heavier[0], people()["bmi"].isna()
    np.testing.assert_allclose(table["bmi"][missing], bmi(table)[missing])
    grid = found.delta_grid("bmi ~ 1", {"weight": [0.0, 5.0]})
    assert grid["estimate"][1] > grid["estimate"][0]
    with pytest.raises(ValueError, match=r"columns \['bmi'\] are derived from others"):
        make().fit(people()).impute(people(), m=2).constrained({"bmi": bmi}).adjusted(Delta("bmi"))


def test_arrays_and_polars():
    pl = pytest.importorskip("polars")
    X = people().drop(columns=["site", "bmi"])
    array = make().fit(X.to_numpy()).impute(X.to_numpy(), m=2)
    found = array.constrained(keep=lambda t: t[:, 2] < t[:, 3])
    assert all((t[:, 2] < t[:, 3]).all() for t in found)
    frame = pl.from_pandas(people().drop(columns="site")).fill_nan(None)
    kept = make(bmi="ignore").fit(frame).impute(frame, m=2)
    found = kept.constrained({"bmi": bmi}, keep=ordered)
    assert found[1]["bmi"].null_count() == 0
    assert ordered(found[1]).all()
    # Without labels of their own their rows are 0, 1, 2, ...
    again = kept.constrained({"bmi": lambda t: bmi(t).to_pandas().sort_values()}, keep=ordered)
    assert again[1].equals(found[1])


def changes_observed(table):
    table["low"] = 0.0
    return table


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "got no constraint"),
        ({"derive": {"age": bmi}}, ValueError, r"got derived columns \['age'\]"),
        ({"derive": {"bmi": 3}}, TypeError, "got 3 for 'bmi', expected a function"),
        ({"derive": {"bmi": lambda t: t["bmi"]}}, ValueError, "'bmi' has .* missing value"),
        ({"derive": {"bmi": lambda t: [1.0]}}, ValueError, r"has shape \(1,\), expected \(120,\)"),
        ({"keep": lambda t: t["low"]}, ValueError, "keep gave float64"),
        ({"keep": ordered, "tries": -1}, ValueError, "got tries=-1"),
        ({"repair": changes_observed}, ValueError, "changed observed cells of column 'low'"),
        ({"repair": lambda t: None}, ValueError, "repair gave NoneType"),
    ],
)
def test_bad_constraints(imputation, options, error, message):
    with pytest.raises(error, match=message):
        imputation.constrained(**options)


def test_once_only(imputation):
    found = imputation.constrained({"bmi": bmi})
    with pytest.raises(ValueError, match="constrained already"):
        found.constrained({"bmi": bmi})
    with pytest.raises(ValueError, match="that are constrained: ask those"):
        found.interval()


def test_they_print_without_addresses(imputation):
    rule = imputation.constrained({"bmi": bmi}).constraints
    assert repr(rule) == f"<Constraints: {rule}>"
    assert " at 0x" not in repr(rule)
