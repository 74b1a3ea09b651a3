r"""The normal distribution between two limits, stable however far the limits lie in its tails.

All is computed in double precision and in terms of log Phi(x) + x^2/2, which stays of order one
where Phi itself and its logarithm do not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from scipy import special
from torch import Tensor
from torch.distributions import constraints

from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.normal_cdf import LOG_ROOT_TAU, log_ndtr, log_scaled_ndtr

__all__ = ["NO_LIMIT", "TruncatedNormal", "log_mass"]

# Stands for an infinite limit: the mass beyond is exactly 0, and all gradients are finite.
NO_LIMIT = 1e12

# Below this width, in standard deviations times the distance from the mean where that is above
# 1, the density is constant between the limits up to 1e-11.
NARROW = 1e-5
# Beyond this many standard deviations the tail is exponential up to 1e-8.
FAR = 1e4
# Values that were rounded onto a limit in single precision still lie within.
ROUNDING = 1e-5


class _Window(NamedTuple):
    """Limits in standard deviations from the mean, mirrored where both lay above it."""

    low: Tensor
    high: Tensor
    width: Tensor
    mirrored: Tensor

    @property
    def middle(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def narrow(self) -> Tensor:
        return self.width * self.middle.abs().clamp(min=1.0) < NARROW


def _window(loc: Tensor, scale: Tensor, lower: Tensor, upper: Tensor) -> _Window:
    a, b = (lower - loc) / scale, (upper - loc) / scale
    mirrored = a > 0
    low, high = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    return _Window(low, high, (upper - lower) / scale, mirrored)


def _gap(low: Tensor, high: Tensor, width: Tensor) -> Tensor:
    """Give log Phi(high) - log Phi(low) for low <= high."""
    tail = width * -(low + high) / 2 + log_scaled_ndtr(high) - log_scaled_ndtr(low)
    return torch.where(high <= 0, tail, log_ndtr(high) - log_ndtr(low))


def _log1mexp(x: Tensor) -> Tensor:
    """Give log(1 - exp(-x)) for x > 0 (Maechler 2012, "Accurately computing log(1-exp(-|a|))")."""
    small = x < math.log(2)
    near = torch.where(small, x, 1.0)
    far = torch.where(small, 1.0, x)
    return torch.where(small, (-torch.expm1(-near)).log(), torch.log1p(-torch.exp(-far)))


def _relative_log_mass(window: _Window) -> Tensor:
    """Give the log mass within, plus half the square of what of it is nearest to the mean."""
    low, high, width, _ = window
    narrow, tail = window.narrow, high <= 0
    gap = torch.where(narrow, 1.0, _gap(low, high, width))
    base = torch.where(tail, log_scaled_ndtr(high), log_ndtr(high))
    middle = window.middle
    # (r^2 - middle^2) / 2 with r = min(high, 0), which must not be a difference of squares.
    nearer = torch.where(tail, width / 2 * (high + middle) / 2, -middle.square() / 2)
    thin = nearer - LOG_ROOT_TAU + torch.where(narrow, width, 1.0).clamp(min=1e-300).log()
    return torch.where(narrow, thin, base + _log1mexp(gap))


def log_mass(loc: Tensor, scale: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    r"""Give log P(lower < X < upper) for X ~ N(loc, scale^2).

    Value and gradients are finite wherever the limits lie.

    Args:
        loc: means.
        scale: standard deviations, > 0.
        lower: lower limits; `-NO_LIMIT` for none.
        upper: upper limits above them; `NO_LIMIT` for none.

    Returns:
        Log probabilities in the broadcast shape, float64.

    Example:
        >>> lower, upper = torch.tensor([-NO_LIMIT, 40.0]), torch.tensor([0.0, 41.0])
        >>> log_mass(torch.tensor(0.0), torch.tensor(1.0), lower, upper).exp()
        tensor([0.5000, 0.0000], dtype=torch.float64)
        >>> round(log_mass(torch.tensor(0.0), torch.tensor(1.0), lower, upper)[1].item(), 3)
        -804.608
    """
    window = _window(loc.double(), scale.double(), lower.double(), upper.double())
    return _relative_log_mass(window) - window.high.clamp(max=0.0).square() / 2


class TruncatedNormal(TorchDistribution):
    r"""N(loc, scale^2) given that it lies in [lower, upper].

    p(x) = phi((x - loc) / scale) / scale / (Phi(b) - Phi(a)) within, where a and b are the limits
    in standard deviations from loc.

    Args:
        loc: mean of the normal, not of this distribution; it may lie far outside the limits.
        scale: standard deviation of the normal, > 0.
        lower: lower limit; `-NO_LIMIT` for none.
        upper: upper limit, above `lower`; `NO_LIMIT` for none.

    Source: Johnson, Kotz & Balakrishnan 1994, Continuous Univariate Distributions 1, section 10.1.

    Example:
        >>> positive = TruncatedNormal(torch.tensor(0.0), torch.tensor(1.0), upper=NO_LIMIT)
        >>> positive.mean, positive.cdf(torch.tensor(0.0))
        (tensor(0.7979), tensor(0.))
    """

    arg_constraints = {}
    support = constraints.real
    has_rsample = False

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        *,
        lower: Tensor | float = 0.0,
        upper: Tensor | float = NO_LIMIT,
    ) -> None:
        limits = (torch.as_tensor(v, device=loc.device).double() for v in (lower, upper))
        self.loc, self.scale, self.lower, self.upper = torch.broadcast_tensors(loc, scale, *limits)
        super().__init__(self.loc.shape, validate_args=False)

    def expand(
        self, batch_shape: Shape, _instance: TruncatedNormal | None = None
    ) -> TorchDistribution:
        """Broadcast to a larger batch shape."""
        shape = torch.Size(batch_shape)
        lower, upper = self.lower.expand(shape), self.upper.expand(shape)
        return TruncatedNormal(
            self.loc.expand(shape), self.scale.expand(shape), lower=lower, upper=upper
        )

    def _window(self) -> _Window:
        return _window(self.loc.double(), self.scale.double(), self.lower, self.upper)

    def log_prob(self, value: Tensor) -> Tensor:
        """Give log p(value); minus infinity outside the limits."""
        x, scale = value.double(), self.scale.double()
        window = self._window()
        sign = torch.where(window.mirrored, -1.0, 1.0)
        t = sign * (x - self.loc.double()) / scale
        nearest = torch.where(window.mirrored, self.lower, self.upper)
        tail = window.high <= 0
        beyond = torch.where(tail, sign * (x - nearest) / scale, t)
        square = beyond * (t + window.high.clamp(max=0.0))
        log_p = -square / 2 - LOG_ROOT_TAU - scale.log() - _relative_log_mass(window)
        slack = [ROUNDING * (1 + limit.abs()) for limit in (self.lower, self.upper)]
        within = (x >= self.lower - slack[0]) & (x <= self.upper + slack[1])
        return torch.where(within, log_p, -torch.inf).to(self.loc.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Give P(X <= value)."""
        x = torch.minimum(torch.maximum(value.double(), self.lower), self.upper)
        loc, scale = self.loc.double(), self.scale.double()
        low, high, width, mirrored = window = self._window()
        t = torch.where(mirrored, -1.0, 1.0) * (x - loc) / scale
        above, below = (self.upper - x) / scale, (x - self.lower) / scale
        up, down = torch.where(mirrored, below, above), torch.where(mirrored, above, below)
        ratio = torch.expm1(-_gap(low, t, down)) / torch.expm1(-_gap(low, high, width))
        share = torch.where(window.narrow, down / width, torch.exp(-_gap(t, high, up)) * ratio)
        share = torch.where(width > 0, share, (value >= self.lower).double()).clamp(0.0, 1.0)
        return torch.where(mirrored & (width > 0), 1 - share, share).to(self.loc.dtype)

    @torch.no_grad()
    def icdf(self, value: Tensor) -> Tensor:
        """Give the quantiles of probabilities in (0, 1); never outside the limits."""
        u = value.double()
        low, high, width, mirrored = self._window()
        u = torch.where(mirrored, 1 - u, u)
        gap = _gap(low, high, width)
        # log P(T < q) - log P(T < high), at most 0
        less = torch.logaddexp(u.log(), torch.log1p(-u) - gap)
        log_p = (log_ndtr(high) + less).clamp(max=0.0)
        q = torch.as_tensor(special.ndtri_exp(log_p.cpu().numpy())).to(log_p)
        far = high - (-2 * less) / ((high.square() - 2 * less).sqrt() + high.abs())
        q = torch.minimum(torch.maximum(torch.where(high < -FAR, far, q), low), high)
        x = self.loc.double() + self.scale.double() * torch.where(mirrored, -q, q)
        x = torch.minimum(torch.maximum(x, self.lower), self.upper)
        return x.to(self.loc.dtype)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, *batch_shape)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=torch.float64, device=self.loc.device)
        return self.icdf(u.clamp(2.0**-53, 1 - 2.0**-53))

    @property
    def mean(self) -> Tensor:
        r"""The mean, loc + scale (phi(a) - phi(b)) / (Phi(b) - Phi(a)), within the limits."""
        low, high, width, mirrored = window = self._window()
        narrow, tail = window.narrow, high <= 0
        gap = torch.where(narrow, 1.0, _gap(low, high, width))
        log_high = torch.where(tail, log_scaled_ndtr(high), log_ndtr(high))
        scaled = torch.exp(-LOG_ROOT_TAU - log_high) / torch.expm1(-gap)
        # phi(low) / phi(high) in a tail; elsewhere the densities themselves.
        decline = torch.expm1(torch.where(tail, width * (low + high) / 2, 0.0))
        difference = torch.exp(-low.square() / 2) - torch.exp(-high.square() / 2)
        mean = -scaled * torch.where(tail, decline, difference)
        mean = torch.where(narrow, window.middle, mean)
        x = self.loc.double() + self.scale.double() * torch.where(mirrored, -mean, mean)
        return torch.minimum(torch.maximum(x, self.lower), self.upper).to(self.loc.dtype)
