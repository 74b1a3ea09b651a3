"""What a likelihood is: parameters per column from u, and the distribution they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.columns.kinds import Bounds
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.part import Part

__all__ = ["Likelihood"]


class Likelihood(Part):
    """p(x_j | u) for all columns j of one kind at once; abstract.

    A subclass says which kinds it serves, how many parameters its columns need (`n_parameters`),
    and which distribution they make (`distribution`). Its constructor takes hyperparameters only
    and keeps them under their own names; an unbuilt instance is a template. If its density is
    not finite at 0, `filler` is a value where it is. `check_part` checks one.
    """

    kinds: ClassVar[frozenset[Kind]]
    # Of several kinds the one that a column gets where the user names this likelihood and no kind.
    natural_kind: ClassVar[Kind | None] = None
    # A value with finite density, to stand in cells that are not seen; 1.0 for positive numbers.
    filler: ClassVar[float] = 0.0
    # Of the values whose logarithm is the feature: the power that is about normal; 0 for the
    # feature itself. The start of self-masking extrapolates a tail on that scale.
    power: ClassVar[float] = 0.0

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the linear head u (..., H) -> parameters (..., P).

        Args:
            columns: the C columns that this likelihood serves.
            u_dim: H.
        """
        self.head = nn.Linear(u_dim, self.n_parameters(columns))

    @property
    def bounds(self) -> Bounds:
        """Hard bounds in the caller's units, beyond those of the kind; infinite by default."""
        return -np.inf, np.inf

    @abstractmethod
    def n_parameters(self, columns: Sequence[Column]) -> int:
        """Give P, the number of parameters of all columns together."""

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """Give the distribution, batch (..., C), that parameters (..., P) make."""

    def check(self, column: Column, values: NDArray[np.float64]) -> None:
        """Refuse observed values that this likelihood gives no probability; by default none.

        Args:
            column: one that it serves.
            values: its observed values, encoded.

        Raises:
            ValueError: there is such a value.
        """

    def check_spread(self, column: Column, values: NDArray[np.float64]) -> None:
        """Refuse, or warn of, training values that vary as this likelihood cannot; none here.

        Other than `check`, it is not asked about new rows: a few cells may well be equal.

        Args:
            column: one that it serves.
            values: its observed values in the training table, encoded.

        Raises:
            ValueError: what it imputes would have nothing of the spread of the values.

        Warns:
            UserWarning: it would spread clearly more.
        """

    def forward(self, u: Tensor) -> Distribution:
        """Give p(x | u), batch (..., C), for u (..., H)."""
        return self.distribution(self.head(u))

    def calibrate(self, x: Tensor, visible: Tensor) -> None:
        """See the cells once before `start`: units of scales, how frequent levels are; or nothing.

        Args:
            x: (N, C) encoded values of this likelihood's columns.
            visible: (N, C) bool; the values of other cells play no part.
        """

    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start from a linear model of the features; by default training starts at random.

        It is called on copies again, with the rows of an ensemble's members: set what follows
        from the arguments and from `calibrate`, draw nothing, add to nothing.

        Args:
            linear: of the features of this likelihood's columns.
            scale: how these features were standardised.
        """

    @torch.no_grad()
    def _start_head(self, rows: slice, loadings: Tensor, bias: Tensor) -> None:
        """Make some outputs of the head linear in z, the first entries of u."""
        self.head.weight[rows] = 0.0
        self.head.weight[rows, : loadings.shape[1]] = loadings
        self.head.bias[rows] = bias
