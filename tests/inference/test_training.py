import copy
import sys

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from pyro_gnr.inference.objective import IWELBO
from pyro_gnr.inference.training import (
    HeldOutCells,
    HeldOutRows,
    Progress,
    TrainingPlan,
    local_seed,
    train,
)

SHORT = TrainingPlan(particles=3, max_steps=12, batch_size=8, evaluate_every=4, learning_rate=0.01)


def plan(**changes):
    return TrainingPlan(**{**vars(SHORT), **changes})


def weights(*modules):
    return [p.detach().clone() for m in modules for p in m.state_dict().values()]


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def largest_move(ours, theirs):
    return max((a * 1.0 - b * 1.0).abs().max() for a, b in zip(ours, theirs, strict=True)).item()


@pytest.fixture
def case(mixed, simulate_rows):
    """Model, guide and 30 rows from another model."""
    data = simulate_rows(mixed(seed=9)[0], 30)
    return (*mixed(), data)


# --- the course of training ------------------------------------------------------------------


def test_loss_falls_and_history_tells_it(case):
    model, guide, data = case
    seen = []
    fit = train(
        model,
        guide,
        data,
        plan=plan(max_steps=90, evaluate_every=40),
        seed=0,
        callback=seen.append,
    )
    assert [entry.step for entry in fit.history] == [40, 80, 90]
    assert seen == fit.history and isinstance(seen[0], Progress)
    assert fit.history[-1].loss < fit.history[0].loss - 0.3
    assert fit.history[0].validation is None
    assert (fit.best_step, fit.stopped_early) == (90, False)


def test_history_is_the_mean_of_the_row_losses(linear_gaussian):
    """With the exact guide a bound has no noise: the entries are known."""
    world = linear_gaussian(n_rows=8)
    exact = world.log_likelihood()
    omega = torch.linspace(0, 3, 8)
    for row_weights, expected in ((None, exact.mean()), (omega, (omega.numpy() * exact).mean())):
        fit = train(
            copy.deepcopy(world.model),
            copy.deepcopy(world.guide),
            (world.x, world.observed),
            plan=plan(max_steps=3, evaluate_every=3, learning_rate=0.0),
            seed=0,
            row_weights=row_weights,
        )
        assert fit.history[0].loss == pytest.approx(-expected)


def test_epochs_show_every_row_once(monkeypatch, case):
    model, guide, _ = case
    shown = []
    original = IWELBO.differentiable_loss

    def spy(self, model, guide, x, observed, row_weights):
        shown.append(row_weights)
        return original(self, model, guide, x, observed, row_weights=row_weights)

    monkeypatch.setattr(IWELBO, "differentiable_loss", spy)
    x, observed = torch.zeros(20, 5), torch.ones(20, 5, dtype=torch.bool)
    row_numbers = torch.arange(20.0)
    train(
        model,
        guide,
        (x, observed),
        plan=plan(max_steps=6, batch_size=10),
        seed=0,
        row_weights=row_numbers,
    )
    for epoch in (shown[:2], shown[2:4], shown[4:]):
        assert torch.equal(torch.cat(epoch).sort().values, row_numbers)
    assert not torch.equal(shown[0], shown[2])


@pytest.mark.parametrize(
    ("gradient", "order"), [("iwae", 0.5), ("dreg", 0.0), ("stl", 0.0), ("stl", 1.0)]
)
def test_every_gradient_trains(case, gradient, order):
    model, guide, data = case
    before = weights(model), weights(guide)
    course = plan(max_steps=90, evaluate_every=30, gradient=gradient, renyi_order=order)
    fit = train(model, guide, data, plan=course, seed=0)
    assert fit.history[-1].loss < fit.history[0].loss - 0.1
    assert largest_move(before[0], weights(model)) > 0 < largest_move(before[1], weights(guide))


def test_gradient_of_another_bound_is_refused_before_training(case):
    before = weights(*case[:2])
    with pytest.raises(ValueError, match="gradient='dreg' with renyi_order=0.5"):
        train(*case, plan=plan(gradient="dreg", renyi_order=0.5), seed=0)
    assert_equal(before, weights(*case[:2]))


def test_row_weights_stay_with_their_rows(case):
    """Rows of weight 0 could hold anything."""
    model, guide, (x, observed) = case
    omega = (torch.arange(30) % 2).double()
    other = torch.where((omega == 0)[:, None] & observed, 1.0, x)
    trained = []
    for values in (x, other):
        pair = copy.deepcopy(model), copy.deepcopy(guide)
        train(*pair, (values, observed), plan=SHORT, seed=0, row_weights=omega)
        trained.append(weights(*pair))
    assert_equal(*trained)
    pair = copy.deepcopy(model), copy.deepcopy(guide)
    train(*pair, (other, observed), plan=SHORT, seed=0, row_weights=1 - omega)
    assert largest_move(trained[0], weights(*pair)) > 0


def test_learning_rate_falls_to_zero(case):
    model, guide, data = case
    states = [weights(model, guide)]
    train(
        model,
        guide,
        data,
        plan=plan(max_steps=30, evaluate_every=1),
        seed=0,
        callback=lambda _: states.append(weights(model, guide)),
    )
    moves = [largest_move(s, t) for s, t in zip(states[:-1], states[1:], strict=True)]
    assert moves[0] == pytest.approx(0.01, rel=0.05)  # Adam's first step is the learning rate
    assert moves[-1] < 0.02 * moves[0]


def test_shared_parameters_are_stepped_once(mixed, simulate_rows):
    """Model and guide share p(u|z): twice in the optimiser, it would be stepped twice."""
    model, guide = mixed(fusion="amortised")
    guide.u_given_z = model.u_given_z
    data = simulate_rows(model, 30)
    before = weights(model)
    train(model, guide, data, plan=plan(max_steps=1), seed=0)
    assert largest_move(before, weights(model)) == pytest.approx(0.01, rel=1e-3)
    assert model.u_given_z is guide.u_given_z


def test_no_step_at_all(case):
    model, guide, data = case
    before = weights(model, guide)
    fit = train(model, guide, data, plan=plan(max_steps=0), seed=0)
    assert fit.history == [] and fit.best_step == 0
    assert_equal(before, weights(model, guide))


@pytest.mark.parametrize("rows", [1, 3])
def test_fewer_rows_than_a_batch(case, rows):
    model, guide, data = case
    fit = train(model, guide, tuple(d[:rows] for d in data), plan=SHORT, seed=0)
    assert fit.best_step == 12


# --- validation ------------------------------------------------------------------------------


class Script:
    """A held-out bound that says what it is told and remembers the weights it saw."""

    def __init__(self, *values):
        self.values, self.states = iter(values), []

    def __call__(self, model, guide):
        self.states.append(weights(model, guide))
        return next(self.values)


def test_best_weights_are_restored_and_training_stops(case):
    model, guide, data = case
    script = Script(0.0, 1.0, 3.0, 2.0, 2.5, 2.9, 9.0)
    fit = train(
        model, guide, data, plan=plan(max_steps=100, patience=3), seed=0, validation=script
    )
    assert (fit.best_step, fit.stopped_early) == (8, True)
    assert [entry.validation for entry in fit.history] == [1.0, 3.0, 2.0, 2.5, 2.9]
    assert fit.history[-1].step == 20
    assert_equal(weights(model, guide), script.states[2])
    assert any(
        not torch.equal(a, b) for a, b in zip(script.states[2], script.states[3], strict=True)
    )


def test_weights_from_before_training_can_be_the_best(case):
    model, guide, data = case
    before = weights(model, guide)
    fit = train(model, guide, data, plan=plan(patience=9), seed=0, validation=Script(5.0, 1, 1, 1))
    assert (fit.best_step, fit.stopped_early) == (0, False)
    assert_equal(weights(model, guide), before)


def test_validation_does_not_change_training(case):
    """Its draws come from its own generator, so that looking does not alter what is seen."""
    model, guide, data = case
    trained = []
    for validation in (None, HeldOutRows(data, particles=4)):
        pair = copy.deepcopy(model), copy.deepcopy(guide)
        states = []
        train(
            *pair,
            data,
            plan=SHORT,
            seed=0,
            validation=validation,
            callback=lambda _, pair=pair, states=states: states.append(weights(*pair)),
        )
        trained.append(states[-1])
    assert_equal(*trained)


def test_held_out_rows_is_the_mean_log_likelihood(linear_gaussian):
    world = linear_gaussian(n_rows=300)  # more than are evaluated at once
    value = HeldOutRows((world.x, world.observed), particles=2)(world.model, world.guide)
    assert value == pytest.approx(world.log_likelihood().mean())


def test_held_out_cells_is_the_log_density_of_hidden_given_visible(linear_gaussian):
    world = linear_gaussian(n_rows=300)
    visible = world.observed & (torch.rand(world.x.shape) < 0.7)
    value = HeldOutCells(
        (world.x, world.observed, world.observed), (world.x, world.observed, visible), particles=2
    )(world.model, world.guide)
    expected = world.log_likelihood() - world.log_likelihood(visible)
    assert value == pytest.approx(expected.mean())
    assert abs(value) > 0.1


def test_held_out_bound_repeats_and_has_no_gradient(case):
    model, guide, data = case
    validation = HeldOutRows(data, particles=4)
    assert validation(model, guide) == validation(model, guide)
    assert validation(model, guide) != HeldOutRows(data, particles=4, seed=1)(model, guide)
    assert all(p.grad is None for p in model.parameters())


# --- what goes wrong -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Encountered NaN")  # by Pyro, before our error
def test_divergence_names_the_step_and_the_way_out(case):
    model, guide, data = case

    def spoil(progress):
        if progress.step == 8:
            model.x_given_u.likelihoods[0].head.bias.data[0] = torch.nan

    with pytest.raises(FloatingPointError, match=r"step 9: the loss is nan\. Try a smaller"):
        train(model, guide, data, plan=SHORT, seed=0, callback=spoil)


def test_held_out_divergence_names_the_step(case):
    with pytest.raises(FloatingPointError, match="step 8: the held-out bound is nan"):
        train(*case, plan=SHORT, seed=0, validation=Script(0.0, 1.0, np.nan))
    with pytest.raises(FloatingPointError, match="step 0: the held-out bound is inf"):
        train(*case, plan=SHORT, seed=0, validation=Script(np.inf))


def test_singular_matrix_names_the_step(case):
    model, guide, data = case

    def spoil(progress):
        guide.encoder.directions.data.fill_(torch.nan)

    with pytest.raises(FloatingPointError, match="step 5: a matrix of the guide is singular"):
        train(model, guide, data, plan=SHORT, seed=0, callback=spoil)


class Kink(nn.Module):
    """Its loss is finite, its gradient is not."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z + (self.w * 0).abs().sqrt(), 1.0), obs=x)


class Broad(nn.Module):
    def forward(self, x):
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("z", dist.Normal(x / 2, 1.0))


def test_infinite_gradient_names_the_step():
    with pytest.raises(FloatingPointError, match="step 1: the gradient is nan"):
        train(Kink(), Broad(), (torch.randn(9),), plan=SHORT, seed=0)


def test_callback_can_end_training(case):
    model, guide, data = case

    def stop(progress):
        raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        train(model, guide, data, plan=SHORT, seed=0, callback=stop)
    assert torch.equal(torch.get_rng_state(), before)


# --- hygiene ---------------------------------------------------------------------------------


def world_state():
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "settings": pyro.settings.get(),
        "validation": (
            torch.distributions.Distribution._validate_args,
            dist.is_validation_enabled(),
            pyro.infer.util.is_validation_enabled(),
            pyro.poutine.util.is_validation_enabled(),
        ),
        "effects": pyro.poutine.runtime.am_i_wrapped(),
        "store": list(pyro.get_param_store().keys()),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
    }


def test_nothing_outside_changes(case):
    model, guide, data = case
    before = world_state()
    train(model, guide, data, plan=SHORT, seed=0, validation=HeldOutRows(data))
    assert world_state() == before
    assert len(pyro.get_param_store()) == 0


def test_same_seed_same_weights_whatever_was_drawn_before(case):
    model, guide, data = case
    trained = []
    for seed in (0, 0, 1):
        torch.rand(seed + len(trained) + 1)
        pair = copy.deepcopy(model), copy.deepcopy(guide)
        train(*pair, data, plan=SHORT, seed=seed)
        trained.append(weights(*pair))
    assert_equal(trained[0], trained[1])
    assert largest_move(trained[0], trained[2]) > 0


def test_two_trainings_in_one_process_agree_with_each_alone(mixed, simulate_rows):
    """The trap of the global param store: there a second training changes nothing."""
    data = simulate_rows(mixed(seed=9)[0], 30)

    def one(seed):
        pair = mixed(seed=seed)
        start = weights(*pair)
        train(*pair, data, plan=SHORT, seed=seed)
        assert largest_move(start, weights(*pair)) > 0.01
        return weights(*pair)

    alone = one(2)
    one(1)
    assert_equal(one(2), alone)


def test_local_seed_restores_even_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), local_seed(3):
        torch.rand(4)
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bar_only_on_a_terminal(case, monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    train(*case, plan=SHORT, seed=0, progress_bar=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("training" in captured.err) is terminal


def test_any_model_and_guide_of_the_contract_train():
    """Ours is not special: x = z + e with a free location, exact maximum at the mean of x."""

    class Location(nn.Module):
        def __init__(self):
            super().__init__()
            self.loc = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            with pyro.plate("rows", len(x), dim=-1):
                z = pyro.sample("z", dist.Normal(self.loc, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    class Exact(Broad):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            with pyro.plate("rows", len(x), dim=-1):
                pyro.sample("z", dist.Normal(x / 2 + self.shift, 0.5**0.5))

    x = 3.0 + torch.randn(200)
    model, guide = Location(), Exact()
    train(model, guide, (x,), plan=plan(max_steps=500, batch_size=200, learning_rate=0.05), seed=0)
    assert model.loc.item() == pytest.approx(x.mean().item(), abs=0.05)
    assert guide.shift.item() == pytest.approx(x.mean().item() / 2, abs=0.05)


def test_parts_are_in_training_mode_while_stepped_and_in_evaluation_mode_else(linear_gaussian):
    """Dropout in a user's part must not blur held-out bounds or what comes after the fit."""
    world = linear_gaussian(n_rows=8)
    modes = []
    world.model.register_forward_hook(lambda *_: modes.append(world.model.training))
    seen = []

    def validation(model, guide):
        seen.append((model.training, guide.training))
        return 0.0

    data = (world.x, world.observed, world.observed)
    plan = TrainingPlan(max_steps=2, evaluate_every=1, particles=2)
    train(world.model, world.guide, data, plan=plan, seed=0, validation=validation)
    assert modes == [True, True]
    assert seen == [(False, False)] * 3
    assert not world.model.training and not world.guide.training
