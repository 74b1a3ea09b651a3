"""Chances of holes and of levels, against exact sums and against what else is public."""

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy import special, stats

from pyro_gnr.data import Cell, Column, Kind, Schema, Table
from pyro_gnr.imputation.fitted import FittedModel, Member
from pyro_gnr.model.mechanisms import SelfMasking

SLOPES = np.array([2.0, -1.5, 1.0, 0.5])


@pytest.fixture
def world(double, linear_gaussian):
    """One latent; P(m_j = 1 | z) = logistic(b_j + s_j z)."""
    world = linear_gaussian(n_rows=8, n_columns=4, latent_dim=1)
    with torch.no_grad():
        world.model.m_given_ux.head.weight[:, 0] = torch.tensor(SLOPES)
    return world


def at_work(world, *, observed):
    """The world as a fitted model, and its rows as a table."""
    columns = [Column(f"c{j}", Kind.CONTINUOUS, "float64", holes=5) for j in range(4)]
    states = np.where(observed, Cell.OBSERVED, Cell.MISSING).astype(np.int8)
    keys = np.arange(8, dtype=np.uint64)
    schema = Schema(tuple(columns))
    values = np.where(observed, world.x.numpy(), 0.0)
    table = Table(np.where(observed, values, np.nan), schema, values, states, keys)
    cpu, member = torch.device("cpu"), Member(world.model, world.guide)
    model = FittedModel(schema, (member,), particles=40_000, seed=1, device=cpu)
    return model, table


def exact(world, observed, *, reconstruct):
    """P(m_j = 1 | ...) by a sum over a grid of z."""
    z = np.linspace(-8, 8, 4001)
    chances = special.expit(special.logit(world.rates) + z[:, None] * SLOPES)
    density = stats.norm.logpdf(z)[:, None] * np.ones(len(observed))
    for j in range(4):
        loc = world.mean[j] + z[:, None] * world.loadings[j]
        log_x = stats.norm.logpdf(world.x[:, j].numpy(), loc, world.scale[j])
        density += np.where(observed[:, j], log_x, 0.0)
        if reconstruct:
            p = chances[:, [j]]
            density += np.log(np.where(observed[:, j], p, 1 - p))
    weights = special.softmax(density, axis=0)
    return weights.T @ chances


@pytest.mark.parametrize("reconstruct", [False, True])
def test_chances_of_holes_are_the_exact_ones(world, reconstruct):
    observed = world.observed.numpy()
    model, table = at_work(world, observed=observed)
    found = model.observed_probabilities(table, reconstruct=reconstruct)
    np.testing.assert_allclose(found, exact(world, observed, reconstruct=reconstruct), atol=0.01)
    other = exact(world, observed, reconstruct=not reconstruct)
    assert abs(found - other).max() > 0.05  # the two questions have different answers here


def test_without_reconstruction_a_guide_that_sees_holes_changes_nothing(world):
    """A proposal from which the holes can be read: weights take it out again."""
    observed = world.observed.numpy()
    with torch.no_grad():
        world.guide.encoder.hole_shift.weight.add_(0.3)
        world.guide.encoder.log_precision.sub_(0.6)
    model, table = at_work(world, observed=observed)
    found = model.observed_probabilities(table, reconstruct=False)
    np.testing.assert_allclose(found, exact(world, observed, reconstruct=False), atol=0.02)


def test_a_self_masked_value_that_is_there_tells_its_own_chance(
    X, imputer_of, ignored, numbers_of
):
    imputer = imputer_of(mechanism=SelfMasking(direction="high"), kinds=ignored).fit(X)
    complete = imputer.transform(X)
    found = imputer.observed_probability(complete)
    names = [c.name for c in imputer.schema_.modelled]
    j = names.index("bp")
    term = imputer._fitted.model.m_given_ux
    bp = imputer.schema_.modelled[j]
    x = (complete["bp"].to_numpy() - bp.location) / bp.scale
    c, b = (v.detach().numpy()[j] for v in (term.slopes(), term.base))
    np.testing.assert_allclose(found[:, j], stats.norm.cdf(-c * (x - b)), atol=1e-4)
    assert found[:, names.index("weight")] == pytest.approx(1.0)  # it had no hole in training


@pytest.mark.parametrize("mechanism", ["selection", "no_self_censoring", "conjunction"])
def test_every_mechanism_gives_chances(X, imputer_of, ignored, mechanism):
    imputer = imputer_of(mechanism=mechanism, kinds=ignored).fit(X)
    for table in (X, imputer.transform(X)):
        for reconstruct in (False, True):
            found = imputer.observed_probability(table, reconstruct=reconstruct)
            assert found.shape == (len(X), 7)
            assert ((found >= 0.0) & (found <= 1.0 + 1e-6)).all()


def test_holes_that_are_ignored_have_no_chances(X, imputer_of, ignored):
    imputer = imputer_of(mechanism="ignorable", kinds=ignored).fit(X)
    with pytest.raises(ValueError, match="Ignorable has no distribution of the holes.*conjunct"):
        imputer.observed_probability(X)


def test_probabilities_of_levels_by_cell(X, fitted):
    imputation = fitted.impute(X, m=2)
    found = imputation.level_probabilities()
    assert set(found["column"]) == {"flag", "smoker", "grade", "site"}
    totals = found.groupby([".id", "column"])["probability"].sum()
    np.testing.assert_allclose(totals, 1.0, rtol=1e-5)
    completed = fitted.transform(X)
    best = found.loc[found.groupby([".id", "column"])["probability"].idxmax()]
    for row in best.itertuples():
        assert completed.loc[row[1], row.column] == row.level
    everything = imputation.interval(0.999999)
    cells = everything[everything["levels"].notna()]
    assert len(totals) == len(cells)
    for cell in cells.itertuples():
        mine = found[(found[".id"] == cell[1]) & (found["column"] == cell.column)]
        own = mine[mine["level"].isin(cell.levels)]["probability"]
        assert own.sum() == pytest.approx(cell.probability, abs=1e-5)


def test_probabilities_of_levels_where_there_are_no_cells(X, fitted, imputer_of, numbers_of):
    complete = fitted.transform(X)
    assert fitted.impute(complete, m=1).level_probabilities().empty
    T = numbers_of(X)[:, :2]
    found = imputer_of().fit(T).impute(T, m=1).level_probabilities()
    assert_frame_equal(found.iloc[:0], found)
    assert found.columns.tolist() == [".id", "column", "level", "probability"]
