"""What a mechanism that makes holes is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.data.source import SourceTable

__all__ = ["Amputer", "Direction", "Holes", "OwnDirection"]

# "random" is an end that is drawn; a model's "free" is one that is learnt.
Direction = Literal["high", "low", "random"]
OwnDirection = Literal["high", "low", "random", "off"]


class Holes(NamedTuple):
    """Where cells may go missing.

    Attributes:
        columns: (T,) positions of the columns that lose cells.
        probabilities: (N, T), p_nj.
        uniforms: (N, T) in [0, 1): a cell goes missing where it is below its probability.
    """

    columns: tuple[int, ...]
    probabilities: NDArray[np.float64]
    uniforms: NDArray[np.float64]


class Amputer(ABC):
    """A reason for holes; abstract. A subclass takes hyperparameters only in its constructor."""

    @abstractmethod
    def holes(
        self,
        table: SourceTable,
        columns: tuple[int, ...] | None,
        *,
        rate: float | None,
        rng: np.random.Generator,
    ) -> Holes:
        """Give each cell its chance to go missing, and the uniform number that decides.

        Args:
            table: the table that is to get holes.
            columns: positions of the columns that are to lose cells; None for the mechanism's own
                choice.
            rate: expected share of its observed cells that each of them loses; None for 0.3, or
                for what the mechanism gives where no rate is solved for.
            rng: source of everything random.

        Raises:
            ValueError: the mechanism cannot work with this table, these columns or this rate.
        """
