r"""The members of an ensemble: fits whose spread is the uncertainty of the parameters.

Each member maximises the bound with the rows weighted anew, sum_n omega_n L_n with omega_n ~
Exp(1) over its mean: a weighted likelihood bootstrap, whose optima are approximately draws from
the posterior of the parameters. It departs from where a first, unweighted fit ended, moved as the
linear start moves with the rows (`pyro_gnr.model.restart`); half of that fit's steps, and no more
than 300, are left to go. Without the move members did not come far where the bound is flat: with
500 rows the variance due to holes was a half to two thirds of what it should be under self-masking
and shared latents (`bench_coverage.py`). Where steps are fewer, they are longer, so that a member
gets as far. Where a likelihood has several optima members stay near the one of the first fit: what
another seed would have found is no part of their spread.

A member's own noise is too small for rows that it was not fitted to; `optimism` widens it.

Members are fitted in processes, not as one batch of models: a step on five times the rows, which
is the arithmetic of five models at once, takes 4.0 to 4.6 times as long as one (wine_white's
shape, one thread), so that a batch could gain a fifth at most, and two processes halve the time.

Source: Newton & Raftery 1994 (weighted likelihood bootstrap); Rubin 1981 (Bayesian bootstrap).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from joblib import Parallel, delayed
from torch import Tensor

from pyro_gnr.data import Table
from pyro_gnr.imputation.fitted import FittedModel, Member, member_seed
from pyro_gnr.imputation.fitting import FirstFit, plan_of
from pyro_gnr.inference.progress import progress
from pyro_gnr.inference.randomness import keyed_uniforms
from pyro_gnr.inference.training import Data, TrainingPlan, local_precision, train
from pyro_gnr.model.restart import Started, move
from pyro_gnr.model.start import START_ROWS

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = ["bootstrap_weights", "drawn_rows", "fit_members", "members_plan"]

# Share of the first fit's steps that members take, and the fewest and most of them.
SHARE, FEWEST_STEPS, MOST_STEPS = 0.5, 100, 300


def bootstrap_weights(keys: Tensor, *, seed: int) -> Tensor:
    """Give a Bayesian bootstrap's weights of rows, (N,), with mean 1.

    Args:
        keys: (N,) int64 row keys: a row has the same weight, but for the mean, in any order.
        seed: of the member.

    Example:
        >>> weights = bootstrap_weights(torch.arange(10000), seed=0)
        >>> round(weights.mean().item(), 6), round(weights.std().item(), 1)
        (1.0, 1.0)
    """
    uniforms = keyed_uniforms(keys, (len(keys),), seed=seed, site="bootstrap", row_dim=0)
    exponential = -uniforms.log()
    return exponential / exponential.mean()


def drawn_rows(weights: Tensor, keys: Tensor, *, seed: int) -> Tensor:
    """Give places of rows, as often as they weigh on average, in random order.

    Args:
        weights: (N,) with mean 1.
        keys: (N,) int64 row keys.
        seed: of the member.

    Example:
        >>> rows = drawn_rows(torch.tensor([2.0, 0.0, 1.0]), torch.arange(3), seed=0)
        >>> rows.sort().values
        tensor([0, 0, 2])
    """
    above = keyed_uniforms(keys, (len(keys),), seed=seed, site="rows", row_dim=0)
    times = (weights + above).floor().long()
    rows = torch.repeat_interleave(torch.arange(len(keys)), times)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]


def members_plan(plan: TrainingPlan, best_step: int) -> TrainingPlan:
    """Give the plan of the members: fewer steps than the first fit's, longer ones where few.

    Example:
        >>> plan = TrainingPlan(learning_rate=0.003)
        >>> [members_plan(plan, best).max_steps for best in (0, 400, 1500)]
        [100, 200, 300]
        >>> round(members_plan(plan, 0).learning_rate, 3)
        0.009
    """
    steps = min(max(FEWEST_STEPS, round(SHARE * best_step)), MOST_STEPS, plan.max_steps)
    longer = MOST_STEPS / max(steps, FEWEST_STEPS)
    return replace(plan, max_steps=steps, learning_rate=longer * plan.learning_rate)


def fit_members(
    imputer: GNRImputer, fitted: FittedModel, table: Table, *, first: FirstFit
) -> tuple[tuple[Member, ...], Tensor]:
    """Fit the members of an ensemble, on all rows.

    Args:
        imputer: whose arguments say how many members, and in how many processes.
        fitted: the first fit's model and guide.
        table: the training table.
        first: how the first fit went, and where it began.

    Returns:
        The members, the same for any number of processes; and the weights (G, N) of their rows.

    Raises:
        FloatingPointError: training diverged; says at which step.
    """
    plan = members_plan(plan_of(imputer), first.fit.best_step)
    data, keys = fitted.tensors(table), torch.from_numpy(table.keys.view(np.int64))
    seeds = [member_seed(fitted.seed, g + 1) for g in range(int(imputer.members))]
    weights = torch.stack([bootstrap_weights(keys, seed=seed) for seed in seeds])
    jobs = imputer.n_jobs if fitted.device.type == "cpu" else 1
    # A large table's start saw some of its rows. Others would move all members alike.
    among = torch.arange(len(keys)) if len(keys) <= START_ROWS else first.rows.cpu()
    fit = partial(
        _fit_member, fitted.members[0], first.started, data=data, keys=keys, among=among, plan=plan
    )
    dtype = torch.get_default_dtype()
    # As they come, so that the bar moves.
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(fit)(weights=own, seed=seed, dtype=dtype)
        for own, seed in zip(weights, seeds, strict=True)
    )
    members = []
    with progress(len(seeds), "members", show=imputer.verbose) as advance:
        for member in work:
            members.append(member)
            advance("")
    return tuple(members), weights


def _fit_member(
    fitted: Member,
    started: Started,
    *,
    data: Data,
    keys: Tensor,
    among: Tensor,
    plan: TrainingPlan,
    weights: Tensor,
    seed: int,
    dtype: torch.dtype,
) -> Member:
    member = copy.deepcopy(fitted)
    rows = among[drawn_rows(weights[among], keys[among], seed=seed)].to(data[0].device)
    x, observed, visible = data
    share = len(among) / len(keys)
    with _one_thread(), local_precision(dtype):
        move(member, started, x=x, observed=observed, visible=visible, rows=rows, share=share)
        train(*member, data, plan=plan, seed=seed, row_weights=weights.to(x))
    return member


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out alike, whichever process this is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
