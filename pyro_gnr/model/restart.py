r"""How the start of training moves when rows are weighted anew, and a trained fit with it.

A member of an ensemble is to be where training on its own rows would have ended: about at
theta + (theta'_0 - theta_0), where theta is the trained fit, theta_0 where it started and theta'_0
where it would have started from the rows of the member, calibrated scales, centres and cut points
(and so the rates of levels) being those of the table. Few steps of training then have little left
to do. From theta itself, they did not get there: what values are imputed hangs on directions
in which the bound is flat, most of all with mechanisms whose holes tell of values, and intervals
were too narrow (`bench_coverage.py`).

Factors have no axes of their own: those of the second start are turned to the first's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.hole_factors import HoleFactors
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.masked_linear import MaskedLinear
from pyro_gnr.model.start import LinearStart, linear_start, place

__all__ = ["Started", "move"]

# A column that fewer different rows show stays as it was: its noise would be 0.
FEWEST = 10
# So does one that masks itself, where its holes would move by more than this over sqrt(n) standard
# deviations: a threshold at the other end of what is observed is another optimum, no standard
# error (which was 6 over sqrt(n) where 30 % of the cells were missing).
FARTHEST = 33.0


class Started(NamedTuple):
    """Model and guide as training began, and the linear model that they began at."""

    model: GNR
    guide: Guide
    linear: LinearStart


@torch.no_grad()
def move(
    pair: tuple[GNR, Guide],
    started: Started,
    *,
    x: Tensor,
    observed: Tensor,
    visible: Tensor,
    rows: Tensor,
    share: float = 1.0,
) -> None:
    """Move a trained model and guide, in place, as their start moves with the rows.

    Args:
        pair: trained from `started`.
        started: copies of model and guide before training.
        x: (N, D) values.
        observed: (N, D) bool, m.
        visible: (N, D) bool.
        rows: (n,) places of rows, drawn with repetition.
        share: of the table's rows from which they were drawn; of few the start moves further than
            the table's would, and the way is shortened by the root of it.
    """
    like = started.linear
    model, guide = copy.deepcopy((started.model, started.guide))
    generator = torch.Generator()
    generator.set_state(like.state)
    linear = linear_start(
        model, guide.encoder, x[rows], visible[rows],
        observed=observed[rows], generator=generator, like=like,
    )  # fmt: skip
    told = visible[rows.unique()].sum(0) >= FEWEST
    column = guide.encoder.features.column
    place(model, guide, _kept(_turned(linear, like), like, told=told, column=column, n=len(rows)))
    there, here = (
        dict(nn.ModuleList(modules).named_parameters())
        for modules in ((model, guide), (started.model, started.guide))
    )
    for name, parameter in nn.ModuleList(pair).named_parameters():
        parameter.add_(math.sqrt(share) * (there[name] - here[name]))


def _turned(linear: LinearStart, like: LinearStart) -> LinearStart:
    """Turn the factors so that loadings and slopes come closest to others (Schoenemann 1966)."""
    u, _, v = torch.linalg.svd(_stacked(linear).T @ _stacked(like))
    turn = u @ v
    values = linear.values._replace(loadings=linear.values.loadings @ turn)
    holes, masked = linear.holes, linear.masked
    if holes is not None:
        holes = holes._replace(slopes=holes.slopes @ turn)
    if masked is not None:
        masked = masked._replace(linear=values)
    return linear._replace(values=values, holes=holes, masked=masked)


def _stacked(linear: LinearStart) -> Tensor:
    if linear.holes is None:
        return linear.values.loadings
    return torch.cat([linear.values.loadings, linear.holes.slopes])


def _kept(
    linear: LinearStart, like: LinearStart, *, told: Tensor, column: Tensor, n: int
) -> LinearStart:
    """Keep what too few rows tell of, and what is of another optimum.

    Args:
        linear: of n rows.
        like: what is kept.
        told: (D,) bool, whether enough rows show the column.
        column: (F,) place of each feature's column.
        n: number of rows.
    """
    if linear.holes is not None and like.holes is not None:
        # Of fewer columns with holes enough: axes of values and of holes would be mixed.
        told = told & (linear.holes.own == like.holes.own)
    known = told[column] & _near(linear, like, n)
    values = _by_row(known, linear.values, like.values)
    linear = linear._replace(values=values)
    if linear.holes is not None and like.holes is not None:
        holes = _kept_holes(linear.holes, like.holes, told)
        linear = linear._replace(holes=holes._replace(values=values))
    if linear.masked is not None and like.masked is not None:
        known = known & ((linear.masked.slope != 0) == (like.masked.slope != 0))
        masked = MaskedLinear(values, *_where(known, linear.masked[1:], like.masked[1:]))
        linear = linear._replace(masked=masked, shares=like.shares)
    return linear


def _near(linear: LinearStart, like: LinearStart, n: int) -> Tensor:
    """Whether a feature that masks itself has found the same optimum, (F,)."""
    way = (linear.values.intercept - like.values.intercept).abs()
    own = torch.zeros_like(way) if like.shares is None else like.shares
    return (own == 0) | (way <= FARTHEST / math.sqrt(n) * own)


def _by_row(known: Tensor, new: LinearModel, old: LinearModel) -> LinearModel:
    (loadings,) = _where(known[:, None], new[:1], old[:1])
    return LinearModel(loadings, *_where(known, new[1:], old[1:]))


def _kept_holes(new: HoleFactors, old: HoleFactors, told: Tensor) -> HoleFactors:
    """Keep a column, too, that had enough holes to take part in one of the two only."""
    same = told & ((new.slopes != 0).any(1) == (old.slopes != 0).any(1))
    (slopes,) = _where(same[:, None], (new.slopes,), (old.slopes,))
    intercept, value, noise = _where(
        same, (new.intercept, new.value, new.noise), (old.intercept, old.value, old.noise)
    )
    return HoleFactors(new.values, slopes, intercept, value, noise, own=old.own)


def _where(same: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]) -> list[Tensor]:
    return [torch.where(same, a, b) for a, b in zip(new, old, strict=True)]
