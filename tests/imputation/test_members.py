"""An ensemble: members are fits to rows weighted anew, and share the tables among them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special

from pyro_gnr import GNRImputer
from pyro_gnr.imputation import members
from pyro_gnr.imputation.fitted import member_seed
from pyro_gnr.imputation.members import bootstrap_weights, drawn_rows, members_plan
from pyro_gnr.inference.training import TrainingPlan
from pyro_gnr.model import start


@pytest.fixture
def ensemble(X, imputer_of, ignored):
    return imputer_of(kinds=ignored, members=3, learning_rate=0.05).fit(X)


def of_member(imputer, g):
    """The fitted model of one member, with the noise that it has in the ensemble."""
    fitted = imputer._at_work()
    return replace(fitted, members=fitted.members[g : g + 1], seed=member_seed(fitted.seed, g))


def test_few_steps_are_longer_ones():
    plan = TrainingPlan(learning_rate=0.001, max_steps=1500)
    found = [members_plan(plan, best) for best in (0, 400, 1500)]
    travel = [p.max_steps * p.learning_rate for p in found]
    assert np.allclose(travel, 300 * 0.001)
    short = members_plan(TrainingPlan(learning_rate=0.001, max_steps=4), 4)
    assert (short.max_steps, round(short.learning_rate, 6)) == (4, 0.003)


def test_weights_are_those_of_a_bayesian_bootstrap():
    keys = torch.arange(20_000)
    weights = bootstrap_weights(keys, seed=3)
    assert weights.mean().item() == pytest.approx(1.0)
    below = [(weights < q).double().mean().item() for q in (0.1, 1.0, 3.0)]
    assert below == pytest.approx([1 - np.exp(-q) for q in (0.1, 1.0, 3.0)], abs=0.01)
    other = bootstrap_weights(keys, seed=4)
    assert abs(np.corrcoef(weights, other)[0, 1]) < 0.03
    order = torch.randperm(len(keys), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(bootstrap_weights(keys[order], seed=3), weights[order])


def test_each_member_is_at_the_optimum_of_its_own_weights():
    """Where a column is independent of the rest, that is its weighted observed mean."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[rng.random(400) < 0.3, 0] = np.nan
    options = {"hidden": 8, "mechanism": "ignorable", "imputation_particles": 100}
    imputer = GNRImputer(members=8, random_state=0, verbose=False, max_steps=400, **options).fit(X)
    table = imputer.schema_.encode(X)
    keys = torch.from_numpy(table.keys.view(np.int64))
    seen = ~np.isnan(X[:, 0])
    imputed, expected = [], []
    for g in range(8):
        weights = bootstrap_weights(keys, seed=member_seed(0, g + 1)).numpy()[seen]
        expected.append((weights * table.values[seen, 0]).sum() / weights.sum())
        imputed.append(of_member(imputer, g).point(table).mean())
    slope = np.polyfit(expected, imputed, 1)[0]
    assert np.corrcoef(expected, imputed)[0, 1] > 0.9
    assert slope == pytest.approx(1.0, abs=0.3)
    assert np.std(imputed) == pytest.approx(np.std(expected), rel=0.2)


def test_members_differ_as_weighted_regressions_do():
    """Two normal columns, one complete: the likelihood's maximum is a regression in closed form.

    Weighted by a bootstrap, it gives the holes' mean with the standard error of the textbook.
    """
    rng = np.random.default_rng(1)
    X = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.7], [0.7, 1.0]], size=500)
    X[rng.random(500) < special.expit(2 * X[:, 1] - 1), 0] = np.nan
    options = {"hidden": 8, "mechanism": "ignorable", "imputation_particles": 200}
    imputer = GNRImputer(members=12, random_state=0, verbose=False, max_steps=100, **options)
    table = imputer.fit(X).schema_.encode(X)
    keys = torch.from_numpy(table.keys.view(np.int64))
    seen = ~np.isnan(X[:, 0])
    y, design = table.values[:, 0], np.column_stack([np.ones(500), table.values[:, 1]])
    holes = design[~seen].mean(0)
    imputed, expected = [], []
    for g in range(12):
        weights = bootstrap_weights(keys, seed=member_seed(0, g + 1)).numpy()[seen]
        gram = design[seen].T * weights
        expected.append(holes @ np.linalg.solve(gram @ design[seen], gram @ y[seen]))
        imputed.append(of_member(imputer, g).point(table).mean())
    inverse = np.linalg.inv(design[seen].T @ design[seen])
    residual = y[seen] - design[seen] @ (inverse @ (design[seen].T @ y[seen]))
    textbook = np.sqrt(residual.var(ddof=2) * holes @ inverse @ holes)
    assert np.std(expected, ddof=1) == pytest.approx(textbook, rel=0.3)
    assert np.corrcoef(expected, imputed)[0, 1] > 0.9
    assert np.std(imputed) == pytest.approx(np.std(expected), rel=0.2)


def test_rows_are_drawn_as_often_as_they_weigh():
    weights = bootstrap_weights(torch.arange(500), seed=1)
    keys = torch.arange(500)
    times = np.mean(
        [np.bincount(drawn_rows(weights, keys, seed=s), minlength=500) for s in range(400)], axis=0
    )
    np.testing.assert_allclose(times, weights, atol=0.11)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    here = np.bincount(drawn_rows(weights, keys, seed=3), minlength=500)
    there = np.bincount(drawn_rows(weights[order], keys[order], seed=3), minlength=500)
    np.testing.assert_array_equal(there, here[order])


def test_tables_come_from_the_members_in_turn(ensemble, X):
    imputation = ensemble.impute(X, m=7)
    assert imputation.members.tolist() == [0, 1, 2, 0, 1, 2, 0]
    for g in range(3):
        own = of_member(ensemble, g).draw(imputation.table, 3).values
        mine = imputation.draws.values[g::3]
        np.testing.assert_array_equal(mine, own[: len(mine)])
    each = [of_member(ensemble, g).draw(imputation.table, 1) for g in range(3)]
    np.testing.assert_allclose(imputation.draws.ess, sum(e.ess for e in each), rtol=1e-6)
    k = np.mean([e.pareto_k for e in each], axis=0)
    np.testing.assert_allclose(imputation.draws.pareto_k, k, rtol=1e-6)
    fewer = ensemble.impute(X, m=2)
    np.testing.assert_array_equal(fewer.draws.values, imputation.draws.values[:2])


def test_members_share_no_noise(X, imputer_of, ignored, monkeypatch):
    """Else tables would differ less than draws do, and variances come out too small."""
    # Members that hardly move nor learn are alike, so that common noise would show.
    monkeypatch.setattr(members, "move", lambda *_, **__: None)
    ensemble = imputer_of(kinds=ignored, members=3, learning_rate=1e-4).fit(X)
    n = len(ensemble._fitted.members)
    imputation = ensemble.impute(X, m=200 * n)
    first, second = (of_member(ensemble, g) for g in range(2))
    j = imputation.table.missing[1] == [c.name for c in ensemble.schema_.modelled].index("bp")
    a, b = (imputation.draws.values[imputation.members == g][:, j] for g in range(2))
    same = replace(second, seed=first.seed).draw(imputation.table, 200).values[:, j]
    assert abs(noise_in_common(a, b)) < 0.1
    assert noise_in_common(a, same) > 0.8  # what it would be with one seed


def test_a_large_table_moves_members_about_the_first_fit(monkeypatch):
    """Rows are drawn among those of the first start: its own error is no member's."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 1)) + rng.normal(size=(600, 4))
    X[rng.random((600, 4)) < 0.2] = np.nan
    for module in (members, start):
        monkeypatch.setattr(module, "START_ROWS", 150)
    monkeypatch.setattr(members, "train", lambda *_, **__: None)
    imputer = GNRImputer(
        members=24, latent_dim=1, hidden=4, max_steps=1, mechanism="ignorable", validation=None,
        random_state=0, verbose=False,
    ).fit(X)  # fmt: skip
    fits = torch.stack([m.guide.encoder.centre for m in imputer._fitted.members])
    table = imputer.schema_.encode(X)
    x, observed = torch.tensor(table.values), torch.tensor(table.observed)
    rows = torch.randperm(600, generator=torch.Generator().manual_seed(0))[:150]
    sampled = (x * observed)[rows].sum(0) / observed[rows].sum(0)
    z = (fits.mean(0) - sampled) / (fits.std(0) / 24**0.5)
    assert z.abs().max() < 4.0
    assert (sampled / fits.std(0)).abs().max() > 1.5  # the test can fail
    textbook = x.std() / (0.8 * 600) ** 0.5  # of all rows, not of the 150
    assert fits.std(0).mean().item() == pytest.approx(textbook.item(), rel=0.3)


def noise_in_common(a, b):
    """Mean over cells of the correlation of two members' draws (M, n)."""
    (a, b) = ((draws - draws.mean(0)) / draws.std(0) for draws in (a, b))
    return (a * b).mean()


def test_one_completed_table_is_of_all_members(ensemble, X):
    table = ensemble.schema_.encode(X)
    fitted = ensemble._at_work()
    points = np.array([of_member(ensemble, g).point(table) for g in range(3)])
    chances = np.array([of_member(ensemble, g).level_probabilities(table) for g in range(3)])
    np.testing.assert_allclose(fitted.level_probabilities(table), chances.mean(0), atol=1e-6)
    levels = ~np.isnan(chances[0, :, 0])
    found = fitted.point(table)
    np.testing.assert_allclose(found[~levels], points.mean(0)[~levels], rtol=1e-5, atol=1e-6)
    modes = np.nan_to_num(chances.mean(0)).argmax(-1)
    np.testing.assert_array_equal(found[levels], modes[levels])


def test_intervals_are_of_the_mixture_of_all_members(ensemble, X):
    """The mean over members of the probability below a quantile is the one asked for."""
    table, fitted = ensemble.schema_.encode(X), ensemble._at_work()
    wanted = torch.tensor([0.1, 0.5, 0.9])
    found = fitted.intervals(table, wanted).quantiles
    grid = torch.linspace(0.001, 0.999, 999)
    below = []
    for g in range(3):
        own = of_member(ensemble, g).intervals(table, grid).quantiles
        below.append((own[None] <= found[:, None]).mean(1))
    numbers = ~np.isnan(found[0])
    mean = np.mean(below, axis=0)[:, numbers]
    np.testing.assert_allclose(mean, wanted[:, None].expand(mean.shape), atol=0.003)


def test_the_bound_is_of_the_mean_of_members(ensemble, X):
    table = ensemble.schema_.encode(X)
    bounds = np.array([of_member(ensemble, g).row_bounds(table) for g in range(3)])
    expected = np.log(np.exp(bounds).mean(0))
    np.testing.assert_allclose(ensemble._at_work().row_bounds(table), expected, rtol=1e-5)


def test_values_that_the_model_draws(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored, members=2, mechanism="selection").fit(X)
    table = imputer.schema_.encode(X)
    points = np.array([of_member(imputer, g).point(table) for g in range(2)])
    chances = np.array([of_member(imputer, g).level_probabilities(table) for g in range(2)])
    numbers = np.isnan(chances[0, :, 0])
    found = imputer._at_work().point(table)
    np.testing.assert_allclose(found[numbers], points.mean(0)[numbers], rtol=1e-4, atol=1e-5)


def test_any_number_of_processes_gives_the_same(X, imputer_of, ignored):
    draws = [
        imputer_of(kinds=ignored, members=2, n_jobs=jobs).fit(X).impute(X, m=4).draws.values
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*draws)


def test_a_fit_leaves_threads_and_precision_as_they_were(X, imputer_of, ignored):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    imputer_of(kinds=ignored, members=2).fit(X)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32


def test_an_ensemble_comes_back_from_disk(ensemble, X, tmp_path):
    ensemble.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    a, b = (imputer.impute(X, m=4) for imputer in (ensemble, loaded))
    np.testing.assert_array_equal(a.draws.values, b.draws.values)
    assert a.members.tolist() == b.members.tolist()
    pd.testing.assert_frame_equal(loaded.transform(X), ensemble.transform(X))


@pytest.mark.parametrize(
    ("particles", "members", "each"),
    [(1000, 1, 1000), (1000, 5, 200), (50, 3, 50), (2001, 2, 1001)],
)
def test_members_share_the_particles(ensemble, particles, members, each):
    fitted = ensemble._at_work()
    many = replace(fitted, particles=particles, members=fitted.members[:1] * members)
    assert many.particles_each == each
