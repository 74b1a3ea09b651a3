"""The M completed tables: what they hold, how they are told apart, and their uncertainty."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from scipy import stats

from pyro_gnr import MultipleImputation, pool
from pyro_gnr.imputation.exchange import read_long
from pyro_gnr.imputation.pooling import pool_draws

HOLEY = ["age", "bp", "flag", "smoker", "grade", "site"]


@pytest.fixture(scope="module")
def imputation(X, fitted):
    return fitted.impute(X, m=4)


# The tables


def test_iteration_length_and_indexing_agree(X, imputation):
    tables = list(imputation)
    assert imputation.m == len(imputation) == len(tables) == 4
    for i, completed in enumerate(tables):
        assert isinstance(completed, pd.DataFrame)
        assert_frame_equal(imputation[i], completed)
        assert_frame_equal(imputation[i - 4], completed)
    assert_frame_equal(next(iter(imputation)), tables[0])  # iterates anew
    with pytest.raises(IndexError):
        imputation[4]
    assert imputation.table.frame.equals(X)


def test_tables_differ_in_imputed_cells_only(X, imputation):
    tables = list(imputation)
    for name in HOLEY:
        hole = X[name].isna()
        values = pd.concat([t.loc[hole, name].astype(str) for t in tables], axis=1)
        assert (values.nunique(axis=1) > 1).any()
        for completed in tables:
            assert completed.loc[~hole, name].equals(X.loc[~hole, name])


def test_values_respect_dtypes_whole_numbers_and_levels(X, imputation):
    for completed in imputation:
        assert completed.dtypes.equals(X.dtypes)
        assert completed["grade"].cat.categories.equals(X["grade"].cat.categories)
        assert "never seen" not in set(completed["grade"])
        assert set(completed["site"]) <= {"Bern", "Graz", "Linz"}
        assert set(completed["flag"]) == {0.0, 1.0}
        assert completed["age"].dtype == "Int64"


def test_polars_and_arrays_come_back_as_what_they_are(polars_X, polars_fitted, X, imputer_of):
    for completed in polars_fitted.impute(polars_X, m=2):
        assert isinstance(completed, pl.DataFrame)
        assert completed.schema == polars_X.schema
        assert completed.select(HOLEY).null_count().sum_horizontal().item() == 0
    array = X[["bp", "flag"]].to_numpy(dtype="float32", na_value=np.nan)
    for completed in imputer_of().fit(array).impute(array, m=2):
        assert completed.dtype == np.float32
        seen = ~np.isnan(array)
        np.testing.assert_array_equal(completed[seen], array[seen])
        assert np.isfinite(completed).all()


def test_only_the_imputed_cells_are_stored_m_times(X, fitted):
    n_missing = int(X[HOLEY].isna().sum().sum())
    imputation = fitted.impute(X, m=500)
    assert imputation.draws.values.shape == (500, n_missing)
    assert imputation.draws.values.dtype == np.float64
    before = len(pickle.dumps(imputation))
    small = len(pickle.dumps(fitted.impute(X, m=1)))
    assert before - small == pytest.approx(499 * n_missing * 8, rel=0.05)
    for _ in imputation:  # and nothing is kept of the tables that were made
        pass
    assert len(pickle.dumps(imputation)) == pytest.approx(before, rel=0.01)


def test_a_table_without_holes(X, fitted):
    complete = fitted.transform(X)
    imputation = fitted.impute(complete, m=3)
    assert all(completed.equals(complete) for completed in imputation)
    assert imputation.draws.values.shape == (3, 0)
    assert imputation.interval().shape == (0, 6)
    assert imputation.diagnostics["n_imputed"].sum() == 0
    assert imputation.diagnostics[["ess", "pareto_k"]].isna().all(axis=None)
    assert imputation.to_long().shape == (240, 11)


def test_repr_says_what_was_imputed_and_how_far_to_trust_it(X, imputation):
    n = int(X[HOLEY].isna().sum().sum())
    rows = int(X[HOLEY].isna().any(axis=1).sum())
    unreliable = int((imputation.diagnostics["pareto_k"] > 0.7).sum())
    assert repr(imputation) == (
        f"MultipleImputation(m=4, rows=60, imputed cells={n} in {rows} rows, "
        f"rows with Pareto k > 0.7: {unreliable}, assumed mechanism: Conjunction)"
    )


def test_decoded_gives_one_column_in_its_own_units(X, imputation):
    rows, values = imputation.decoded("age")
    assert rows.tolist() == np.flatnonzero(X["age"].isna()).tolist()
    assert values.shape == (4, len(rows))
    for i, completed in enumerate(imputation):
        assert completed["age"].iloc[rows].tolist() == values[i].tolist()


# One long table


def test_long_pandas_table(X, imputation):
    long = imputation.to_long()
    assert long.columns.tolist() == [".imp", ".id", *X.columns]
    assert long[".imp"].tolist() == np.repeat(range(5), 60).tolist()
    assert long[".id"].tolist() == X.index.tolist() * 5
    assert long.dtypes[X.columns].equals(X.dtypes)
    for i, expected in enumerate([X, *imputation]):
        part = long[long[".imp"] == i].set_index(".id")[X.columns]
        assert_frame_equal(part, expected, check_names=False, check_exact=True)


def test_long_polars_table(polars_X, polars_fitted):
    imputation = polars_fitted.impute(polars_X, m=2)
    long = imputation.to_long()
    assert long.columns == [".imp", ".id", *polars_X.columns]
    assert long[".imp"].to_list() == np.repeat(range(3), 60).tolist()
    assert long[".id"].to_list() == [*range(1, 61)] * 3
    for i, expected in enumerate([polars_X, *imputation]):
        part = long.filter(pl.col(".imp") == i).drop(".imp", ".id")
        assert_polars_equal(part, expected, check_exact=True)


def test_long_table_of_an_array(X, imputer_of, numbers_of):
    array = numbers_of(X)
    imputation = imputer_of().fit(array).impute(array, m=2)
    long = imputation.to_long()
    assert isinstance(long, pd.DataFrame)
    assert long.columns.tolist() == [".imp", ".id", "x0", "x1", "x2", "x3"]
    assert long[".id"].tolist() == [*range(1, 61)] * 3
    for i, expected in enumerate([array, *imputation]):
        part = long.loc[long[".imp"] == i, ["x0", "x1", "x2", "x3"]]
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([0] * 60),
        pd.MultiIndex.from_product([range(6), range(10)]),
        pd.date_range("2020", periods=60),
        pd.RangeIndex(100, 160),
    ],
    ids=["repeated", "levels", "dates", "range"],
)
def test_ids_are_unique_labels_else_numbers(X, fitted, index):
    T = X.set_axis(index)
    imputation = fitted.impute(T, m=1)
    plain = index.is_unique and not isinstance(index, pd.MultiIndex)
    expected = index if plain else pd.RangeIndex(1, 61)
    assert_index_equal(imputation.ids, expected)
    assert imputation.to_long()[".id"].tolist() == [*expected] * 2
    assert set(imputation.interval()[".id"]) <= set(expected)
    assert_index_equal(imputation.diagnostics.index, index)


def test_names_of_the_long_table_must_be_free(X, imputer_of, numbers_of):
    T = pd.DataFrame(numbers_of(X), columns=["a", ".imp", "b", ".id"])
    imputation = imputer_of().fit(T).impute(T, m=1)
    with pytest.raises(ValueError, match=r"columns \['\.id', '\.imp'\] already: rename"):
        imputation.to_long()


NARROW = {
    "nothing": lambda s: [None] * len(s),
    "too few categories": lambda s: pd.Categorical(["low"] * 5 + [None], categories=["low"]),
}


@pytest.mark.parametrize("sort", NARROW)
def test_tables_have_one_dtype_where_the_callers_cannot_hold_the_imputations(X, fitted, sort):
    T = X.iloc[:6].copy()
    T["grade"] = NARROW[sort](T)
    T["bp"] = None
    imputation = fitted.impute(T, m=9)
    dtypes = {str(completed.dtypes.to_dict()) for completed in imputation}
    assert len(dtypes) == 1
    long = imputation.to_long()
    assert long.dtypes[X.columns].equals(imputation[0].dtypes)
    assert long["bp"].dtype == np.float64
    assert long.loc[long[".imp"] > 0, ["bp", "grade"]].notna().all(axis=None)
    assert long.loc[long[".imp"] == 0, "bp"].isna().all()
    assert T["bp"].dtype == object  # the caller's own


@pytest.mark.parametrize("sort", ["nothing", "too few levels"])
def test_polars_tables_have_one_dtype_too(polars_X, imputer_of, ignored, sort):
    enum = pl.Enum(["low", "mid", "high"])
    whole = polars_X.with_columns(pl.col("grade").cast(pl.String).cast(enum))
    imputer = imputer_of(kinds=ignored).fit(whole)
    few = pl.Series([None] * 6 if sort == "nothing" else ["low"] * 5 + [None])
    grade = few if sort == "nothing" else few.cast(pl.Enum(["low"]))
    T = whole[:6].with_columns(grade.alias("grade"), pl.lit(None).alias("bp"))
    imputation = imputer.impute(T, m=9)
    assert len({str(completed.schema) for completed in imputation}) == 1
    long = imputation.to_long()
    assert long["bp"].dtype == pl.Float64
    imputed = long.filter(pl.col(".imp") > 0).select("bp", "grade")
    assert imputed.null_count().sum_horizontal().item() == 0
    assert set(long["grade"].drop_nulls()) <= {"low", "mid", "high"}


# Files for other programs; `exchange/` has the rest


def test_export_knows_kinds_and_members(X, imputation, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    path, _ = imputation.export(tmp_path / "people.sav", members=True)
    found, meta = pyreadstat.read_sav(str(path))
    assert found["mi_member"].tolist()[60:] == np.repeat(imputation.members, 60).tolist()
    assert found["mi_member"][:60].isna().all()
    measure = meta.variable_measure
    assert (measure["grade"], measure["flag"], measure["bp"]) == ("ordinal", "nominal", "scale")
    for i, expected in enumerate([X, *imputation]):
        part = found[found["Imputation_"] == i]
        np.testing.assert_array_equal(part["bp"], expected["bp"])
        sites = part["site"].map(meta.variable_value_labels["site"])
        assert sites.fillna("").tolist() == expected["site"].fillna("").tolist()
    with pytest.raises(FileExistsError, match="give overwrite=True"):
        imputation.export(path)
    assert len(imputation.export(path, overwrite=True)) == 2


def test_export_of_polars_tables_and_arrays(polars_X, polars_fitted, X, imputer_of, numbers_of,
                                            tmp_path):  # fmt: skip
    imputation = polars_fitted.impute(polars_X, m=2)
    imputation.export(tmp_path / "polars.parquet", members=True)
    found = read_long(tmp_path / "polars.parquet")
    assert found.members.tolist() == imputation.members.tolist()
    for table, expected in zip(
        [found.original, *found.completed], [polars_X, *imputation], strict=True
    ):
        assert_polars_equal(pl.from_pandas(table), expected, check_dtypes=False)
    array = numbers_of(X)
    imputation = imputer_of().fit(array).impute(array, m=2)
    imputation.export(tmp_path / "array.dta")
    found = pd.read_stata(tmp_path / "array.dta")
    for i, expected in enumerate([array, *imputation]):
        part = found.loc[found["mi_m"] == i, ["x0", "x1", "x2", "x3"]]
        np.testing.assert_array_equal(part, expected)


# Intervals


def test_interval_has_one_row_a_missing_cell(X, imputation):
    interval = imputation.interval(0.9)
    rows, columns = np.nonzero(X[HOLEY].isna().to_numpy())
    found = list(zip(interval[".id"], interval["column"], strict=True))
    assert found == [(X.index[r], HOLEY[c]) for r, c in zip(rows, columns, strict=True)]
    number = interval["column"].isin(["age", "bp"])
    assert (interval["lower"] <= interval["upper"])[number].all()
    assert interval.loc[number, ["levels", "probability"]].isna().all(axis=None)
    assert interval.loc[~number, ["lower", "upper"]].isna().all(axis=None)
    assert interval["lower"][interval["column"] == "age"].map(float.is_integer).all()


def test_interval_is_normal_where_there_is_one_particle(X, imputer_of):
    T = X[["age", "bp", "weight"]].astype({"age": "Float64"})
    imputer = imputer_of(imputation_particles=1).fit(T)
    big = imputer.impute(T, m=4000)
    interval = big.interval(0.8)
    _, cols = big.table.missing
    values = big.table.decode(cols, big.draws.values)
    # With one particle all draws are of one normal: mean and sd give its quantiles.
    half = stats.norm.ppf(0.9) * values.std(0)
    error = 5 * values.std(0) / np.sqrt(4000) * 1.5
    assert (np.abs(interval["lower"] - (values.mean(0) - half)) < error).all()
    assert (np.abs(interval["upper"] - (values.mean(0) + half)) < error).all()
    middle = (interval["lower"] + interval["upper"]) / 2
    point = imputer.transform(T)
    for where, column, centre in zip(interval[".id"], interval["column"], middle, strict=True):
        assert point.loc[where, column] == pytest.approx(centre, rel=1e-4)


def test_interval_covers_its_share_of_the_draws(X, fitted):
    big = fitted.impute(X, m=4000)
    interval = big.interval(0.5)
    for name in ("age", "bp"):
        rows, values = big.decoded(name)
        mine = interval[interval["column"] == name]
        inside = (values >= mine["lower"].to_numpy()) & (values <= mine["upper"].to_numpy())
        if name == "bp":
            assert inside.mean(0) == pytest.approx(np.full(len(rows), 0.5), abs=0.04)
        else:  # whole numbers: the bounds themselves belong to the interval
            assert (inside.mean(0) > 0.46).all()
            assert ((values > mine["lower"].to_numpy()) & inside).mean() < 0.54


def test_level_sets_reach_the_level_and_no_smaller_set_does(X, fitted):
    big = fitted.impute(X, m=4000)
    for level in (0.3, 0.6, 0.95):
        sets = big.interval(level).dropna(subset="levels")
        assert (sets["probability"] >= level - 1e-6).all()
        for name in ("grade", "site", "flag", "smoker"):
            mine = sets[sets["column"] == name]
            rows, codes = big.decoded(name)
            column = next(c for c in big.table.schema.modelled if c.name == name)
            shares = np.stack([(codes == v).mean(0) for v in range(len(column.levels))], -1)
            for chosen, p, share in zip(mine["levels"], mine["probability"], shares, strict=True):
                own = share[[column.levels.index(v) for v in chosen]]
                assert p == pytest.approx(own.sum(), abs=0.04)
                assert (np.diff(own) < 0.04).all()  # most probable first
                assert own[:-1].sum() < level + 0.04  # without the last it falls short
                assert len(rows) == len(mine)


def test_intervals_do_not_depend_on_the_number_of_tables(X, fitted, imputation):
    for m in (1, 30):
        assert_frame_equal(fitted.impute(X, m=m).interval(0.9), imputation.interval(0.9))


def test_wider_intervals_hold_narrower_ones(imputation):
    narrow, wide = imputation.interval(0.5), imputation.interval(0.95)
    number = narrow["column"] == "bp"
    assert (wide["lower"] < narrow["lower"])[number].all()
    assert (wide["upper"] > narrow["upper"])[number].all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1, 90, float("nan"), "0.9", None])
def test_level_of_an_interval_is_a_probability(imputation, level):
    with pytest.raises(ValueError, match=r"level=.*expected a probability in \(0, 1\)"):
        imputation.interval(level)


# Diagnostics


def test_diagnostics_by_row(X, imputation):
    d = imputation.diagnostics
    assert d.columns.tolist() == ["ess", "pareto_k", "n_imputed"]
    assert_index_equal(d.index, X.index)
    assert d["n_imputed"].tolist() == X[HOLEY].isna().sum(axis=1).tolist()
    weighed = d["n_imputed"] > 0
    assert d.loc[weighed, "ess"].between(1.0, 50.01).all()
    assert d.loc[weighed, "pareto_k"].notna().all()
    assert d.loc[~weighed, ["ess", "pareto_k"]].isna().all(axis=None)


def test_diagnostics_do_not_depend_on_the_other_rows(X, fitted, imputation):
    part = fitted.impute(X.iloc[[30, 1, 4]], m=2).diagnostics
    assert_frame_equal(part, imputation.diagnostics.iloc[[30, 1, 4]], rtol=1e-3)


def test_summary_by_column(X, imputation):
    summary = imputation.summary()
    holey = [name for name in X.columns if name in HOLEY]
    assert summary.index.tolist() == holey and summary.index.name == "column"
    assert summary["n_imputed"].tolist() == X[holey].isna().sum().tolist()
    for name in ("age", "bp"):
        _, draws = imputation.decoded(name)
        outside = (draws < X[name].min()) | (draws > X[name].max())
        assert summary.loc[name, "beyond_observed"] == outside.mean() < 0.3
    levels = summary.drop(index=["age", "bp"])
    assert levels["beyond_observed"].isna().all()


def test_share_of_imputations_beyond_what_was_observed(X, fitted, imputation):
    """By hand: draws are put where they are wanted."""
    table, (rows, cols) = imputation.table, imputation.table.missing
    j = [c.name for c in table.schema.modelled].index("bp")
    values = imputation.draws.values.copy()
    for count, number in ((0, 0.0), (3, 9.0), (len(rows[cols == j]), -9.0)):
        values[:, cols == j] = 0.0
        values[:, np.flatnonzero(cols == j)[:count]] = number
        draws = imputation.draws._replace(values=values)
        moved = type(imputation)(table, draws, imputation.fitted)
        share = moved.summary().loc["bp", "beyond_observed"]
        assert share == pytest.approx(count / (cols == j).sum())


def test_a_summary_of_no_holes_and_of_a_column_without_an_observed_cell(X, fitted):
    complete = fitted.transform(X)
    assert fitted.impute(complete, m=1).summary().empty
    gone = complete.assign(bp=np.nan)
    summary = fitted.impute(gone, m=1).summary()
    assert summary.loc["bp", "n_imputed"] == len(X)
    # What training saw counts, as a table of new rows may hold next to nothing.
    draws = np.concatenate([t["bp"] for t in fitted.impute(gone, m=1)])
    outside = (draws < X["bp"].min()) | (draws > X["bp"].max())
    assert summary.loc["bp", "beyond_observed"] == pytest.approx(outside.mean())


def test_polars_diagnostics_are_numbered(polars_X, polars_fitted):
    index = polars_fitted.impute(polars_X, m=1).diagnostics.index
    assert_index_equal(index, pd.RangeIndex(60), exact=False)


def test_a_slice_and_an_unknown_column_are_refused_clearly(imputation):
    with pytest.raises(TypeError, match="expected the whole number of one table"):
        imputation[0:2]
    with pytest.raises(ValueError, match="got column 'nope', expected one of"):
        imputation.decoded("nope")


# Pooling


def test_pooling_knows_the_members_of_the_tables(X, fitted, imputation):
    assert imputation.members.tolist() == [0, 0, 0, 0]
    pooled = imputation.pool("bp ~ age + site")
    assert (pooled.rule, pooled.m, pooled.n_members) == ("rubin", 4, 1)
    assert "variances are understated" in str(pooled)
    for members, rule in ([3, 1, 2, 0], "rubin"), ([0, 1, 0, 1], "nested"):
        made = MultipleImputation(
            imputation.table, imputation.draws, imputation.fitted, members=members
        )
        pooled = made.pool("bp ~ age + site")
        assert pooled.rule == rule
        assert "understated" not in str(pooled)
        pd.testing.assert_frame_equal(pd.DataFrame(pool(made, "bp ~ age + site")), pooled[:])
        assert pool_draws(made, lambda t: {"age": t["age"]}).members.tolist() == members
    with pytest.raises(ValueError, match="each of 4 tables"):
        MultipleImputation(imputation.table, imputation.draws, imputation.fitted, members=[0, 1])


def test_an_analysis_gets_tables_of_the_callers_type(polars_X, polars_fitted, imputation):
    def mean(table):
        return table["bp"].mean(), table["bp"].var() / len(table)

    made = polars_fitted.impute(polars_X, m=3)
    assert made.pool(lambda t: (isinstance(t, pl.DataFrame) * 1.0, 1.0)).loc["estimate", "b"] == 0
    assert made.pool(mean).loc["estimate", "df"] > 0
    assert made.pool("bp ~ age").m == 3
    assert imputation.pool("smoker ~ age", model="logit").index.tolist() == ["Intercept", "age"]


def test_draws_are_mixed(imputation):
    mixed = imputation.pool_draws(lambda table: {"bp": table["bp"].to_numpy(dtype=float)})
    assert mixed.draws["bp"].shape == (4, 60)
    assert mixed.members.tolist() == [0, 0, 0, 0]
    assert dict(mixed.to_datatree()["posterior"].sizes)["chain"] == 4
