"""Training of any model and guide that keep the contract, by minibatches of rows."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pyro_gnr.inference.objective import IWELBO
from pyro_gnr.inference.progress import progress

__all__ = [
    "Fit",
    "HeldOutCells",
    "HeldOutRows",
    "Progress",
    "TrainingPlan",
    "local_precision",
    "local_seed",
    "train",
]

LARGEST_GRADIENT = 10.0
Data = Sequence[Tensor]
Validation = Callable[[nn.Module, nn.Module], float]


class Progress(NamedTuple):
    """State of training after a step, for callbacks and the history.

    Attributes:
        step: steps done.
        loss: mean training loss since the last entry; minus the mean row bound.
        validation: held-out bound, a mean per row (larger is better); None without validation.
    """

    step: int
    loss: float
    validation: float | None


class Fit(NamedTuple):
    """Result of training.

    Attributes:
        history: one entry an evaluation.
        best_step: step whose weights model and guide now have.
        stopped_early: whether the held-out bound ended training before `max_steps`.
    """

    history: list[Progress]
    best_step: int
    stopped_early: bool


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        particles: K of the training bound.
        renyi_order: order of the training bound; 0 is IWAE.
        gradient: estimator of its gradient, "iwae", "dreg" or "stl"; see `IWELBO`.
        max_steps: gradient steps at most.
        batch_size: rows a step (all, where there are fewer).
        learning_rate: of Adam at the start; falls to 0 over `max_steps` along a cosine.
        evaluate_every: steps between evaluations.
        patience: evaluations without a better held-out bound before training stops.
    """

    particles: int = 20
    renyi_order: float = 0.0
    gradient: str = "iwae"
    max_steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 3e-3
    evaluate_every: int = 100
    patience: int = 5


@dataclass(frozen=True)
class HeldOutRows:
    """Mean bound of rows that are not trained on.

    Attributes:
        data: arguments of model and guide, rows first.
        particles: K of the bound.
        seed: every evaluation uses the same draws, so that differences are not noise.
    """

    data: Data
    particles: int = 50
    seed: int = 0

    @torch.no_grad()
    def __call__(self, model: nn.Module, guide: nn.Module) -> float:
        """Give the mean bound."""
        return _mean_bound(model, guide, self.data, self)


@dataclass(frozen=True)
class HeldOutCells:
    """Mean of log p(hidden cells | visible cells, m), the difference of two bounds.

    Attributes:
        shown: arguments of model and guide with the hidden cells visible.
        hidden: the same with them hidden.
        particles: K of the bounds.
        seed: every evaluation uses the same draws.
    """

    shown: Data
    hidden: Data
    particles: int = 50
    seed: int = 0

    @torch.no_grad()
    def __call__(self, model: nn.Module, guide: nn.Module) -> float:
        """Give the mean over rows of the predictive log-density of their hidden cells."""
        both = [_mean_bound(model, guide, data, self) for data in (self.shown, self.hidden)]
        return both[0] - both[1]


def _mean_bound(
    model: nn.Module, guide: nn.Module, data: Data, spec: HeldOutRows | HeldOutCells
) -> float:
    objective = IWELBO(spec.particles)
    total = 0.0
    with local_seed(spec.seed, data[0].device):
        for part in zip(*(d.split(256) for d in data), strict=True):
            total += objective.row_bounds(model, guide, *part).sum().item()
    return total / len(data[0])


@contextlib.contextmanager
def local_seed(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch inside the block only: outside, its global generators are as they were.

    Example:
        >>> with local_seed(1):
        ...     a = torch.rand(1)
        >>> with local_seed(1):
        ...     print(torch.equal(a, torch.rand(1)))
        True
    """
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def local_precision(dtype: torch.dtype) -> Iterator[None]:
    """Make `dtype` torch's default inside the block only.

    Example:
        >>> with local_precision(torch.float64):
        ...     print(torch.zeros(1).dtype)
        torch.float64
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@dataclass
class _Best:
    """The best weights so far, and how long ago they were."""

    patience: int
    modules: tuple[nn.Module, nn.Module]
    value: float = -math.inf
    step: int = 0
    since: int = 0
    state: list[dict[str, Tensor]] = field(default_factory=list)

    def offer(self, value: float, step: int) -> bool:
        """Take note of an evaluation; True once patience has run out."""
        if value > self.value:
            self.value, self.step, self.since = value, step, 0
            self.state = [copy.deepcopy(m.state_dict()) for m in self.modules]
            return False
        self.since += 1
        return self.since >= self.patience

    def restore(self) -> None:
        """Give the modules their best weights back."""
        for module, state in zip(self.modules, self.state, strict=True):
            module.load_state_dict(state)


@dataclass
class _Watch:
    """Looks at training now and then: the history, the callback, and when it is enough."""

    validation: Validation | None
    callback: Callable[[Progress], None] | None
    best: _Best
    history: list[Progress] = field(default_factory=list)

    def start(self) -> None:
        """Take note of the weights before the first step."""
        value = self._held_out_bound(0)
        if value is not None:
            self.best.offer(value, 0)

    def __call__(self, step: int, loss: float) -> bool:
        """Take note of a step and the loss since the last; True if training should end."""
        value = self._held_out_bound(step)
        self.history.append(Progress(step, loss, value))
        if self.callback is not None:
            self.callback(self.history[-1])
        return value is not None and self.best.offer(value, step)

    def end(self, max_steps: int) -> Fit:
        """Restore the best weights, if any bound could tell which these are."""
        last = self.history[-1].step if self.history else 0
        if self.validation is None:
            return Fit(self.history, last, stopped_early=False)
        self.best.restore()
        return Fit(self.history, self.best.step, stopped_early=last < max_steps)

    def _held_out_bound(self, step: int) -> float | None:
        if self.validation is None:
            return None
        with _singular_means_diverged(step):
            return _finite(self.validation(*self.best.modules), step, "held-out bound")


def train(
    model: nn.Module,
    guide: nn.Module,
    data: Data,
    *,
    plan: TrainingPlan,
    seed: int,
    validation: Validation | None = None,
    row_weights: Tensor | None = None,
    callback: Callable[[Progress], None] | None = None,
    progress_bar: bool = False,
) -> Fit:
    """Maximise the bound by Adam on minibatches of rows; changes model and guide in place.

    Args:
        model: Pyro model that keeps the contract.
        guide: its guide.
        data: arguments of both, tensors with rows first.
        plan: steps, rates and the bound.
        seed: of minibatches and particles; torch's global generators are left as they were.
        validation: held-out bound; the weights with the largest are restored at the end, and
            training stops when it has not grown for `plan.patience` evaluations.
        row_weights: (N,) weights of the rows' bounds, such as a Bayesian bootstrap's.
        callback: called after every evaluation; an exception it raises ends training.
        progress_bar: whether to show one on standard error, if that is a terminal.

    Returns:
        History, best step, and whether training stopped early.

    Raises:
        FloatingPointError: the loss or held-out bound is not finite; says at which step.
    """
    step = _Stepper(model, guide, data, plan=plan, row_weights=row_weights)
    step.loss_of.eval()
    watch = _Watch(validation, callback, _Best(plan.patience, (model, guide)))
    with (
        local_seed(seed, data[0].device),
        progress(plan.max_steps, "training", show=progress_bar) as advance,
    ):
        watch.start()
        losses: list[float] = []
        for number, rows in enumerate(_minibatches(len(data[0]), plan), start=1):
            losses.append(step(number, rows))
            advance(f"loss {losses[-1]:.3f}")
            if number % plan.evaluate_every == 0 or number == plan.max_steps:
                if watch(number, sum(losses) / len(losses)):
                    break
                losses.clear()
    return watch.end(plan.max_steps)


class _Stepper:
    """One gradient step of Adam on some rows, and the checks that it went well."""

    def __init__(
        self,
        model: nn.Module,
        guide: nn.Module,
        data: Data,
        *,
        plan: TrainingPlan,
        row_weights: Tensor | None,
    ) -> None:
        objective = IWELBO(plan.particles, plan.renyi_order, gradient=plan.gradient)
        self.loss_of = objective(model, guide)
        self.data = data
        self.row_weights = row_weights
        # What belongs to model and guide, such as a shared u|z, is stepped once.
        own = {id(p): p for p in self.loss_of.parameters() if p.requires_grad}
        self.parameters = list(own.values())
        self.optimiser = torch.optim.Adam(self.parameters, lr=plan.learning_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, max(plan.max_steps, 1)
        )

    def __call__(self, number: int, rows: Tensor) -> float:
        """Take a step and give the loss before it."""
        rows = rows.to(self.data[0].device)
        weights = None if self.row_weights is None else self.row_weights[rows]
        self.optimiser.zero_grad(set_to_none=True)
        self.loss_of.train()
        with _singular_means_diverged(number):
            loss = self.loss_of(*(d[rows] for d in self.data), row_weights=weights)
            loss.backward()
        value = _finite(loss.item(), number, "loss")
        norm = nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)
        _finite(norm.item(), number, "gradient")
        self.optimiser.step()
        self.schedule.step()
        self.loss_of.eval()  # what held-out bounds, callbacks and the caller get
        return value


def _minibatches(n_rows: int, plan: TrainingPlan) -> Iterator[Tensor]:
    """Row numbers of each step: shuffled epochs, a short last batch left out."""
    size = min(plan.batch_size, n_rows)
    steps = 0
    while steps < plan.max_steps:
        for rows in torch.randperm(n_rows).split(size):
            if len(rows) == size and steps < plan.max_steps:
                steps += 1
                yield rows


def _finite(value: float, step: int, what: str) -> float:
    if math.isfinite(value):
        return value
    raise _diverged(step, f"the {what} is {value}")


@contextlib.contextmanager
def _singular_means_diverged(step: int) -> Iterator[None]:
    """A matrix that cannot be factorised holds numbers that are not finite, or soon will be."""
    try:
        yield
    except torch.linalg.LinAlgError as error:
        raise _diverged(step, "a matrix of the guide is singular") from error


def _diverged(step: int, what: str) -> FloatingPointError:
    return FloatingPointError(
        f"training diverged at step {step}: {what}. Try a smaller learning_rate, a larger scale "
        "floor (likelihoods={column: partial(Gaussian, floor=0.2)}) or StudentT for columns "
        "with extreme values."
    )
