"""From an encoded table and an imputer's arguments to trained weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyro_gnr.data import Table
from pyro_gnr.imputation.fitted import FittedModel
from pyro_gnr.inference.training import (
    Data,
    Fit,
    HeldOutCells,
    HeldOutRows,
    TrainingPlan,
    Validation,
    train,
)
from pyro_gnr.model.contract import check_model
from pyro_gnr.model.restart import Started
from pyro_gnr.model.start import start

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = ["FirstFit", "fit_model", "plan_of"]

# Held-out bounds are means over at most this many rows: more cost time and change little.
LARGEST_VALIDATION = 1000
# Fewer rows than this are all trained on: a bound on two or three rows says nothing.
FEWEST_ROWS_TO_SPLIT = 50


class FirstFit(NamedTuple):
    """What training gave, and where it began.

    Attributes:
        fit: history, and the step whose weights were kept.
        started: model and guide before training.
        rows: (n,) places in the table of the rows that the linear start was fitted to.
    """

    fit: Fit
    started: Started
    rows: Tensor


def fit_model(imputer: GNRImputer, fitted: FittedModel, table: Table) -> FirstFit:
    """Start at the linear model and train.

    Args:
        imputer: whose arguments say how.
        fitted: model and guide, changed in place; its seed is used throughout.
        table: the training table.

    Returns:
        History, the step whose weights were kept, and where training began.

    Raises:
        TypeError: a part of the caller's own gives no distribution.
        ValueError: it gives one that cannot be used; says why.
        FloatingPointError: training diverged.
    """
    data, places, validation = _held_out(imputer, fitted, table)
    generator = torch.Generator().manual_seed(fitted.seed)
    x, observed, visible = data
    linear, rows = start(*fitted.members[0], x, visible, generator=generator, observed=observed)
    check_model(fitted.model, fitted.schema.modelled)
    started = Started(*copy.deepcopy(fitted.members[0]), linear)
    fit = train(
        *fitted.members[0],
        data,
        plan=plan_of(imputer),
        seed=fitted.seed,
        validation=validation,
        callback=imputer.callback,
        progress_bar=imputer.verbose,
    )
    return FirstFit(fit, started, places[rows])


def plan_of(imputer: GNRImputer) -> TrainingPlan:
    """Give an imputer's plan, in plain numbers: a grid search may bring numpy's."""
    return TrainingPlan(
        particles=int(imputer.particles),
        renyi_order=float(imputer.renyi_order),
        gradient=imputer.gradient,
        max_steps=int(imputer.max_steps),
        batch_size=int(imputer.batch_size),
        learning_rate=float(imputer.learning_rate),
        patience=int(imputer.patience),
    )


def _held_out(
    imputer: GNRImputer, fitted: FittedModel, table: Table
) -> tuple[Data, Tensor, Validation | None]:
    """Split the table into what is trained on, the places of these rows, and what is held out."""
    data = fitted.tensors(table)
    n_rows = len(table.keys)
    everywhere = torch.arange(n_rows, device=fitted.device)
    if imputer.validation is None or n_rows < FEWEST_ROWS_TO_SPLIT:
        return data, everywhere, None
    rng = np.random.default_rng(fitted.seed)
    shuffled = torch.from_numpy(rng.permutation(n_rows)).to(fitted.device)
    if imputer.validation == "cells":
        hidden = fitted.tensors(table.hide(imputer.validation_fraction, rng))
        some = shuffled[:LARGEST_VALIDATION]
        shown, lost = (tuple(d[some] for d in side) for side in (data, hidden))
        return hidden, everywhere, HeldOutCells(shown, lost, seed=fitted.seed)
    # At least one row each to hold out and to train on.
    n_held = round(imputer.validation_fraction * n_rows)
    n_held = max(1, min(LARGEST_VALIDATION, n_rows - 1, n_held))
    held, kept = shuffled[:n_held], shuffled[n_held:]
    validation = HeldOutRows(tuple(d[held] for d in data), seed=fitted.seed)
    return tuple(d[kept] for d in data), kept, validation
