"""What the imputer computes, for which rows, and from which draws."""

import io
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from pyro_gnr.imputation.fitted import BATCH_NUMBERS
from pyro_gnr.inference.recentring import infer_recentred
from pyro_gnr.model.likelihoods import StudentT

HOLEY = ["age", "bp", "flag", "smoker", "grade", "site"]


def draws(imputer, X, m=3, **options):
    return imputer.impute(X, m=m, **options).draws.values


def posterior_of(imputer, X):
    """All particles of all rows, at mask weight 1."""
    imputation = imputer.impute(X, m=1)
    fitted, table = imputation.fitted, imputation.table
    x = torch.from_numpy(table.values).float()
    observed = torch.from_numpy(table.observed)
    return table, infer_recentred(
        fitted.model.at_mask_weight(1.0),
        fitted.guide,
        *(x, observed, observed),
        particles=imputer.imputation_particles,
        keys=torch.from_numpy(table.keys.view(np.int64)),
        seed=imputer.seed_,
        pilots=fitted.pilots,
    )


# What transform, impute and score compute


def test_transform_is_the_weighted_mean_and_mode_of_the_particles(X, fitted):
    table, posterior = posterior_of(fitted, X)
    w = posterior.weights.double().numpy()
    completed = fitted.transform(X)
    modelled = [c.name for c in table.schema.modelled]
    for block in posterior.conditionals["x"].blocks:
        for c, j in enumerate(block.columns.tolist()):
            column, rows = table.schema.modelled[j], table.missing[0][table.missing[1] == j]
            found = completed[modelled[j]].iloc[rows]
            if column.levels is None:
                mean = (w * block.distribution.mean[..., c].double().numpy()).sum(0)[rows]
                mean = column.location + column.scale * mean
                expected = np.rint(mean) if column.whole else mean
                np.testing.assert_allclose(found.astype(float), expected, rtol=1e-5)
            else:
                p = [
                    (w * block.distribution.log_prob(torch.tensor(float(v))).exp()[..., c].numpy())
                    for v in range(len(column.levels))
                ]
                best = np.stack(p).sum(1).argmax(0)[rows]
                assert found.tolist() == [column.levels[i] for i in best]


def test_draws_average_to_the_posterior_mean_and_probabilities(X, fitted):
    imputation = fitted.impute(X.iloc[:12], m=4000)
    table = imputation.table
    mean = imputation.draws.values.mean(0)
    spread = imputation.draws.values.std(0)
    point = imputation.fitted.point(table)
    p = imputation.fitted.intervals(table, torch.tensor([0.5])).levels
    for i, j in enumerate(table.missing[1]):
        column = table.schema.modelled[j]
        if column.levels is None:
            assert abs(mean[i] - point[i]) < 5 * spread[i] / np.sqrt(4000)
        else:
            codes = imputation.draws.values[:, i]
            shares = [(codes == v).mean() for v in range(len(column.levels))]
            np.testing.assert_allclose(shares, p[i, : len(shares)], atol=0.04)


def test_all_cells_of_a_draw_come_from_one_particle(imputer_of):
    """Two nearly equal columns, both missing: from two particles they would be independent."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    T = np.column_stack([a, a + 0.1 * rng.normal(size=200)])
    T[0] = np.nan
    tiny = {"latent_dim": 1, "max_steps": 0, "imputation_particles": 500}
    imputer = imputer_of(mechanism="ignorable", **tiny).fit(T)
    values = draws(imputer, T[:2], m=2000)
    assert np.corrcoef(values.T)[0, 1] > 0.9
    assert values.std(0) == pytest.approx([1.0, 1.0], abs=0.15)


def test_better_than_the_mean_where_columns_are_tied(imputer_of):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 1))
    T = z @ rng.normal(size=(1, 5)) + 0.3 * rng.normal(size=(300, 5))
    holey = np.where(rng.uniform(size=T.shape) < 0.3, np.nan, T)
    completed = imputer_of(max_steps=50, validation=None).fit_transform(holey)
    lost = np.isnan(holey)
    error = np.sqrt(np.mean((completed - T)[lost] ** 2))
    naive = np.sqrt(np.mean((np.nanmean(holey, 0) - T)[lost] ** 2))
    assert error < 0.6 * naive


def test_score_is_the_mean_bound_of_the_rows(X, fitted):
    _, posterior = posterior_of(fitted, X)
    assert fitted.score(X) == pytest.approx(posterior.log_evidence.mean().item(), rel=1e-5)
    assert isinstance(fitted.score(X), float)
    parts = [fitted.score(X.iloc[:20]), fitted.score(X.iloc[20:])]
    assert (20 * parts[0] + 40 * parts[1]) / 60 == pytest.approx(fitted.score(X), rel=1e-5)


@pytest.mark.parametrize("mask_weight", [0.0, 3.0])
def test_imputation_uses_mask_weight_1_whatever_training_used(X, imputer_of, ignored, mask_weight):
    imputer = imputer_of(kinds=ignored, mask_weight=mask_weight).fit(X)
    _, posterior = posterior_of(imputer, X)
    assert imputer.score(X) == pytest.approx(posterior.log_evidence.mean().item(), rel=1e-5)


def test_batches_inside_do_not_show(X, fitted, monkeypatch):
    whole = fitted.impute(X, m=2)
    monkeypatch.setattr("pyro_gnr.imputation.fitted.BATCH_NUMBERS", 50 * 24 * 7)
    assert BATCH_NUMBERS > 50 * 24 * 60
    parts = fitted.impute(X, m=2)
    np.testing.assert_allclose(parts.draws.values, whole.draws.values, rtol=1e-4, atol=1e-5)
    assert_frame_equal(parts.diagnostics, whole.diagnostics, rtol=1e-3)
    assert_frame_equal(parts.interval(), whole.interval(), rtol=1e-4)


# Same row and seed, same draws


def test_equal_fits_and_seeds_give_equal_draws_and_others_do_not(X, imputer_of, ignored, fitted):
    again = imputer_of(kinds=ignored).fit(X)
    np.testing.assert_array_equal(draws(again, X), draws(fitted, X))
    np.testing.assert_array_equal(draws(fitted, X), draws(fitted, X))
    other = imputer_of(kinds=ignored, random_state=1).fit(X)
    assert (draws(other, X) != draws(fitted, X)).any()


def test_the_seed_of_the_draws_can_be_given(X, fitted):
    own, other = draws(fitted, X), draws(fitted, X, seed=7)
    numeric = np.unique(own, axis=0).shape  # some columns are continuous: no draw repeats
    assert numeric == own.shape
    assert (own != other).mean() > 0.3
    np.testing.assert_array_equal(other, draws(fitted, X, seed=np.int64(7)))
    np.testing.assert_array_equal(own, draws(fitted, X, seed=fitted.seed_))
    np.testing.assert_array_equal(own, draws(fitted, X))  # asking with a seed changed nothing


def test_another_seed_changes_the_noise_too_not_only_the_particles(imputer_of):
    """Unrelated columns: what is drawn is almost all noise around the particles' means."""
    rng = np.random.default_rng(0)
    T = np.where(rng.uniform(size=(200, 4)) < 0.2, np.nan, rng.normal(size=(200, 4)))
    imputer = imputer_of(latent_dim=1, max_steps=0).fit(T)
    one, two = (draws(imputer, T, m=50, seed=seed).ravel() for seed in (1, 2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_more_tables_keep_the_first_ones(X, fitted):
    np.testing.assert_allclose(draws(fitted, X, m=7)[:3], draws(fitted, X, m=3), rtol=1e-6)


def test_no_two_rows_or_cells_share_their_randomness(imputer_of):
    rng = np.random.default_rng(0)
    T = np.column_stack([rng.normal(size=(60, 2)), np.full((60, 2), np.nan)])
    T[:30, 2:] = rng.normal(size=(30, 2))
    T[30:, :2] = 0.5  # rows that look alike
    values = draws(imputer_of().fit(T), T, m=500)
    correlations = np.corrcoef(values.T) - np.eye(60)
    # Neighbours in a row share the particle; those of other rows nothing.
    rows = np.repeat(np.arange(30), 2)
    apart = rows[:, None] != rows
    assert np.abs(correlations[apart]).max() < 5 / np.sqrt(500)


def test_equal_rows_of_an_array_get_draws_of_their_own(imputer_of, numbers_of, X):
    T = numbers_of(X)
    imputer = imputer_of().fit(T)
    twins = np.repeat(T[[1]], 3, axis=0)
    values = draws(imputer, twins, m=1).reshape(3, -1)
    assert len(np.unique(values[:, 0])) == 3
    np.testing.assert_allclose(draws(imputer, twins[:2], m=1).reshape(2, -1), values[:2])


def test_arrays_polars_and_repeated_labels_are_known_by_content(imputer_of, numbers_of, X):
    T = numbers_of(X)
    imputer = imputer_of().fit(T)
    names = [f"x{j}" for j in range(4)]
    repeated = pd.DataFrame(T, columns=names, index=np.zeros(60))
    for other in (repeated, pl.DataFrame(T, schema=names, nan_to_null=True)):
        same = imputer_of().fit(other)
        np.testing.assert_allclose(draws(same, other), draws(imputer, T), rtol=1e-5)
        first = other.iloc[:9] if isinstance(other, pd.DataFrame) else other[:9]
        n = len(draws(same, first)[0])
        np.testing.assert_allclose(draws(same, first), draws(imputer, T)[:, :n], rtol=1e-5)


def test_labels_of_a_unique_index_belong_to_the_row(X, fitted):
    renamed = X.set_axis([f"other {i}" for i in range(60)])
    assert (draws(fitted, renamed) != draws(fitted, X)).any()
    assert_frame_equal(
        fitted.transform(renamed.iloc[:0:-1]).iloc[::-1], fitted.transform(renamed).iloc[1:]
    )


def test_a_key_column_replaces_labels_and_content(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored, row_key="id").fit(X)
    expected = draws(imputer, X)
    moved = X.reset_index(drop=True)
    np.testing.assert_allclose(draws(imputer, moved), expected, rtol=1e-5)
    # A value that plays no part in the model's answer, only in the content.
    other = imputer_of(kinds=ignored).fit(X)
    assert (draws(other, moved) != draws(other, X)).any()
    shuffled = X.sample(frac=1.0, random_state=0)
    found = imputer.impute(shuffled, m=2)
    for a, b in zip(found, imputer.impute(X, m=2), strict=True):
        assert_frame_equal(a.loc[X.index], b, rtol=1e-5)


def test_no_seed_gives_other_draws_each_time_and_says_which(X, imputer_of, ignored):
    one, two = (imputer_of(kinds=ignored, random_state=None).fit(X) for _ in range(2))
    assert one.seed_ != two.seed_
    again = imputer_of(kinds=ignored, random_state=one.seed_).fit(X)
    np.testing.assert_array_equal(draws(again, X), draws(one, X))


def test_a_random_state_is_used_as_scikit_learn_uses_it(X, imputer_of, ignored):
    one, two = (
        imputer_of(kinds=ignored, random_state=np.random.RandomState(3)).fit(X) for _ in range(2)
    )
    np.testing.assert_array_equal(draws(one, X), draws(two, X))


# Rows, cells and columns


def test_new_rows_are_imputed_without_a_refit(X, fitted, table_of):
    before = {k: v.clone() for k, v in fitted.impute(X, m=1).fitted.model.state_dict().items()}
    new = table_of(25, seed=9).set_axis([f"new {i}" for i in range(25)])
    completed = fitted.transform(new)
    assert completed[HOLEY].notna().all(axis=None)
    together = fitted.transform(pd.concat([X, new]))
    assert_frame_equal(together.iloc[60:], completed, rtol=1e-5)
    after = fitted.impute(new, m=1).fitted.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_observed_cells_are_bit_equal_and_ignored_columns_untouched(X, fitted):
    for completed in [fitted.transform(X), *fitted.impute(X, m=3)]:
        assert completed.index.equals(X.index)
        assert completed.index.name == "row"
        assert completed.dtypes.equals(X.dtypes)
        assert_series_equal(completed["id"], X["id"])
        assert_series_equal(completed["visit"], X["visit"])
        for name in HOLEY:
            seen = X[name].notna()
            assert_series_equal(completed.loc[seen, name], X.loc[seen, name], check_exact=True)
            assert completed[name].notna().all()
        assert_series_equal(completed["weight"], X["weight"])


def test_ignored_columns_may_hold_anything(imputer_of, numbers_of, X):
    T = pd.DataFrame(numbers_of(X), columns=list("abcd"))
    T["anything"] = pd.Series([{"k": [i]} for i in range(60)], dtype=object)
    T["nothing"] = None
    T["text"] = [f"free text number {i}" for i in range(60)]
    T["when"] = pd.Timedelta("1D")
    kinds = dict.fromkeys(["anything", "nothing", "text", "when"], "ignore")
    completed = imputer_of(kinds=kinds).fit_transform(T)
    assert_frame_equal(completed[list(kinds)], T[list(kinds)])
    assert completed["anything"].iloc[3] is T["anything"].iloc[3]
    assert completed[list("abcd")].notna().all(axis=None)
    changed = T.assign(text="another", when="of another type")
    found = imputer_of(kinds=kinds).fit(T).transform(changed)
    assert_frame_equal(found[list("abcd")], completed[list("abcd")], rtol=1e-5)


def test_the_callers_table_is_left_alone(X, polars_X, numbers_of, imputer_of, ignored):
    before = X.copy(deep=True)
    imputer = imputer_of(kinds=ignored).fit(X)
    imputation = imputer.impute(X, m=2)
    for completed in (imputation[0], imputation.to_long(), imputer.transform(X)):
        completed.loc[:, "bp"] = 0.0
    assert_frame_equal(X, before, check_exact=True)
    array = numbers_of(X)
    kept = array.copy()
    imputer_of().fit(array).transform(array)[:] = 0.0
    np.testing.assert_array_equal(array, kept)
    # And what was imputed does not change with the caller's table.
    T = X.copy()
    imputation = imputer.impute(T, m=1)
    first = imputation[0]
    T["bp"] = -1.0
    assert_frame_equal(imputation[0], first)


def test_training_reports_and_stops_early(X, imputer_of, ignored):
    seen = []
    imputer = imputer_of(kinds=ignored, max_steps=1000, patience=1, learning_rate=0.3)
    imputer.set_params(callback=seen.append).fit(X)
    steps = imputer.history_["step"].tolist()
    assert imputer.history_.columns.tolist() == ["step", "loss", "validation"]
    assert [p.step for p in seen] == steps == list(range(100, 100 * len(steps) + 1, 100))
    assert steps[-1] < 1000
    assert imputer.n_steps_ in (0, *steps[:-1])  # not the last: that is why it stopped
    assert np.isfinite(imputer.history_.astype(float)).all(axis=None)


@pytest.mark.parametrize("validation", ["rows", "cells", None])
@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_all_ways_and_sizes_of_validation(X, imputer_of, ignored, validation, fraction):
    imputer = imputer_of(kinds=ignored, validation=validation, validation_fraction=fraction)
    completed = imputer.fit_transform(X)
    assert completed[HOLEY].notna().all(axis=None)
    assert imputer.history_["validation"].isna().all() == (validation is None)


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("mechanism", ["conjunction", "ignorable"])
def test_all_parts_work_together(X, imputer_of, ignored, fusion, mechanism):
    likelihoods = {"bp": partial(StudentT), "flag": "categorical"}
    imputer = imputer_of(
        fusion=fusion,
        mechanism=mechanism,
        likelihoods=likelihoods,
        kinds={**ignored, "site": "categorical"},
        hidden=0,
        renyi_order=0.5,
        batch_size=7,
    ).fit(X)
    assert imputer.transform(X)[HOLEY].notna().all(axis=None)
    interval = imputer.impute(X, m=2).interval()
    assert (interval["lower"] < interval["upper"])[interval["levels"].isna()].all()


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
def test_every_gradient_trains(X, imputer_of, ignored, fusion):
    scores = []
    for gradient in ("iwae", "dreg", "stl"):
        options = {"fusion": fusion, "gradient": gradient, "validation": None}
        imputer = imputer_of(kinds=ignored, **options).fit(X)
        assert imputer.transform(X)[HOLEY].notna().all(axis=None)
        scores.append(imputer.score(X))
    assert len(set(scores)) == 3  # each a training of its own


def test_arguments_that_do_not_concern_training_may_change_after_it(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored).fit(X)
    assert imputer.impute(X, m=1).diagnostics["ess"].max() < 50.1
    imputer.set_params(imputation_particles=400)
    assert imputer.impute(X, m=1).diagnostics["ess"].max() > 51


def test_verbose_shows_nothing_where_there_is_no_terminal(X, imputer_of, ignored, capfd):
    imputer_of(kinds=ignored, verbose=True).fit(X).impute(X, m=1)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_bars_on_a_terminal_on_stderr_only(X, imputer_of, ignored, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    imputer_of(kinds=ignored, verbose=True).fit(X).transform(X)
    assert "training" in err.getvalue()
    assert "imputing" in err.getvalue()
    assert out.getvalue() == ""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_default_precision_of_torch_may_change_after_the_fit(X, imputer_of, ignored, dtype):
    before = torch.get_default_dtype()
    other = torch.float32 if dtype is torch.float64 else torch.float64
    try:
        torch.set_default_dtype(dtype)
        imputer = imputer_of(kinds=ignored, fusion="amortised").fit(X)
        expected = imputer.impute(X, m=2)
        torch.set_default_dtype(other)
        found = imputer.impute(X, m=2)
        np.testing.assert_allclose(found.draws.values, expected.draws.values, rtol=1e-5)
        assert_frame_equal(found.interval(), expected.interval(), rtol=1e-4)
    finally:
        torch.set_default_dtype(before)


# Any table

VALUES = {
    "float": st.floats(-1e6, 1e6),
    "whole": st.integers(-1000, 1000),
    "logical": st.booleans(),
    "text": st.sampled_from(["x", "y", "z"]),
}
PANDAS = {"float": "float64", "whole": "Int64", "logical": "boolean", "text": "string"}
POLARS = {"float": pl.Float64, "whole": pl.Int16, "logical": pl.Boolean, "text": pl.String}


@st.composite
def tables(draw):
    """A pandas or polars table of 2 to 12 rows and 1 to 4 columns, at least one cell in each."""
    n_rows = draw(st.integers(2, 12))
    library = draw(st.sampled_from(["pandas", "polars"]))
    sorts = draw(st.lists(st.sampled_from([*VALUES, "level"]), min_size=1, max_size=4))
    columns = {}
    for j, sort in enumerate(sorts):
        cell = VALUES.get(sort, VALUES["text"])
        values = draw(st.lists(st.none() | cell, min_size=n_rows - 1, max_size=n_rows - 1))
        columns[f"{sort} {j}"] = _column([*values, draw(cell)], sort, library)
    if library == "polars":
        return pl.DataFrame(columns)
    T = pd.DataFrame(columns)
    labels = draw(st.sampled_from([None, "words", "repeated"]))
    if labels == "words":
        T.index = pd.Index([f"row {i}" for i in range(n_rows)], name="label")
    elif labels == "repeated":
        T.index = pd.Index([i // 2 for i in range(n_rows)])
    return T


def _column(values, sort, library):
    if library == "polars":
        dtype = pl.Enum(["z", "never", "y", "x"]) if sort == "level" else POLARS[sort]
        return pl.Series(values, dtype=dtype)
    if sort == "level":
        return pd.Categorical(values, categories=["z", "never", "y", "x"], ordered=True)
    return pd.array(values, dtype=PANDAS[sort])


@given(tables())
@settings(deadline=None, max_examples=25)
def test_any_table_comes_back_with_its_holes_filled_and_nothing_else_changed(T):
    from pyro_gnr import GNRImputer

    imputer = GNRImputer(
        hidden=4, particles=2, max_steps=1, imputation_particles=10, device="cpu", random_state=0
    ).fit(T)
    for completed in [imputer.transform(T), *imputer.impute(T, m=2)]:
        assert type(completed) is type(T)
        assert list(completed.columns) == list(T.columns)
        if isinstance(T, pd.DataFrame):
            assert completed.index.identical(T.index)
            assert completed.dtypes.equals(T.dtypes)
        else:
            assert completed.schema == T.schema
        for name in T.columns:
            old, new = list(T[name]), list(completed[name])
            observed = [v is not None and v == v and v is not pd.NA for v in map(_plain, old)]
            assert [v for v, o in zip(new, observed, strict=True) if o] == [
                v for v, o in zip(old, observed, strict=True) if o
            ]
            levels = {v for v, o in zip(old, observed, strict=True) if o}
            holes = [v for v, o in zip(new, observed, strict=True) if not o]
            if "float" in name or "whole" in name:
                assert np.isfinite(np.array(holes, dtype=float)).all()
            else:
                assert set(holes) <= levels


def _plain(value):
    return None if value is pd.NA else value
