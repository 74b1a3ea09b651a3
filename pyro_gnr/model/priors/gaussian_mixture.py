"""A mixture of normals as prior."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyro_gnr.model.conditionals import PrecisionNormal
from pyro_gnr.model.densities import PrecisionMixture
from pyro_gnr.model.part import check_numbers
from pyro_gnr.model.priors.base import Prior, check_count

__all__ = ["GaussianMixture"]

# Standard deviation of the component means at the start: enough for components to part, little
# enough that the mixture is nearly normal (its fourth cumulant is of order 0.3^4).
SPREAD = 0.3


class GaussianMixture(Prior):
    r"""p(z) = sum_c pi_c N(z; mu_c, diag(s_c^2)), with pi, mu and s > floor learned.

    It starts with mean 0 and variance 1 in every direction, close to N(0, I) but with components
    that can part.

    *Choose it* where rows fall into groups (kinds of customers, species) that a smooth decoder
    would have to tear z apart for. Components are not to be read as the groups: they are
    exchangeable, and several may share one. *Costs* a matrix product of (K N, L) with (L, C L)
    a step.

    Args:
        components: C >= 1, the most there can be; weights of those not needed shrink.
        floor: smallest s, in (0, 1). Without one the density is unbounded.

    Raises:
        ValueError: `components` is no whole number >= 1, or `floor` is not in (0, 1).

    Source: Dilokthanakul et al. 2016 (arXiv 1611.02648); as a baseline, Tomczak & Welling,
    AISTATS 2018 (arXiv 1705.07120).

    Example:
        >>> prior = GaussianMixture(components=4)
        >>> prior.build(3)
        >>> p = prior()
        >>> p.event_shape, p.log_prob(torch.zeros(5, 3)).shape
        (torch.Size([3]), torch.Size([5]))
    """

    def __init__(self, *, components: int = 10, floor: float = 0.1) -> None:
        super().__init__()
        check_count("components", components)
        check_numbers(floor=floor)
        if not 0.0 < floor < 1.0:
            raise ValueError(f"got floor={floor!r}, expected a number in (0, 1).")
        self.components = components
        self.floor = floor

    def build(self, latent_dim: int) -> None:
        """Make weights, means and scales so that the whole has mean 0 and variance 1."""
        places = torch.randn(self.components, latent_dim)
        places = places - places.mean(0)
        spread = min(SPREAD, math.sqrt(1 - self.floor**2) / 2) if self.components > 1 else 0.0
        deviation = places.square().mean(0).sqrt().clamp(min=1e-6)
        scale = math.sqrt(1.0 - spread**2) - self.floor
        self.logits = nn.Parameter(torch.zeros(self.components))
        self.means = nn.Parameter(spread * places / deviation)
        self.raw_scales = nn.Parameter(torch.full_like(places, math.log(math.expm1(scale))))

    @property
    def scales(self) -> Tensor:
        """Standard deviations s_c, (C, L)."""
        return self.floor + F.softplus(self.raw_scales)

    def forward(self) -> PrecisionMixture:
        """Give the mixture, event (L,)."""
        normals = PrecisionNormal(self.means, torch.diag_embed(1.0 / self.scales))
        return PrecisionMixture(self.logits, normals)
