"""The ArviZ tree: groups, dims, units, labels; and ArviZ works with it."""

import json
import subprocess
import sys

import arviz_plots
import arviz_stats
import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr import GNRImputer, __version__


@pytest.fixture(scope="module")
def tree(mixed_imputation):
    return mixed_imputation.to_datatree()


def test_groups_and_attributes(tree, mixed_imputation):
    groups = {"posterior", "observed_data", "constant_data", "log_likelihood"}
    assert set(tree.children) == groups
    attrs = {k: v for k, v in tree.attrs.items() if k not in ("note", "ledger")}
    config = json.loads(attrs.pop("configuration"))
    assert config["kinds"] == {"id": "ignore"} and config["max_steps"] == 20
    assert GNRImputer.from_config(config).to_config() == config
    assert attrs == {
        "m": 4,
        "seed": mixed_imputation.fitted.seed,
        "mechanism": "Conjunction",
        "pyro_gnr_version": __version__,
    }
    assert "cannot confirm" in tree.attrs["note"]


def test_mechanism_is_named(by_hand):
    X = pd.DataFrame({"x": [1.0, 2.0, None]})
    assert by_hand(X, [[1.0]]).to_datatree().attrs["mechanism"] == "Ignorable"


def test_imputations(tree, mixed_imputation, mixed_frame):
    posterior = tree["posterior"]
    assert set(posterior.data_vars) == {"dose", "children", "smoker", "grade", "city_area"}
    for name, variable in posterior.data_vars.items():
        rows, draws = mixed_imputation.decoded(variable.attrs["column"])
        assert variable.dims == ("chain", "draw", f"{name}_row")
        assert np.array_equal(variable.to_numpy(), draws[:, None])
        assert variable[f"{name}_row"].to_numpy().tolist() == mixed_frame.index[rows].tolist()
    grade = posterior["grade"]
    assert grade.attrs == {
        "column": "grade",
        "kind": "categorical",
        "levels": ["low", "mid", "high"],
    }
    assert posterior["smoker"].attrs["levels"] == ["False", "True"]
    assert posterior["city_area"].attrs["column"] == "city/area"


def test_imputations_are_those_of_the_completed_tables(tree, mixed_imputation):
    dose = tree["posterior"]["dose"]
    for i, completed in enumerate(mixed_imputation):
        here = completed.loc[dose["dose_row"].to_numpy(), "dose"].to_numpy()
        assert np.array_equal(dose.to_numpy()[i, 0], here)


def test_observed_data_and_mask(tree, mixed_frame):
    observed = tree["observed_data"]
    assert observed["row"].to_numpy().tolist() == mixed_frame.index.tolist()
    dose = observed["dose"].to_numpy()
    assert np.array_equal(dose, mixed_frame["dose"].to_numpy(), equal_nan=True)
    grade = observed["grade"]
    codes = grade.to_numpy()
    known = [grade.attrs["levels"][int(c)] for c in codes[~np.isnan(codes)]]
    assert known == mixed_frame["grade"].dropna().tolist()
    mask = tree["constant_data"]["observed"]
    assert mask.dims == ("row", "column")
    assert mask["column"].to_numpy().tolist() == [c for c in mixed_frame if c != "id"]
    assert np.array_equal(mask.to_numpy(), mixed_frame.drop(columns="id").notna().to_numpy())


def test_row_bounds(tree, mixed_frame, mixed_imputation):
    bound = tree["log_likelihood"]["row_bound"]
    assert dict(bound.sizes) == {"chain": 5, "draw": 1, "row": len(mixed_frame)}
    expected = mixed_imputation.fitted.member_bounds(mixed_imputation.table)
    np.testing.assert_allclose(bound.to_numpy()[:, 0], expected)
    assert "LOO" in tree["log_likelihood"].attrs["note"]


def test_arviz_summarises_it(tree, mixed_frame):
    summary = arviz_stats.summary(tree, var_names=["dose"], kind="stats", round_to="none")
    row = mixed_frame.index[mixed_frame["dose"].isna()][0]
    draws = tree["posterior"]["dose"].sel(dose_row=row)
    assert summary.loc[f"dose[{row}]", "mean"] == pytest.approx(float(draws.mean()))


def test_arviz_plots_it(tree):
    collection = arviz_plots.plot_forest(tree, var_names=["dose"], backend="none")
    assert "dose" in collection.viz["point_estimate"].data_vars


@pytest.mark.parametrize("make", [np.asarray, pl.DataFrame])
def test_arrays_and_polars_rows_are_numbered_from_1(make, by_hand):
    X = make(np.array([[1.0, 0.5], [np.nan, 1.5], [4.0, np.nan]]))
    tree = by_hand(X, [[2.0, 3.0], [2.5, 3.5]]).to_datatree()
    names = list(tree["observed_data"].data_vars)
    first = tree["posterior"][names[0]]
    assert first.to_numpy().ravel() == pytest.approx([2.0, 2.5])
    assert first[f"{names[0]}_row"].to_numpy().tolist() == [2]
    assert tree["observed_data"]["row"].to_numpy().tolist() == [1, 2, 3]


def test_names_that_the_tree_uses_itself(by_hand):
    names = ["row", "chain", "draw", "column", "observed", "row_bound"]
    names += ["a", "a_row", "a/row", "", "row_"]
    X = pd.DataFrame({name: [1.0, 2.0, 4.0, np.nan] for name in names})
    values = np.arange(float(len(names)))
    tree = by_hand(X, [values]).to_datatree()
    for group in ("posterior", "observed_data"):
        found = [v.attrs["column"] for v in tree[group].data_vars.values()]
        assert found == names
    imputed = [float(v.squeeze()) for v in tree["posterior"].data_vars.values()]
    assert imputed == pytest.approx(values)
    assert dict(tree["posterior"].sizes)["draw"] == 1


INDEXES = [
    pd.Index(["a", 1, 2.5]),
    pd.Index(["x", "x", "y"]),
    pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
    pd.date_range("2024-01-01", periods=3, tz="Europe/Rome"),
    pd.date_range("2024-01-01", periods=3),
    pd.CategoricalIndex(["u", "v", "w"]),
    pd.Index([10, 20, 30], dtype="Int64"),
    pd.Index(["1", 1, "2"], dtype=object),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
def test_any_index(index, by_hand):
    X = pd.DataFrame({"x": [1.0, 2.0, None]}, index=index)
    tree = by_hand(X, [[1.0], [2.0]]).to_datatree()
    rows = tree["observed_data"]["row"]
    assert len(np.unique(rows)) == 3
    assert tree["posterior"]["x"]["x_row"].to_numpy()[0] == rows.to_numpy()[2]
    assert rows.dtype.kind in "iUM"


def test_complete_table(by_hand):
    tree = by_hand(pd.DataFrame({"x": [1.0, 2.0]}), np.empty((2, 0))).to_datatree()
    assert not tree["posterior"].data_vars
    assert tree["constant_data"]["observed"].all()


def test_score_is_the_mean_bound():
    X = np.random.default_rng(0).normal(size=(40, 2))
    X[:5, 0] = np.nan
    imputer = GNRImputer(max_steps=5, random_state=0, verbose=False).fit(X)
    bound = imputer.impute(X, m=2).to_datatree()["log_likelihood"]["row_bound"]
    mean = np.log(np.exp(bound).mean(("chain", "draw")))
    assert float(mean.mean()) == pytest.approx(imputer.score(X))


def test_import_is_light():
    code = (
        "import sys, pyro_gnr.criticism.datatree, pyro_gnr.criticism.plots\n"
        "heavy = {'arviz_base', 'xarray', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_chain_is_a_member(mixed_imputation, mixed_frame):
    from pyro_gnr import GNRImputer

    imputer = GNRImputer(
        kinds={"id": "ignore"}, members=2, max_steps=5, imputation_particles=50, random_state=0,
        verbose=False,
    )  # fmt: skip
    imputation = imputer.fit(mixed_frame).impute(mixed_frame, m=6)
    tree = imputation.to_datatree()
    draws = imputation.decoded("dose")[1]
    for g in (0, 1):
        np.testing.assert_array_equal(tree["posterior"]["dose"][g], draws[imputation.members == g])
    bounds = tree["log_likelihood"]["row_bound"].to_numpy()[:, 0]
    assert bounds.shape == (2, len(mixed_frame))
    mean = np.logaddexp(*bounds) - np.log(2)
    np.testing.assert_allclose(mean, imputation.fitted.row_bounds(imputation.table))
    assert np.abs(bounds[0] - bounds[1]).max() > 1e-6
    # Members with different numbers of tables make no rectangle.
    uneven = imputer.impute(mixed_frame, m=5).to_datatree()
    assert dict(uneven["posterior"]["dose"].sizes)["chain"] == 1
