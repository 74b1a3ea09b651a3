"""A model that was fitted to some intervals, and a table that has others."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pyro_gnr.data import Column
from pyro_gnr.model.features import Features
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.likelihoods.censored import Censored

__all__ = ["knowing"]


def knowing(model: GNR, guide: Guide, columns: Sequence[Column]) -> tuple[GNR, Guide]:
    """Copy model and guide; the copies know the intervals of these columns.

    A limit of detection is no parameter: under p(x_j | u) any interval has a probability.

    Args:
        model: fitted.
        guide: its guide.
        columns: the D modelled columns, with the intervals of training first.
    """
    model, guide = copy.deepcopy((model, guide))
    for module in (*model.modules(), *guide.modules()):
        if isinstance(module, Features):
            module.learn_intervals(columns)
    for i, part in enumerate(model.x_given_u.parts()):
        if isinstance(part, Censored):
            part.learn_intervals([columns[j] for j in model.x_given_u.positions(i).tolist()])
    return model, guide
