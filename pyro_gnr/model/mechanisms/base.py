"""What a mechanism is: the distribution of the holes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.model.features import Features
from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.part import Part

__all__ = ["LOGIT_PER_PROBIT", "Collapsible", "Mechanism", "coins", "inverse_rates"]

# Log-odds that a column without holes is observed when the model simulates.
CERTAIN = 30.0
# Phi(t) and 1 / (1 + exp(-1.702 t)) differ by less than 0.01 (Haley 1952).
LOGIT_PER_PROBIT = 1.702


def coins(log_odds: Tensor, has_holes: Tensor) -> TorchDistribution:
    """Give independent Bernoullis of m, batch (...), event (D,).

    A column without holes in training is always observed where the model simulates, and a hole
    there in a new row is ignorable: it carries no factor, rather than being improbable.

    Args:
        log_odds: (..., D) of a cell's being observed.
        has_holes: (D,) bool.
    """
    logits = torch.where(has_holes, log_odds, CERTAIN)
    return dist.Bernoulli(logits=logits, validate_args=False).mask(has_holes).to_event(1)


def inverse_rates(rates: Tensor, link: str = "logit") -> Tensor:
    """Give F^-1 of observed rates, where an intercept starts; finite for any rate.

    Args:
        rates: in [0, 1]; taken to be at least a thousandth away from both.
        link: "logit" or "probit".

    Example:
        >>> inverse_rates(torch.tensor([0.5, 1.0]))
        tensor([0.0000, 6.9068])
    """
    inside = rates.clamp(1e-3, 1 - 1e-3)
    return torch.special.ndtri(inside) if link == "probit" else torch.logit(inside)


class Mechanism(Part):
    """p(m | u, x), m = 1 where a cell is observed; abstract.

    A subclass takes hyperparameters only in its constructor (kept under their own names), makes
    its parameters in `build`, and returns the distribution of m from `forward`, given a complete
    x. What becomes of the x that is missing, `missing_x` says:

    - "sampled" (the default): the model draws it from p(x | u) for every particle, and the
      particle's weight tells how well it explains the holes. Right for any mechanism.
    - "unused": m does not depend on x; `forward` gets x = None on rows with holes.
    - "collapsed": x_j enters m_j only, and is summed or integrated out: see `Collapsible`.
    """

    missing_x: ClassVar[Literal["sampled", "unused", "collapsed"]] = "sampled"
    # Why cells are missing, in a few words; reports say it.
    assumption: ClassVar[str] = ""

    @abstractmethod
    def build(self, columns: Sequence[Column], u_dim: int, *, rates: Tensor) -> None:
        """Make the parameters.

        Args:
            columns: the D modelled columns.
            u_dim: H.
            rates: (D,) observed share of each column in training, in (0, 1]; a column with rate
                1 has no hole to learn from and carries no factor.
        """

    def calibrate(self, features: Features) -> None:
        """Learn the units of the values, from features fitted to the visible cells."""

    # Whether `start` makes use of a probit model of m; the guide then starts from it, too.
    starts_linear: ClassVar[bool] = False

    def start(self, slopes: Tensor, intercept: Tensor) -> None:
        """Start from P(m_j = 1 | z) = Phi(a_j' z + b_j); by default it stays as it was built.

        As `start_own`, it is called on copies again, with the rows of an ensemble's members: set
        what follows from the arguments and from `calibrate`, draw nothing, add to nothing.

        Args:
            slopes: (D, L) a, 0 for columns without holes.
            intercept: (D,) b.
        """

    @property
    def first_slope(self) -> float:
        """|slope| where the search for `start_own` starts, in observed standard deviations."""
        return 1.0

    def signs(self) -> Tensor | None:
        """Say by which direction of its own value each column's cells go missing, (D,).

        1: high values do; -1: low ones; 0: the value does not matter; NaN: to be found. Training
        then starts from a linear model of such columns, and `start_own` is told of it. None (the
        default): not by their own values.
        """
        return None

    def start_own(self, columns: Tensor, *, slope: Tensor, threshold: Tensor) -> None:
        """Start some columns at P(m_j = 0 | x_j) = Phi(slope (g(x_j) - threshold)).

        Args:
            columns: (n,) places of columns that have a number for a feature.
            slope: (n,), not 0.
            threshold: (n,), on the scale g of `features.natural`, as is 1 / slope.
        """

    @abstractmethod
    def forward(self, u: Tensor, x: Tensor | None) -> TorchDistribution | None:
        """Give p(m | u, x), batch (...), event (D,); None where the holes are ignored.

        Args:
            u: (..., H).
            x: (..., D), complete; None on rows with holes if `missing_x` is "unused".
        """


class Collapsible(Mechanism):
    """A mechanism in which x_j enters m_j only, so that a missing x_j integrates out; abstract."""

    missing_x: ClassVar[Literal["sampled", "unused", "collapsed"]] = "collapsed"

    @abstractmethod
    def collapsed(
        self, u: Tensor, x: Tensor, *, visible: Tensor, columns: Columnwise
    ) -> TorchDistribution:
        """Give p(m | u, x_visible), batch (...), event (D,), with the other x_j integrated out.

        Args:
            u: (..., H).
            x: (N, D); plays no part where not visible.
            visible: (N, D) bool.
            columns: p(x | u), batch (..., D).
        """

    @abstractmethod
    def given_holes(self, u: Tensor, columns: Columnwise, *, observed: Tensor) -> Columnwise:
        """Give p(x_j | u, m_j), batch (..., D): what is imputed.

        Args:
            u: (..., H).
            columns: p(x | u), batch (..., D).
            observed: (N, D) bool, m; True for a cell that was observed and is hidden.
        """
