"""The ignorable mechanism: holes carry no information."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.mechanisms.base import Mechanism

__all__ = ["Ignorable"]


class Ignorable(Mechanism):
    r"""No m site: the holes are missing at random (MAR) and the model is MIWAE.

    *Right* when the chance of a hole depends on observed values only, and then safer than any
    model of the holes. *Fails* when it depends on what is missing; no data can show it.

    Source: Mattei & Frellsen, ICML 2019 (arXiv 1812.02633).

    Example:
        >>> import torch
        >>> Ignorable()(torch.zeros(7, 4), torch.zeros(7, 2)) is None
        True
    """

    assumption = "holes depend on observed values only"
    missing_x = "unused"

    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make nothing: there is no parameter."""

    def forward(self, u: Tensor, x: Tensor | None) -> None:
        """Give None: no m site."""
        return
