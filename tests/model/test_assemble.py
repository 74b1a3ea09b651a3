import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pyro
import pytest
import torch
from pyro.distributions import Gamma
from scipy import stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.inference.objective import IWELBO, log_weights
from pyro_gnr.model.assemble import assemble, implied_kinds, likelihood_templates, own_kinds
from pyro_gnr.model.conditionals import Fusion, StochasticFusion
from pyro_gnr.model.likelihoods import Bernoulli, Categorical, Gaussian, StudentT, Truncated
from pyro_gnr.model.mechanisms import Conjunction, Ignorable, Selection, SelfMasking
from pyro_gnr.model.start import start
from pyro_gnr.model.transport import transport

SIZES = dict(n_rows=10, latent_dim=2, hidden=4)


def test_columns_of_a_kind_share_a_likelihood_in_any_order(columns_of):
    c0, c1, b0, k0 = columns_of(continuous=2, binary=1, levels=(3,))
    model, _ = assemble([c0, k0, c1, b0], **SIZES)
    blocks = model.x_given_u.likelihoods
    assert [type(b) for b in blocks] == [Gaussian, Categorical, Bernoulli]
    assert [model.x_given_u.positions(i).tolist() for i in range(3)] == [[0, 2], [1], [3]]
    x, _ = model(size=200)
    assert set(x[:, 1].unique().tolist()) <= {0.0, 1.0, 2.0}
    assert set(x[:, 3].unique().tolist()) <= {0.0, 1.0}
    assert len(x[:, 0].unique()) == len(x[:, 2].unique()) == 200


@torch.no_grad()
def test_log_prob_and_draws_go_to_their_columns(columns_of):
    c0, c1, b0, k0 = columns_of(continuous=2, binary=1, levels=(3,))
    model, _ = assemble([k0, c0, b0, c1], **SIZES)
    u = torch.randn(5, model.u_given_z.out_dim)
    d = model.x_given_u(u)
    x = torch.tensor([2.0, 0.7, 1.0, -0.3]).expand(5, 4)
    categorical, gaussian, bernoulli = (
        model.x_given_u.likelihoods[[type(b) for b in model.x_given_u.likelihoods].index(cls)](u)
        for cls in (Categorical, Gaussian, Bernoulli)
    )
    expected = [
        categorical.log_prob(torch.tensor(2.0))[:, 0],
        gaussian.log_prob(torch.tensor([0.7, -0.3]))[:, 0],
        bernoulli.log_prob(torch.tensor(1.0))[:, 0],
        gaussian.log_prob(torch.tensor([0.7, -0.3]))[:, 1],
    ]
    torch.testing.assert_close(d.log_prob(x), torch.stack(expected, -1))
    assert d.expand((7, 5, 4)).log_prob(x).shape == (7, 5, 4)
    median = d.transport(torch.full((5, 4), 0.5).double())
    torch.testing.assert_close(median[:, [1, 3]], gaussian.mean)


def test_likelihoods_by_column(columns_of):
    columns = columns_of(continuous=3, binary=1)
    wide = partial(Gaussian, floor=0.4)
    model, _ = assemble(
        columns, likelihoods={"c0": "student_t", "c2": wide, "b0": Categorical}, **SIZES
    )
    assert [type(b) for b in model.x_given_u.likelihoods] == [
        StudentT,
        Gaussian,
        Gaussian,
        Categorical,
    ]
    assert model.x_given_u.likelihoods[2].floor == 0.4
    assert model(size=3)[0].shape == (3, 4)


class Tied(Gaussian):
    """A likelihood whose hyperparameter has no text."""

    def __init__(self, *, anchor):
        super().__init__()
        self.anchor = anchor


def test_equal_likelihoods_are_one_however_they_are_given(columns_of):
    columns = columns_of(continuous=8)
    wide, tied = {"name": "gaussian", "floor": 0.4}, Tied(anchor=torch.ones(2))
    given = [Gaussian(floor=0.4), wide, dict(wide), partial(Gaussian, floor=0.4), "gaussian"]
    given += [tied, tied, Tied(anchor=torch.ones(2))]
    likelihoods = {f"c{j}": template for j, template in enumerate(given)}
    served = assemble(columns, likelihoods=likelihoods, **SIZES)[0].x_given_u
    places = [served.positions(i).tolist() for i in range(len(served.likelihoods))]
    assert places == [[0, 1, 2, 3], [4], [5, 6], [7]]


def test_templates_are_neither_changed_nor_shared(columns_of):
    columns = columns_of(continuous=2)
    likelihood, mechanism = Gaussian(floor=0.3), Conjunction()
    for _ in range(2):
        model, _ = assemble(
            columns,
            likelihoods={"c0": likelihood, "c1": likelihood},
            mechanism=mechanism,
            **SIZES,
        )
        assert len(model.x_given_u.likelihoods) == 1
        assert model.x_given_u.likelihoods[0] is not likelihood
        assert model.m_given_ux is not mechanism
    assert not list(likelihood.parameters()) and not list(mechanism.parameters())


def test_mistakes_in_likelihoods(columns_of):
    columns = columns_of(continuous=1, binary=1)
    with pytest.raises(ValueError, match=r"likelihoods names \['d'\].*\['c0', 'b0'\]"):
        assemble(columns, likelihoods={"d": "gaussian"}, **SIZES)
    with pytest.raises(ValueError, match="column 'b0' is binary.*Gaussian serves continuous"):
        assemble(columns, likelihoods={"b0": "gaussian"}, **SIZES)
    bounded = [Column("share", Kind.BOUNDED, "float64")]
    for likelihood, kind in ((Truncated(lower=0.0), "continuous"), ("poisson", "count")):
        says = rf"'share' is bounded.* serves {kind} col.* \(beta\), .*{{'share': '{kind}'}}"
        with pytest.raises(ValueError, match=says):
            assemble(bounded, likelihoods={"share": likelihood}, **SIZES)
    with pytest.raises(ValueError, match="got likelihood 'gauss'"):
        assemble(columns, likelihoods={"c0": "gauss"}, **SIZES)
    with pytest.raises(ValueError, match="got fusion='x', expected one of"):
        assemble(columns, fusion="x", **SIZES)
    assert likelihood_templates(columns, None) == ["gaussian", "bernoulli"]


def test_fusions(columns_of):
    columns = columns_of(continuous=2)
    layers = {
        fusion: assemble(columns, fusion=fusion, **SIZES)
        for fusion in ("deterministic", "replayed", "amortised")
    }
    model, guide = layers["deterministic"]
    assert isinstance(model.u_given_z, Fusion) and guide.u_given_z is None
    model, guide = layers["replayed"]
    assert isinstance(model.u_given_z, StochasticFusion) and guide.u_given_z is None
    assert model.replays_u and guide.u_noise == model.u_given_z.out_dim
    model, guide = layers["amortised"]
    assert not model.replays_u and guide.u_noise == 0
    assert isinstance(guide.u_given_z, StochasticFusion) and guide.u_given_z is not model.u_given_z
    # At the start it proposes what the model expects: the weight of u is 0.
    x, observed = torch.randn(3, 2), torch.ones(3, 2, dtype=torch.bool)
    traces = log_weights(model, guide, x, observed, particles=4)
    torch.testing.assert_close(
        traces.model.nodes["u"]["log_prob"], traces.guide.nodes["u"]["log_prob"]
    )


def test_mechanism_starts_at_the_observed_rates(columns_of):
    columns = [
        Column("a", Kind.CONTINUOUS, "float64", holes=3),
        Column("b", Kind.CONTINUOUS, "float64", holes=0),
    ]
    model, _ = assemble(columns, **SIZES)
    rates = model.m_given_ux.head(torch.randn(1, 6)).sigmoid()
    assert rates[0, 0].item() == pytest.approx(0.7)
    assert model.m_given_ux.has_holes.tolist() == [True, False]
    assert isinstance(assemble(columns, mechanism="ignorable", **SIZES)[0].m_given_ux, Ignorable)


def test_nothing_enters_the_param_store(mixed, simulate_rows):
    model, guide = mixed()
    IWELBO(2)(model, guide)(*simulate_rows(model, 3)).backward()
    assert len(pyro.get_param_store()) == 0


# --- the linear start ------------------------------------------------------------------------


def linear_rows(n_rows=400):
    rng = np.random.default_rng(0)
    w = np.array([[0.8, 0.0], [0.7, 0.3], [-0.6, 0.5], [0.1, 0.8], [0.5, -0.5]])
    x = rng.normal(size=(n_rows, 2)) @ w.T + 0.5 * rng.normal(size=(n_rows, 5))
    x = (x - x.mean(0)) / x.std(0)
    observed = rng.uniform(size=x.shape) < 0.75
    return torch.tensor(np.where(observed, x, 0.0)), torch.tensor(observed)


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("likelihood", ["gaussian", partial(Gaussian, heteroscedastic=False)])
def test_start_is_a_linear_model_with_its_exact_posterior(columns_of, hidden, likelihood):
    """Bend or no bend: it starts with weights that have no variance and an exact likelihood."""
    columns = columns_of(continuous=5)
    model, guide = assemble(
        columns,
        n_rows=20,
        latent_dim=2,
        hidden=hidden,
        likelihoods={c.name: likelihood for c in columns},
    )
    x, observed = linear_rows()
    start(model, guide, x, observed, generator=torch.Generator().manual_seed(0))
    log_w = log_weights(model, guide, x, observed, particles=5).log_weights
    assert log_w.std(0).max() < 1e-8
    d = model.x_given_u(model.u_given_z(torch.zeros(2))).blocks[0].distribution
    w = model.x_given_u.likelihoods[0].head.weight[:5, :2].numpy()
    covariance = w @ w.T + np.diag(d.scale.numpy() ** 2)
    rates = model.m_given_ux.head.bias.sigmoid()
    for n in range(20):
        v = observed[n].numpy()
        exact = stats.multivariate_normal(d.loc.numpy()[v], covariance[np.ix_(v, v)])
        holes = torch.where(observed[n], rates, 1 - rates).log().sum()
        expected = exact.logpdf(x[n].numpy()[v]) + holes.item()
        assert log_w[0, n].item() == pytest.approx(expected)


@torch.no_grad()
def test_start_beats_random_parameters_on_a_mixed_table(mixed, simulate_rows):
    x, observed = simulate_rows(mixed(seed=3)[0], 500)
    model, guide = mixed(wild=0.0)
    before = IWELBO(20).loss(model, guide, x, observed)
    start(model, guide, x, observed, generator=torch.Generator().manual_seed(0))
    assert IWELBO(20).loss(model, guide, x, observed) < before - 0.5


def every_kind():
    """Columns of every kind of numbers and levels, and rows of them that share a factor."""
    columns = [
        Column("c", Kind.CONTINUOUS, "float64", holes=120),
        Column("p", Kind.POSITIVE, "float64", scale=9.0, holes=120),
        Column("b", Kind.BOUNDED, "float64", scale=20.0, holes=120),
        Column("n", Kind.COUNT, "int64", whole=True, holes=120),
        Column("o", Kind.ORDINAL, "category", levels=("l", "m", "h"), holes=120),
    ]
    z = torch.randn(400, 1)
    e = 0.5 * torch.randn(400, 5)
    rows = [
        z + e[:, :1],
        (z + e[:, 1:2]).exp(),
        torch.sigmoid(z + e[:, 2:3]),
        torch.poisson((0.5 + z).exp()),
        ((z + e[:, 4:] > -0.5).double() + (z + e[:, 4:] > 0.7)),
    ]
    observed = torch.rand(400, 5) < 0.7
    return columns, torch.where(observed, torch.cat(rows, 1), 0.0), observed


def test_start_is_good_for_every_kind_and_training_from_it_is_finite():
    columns, x, observed = every_kind()
    assert likelihood_templates(columns, None) == [
        "gaussian",
        "log_normal",
        "beta",
        "negative_binomial",
        "ordinal",
    ]
    model, guide = assemble(columns, n_rows=400, latent_dim=1, hidden=8)
    with torch.no_grad():
        before = IWELBO(20).loss(model, guide, x, observed)
        generator = torch.Generator().manual_seed(0)
        start(model, guide, x, observed, generator=generator, observed=observed)
        after = IWELBO(20).loss(model, guide, x, observed)
    assert after < before - 1.0
    logs = x[observed[:, 1], 1].log()
    log_normal = model.x_given_u.parts()[1]
    assert log_normal.centre.item() == pytest.approx(logs.mean().item())
    assert log_normal.unit.item() == pytest.approx(logs.std(correction=0).item())
    # The linear model is near the optimum: training gains little on what the start gained.
    parameters = {id(p): p for p in [*model.parameters(), *guide.parameters()]}.values()
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        loss = IWELBO(20)(model, guide)(x, observed)
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in parameters)
        optimizer.step()
    assert after - loss.item() < 0.3 * (before - after)


@torch.no_grad()
def test_values_behind_holes_change_nothing_for_any_kind():
    columns, x, observed = every_kind()
    bounds = []
    for behind in (0.0, -3.0, torch.nan):
        torch.manual_seed(1)
        model, guide = assemble(columns, n_rows=400, latent_dim=1, hidden=8)
        values = torch.where(observed, x, behind)
        start(model, guide, values, observed, generator=torch.Generator().manual_seed(0))
        bounds.append(IWELBO(5).row_bounds(model, guide, values, observed))
    assert bounds[0].isfinite().all()
    for bound in bounds[1:]:
        torch.testing.assert_close(bounds[0], bound, rtol=0, atol=0)


def test_kinds_that_likelihoods_imply(columns_of):
    columns = [*columns_of(continuous=3, binary=1), Column("p", Kind.POSITIVE, "float64")]
    likelihoods = {"c0": "gamma", "c1": "student_t", "c2": Categorical, "b0": "bernoulli"}
    assert implied_kinds(columns, likelihoods, said=[]) == {
        "c0": Kind.POSITIVE,
        "c2": Kind.CATEGORICAL,
    }
    assert implied_kinds(columns, likelihoods, said=["c0"]) == {"c2": Kind.CATEGORICAL}
    assert implied_kinds(columns, {"p": "gaussian"}, said=[]) == {"p": Kind.CONTINUOUS}
    assert implied_kinds(columns, {}, said=[]) == {}


def test_kinds_that_likelihoods_have_of_their_own():
    several = type("Several", (Gaussian,), {"kinds": frozenset({Kind.POSITIVE, Kind.COUNT})})
    assert own_kinds({"a": "gamma", "b": Categorical, "c": "censored", "d": several}) == {
        "a": Kind.POSITIVE,
        "b": Kind.CATEGORICAL,
        "c": Kind.CENSORED,
    }


@torch.no_grad()
def test_two_levels_start_alike_with_either_likelihood(columns_of):
    """And so do the columns of more levels that share the block, steep slopes and rare levels."""
    columns = columns_of(binary=3, levels=(3, 4))
    z = torch.randn(500, 1)
    chances = torch.cat([torch.full_like(z, 2e-3), torch.sigmoid(z), torch.sigmoid(6 * z)], 1)
    levels = torch.stack([torch.randint(n, (500,)) for n in (3, 4)], 1)
    x = torch.cat([torch.bernoulli(chances), levels], 1)
    observed = torch.rand(500, 5) < 0.8
    found = []
    for likelihoods in (None, {f"b{j}": "categorical" for j in range(3)}):
        model, guide = assemble(
            columns, n_rows=10, latent_dim=2, hidden=4, likelihoods=likelihoods
        )
        generator = torch.Generator().manual_seed(0)
        start(model, guide, torch.where(observed, x, 0.0), observed, generator=generator)
        u = torch.linspace(-3.0, 3.0, 20)[:, None] * torch.ones(model.u_given_z.out_dim)
        p = model.x_given_u(u)
        found.append([p.log_prob(torch.full((20, 5), level)) for level in (0.0, 1.0)])
    for coins, levels in zip(*found, strict=True):
        assert coins.std(0).max() > 0.1
        torch.testing.assert_close(levels, coins, rtol=0, atol=1e-3)


@torch.no_grad()
def test_start_sees_visible_cells_only_and_its_own_generator(mixed, simulate_rows):
    x, observed = simulate_rows(mixed(seed=3)[0], 50)
    model, guide = mixed()
    states = []
    before = torch.get_rng_state()
    for values in (x, torch.where(observed, x, 1.0), x):
        pair = copy.deepcopy(model), copy.deepcopy(guide)
        start(*pair, values, observed, generator=torch.Generator().manual_seed(len(states) // 2))
        states.append([p.clone() for module in pair for p in module.state_dict().values()])
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(states[0], states[1], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert any(not torch.equal(a, b) for a, b in zip(states[0], states[2], strict=True))


@torch.no_grad()
def test_start_of_one_row_one_column_and_fewer_rows_than_factors(columns_of):
    for columns, rows in ((1, 1), (1, 5), (4, 2)):
        model, guide = assemble(columns_of(continuous=columns), **SIZES)
        x, observed = torch.randn(rows, columns), torch.ones(rows, columns, dtype=torch.bool)
        start(model, guide, x, observed, generator=torch.Generator().manual_seed(0))
        assert IWELBO(2).row_bounds(model, guide, x, observed).isfinite().all()


@pytest.fixture
def together():
    """Four columns of noise that go missing together, and one that is always seen."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 5, generator=g)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    observed = torch.ones(2000, 5, dtype=torch.bool)
    observed[torch.rand(2000, generator=g) < 0.1, 1:] = False
    return torch.where(observed, x, 0.0), observed


def test_start_gives_the_holes_directions_that_values_do_not_load_on(columns_of, together):
    """Else values of rows with holes would be extrapolated along a direction chosen by chance."""
    x, observed = together
    columns = [replace(c, holes=200 if j else 0) for j, c in enumerate(columns_of(continuous=5))]
    for seed in range(3):
        model, guide = assemble(columns, n_rows=2000, latent_dim=3, hidden=0)
        generator = torch.Generator().manual_seed(seed)
        start(model, guide, x, observed, generator=generator, observed=observed)
        with torch.no_grad():
            assert model.m_given_ux.head.weight[0].abs().max() == 0.0  # no hole, no slope
            assert model.m_given_ux.head.weight[1:].norm(dim=1).min() > 0.3
            gone = torch.zeros(1, 5, dtype=torch.bool)
            gone[:, 0] = True
            z = guide.encoder(torch.zeros(1, 5), gone, gone).loc
            centre = guide.encoder(torch.zeros(1, 5), torch.ones_like(gone), gone).loc
            head = model.x_given_u.likelihoods[0].head
            assert (z - centre).norm() > 0.5  # the guide knows that blood is missing, ...
            moved = ((z - centre) @ head.weight[:5].T).abs()
        assert moved.max() < 0.25, seed  # ... and moves no value by much


@pytest.mark.parametrize("choice", [{"mechanism": "ignorable"}, {"mask_weight": 0.0}])
def test_holes_that_do_not_count_take_no_direction(columns_of, together, choice):
    x, observed = together
    columns = [replace(c, holes=200 if j else 0) for j, c in enumerate(columns_of(continuous=5))]
    heads = []
    for shown in (None, observed):
        model, guide = assemble(columns, n_rows=2000, latent_dim=2, hidden=0, **choice)
        generator = torch.Generator().manual_seed(0)
        start(model, guide, x, observed, generator=generator, observed=shown)
        assert guide.encoder.hole_directions.abs().max() == 0.0
        heads.append(model.x_given_u.likelihoods[0].head.weight)
    torch.testing.assert_close(*heads)


@pytest.fixture
def masked():
    """Five columns of one factor; the first is missing where it is high."""
    g = torch.Generator().manual_seed(0)
    z, e = torch.randn(1500, 1, generator=g), torch.randn(1500, 5, generator=g)
    x = 0.8 * z + 0.6 * e
    observed = torch.ones(1500, 5, dtype=torch.bool)
    observed[:, 0] = torch.rand(1500, generator=g) > torch.special.ndtr(3.0 * (x[:, 0] - 0.5))
    return x, observed


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 8])
def test_selection_starts_at_self_masking_where_the_own_value_explains_the_holes(
    columns_of, masked, hidden
):
    x, observed = masked
    columns = [replace(c, holes=0 if j else 300) for j, c in enumerate(columns_of(continuous=5))]
    mechanism = partial(Selection, hidden=hidden)
    model, guide = assemble(columns, n_rows=1500, latent_dim=2, hidden=0, mechanism=mechanism)
    generator = torch.Generator().manual_seed(0)
    start(model, guide, x, observed, generator=generator, observed=observed)
    said = model.m_given_ux(torch.zeros(1, 2), x).base_dist.base_dist.probs[:, 0]
    true = torch.special.ndtr(-3.0 * (x[:, 0] - 0.5))
    assert (said - true).abs().mean() < 0.05
    assert model.m_given_ux.linear.weight[0, 1:].abs().max() == 0
    assert model.m_given_ux.linear.weight[1:].abs().max() == 0
    # The values start from the complete column and not from what is left of it.
    mean = model.x_given_u(model.u_given_z(torch.zeros(2))).blocks[0].distribution.loc[0]
    assert abs(mean - x[:, 0].mean()) < 0.1 < abs(x[observed[:, 0], 0].mean() - x[:, 0].mean())


@torch.no_grad()
def test_selection_starts_flat_where_other_columns_explain_the_holes(columns_of, masked):
    x, observed = masked
    columns = [replace(c, holes=0 if j else 300) for j, c in enumerate(columns_of(continuous=5))]
    observed = observed.clone()
    observed[:, 0] = x[:, 1] < 0.5
    model, guide = assemble(columns, n_rows=1500, latent_dim=2, hidden=0, mechanism="selection")
    generator = torch.Generator().manual_seed(0)
    start(model, guide, x, observed, generator=generator, observed=observed)
    assert model.m_given_ux.linear.weight.abs().max() == 0


@torch.no_grad()
@pytest.mark.parametrize("holes", ["beyond a threshold", "by chance"])
def test_start_does_not_read_skewness_as_a_tail_that_is_missing(holes):
    """The mean of the complete gamma column, where "high" is right and where it is wrong."""
    g = torch.Generator().manual_seed(0)
    z, e, other = torch.randn(3, 3000, generator=g)
    chance = torch.special.ndtr((z + e) / 2**0.5).clamp(1e-6, 1 - 1e-6).double()
    y = transport(Gamma(2.0, 1.5).expand((3000,)), chance).float()
    by_chance = torch.rand(3000, generator=g) < 0.5
    hidden = by_chance if holes == "by chance" else y > y.median()
    columns = [
        Column("y", Kind.POSITIVE, "float64", holes=int(hidden.sum())),
        Column("other", Kind.CONTINUOUS, "float64"),
    ]
    model, guide = assemble(
        columns,
        n_rows=3000,
        latent_dim=1,
        hidden=0,
        likelihoods={"y": "gamma"},
        mechanism=SelfMasking(direction={"y": "high"}),
    )
    x = torch.stack([y, other if holes == "by chance" else z + 0.5 * other], 1)
    observed = torch.stack([~hidden, torch.ones_like(hidden)], 1)
    start(model, guide, x, observed, generator=g, observed=observed)
    u = model.u_given_z(torch.randn(4000, 1, generator=g))
    mean = next(b for b in model.x_given_u(u).blocks if 0 in b.columns).distribution.mean
    assert mean.mean().item() == pytest.approx(y.mean().item(), rel=0.2)
