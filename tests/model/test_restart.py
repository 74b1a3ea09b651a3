"""How a fit moves with the rows: to where it would have started from them."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ortho_group

from pyro_gnr.data import Schema
from pyro_gnr.inference.training import local_precision
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.restart import Started, _kept, _turned, move
from pyro_gnr.model.start import linear_start, start

MECHANISMS = ["ignorable", "conjunction", "self_masking"]


def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def table():
    """Six numbers of two factors and a column of levels, the first three with holes by value."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.5 * rng.normal(size=(400, 6))
    x = np.column_stack([x, np.where(x[:, 0] + rng.normal(size=400) > 0, 1.0, 0.0)])
    x[:, :3] = np.where(rng.random((400, 3)) < 0.6 * (x[:, :3] > 0.3), np.nan, x[:, :3])
    return pd.DataFrame(x, columns=[f"x{j}" for j in range(7)])


@pytest.fixture(params=MECHANISMS)
def started(request, table):
    """Model and guide at their start, copies of them, and the rows."""
    schema = Schema.learn(table, {"x6": "binary"})
    encoded = schema.encode(table)
    x, observed = torch.tensor(encoded.values), torch.tensor(encoded.observed)
    pair = assemble(
        schema.modelled, n_rows=len(x), latent_dim=3, hidden=4, mechanism=request.param
    )
    linear, _ = start(*pair, x, observed, generator=generator(), observed=observed)
    return pair, Started(*copy.deepcopy(pair), linear), x, observed


def parameters(pair):
    return torch.cat([p.flatten() for p in torch.nn.ModuleList(pair).parameters()])


def moved(started, rows, share=1.0):
    """Move the pair, and give how far."""
    pair, first, x, observed = started
    before = parameters(pair).clone()
    move(pair, first, x=x, observed=observed, visible=observed, rows=rows, share=share)
    return parameters(pair) - before


def drawn(n, *, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, n, n))


@torch.no_grad()
def test_the_rows_of_the_start_move_nothing(started):
    rows = torch.randperm(400, generator=generator())
    assert moved(started, rows).abs().max() < 1e-4


@torch.no_grad()
def test_where_training_changed_nothing_the_start_of_the_rows_is_reached(started):
    (model, guide), first, x, observed = started
    rows, again = drawn(400), generator()
    again.set_state(first.linear.state)
    expected = linear_start(
        model, guide.encoder, x[rows], observed[rows],
        observed=observed[rows], generator=again, like=first.linear,
    )  # fmt: skip
    assert moved(started, rows).abs().max() > 0.01
    w, values = guide.encoder.directions, expected.values
    torch.testing.assert_close(w @ w.T, values.loadings @ values.loadings.T)
    torch.testing.assert_close(guide.encoder.log_precision, -values.noise.log())
    torch.testing.assert_close(guide.encoder.centre, values.intercept)
    if expected.holes is not None:
        slopes, mine = expected.holes.slopes, model.m_given_ux.head.weight[:, :3]
        cosine = (slopes @ slopes.T).flatten() @ (mine @ mine.T).flatten()
        assert cosine / (slopes @ slopes.T).norm() / (mine @ mine.T).norm() > 0.999


@torch.no_grad()
def test_training_is_carried_along(started):
    """The way is added to what training made of the start, of which it knows nothing."""
    (model, guide), first, x, observed = started
    other = copy.deepcopy((model, guide))
    for p in torch.nn.ModuleList(other).parameters():
        p.add_(0.1 * torch.randn_like(p))
    rows = drawn(400)
    way = moved(started, rows)
    torch.testing.assert_close(moved((other, first, x, observed), rows), way)


@torch.no_grad()
def test_factors_are_turned_to_those_of_the_first_start(started):
    _, first, *_ = started
    linear = first.linear
    turn = torch.from_numpy(ortho_group.rvs(3, random_state=0))
    values = linear.values._replace(loadings=linear.values.loadings @ turn)
    holes = linear.holes and linear.holes._replace(slopes=linear.holes.slopes @ turn)
    back = _turned(linear._replace(values=values, holes=holes), linear)
    torch.testing.assert_close(back.values.loadings, linear.values.loadings)
    if linear.holes is not None:
        torch.testing.assert_close(back.holes.slopes, linear.holes.slopes)
    if linear.masked is not None:
        torch.testing.assert_close(back.masked.linear.loadings, linear.values.loadings)


@torch.no_grad()
def test_a_share_of_the_rows_moves_it_less(started):
    """A start of n of N rows has sqrt(N / n) times the standard error."""
    pair, *rest = started
    other, rows = copy.deepcopy(pair), drawn(100)
    far = moved((other, *rest), rows)
    torch.testing.assert_close(moved((pair, *rest), rows, 0.25), 0.5 * far)


@torch.no_grad()
def test_a_column_that_no_row_shows_stays(started):
    (_, guide), _, _, observed = started
    hidden = (~observed[:, 0]).nonzero()[:, 0]
    encoder = guide.encoder
    first = [p[0].clone() for p in (encoder.directions, encoder.log_precision, encoder.centre)]
    way = moved(started, hidden[drawn(len(hidden))])
    assert way.isfinite().all()
    assert way.abs().max() > 0.01
    now = [p[0] for p in (encoder.directions, encoder.log_precision, encoder.centre)]
    for a, b in zip(now, first, strict=True):
        torch.testing.assert_close(a, b)


@torch.no_grad()
def test_rows_that_are_few_move_nothing(started):
    """Ten times the same row is one row: noises and thresholds would be those of a point."""
    assert moved(started, drawn(9).repeat(20)).abs().max() == 0.0


@torch.no_grad()
@pytest.mark.parametrize("mechanism", ["self_masking", "selection"])
def test_the_rows_of_the_start_move_nothing_where_no_column_masks_itself(mechanism):
    """Then the first start went on from the values' factor analysis, and so does this."""
    rng = np.random.default_rng(2)
    x = np.exp(0.4 * rng.normal(size=(400, 1)) + 0.3 * rng.normal(size=(400, 5)))
    table = pd.DataFrame(np.where(rng.random((400, 5)) < 0.3, np.nan, x))
    schema = Schema.learn(table, dict.fromkeys(range(3), "positive"))
    encoded = schema.encode(table)
    x, observed = torch.tensor(encoded.values), torch.tensor(encoded.observed)
    gamma = {schema.modelled[j].name: "gamma" for j in range(3)}
    pair = assemble(
        schema.modelled, n_rows=400, latent_dim=2, hidden=4, mechanism=mechanism,
        likelihoods=gamma,
    )  # fmt: skip
    linear, _ = start(*pair, x, observed, generator=generator(), observed=observed)
    assert linear.masked is not None
    assert not linear.masked.slope.any()
    first = Started(*copy.deepcopy(pair), linear)
    rows = torch.randperm(400, generator=generator())
    assert moved((pair, first, x, observed), rows).abs().max() < 1e-4


@torch.no_grad()
def test_a_direction_that_was_found_is_kept(table):
    """Rows drawn anew are no reason to turn a column's direction round."""
    schema = Schema.learn(table, {"x6": "binary"})
    encoded = schema.encode(table)
    x, observed = torch.tensor(encoded.values), torch.tensor(encoded.observed)
    model, guide = assemble(
        schema.modelled, n_rows=400, latent_dim=3, hidden=4, mechanism="self_masking"
    )
    assert model.m_given_ux.signs().isnan().any()
    linear, _ = start(model, guide, x, observed, generator=generator(), observed=observed)
    found = [
        linear_start(
            model, guide.encoder, -x, observed, observed=observed, generator=generator(), like=like
        ).masked.slope.sign()[:3]
        for like in (None, linear)
    ]
    assert found[0].tolist() == [-1, -1, -1]
    assert found[1].tolist() == [1, 1, 1]


@torch.no_grad()
def test_repeated_rows_are_no_pattern_of_holes():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(np.where(rng.random((400, 6)) < 0.3, np.nan, rng.normal(size=(400, 6))))
    schema = Schema.learn(table)
    encoded = schema.encode(table)
    x, observed = torch.tensor(encoded.values), torch.tensor(encoded.observed)
    model, guide = assemble(schema.modelled, n_rows=400, latent_dim=3, hidden=4)
    linear, _ = start(model, guide, x, observed, generator=generator(), observed=observed)
    rows = drawn(40).repeat(10)
    found = [
        linear_start(
            model, guide.encoder, x[rows], observed[rows],
            observed=observed[rows], generator=generator(), like=like,
        ).holes.own
        for like in (None, linear)
    ]  # fmt: skip
    assert found == [1, 0]


def six_numbers(*, together):
    """400 rows, 30 % of whose cells are missing at random; of three columns together."""
    rng = np.random.default_rng(0)
    holes = rng.random((400, 6)) < 0.3
    holes[:, :3] = holes[:, :1] if together else holes[:, :3]
    schema = Schema.learn(pd.DataFrame(np.where(holes, np.nan, rng.normal(size=(400, 6)))))
    x = torch.from_numpy(np.where(holes, 0.0, rng.normal(size=(400, 6))))
    return schema, x, torch.from_numpy(~holes)


@torch.no_grad()
@pytest.mark.parametrize("together", [False, True])
def test_a_draw_has_as_many_factors_of_holes(together):
    """Rows drawn anew look more alike than they are, or by chance less."""
    schema, x, observed = six_numbers(together=together)
    _, _, other = six_numbers(together=not together)
    model, guide = assemble(schema.modelled, n_rows=400, latent_dim=3, hidden=4)
    linear, _ = start(model, guide, x, observed, generator=generator(), observed=observed)
    found = [
        linear_start(
            model, guide.encoder, x, other, observed=other, generator=generator(), like=like
        )
        for like in (None, linear)
    ]  # fmt: skip
    assert [fit.holes.own for fit in found] == [not together, together]
    assert all(part.isfinite().all() for part in found[1].values)
    # Of fewer columns with holes there are fewer factors at most: then nothing moves.
    everywhere = torch.ones(6) > 0
    kept = _kept(found[0], linear, told=everywhere, column=torch.arange(6), n=400)
    torch.testing.assert_close(kept.values, linear.values)
    torch.testing.assert_close(kept.holes.slopes, linear.holes.slopes)


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {"dtype": torch.float32},
        {"prior": "vamp"},
        {"prior": "gaussian_mixture"},
        {"mask_weight": 0.0},
    ],
    ids=str,
)
def test_parts_of_every_sort_move(table, options):
    schema = Schema.learn(table, {"x6": "binary"})
    encoded = schema.encode(table)
    options = {"dtype": torch.float64, **options}
    dtype = options.pop("dtype")
    x, observed = torch.tensor(encoded.values, dtype=dtype), torch.tensor(encoded.observed)
    with local_precision(dtype):
        pair = assemble(schema.modelled, n_rows=400, latent_dim=3, hidden=4, **options)
        linear, _ = start(*pair, x, observed, generator=generator(), observed=observed)
        first = Started(*copy.deepcopy(pair), linear)
        own = [(p, p.clone()) for p in pair[0].prior.parameters()]
        way = moved((pair, first, x, observed), drawn(400))
    assert way.dtype == dtype
    assert way.isfinite().all()
    assert way.abs().max() > 0.01
    # A prior has what the table's rows gave it; a Vamp prior's encoder is the guide's.
    shared = {id(p) for p in pair[1].parameters()}
    assert all(torch.equal(p, before) for p, before in own if id(p) not in shared)
    head = pair[0].m_given_ux.head.weight
    assert (linear.holes is None) == (options.get("mask_weight") == 0.0)
    assert torch.equal(head, first.model.m_given_ux.head.weight) == (linear.holes is None)


@torch.no_grad()
@pytest.mark.parametrize("started", ["self_masking"], indirect=True)
def test_a_column_that_found_another_optimum_stays(started):
    """Its holes would be some standard deviations away: that is no standard error."""
    _, first, *_ = started
    like = first.linear
    far, near = (like.shares[0] * way * torch.eye(7)[0] for way in (2.0, 0.5))
    for way, kept in ((far, like.values.intercept), (near, like.values.intercept + near)):
        values = like.values._replace(intercept=like.values.intercept + way)
        masked = like.masked._replace(linear=values, slope=3 * like.masked.slope)
        there = like._replace(values=values, masked=masked)
        found = _kept(there, like, told=torch.ones(7) > 0, column=torch.arange(7), n=400)
        torch.testing.assert_close(found.values.intercept, kept)
        torch.testing.assert_close(found.masked.linear, found.values)
        stays = found.masked.slope == like.masked.slope
        assert stays[:3].tolist() == [way is far, False, False]
