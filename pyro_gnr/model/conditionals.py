r"""Conditionals: modules whose `forward(h)` returns a distribution (or, if exact, a tensor).

Letters, used everywhere: K particles, N rows, D modelled columns, F features (levels of a
categorical column count one each), L = dim z, H = dim u, M imputations. Particles are always
leftmost, columns always last. `observed` is True, and m = 1, where a cell is observed.
"""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints

# What torch calls a shape.
Shape = torch.Size | list[int] | tuple[int, ...]

__all__ = ["Fusion", "PrecisionNormal", "StochasticFusion", "noise_site", "tanh_network"]


def tanh_network(n_in: int, n_out: int, hidden: int, *, zero: bool = False) -> nn.Sequential:
    """Build a network of two hidden tanh layers.

    Args:
        n_in: inputs.
        n_out: outputs.
        hidden: units in each hidden layer.
        zero: start with output 0 for any input, so that training begins without it.

    Returns:
        A module (..., n_in) -> (..., n_out).
    """
    last = nn.Linear(hidden, n_out)
    if zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(n_in, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last
    )


class Fusion(nn.Module):
    r"""Deterministic fusion layer u = (z, g(z)), the features from which x and m are decoded.

    The first L entries of u are z itself, so that a linear head is a linear factor model; g is
    a network of two hidden tanh layers whose features bend it.

    Args:
        latent_dim: L.
        hidden: units in the hidden layers and number of features in g; 0 gives u = z.

    Example:
        >>> Fusion(2, hidden=8)(torch.zeros(5, 2)).shape
        torch.Size([5, 10])
    """

    def __init__(self, latent_dim: int, *, hidden: int = 128) -> None:
        super().__init__()
        self.out_dim = latent_dim + hidden
        self.network = (
            nn.Sequential(
                nn.Linear(latent_dim, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
            )
            if hidden
            else None
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map z (..., L) to u (..., H)."""
        return z if self.network is None else torch.cat([z, self.network(z)], -1)


class StochasticFusion(nn.Module):
    r"""Stochastic fusion layer u ~ N(f(z), diag(s^2)) with f a `Fusion` and s learned.

    Args:
        latent_dim: L.
        hidden: as in `Fusion`.
        scale: s at the start of training; > 0.

    Example:
        >>> StochasticFusion(2, hidden=8)(torch.zeros(5, 2)).event_shape
        torch.Size([10])
    """

    def __init__(self, latent_dim: int, *, hidden: int = 128, scale: float = 0.1) -> None:
        super().__init__()
        self.mean = Fusion(latent_dim, hidden=hidden)
        self.out_dim = self.mean.out_dim
        self.log_scale = nn.Parameter(torch.full((self.out_dim,), math.log(scale)))

    def forward(self, z: Tensor) -> dist.Independent:
        """Give p(u|z), batch (...), event (H,), for z (..., L)."""
        return dist.Normal(self.mean(z), self.log_scale.exp(), validate_args=False).to_event(1)

    def from_noise(self, z: Tensor, noise: Tensor) -> Tensor:
        """Give the draw (..., H) of p(u|z) that standard normal noise (..., H) makes."""
        return self.mean(z) + self.log_scale.exp() * noise


def noise_site(name: str, zero: Tensor) -> Tensor:
    """Write a site of independent standard normals, (..., n), in model and guide alike.

    Its density is the same in both, so that its weight cancels. What the model makes of it and of
    other draws needs no network in the guide, and gradients pass through.

    Args:
        name: of the site.
        zero: (n,) zeros, for dtype and device.
    """
    noise = dist.Normal(zero, torch.ones_like(zero), validate_args=False).to_event(1)
    return pyro.sample(name, noise)


class PrecisionNormal(TorchDistribution):
    r"""Multivariate normal N(loc, (C C')^{-1}) given the Cholesky factor C of its precision.

    Sampling solves C' (z - loc) = e for standard normal e, and the density is that of
    e = C' (z - loc): nothing is inverted.

    Args:
        loc: (..., L) mean.
        precision_tril: (..., L, L) lower triangular C, positive diagonal.

    Example:
        >>> q = PrecisionNormal(torch.zeros(3), 2.0 * torch.eye(3))
        >>> round(q.log_prob(torch.zeros(3)).item(), 4)
        -0.6774
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "precision_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, precision_tril: Tensor) -> None:
        self.loc = loc
        self.precision_tril = precision_tril
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    def expand(
        self, batch_shape: Shape, _instance: PrecisionNormal | None = None
    ) -> PrecisionNormal:
        """Broadcast to a larger batch shape."""
        shape = torch.Size((*batch_shape, *self.event_shape))
        # The factor is shared by all particles: it broadcasts, so it need not be expanded.
        return PrecisionNormal(self.loc.expand(shape), self.precision_tril)

    def at(self, loc: Tensor) -> PrecisionNormal:
        """Give the same around another mean."""
        return PrecisionNormal(loc, self.precision_tril)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., L), differentiable in the parameters."""
        return self.from_noise(
            torch.randn_like(self.loc.expand(self._extended_shape(torch.Size(sample_shape))))
        )

    def from_noise(self, noise: Tensor) -> Tensor:
        """Map standard normal noise (..., L) to draws (..., L)."""
        upper = self.precision_tril.mT
        if noise.dim() == upper.dim() and noise.dim() == 3:
            # (K, N, L) noise over N factors: one solve a row with K right-hand sides.
            noise = noise.permute(1, 2, 0)
            solved = torch.linalg.solve_triangular(upper, noise, upper=True).permute(2, 0, 1)
        else:
            solved = torch.linalg.solve_triangular(upper, noise.unsqueeze(-1), upper=True)
            solved = solved.squeeze(-1)
        return self.loc + solved

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density (...) of (..., L)."""
        e = (self.precision_tril.mT @ (value - self.loc).unsqueeze(-1)).squeeze(-1)
        log_det = self.precision_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * self.event_shape[0] * math.log(2 * math.pi)
        return log_det - constant - 0.5 * e.square().sum(-1)

    @property
    def mean(self) -> Tensor:
        """The mean, (..., L)."""
        return self.loc
