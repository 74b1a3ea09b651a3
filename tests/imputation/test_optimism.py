"""How much wider members' noise is made, against what theory says of regressions."""

from functools import partial

import numpy as np
import pytest
import torch

from pyro_gnr import GNRImputer
from pyro_gnr.data import Cell, Column, Kind, Schema, Table
from pyro_gnr.imputation.fitted import FittedModel, Member
from pyro_gnr.imputation.optimism import lost_parameters
from pyro_gnr.model.likelihoods import Gaussian

FAST = {"max_steps": 20, "hidden": 4, "imputation_particles": 100, "verbose": False}


def regressions(n, p, *, members=200, noise="normal", observed=1.0, seed=0):
    """Bayesian bootstrap of a regression on p columns: weights, r^2 - 1, 2 r^2, visible."""
    rng = np.random.default_rng(seed)
    visible = rng.random(n) < observed
    weights = rng.exponential(size=(members, n))
    weights /= weights.mean(1, keepdims=True)
    design = rng.normal(size=(n, p))
    y = rng.standard_t(9, n) if noise == "heavy" else rng.normal(size=n)
    inner = weights * visible
    gram = np.einsum("gn,np,nq->gpq", inner, design, design)
    beta = np.linalg.solve(gram, np.einsum("gn,np,n->gp", inner, design, y)[..., None])[..., 0]
    residual = y - beta @ design.T
    s2 = (inner * residual**2).sum(1, keepdims=True) / inner.sum(1, keepdims=True)
    r2 = torch.from_numpy(residual**2 / s2 * visible).unsqueeze(-1)
    seen = torch.from_numpy(visible).unsqueeze(-1)
    return torch.from_numpy(weights), r2 - 1.0 * seen, 2 * r2, seen


def found_of(made):
    weights, scores, curvature, visible = made
    return lost_parameters(weights, scores, curvature=curvature, visible=visible)


@pytest.mark.parametrize("noise", ["normal", "heavy"])
@pytest.mark.parametrize("p", [1, 4, 12])
def test_parameters_of_a_regression_are_counted(p, noise):
    """Four standard errors and, of p / n, a term of second order."""
    found = [found_of(regressions(1200, p, noise=noise, seed=s)) for s in range(8)]
    error = np.std(found, ddof=1) / len(found) ** 0.5
    assert np.mean(found) == pytest.approx(p, abs=4 * error + p * p / 100)
    assert error < 0.4


def test_hidden_cells_play_no_part():
    made = regressions(1000, 6, observed=0.5)
    assert found_of(made) == pytest.approx(6, rel=0.15)


def test_an_inflated_member_has_the_noise_that_least_squares_has_without_bias():
    """Its variance is short by 2p/n before, and by terms of second order, (2p/n)^2, after."""
    n, p, before, after = 100, 8, [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        design, y = rng.normal(size=(n, p)), rng.normal(size=n)
        weights = rng.exponential(size=(5, n))
        weights /= weights.mean(1, keepdims=True)
        roots = np.sqrt(weights)[..., None]
        beta = [np.linalg.lstsq(w * design, w[:, 0] * y)[0] for w in roots]
        residual = y - np.array(beta) @ design.T
        s2 = (weights * residual**2).mean(1, keepdims=True)
        r2 = torch.from_numpy(residual**2 / s2).unsqueeze(-1)
        every = torch.ones(n, 1, dtype=torch.bool)
        told = torch.from_numpy(weights), r2 - 1
        t = lost_parameters(*told, curvature=2 * r2, visible=every) / n
        before.append(s2.mean())
        after.append(s2.mean() * np.exp(2 * t))
    assert np.mean(before) == pytest.approx(1 - 2 * p / n, abs=0.03)
    assert np.mean(after) == pytest.approx(1.0, abs=0.04)


def test_nothing_is_lost_where_scores_do_not_hang_on_weights():
    weights, scores, curvature, visible = regressions(300, 3)
    still = scores.mean(0, keepdim=True).expand_as(scores)
    assert lost_parameters(weights, still, curvature=curvature, visible=visible) == 0.0


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_columns_without_a_scale_or_without_cells_are_left_out(hidden):
    """A column of zeros beside the regression, seen or not, changes nothing."""
    weights, scores, curvature, visible = regressions(300, 3)
    nothing = torch.zeros_like(scores)
    wide = lost_parameters(
        weights,
        torch.cat([scores, nothing], 2),
        curvature=torch.cat([curvature, nothing], 2),
        visible=torch.cat([visible, torch.full_like(visible, hidden == 0.0)], 1),
    )
    assert wide == pytest.approx(found_of((weights, scores, curvature, visible)), rel=1e-12)
    assert lost_parameters(weights, nothing, curvature=nothing, visible=visible) == 0.0


def test_scores_of_noise_are_those_of_the_exact_likelihood(double, linear_gaussian):
    """First and second derivative of log N(x_o; mu, W W' + S) by log s_j, of every row."""
    world = linear_gaussian(n_rows=8, n_columns=4, latent_dim=2)
    world.spoil()
    seen = world.observed.numpy()
    columns = tuple(Column(f"c{j}", Kind.CONTINUOUS, "float64", holes=5) for j in range(4))
    states = np.where(seen, Cell.OBSERVED, Cell.MISSING).astype(np.int8)
    values = np.where(seen, world.x.numpy(), 0.0)
    table = Table(values, Schema(columns), values, states, np.arange(8, dtype=np.uint64))
    member, cpu = Member(world.model, world.guide), torch.device("cpu")
    model = FittedModel(Schema(columns), (member,), particles=20_000, seed=1, device=cpu)
    score, curvature = model.scale_scores(table, np.arange(8))[:, 0]

    w, mean = torch.tensor(world.loadings), torch.tensor(world.mean)

    def log_likelihood(log_s, row):
        at = torch.from_numpy(seen[row])
        covariance = (w @ w.T + torch.diag((2 * log_s).exp()))[at][:, at]
        normal = torch.distributions.MultivariateNormal(mean[at], covariance)
        return normal.log_prob(world.x[row][at])

    log_s = torch.tensor(world.scale).log()
    for row in range(7):  # the last has nothing to say
        of_row = partial(log_likelihood, row=row)
        first = torch.autograd.functional.jacobian(of_row, log_s)
        second = torch.autograd.functional.hessian(of_row, log_s).diagonal()
        torch.testing.assert_close(score[row], first, atol=0.06, rtol=0.05)
        torch.testing.assert_close(curvature[row], -second, atol=0.15, rtol=0.1)
    assert not score[7].any() and not curvature[7].any()
    assert not score[~world.observed].any()


def table_of(n, *, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) + rng.normal(size=(n, 4))
    x[:, 0] = (x[:, 0] > 0) * 1.0
    return np.where(rng.random((n, 4)) < 0.2, np.nan, x)


def inflations(imputer):
    """Of each member's columns that have a scale, (G, 3)."""
    found = []
    for member in imputer._fitted.members:
        [gaussian] = [p for p in member.model.x_given_u.parts() if isinstance(p, Gaussian)]
        found.append(gaussian.inflation.numpy())
    return np.array(found)


def test_an_ensemble_is_inflated_by_the_less_the_more_rows_it_has():
    few, many = (
        inflations(GNRImputer(**FAST, members=3, random_state=0).fit(table_of(n)))
        for n in (60, 3000)
    )
    for found in (few, many):
        assert (found == found[0]).all()  # the same in all members
    assert (few > 1.01).all() and (few < 1.11).all()
    assert (many >= 1.0).all() and (many < 1.01).all()


def test_one_member_is_left_as_it_is():
    assert (inflations(GNRImputer(**FAST, members=1, random_state=0).fit(table_of(60))) == 1).all()


def test_columns_of_levels_alone_have_nothing_to_inflate():
    table = np.where(np.isnan(table_of(60)), np.nan, table_of(60) > 0)
    kinds = dict.fromkeys(("x0", "x1", "x2", "x3"), "binary")
    imputed = GNRImputer(**FAST, members=2, kinds=kinds, random_state=0).fit_transform(table)
    assert np.isin(imputed, (0.0, 1.0)).all()


def test_a_saved_model_keeps_it(tmp_path):
    imputer = GNRImputer(**FAST, members=2, random_state=0).fit(table_of(60))
    imputer.save(tmp_path / "model.gnr")
    found = inflations(GNRImputer.load(tmp_path / "model.gnr"))
    assert (found == inflations(imputer)).all() and (found > 1).any()


def test_some_rows_tell_of_all():
    """The scale's own part does not grow with the rows that were not looked at."""
    weights, scores, curvature, visible = regressions(4000, 8, members=400)
    told = (part[:, ::4] for part in (weights, scores, curvature))
    some, s, c = told
    p = lost_parameters(some, s, curvature=c, visible=visible[::4], share=0.25)
    assert p == pytest.approx(8, abs=2.5)
    assert lost_parameters(some, s, curvature=c, visible=visible[::4]) < 2.5


def test_a_column_that_says_nothing_of_its_scale_asks_for_little():
    """Where rows say a twentieth of what values would, p is not twenty times as large."""
    weights, scores, curvature, visible = regressions(600, 3)
    blurred = lost_parameters(weights, scores / 20, curvature=curvature / 20, visible=visible)
    assert 0.0 < blurred < 3


def test_small_tables_are_widened_by_a_tenth_at_most():
    for seed in range(4):
        found = inflations(GNRImputer(**FAST, members=2, random_state=seed).fit(table_of(40)))
        assert (found >= 1.0).all() and (found <= np.exp(0.1) + 1e-6).all()


def test_a_likelihood_with_scales_of_its_own_is_left_as_it_is():
    class Own(Gaussian):
        def distribution(self, parameters):
            location, raw = parameters.chunk(2, -1)
            return torch.distributions.Normal(location, 0.1 + torch.sigmoid(raw))

    imputer = GNRImputer(
        **FAST, members=2, random_state=0, likelihoods=dict.fromkeys(["x1", "x2", "x3"], Own)
    ).fit(table_of(60))
    assert (inflations(imputer) == 1.0).all()
