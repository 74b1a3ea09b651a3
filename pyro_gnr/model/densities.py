r"""Densities of z that Pyro does not have in a form fit for (K, N, L) particles.

Each is one density, the same for every row: whatever the batch shape, parameters stay unbatched,
and particles meet them in one matrix product or one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyro_gnr.model.conditionals import PrecisionNormal, Shape

__all__ = ["PrecisionMixture", "WarpedNormal"]


class PrecisionMixture(TorchDistribution):
    r"""Mixture sum_c pi_c N(mu_c, (C_c C_c')^{-1}) of normals given by precision factors.

    Args:
        logits: (C,) log pi up to a constant.
        components: the normals, batch (C,), event (L,).
        batch_shape: any; all entries share the one density.

    Example:
        >>> normals = PrecisionNormal(torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1, 1))
        >>> p = PrecisionMixture(torch.zeros(2), normals)
        >>> p.expand((4, 3)).log_prob(torch.zeros(4, 3, 1)).shape
        torch.Size([4, 3])
    """

    arg_constraints = {"logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = False

    def __init__(
        self, logits: Tensor, components: PrecisionNormal, *, batch_shape: Shape = ()
    ) -> None:
        self.logits = logits
        self.components = components
        super().__init__(torch.Size(batch_shape), components.event_shape, validate_args=False)

    def expand(
        self, batch_shape: Shape, _instance: PrecisionMixture | None = None
    ) -> PrecisionMixture:
        """Broadcast to a larger batch shape."""
        return PrecisionMixture(self.logits, self.components, batch_shape=batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density (...) of (..., L)."""
        factor = self.components.precision_tril
        # e_c = C_c' (z - mu_c) for all c at once: one product (..., L) @ (L, C L).
        white = (value @ factor.permute(1, 0, 2).flatten(1)).unflatten(-1, (-1, factor.shape[-1]))
        e = white - (self.components.loc.unsqueeze(-2) @ factor).squeeze(-2)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * self.event_shape[0] * math.log(2 * math.pi)
        each = self.logits.log_softmax(-1) + log_det - constant - 0.5 * e.square().sum(-1)
        shape = torch.broadcast_shapes(self.batch_shape, value.shape[:-1])
        return each.logsumexp(-1).expand(shape)

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., L)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.logits.dtype, device=self.logits.device)
        chosen = torch.multinomial(self.logits.softmax(-1), shape[:-1].numel(), replacement=True)
        return self._from_noise(chosen.reshape(shape[:-1]), noise)

    def from_uniforms(self, uniforms: Tensor) -> Tensor:
        """Map uniforms (..., L) in (0, 1) to draws (..., L)."""
        weights = self.logits.double().softmax(-1)
        upper = weights.cumsum(-1)
        first = uniforms[..., :1].double() * upper[-1]
        chosen = (upper[:-1] < first).sum(-1)
        # Where the first number lies within its component's share is uniform again.
        inside = (first[..., 0] - (upper - weights)[chosen]) / weights[chosen]
        tiny = torch.finfo(torch.float64).eps
        rest = [inside.clamp(tiny, 1 - tiny).unsqueeze(-1), uniforms[..., 1:].double()]
        noise = torch.special.ndtri(torch.cat(rest, -1)).to(self.logits.dtype)
        return self._from_noise(chosen, noise)

    def _from_noise(self, chosen: Tensor, noise: Tensor) -> Tensor:
        """Map standard normal noise (..., L) to draws of the chosen components (...)."""
        loc, factor = self.components.loc, self.components.precision_tril
        return PrecisionNormal(loc[chosen], factor[chosen]).from_noise(noise)


class WarpedNormal(TorchDistribution):
    r"""Distribution of z whose image e = f(z) is standard normal: a normalising flow.

    log p(z) = log N(f(z); 0, I) + log |det df/dz|.

    Args:
        forth: z (..., L) -> f(z) (..., L) and log |det df/dz| (...), in one pass.
        back: the inverse, e (..., L) -> z (..., L), differentiable.
        zero: (L,) zeros that say L, dtype and device.
        batch_shape: any; all entries share the one density.

    Example:
        >>> def halve(z):
        ...     return z / 2, torch.full(z.shape[:-1], math.log(0.5))
        >>> p = WarpedNormal(halve, lambda e: 2 * e, zero=torch.zeros(1))  # N(0, 2^2)
        >>> round(p.log_prob(torch.zeros(1)).exp().item(), 4)
        0.1995
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        forth: Callable[[Tensor], tuple[Tensor, Tensor]],
        back: Callable[[Tensor], Tensor],
        *,
        zero: Tensor,
        batch_shape: Shape = (),
    ) -> None:
        self.forth = forth
        self.back = back
        self.zero = zero
        super().__init__(torch.Size(batch_shape), zero.shape, validate_args=False)

    def expand(self, batch_shape: Shape, _instance: WarpedNormal | None = None) -> WarpedNormal:
        """Broadcast to a larger batch shape."""
        return WarpedNormal(self.forth, self.back, zero=self.zero, batch_shape=batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Give the log-density (...) of (..., L)."""
        e, log_det = self.forth(value)
        constant = 0.5 * self.event_shape[0] * math.log(2 * math.pi)
        shape = torch.broadcast_shapes(self.batch_shape, value.shape[:-1])
        return (log_det - constant - 0.5 * e.square().sum(-1)).expand(shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Draw (*sample_shape, ..., L), differentiable in the parameters of f."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.from_noise(torch.randn_like(self.zero.expand(shape)))

    def from_noise(self, noise: Tensor) -> Tensor:
        """Map standard normal noise (..., L) to draws (..., L)."""
        return self.back(noise)
