"""Beta likelihood of bounded columns."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_gnr.data import Kind
from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.features import FeatureScale
from pyro_gnr.model.likelihoods.natural_scale import NaturalScale
from pyro_gnr.model.linear import LinearModel
from pyro_gnr.model.transport import BOUND_GAP

__all__ = ["Beta"]

# Halvings of an interval of 20 units: finer than single precision.
BISECTIONS = 40
# Rounds in which the start corrects the spread for its effect on the log-odds.
ROUNDS = 5


class Beta(NaturalScale):
    r"""x_j | u ~ Beta with mean m_j = logit^-1(eta_j(u)) and variance v_j(u) m_j (1 - m_j).

    The relative variance v_j is between 0 and 1; with w_j = logit^-1(c_j) at the centre of the
    column, v_j(u) = s_j(u)^2 w_j (1 - w_j), so that near the centre s_j is the standard deviation
    of the log-odds (for small s_j). Concentrations m_j (1/v_j - 1) and (1 - m_j) (1/v_j - 1).

    Cells are encoded at least a thousandth of the range away from both bounds, and v_j has a
    floor and a ceiling (0.9 at most), so that no density, and no training bound, grows without
    limit: a column with many cells *on* a bound is fitted, but as numbers near that bound, and
    one that lies nearly all nearer to a bound than that is refused.

    Args:
        floor: smallest s_j in observed standard deviations of the log-odds of x_j, in (0, 1).
        ceiling: largest s_j, likewise.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Source: Ferrari & Cribari-Neto, Journal of Applied Statistics 2004 (mean and precision).

    Example:
        >>> from pyro_gnr.data import Column
        >>> likelihood = Beta()
        >>> likelihood.build([Column("score", Kind.BOUNDED, "float64", scale=20.0)], u_dim=4)
        >>> x = likelihood(torch.zeros(7, 4)).sample()
        >>> bool(((x > 0) & (x < 1)).all())
        True
    """

    kinds = frozenset({Kind.BOUNDED})
    filler = 0.5
    # Of the square root of v_j; above it single precision would lose the density.
    smallest_spread = 0.01
    largest_spread = 0.95

    def __init__(
        self, *, floor: float = 0.1, ceiling: float = 1.0, heteroscedastic: bool = True
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)

    def distribution(self, parameters: Tensor) -> OpenBeta:
        """Give the Beta distribution, batch (..., C), from parameters (..., 2C)."""
        eta, spread = self._location_spread(parameters)
        # The unit itself is limited, not only the product: at a limit there is no gradient.
        unit = (self.unit * self._centre_scale()).clamp(max=self.largest_spread)
        spread = (spread * unit / self.unit).clamp(self.smallest_spread, self.largest_spread)
        precision = spread.pow(-2) - 1.0
        # 1 - m as the sigmoid of -eta: a difference would round to 0.
        a, b = torch.sigmoid(eta) * precision, torch.sigmoid(-eta) * precision
        return OpenBeta(a, b, validate_args=False)

    @torch.no_grad()
    def start(self, linear: LinearModel, scale: FeatureScale) -> None:
        """Start where the log-odds of x_j have the mean, noise and slopes of the linear model."""
        c = len(linear.intercept)
        noise = linear.noise
        for _ in range(ROUNDS):
            super().start(linear._replace(noise=noise), scale)
            self._place(scale.mean + scale.scale * linear.intercept)
            beta = self.distribution(self.head.bias)
            a, b = beta.concentration1, beta.concentration0
            variance = torch.polygamma(1, a) + torch.polygamma(1, b)  # of the log-odds
            noise = noise * scale.scale.square() * linear.noise / variance
        slope = a * b / (a + b) * variance
        self.head.weight[:c] /= slope[:, None]

    def _place(self, target: Tensor) -> None:
        """Find the intercepts that give mean log-odds (C,), by bisection."""
        c = len(target)
        low, high = self.head.bias[:c] - 10.0, self.head.bias[:c] + 10.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            self.head.bias[:c] = middle
            below = self._mean_log_odds() < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)

    def _centre_scale(self) -> Tensor:
        """Square root of w (1 - w), (C,)."""
        return (torch.sigmoid(self.centre) * torch.sigmoid(-self.centre)).sqrt()

    def _mean_log_odds(self) -> Tensor:
        """E[log(x / (1 - x))] at u = 0, (C,)."""
        beta = self.distribution(self.head.bias)
        return torch.digamma(beta.concentration1) - torch.digamma(beta.concentration0)


class OpenBeta(dist.Beta):
    """Beta on the open interval: a draw or a value that rounds to a bound is moved inside."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density."""
        return super().log_prob(value.clamp(BOUND_GAP, 1.0 - BOUND_GAP))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw."""
        return super().rsample(torch.Size(sample_shape)).clamp(BOUND_GAP, 1.0 - BOUND_GAP)
