r"""The extended skew normal: a normal number, given that a noisy threshold was passed."""

from __future__ import annotations

import numpy as np
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from scipy import special
from scipy.stats import exponnorm
from torch import Tensor
from torch.distributions import Normal, constraints

from pyro_gnr.model.conditionals import Shape
from pyro_gnr.model.normal_cdf import LOG_ROOT_TAU, log_ndtr
from pyro_gnr.model.transport import SMALLEST_POSITIVE, bracket, cdf, transport

__all__ = ["ExtendedSkewNormal", "LogSkewNormal"]

# Below this, Owen's T has too few correct digits relative to Phi(t) for the CDF.
DEEPEST_CDF = -6.0
WIDEST = 9.0  # standard deviations that a quantile is looked for in


class ExtendedSkewNormal(TorchDistribution):
    r"""x = loc + scale (d e + sqrt(1 - d^2) n), e ~ N(0, 1) truncated to e > -t, n ~ N(0, 1).

    This is N(loc, scale^2) given an event of probability Phi(c (x - b)): with
    t = c (loc - b) / sqrt(1 + c^2 scale^2) the event has probability Phi(t), and
    d = c scale / sqrt(1 + c^2 scale^2). The mean is loc + scale d phi(t) / Phi(t).

    Args:
        loc: location of the normal.
        scale: its standard deviation, > 0.
        slope: c; negative where the event grows likelier as x falls, 0 for the normal itself.
        offset: c b.

    Source: Azzalini & Capitanio 2014, The Skew-Normal and Related Families, section 5.3.

    Example:
        >>> above = ExtendedSkewNormal(torch.tensor(0.0), torch.tensor(1.0),
        ...                            torch.tensor(1e4), torch.tensor(0.0))  # x > 0
        >>> round(above.mean.item(), 4)
        0.7979
    """

    arg_constraints = {}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Tensor, scale: Tensor, slope: Tensor, offset: Tensor) -> None:
        self.loc, self.scale, self.slope, self.offset = torch.broadcast_tensors(
            loc, scale, slope, offset
        )
        stretch = (1.0 + (self.slope * self.scale).square()).rsqrt()
        self.t = (self.slope * self.loc - self.offset) * stretch
        self.d = self.slope * self.scale * stretch
        self.rest = stretch  # sqrt(1 - d^2), without cancellation
        super().__init__(self.loc.shape, validate_args=False)

    def expand(
        self, batch_shape: Shape, _instance: ExtendedSkewNormal | None = None
    ) -> ExtendedSkewNormal:
        """Broadcast to a larger batch shape."""
        parts = (self.loc, self.scale, self.slope, self.offset)
        return ExtendedSkewNormal(*(p.expand(torch.Size(batch_shape)) for p in parts))

    @property
    def _hazard(self) -> Tensor:
        """phi(t) / Phi(t), the mean of e."""
        log_density = -0.5 * self.t.square() - LOG_ROOT_TAU
        return (log_density - log_ndtr(self.t)).exp()

    @property
    def mean(self) -> Tensor:
        """E[x], in closed form."""
        return self.loc + self.scale * self.d * self._hazard

    @property
    def variance(self) -> Tensor:
        """Var[x], in closed form."""
        r = self._hazard
        return self.scale.square() * (1.0 - self.d.square() * r * (self.t + r))

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density (...) of values (...)."""
        event = log_ndtr(self.slope * value - self.offset)
        normal = Normal(self.loc, self.scale, validate_args=False).log_prob(value)
        return normal + event - log_ndtr(self.t)

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ...)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniforms = torch.rand((2, *shape), dtype=torch.float64, device=self.loc.device)
        return self.from_uniforms(uniforms[0].clamp(min=2.0**-53), uniforms[1])

    def from_uniforms(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two independent uniforms in (0, 1) to an exact draw, far tails of t included."""
        log_v = first.double().log() + log_ndtr(self.t.detach().double())
        e = -torch.as_tensor(special.ndtri_exp(log_v.cpu().numpy())).to(self.loc)
        n = torch.special.ndtri(second.double().clamp(2.0**-40, 1 - 2.0**-40)).to(self.loc)
        return self.loc + self.scale * (self.d * e + self.rest * n)


@transport.register
def _(distribution: ExtendedSkewNormal, uniforms: Tensor) -> Tensor:
    # One uniform of 52 bits is two independent ones of 26: a draw, though no inverse CDF.
    coarse = (uniforms.double() * 2.0**26).floor()
    fine = uniforms.double() * 2.0**26 - coarse
    return distribution.from_uniforms(
        ((coarse + 0.5) * 2.0**-26).clamp(max=1.0), fine.clamp(2.0**-27, 1 - 2.0**-27)
    )


@cdf.register
def _(distribution: ExtendedSkewNormal, value: Tensor) -> Tensor:
    # P(z <= h, V <= t) with corr(z, V) = -d, by Owen (1956).
    h = ((value - distribution.loc) / distribution.scale).detach().double().cpu().numpy()
    t, d, rest, hazard = (
        p.detach().double().cpu().numpy()
        for p in (distribution.t, distribution.d, distribution.rest, distribution._hazard)
    )
    shallow = np.maximum(t, DEEPEST_CDF)
    found = np.clip(_binormal(h, shallow, -d, rest) / special.ndtr(shallow), 0.0, 1.0)
    deep = t < DEEPEST_CDF
    if deep.any():
        found = np.where(deep, _deep_cdf(h, t, d, rest, hazard), found)
    return torch.as_tensor(found).to(value)


def _deep_cdf(
    h: np.ndarray, t: np.ndarray, d: np.ndarray, rest: np.ndarray, hazard: np.ndarray
) -> np.ndarray:
    """The CDF where t is far below 0: there e is -t plus an exponential with mean hazard + t."""
    spread = np.maximum(np.abs(d) * (hazard + t), 1e-9)
    below = exponnorm.cdf(np.sign(d) * h + np.abs(d) * t, spread / rest, scale=rest)
    return np.where(d < 0, 1.0 - below, below)


def _binormal(h: np.ndarray, k: np.ndarray, rho: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """P(X <= h, Y <= k) of standard normals with correlation rho; rest = sqrt(1 - rho^2)."""
    h, k = np.broadcast_arrays(np.where(h == 0.0, 1e-300, h), np.where(k == 0.0, 1e-300, k))
    parts = special.owens_t(h, (k / h - rho) / rest) + special.owens_t(k, (h / k - rho) / rest)
    same_side = np.sign(h) == np.sign(k)
    return 0.5 * (special.ndtr(h) + special.ndtr(k)) - parts - np.where(same_side, 0.0, 0.5)


@bracket.register
def _(distribution: ExtendedSkewNormal, probability: float) -> tuple[Tensor, Tensor]:
    reach = WIDEST * distribution.variance.clamp(min=0.0).sqrt()
    return distribution.mean - reach, distribution.mean + reach


class LogSkewNormal(TorchDistribution):
    r"""x = exp(y), y an extended skew normal: a log-normal number given a noisy threshold's event.

    With t as in `ExtendedSkewNormal`, s its scale and d likewise, the mean is
    exp(loc + s^2 / 2) Phi(t + d s) / Phi(t).

    Args:
        logs: the distribution of y.

    Example:
        >>> one, zero = torch.tensor(1.0), torch.tensor(0.0)
        >>> above = LogSkewNormal(ExtendedSkewNormal(zero, one, 1e4 * one, zero))  # x > 1
        >>> round(above.mean.item(), 3)
        2.774
    """

    arg_constraints = {}
    support = constraints.positive
    has_rsample = False

    def __init__(self, logs: ExtendedSkewNormal) -> None:
        self.logs = logs
        super().__init__(logs.batch_shape, validate_args=False)

    def expand(self, batch_shape: Shape, _instance: LogSkewNormal | None = None) -> LogSkewNormal:
        """Broadcast to a larger batch shape."""
        return LogSkewNormal(self.logs.expand(batch_shape))

    @property
    def mean(self) -> Tensor:
        """E[x], in closed form."""
        y = self.logs
        moved = log_ndtr(y.t + y.d * y.scale) - log_ndtr(y.t)
        return (y.loc + 0.5 * y.scale.square() + moved).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density (...) of values (...)."""
        return self.logs.log_prob(value.log()) - value.log()

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ...)."""
        return self.logs.sample(sample_shape).exp()


@transport.register
def _(distribution: LogSkewNormal, uniforms: Tensor) -> Tensor:
    return transport(distribution.logs, uniforms).exp()


@cdf.register
def _(distribution: LogSkewNormal, value: Tensor) -> Tensor:
    return cdf(distribution.logs, value.log())


@bracket.register
def _(distribution: LogSkewNormal, probability: float) -> tuple[Tensor, Tensor]:
    low, high = bracket(distribution.logs, probability)
    return low.exp().clamp(min=SMALLEST_POSITIVE), high.exp()
