r"""GNR, the generative story of a table and its holes, as a Pyro model."""

from __future__ import annotations

import copy

import pyro
import torch
from pyro import poutine
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn

from pyro_gnr.model.conditionals import Fusion, StochasticFusion, noise_site
from pyro_gnr.model.grids import OnGrid
from pyro_gnr.model.likelihoods.block import BlockLikelihood, Columnwise
from pyro_gnr.model.mechanisms.base import Collapsible, Mechanism
from pyro_gnr.model.missing import complete
from pyro_gnr.model.priors import Prior

__all__ = ["GNR"]


class GNR(nn.Module):
    r"""p(z) p(u|z) prod_j p(x_j|u) p(m|u,x)^{mask_weight}, rows independent.

    The model is its own `forward`: a Pyro program with one plate `rows` at dim -1 and the sites
    `z`, `u`, `x` and `m`. Only observed cells enter the `x` site; the holes are the data of `m`.
    A replayed u is a function, recorded as `u`, of z and of the site `u_noise`.
    Where the mechanism needs a complete x, missing values are drawn from p(x | u): a function,
    recorded as `x_missing`, of u and of the site `x_noise`.

    Args:
        prior: built prior p(z).
        u_given_z: fusion layer; a tensor makes u deterministic, a distribution a sample site.
        x_given_u: built likelihood of all columns.
        m_given_ux: built mechanism.
        mask_weight: exponent >= 0 of p(m|.) (alpha in the paper); 1 is the model itself, 0
            ignores the holes.
        replays_u: whether a stochastic u has its noise from the guide, which proposes nothing
            else for it, so that its weight cancels; else `u` is a site of both.

    Raises:
        ValueError: `mask_weight` is negative.

    Source: Chen, Xu, Wang & Yang, CIKM 2023 (arXiv 2308.08158).

    Example:
        >>> from pyro_gnr.data import Schema
        >>> from pyro_gnr.model.assemble import assemble
        >>> import numpy as np
        >>> X = np.array([[1.0, 2.0], [2.0, np.nan], [3.5, 1.0]])
        >>> model, guide = assemble(Schema.learn(X).modelled, n_rows=3, latent_dim=1)
        >>> x, m = model(size=5)   # draws from the prior predictive
        >>> x.shape, m.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        prior: Prior,
        u_given_z: Fusion | StochasticFusion,
        *,
        x_given_u: BlockLikelihood,
        m_given_ux: Mechanism,
        mask_weight: float = 1.0,
        replays_u: bool = False,
    ) -> None:
        super().__init__()
        if not mask_weight >= 0.0:
            raise ValueError(f"got mask_weight={mask_weight}, expected a number >= 0.")
        self.prior = prior
        self.u_given_z = u_given_z
        self.x_given_u = x_given_u
        self.m_given_ux = m_given_ux
        self.mask_weight = mask_weight
        self.replays_u = replays_u

    def at_mask_weight(self, mask_weight: float) -> GNR:
        """Give the same model, parameters shared, with another weight of the holes."""
        other = copy.copy(self)
        other.mask_weight = mask_weight
        return other

    def forward(
        self,
        x: Tensor | None = None,
        observed: Tensor | None = None,
        visible: Tensor | None = None,
        *,
        size: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the story, conditioned on rows or forward.

        Args:
            x: (N, D) standardised values and level codes; finite (0) where not observed.
            observed: (N, D) bool, True where a cell is observed: the data m.
            visible: (N, D) bool, True where an observed cell is not held out (hidden); None: all.
            size: instead of rows, the number of rows to simulate.

        Returns:
            x (N, D) and m (N, D), 1 where observed: the data, or the simulated table.

        Raises:
            ValueError: neither rows nor `size` came, or both.
        """
        if (x is None) == (size is None):
            raise ValueError(
                "got neither or both of x and size: give rows, or size=n to simulate."
            )
        n_rows = size if x is None else len(x)
        seen = observed if visible is None else visible
        with pyro.plate("rows", n_rows, dim=-1):
            z = pyro.sample("z", self.prior())
            u = self._fused(z)
            columns = self.x_given_u(u)
            likelihood = (columns if seen is None else columns.mask(seen)).to_event(1)
            x = pyro.sample("x", likelihood, obs=x)
            return x, self._holes(self._of_holes(u, x, columns, seen), x, observed)

    def _fused(self, z: Tensor) -> Tensor:
        """Draw or compute u (..., H)."""
        layer = self.u_given_z
        if self.replays_u and isinstance(layer, StochasticFusion):
            u = layer.from_noise(z, noise_site("u_noise", torch.zeros_like(layer.log_scale)))
            return pyro.deterministic("u", u, event_dim=1)
        return sample_or_deterministic("u", layer(z))

    def _of_holes(
        self, u: Tensor, x: Tensor, columns: Columnwise, seen: Tensor | None
    ) -> TorchDistribution | None:
        """p(m | u, x) where the model simulates; else given what is seen of x."""
        mechanism = self.m_given_ux
        if seen is None:
            return mechanism(u, x)
        if mechanism.missing_x == "unused":
            return mechanism(u, None)
        # An interval shows its cell, but not its value.
        known = seen & columns.exact(x)
        columns = columns.restricted(torch.where(seen, x, 0.0))
        if isinstance(mechanism, Collapsible):
            return mechanism.collapsed(u, x, visible=known, columns=columns)
        return mechanism(u, complete(columns, x, known))

    @property
    def samples_missing_x(self) -> bool:
        """Whether missing values are drawn for each particle, from the guide's noise."""
        return self.m_given_ux.missing_x == "sampled"

    def given_row(self, u: Tensor, *, x: Tensor, observed: Tensor, visible: Tensor) -> Columnwise:
        """Give p(x_j | u, m_j, what is known of x_j), batch (..., D): what is imputed.

        Not for mechanisms that sample: their particles have a completed x of their own.

        Args:
            u: (..., H).
            x: (N, D); of it only intervals count.
            observed: (N, D) bool, m.
            visible: (N, D) bool.
        """
        columns = self.x_given_u(u).restricted(torch.where(visible, x, 0.0))
        if isinstance(self.m_given_ux, Collapsible):
            return self.m_given_ux.given_holes(u, columns, observed=observed)
        return columns

    @torch.no_grad()
    def breadth(self, x: Tensor) -> int:
        """Count the numbers that a row takes, for each particle, in the largest of its tensors.

        Args:
            x: (1, D), any row; only its type and device count.
        """
        columns, u_dim = x.shape[-1], self.u_given_z.out_dim
        u, nothing = x.new_zeros(1, u_dim), torch.zeros_like(x, dtype=torch.bool)
        given = self.given_row(u, x=torch.zeros_like(x), observed=nothing, visible=nothing)
        grids = [
            b.distribution.mass[..., 0, :].numel()
            for b in given.blocks
            if isinstance(b.distribution, OnGrid)
        ]
        return max(u_dim, 3 * columns, *grids)

    def _holes(
        self, holes: TorchDistribution | None, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        if holes is None:
            return torch.ones_like(x) if observed is None else observed.to(x.dtype)
        m = None if observed is None else observed.to(x.dtype)
        # poutine.scale wants a positive number; weight 0 is a site that does not count.
        weighted = (
            poutine.scale(scale=self.mask_weight)
            if self.mask_weight > 0
            else poutine.mask(mask=False)
        )
        with weighted:
            return pyro.sample("m", holes, obs=m)


def sample_or_deterministic(name: str, conditional: Tensor | TorchDistribution) -> Tensor:
    """Write a site for a conditional: a sample if it is a distribution, else a record."""
    if isinstance(conditional, Tensor):
        return pyro.deterministic(name, conditional, event_dim=1)
    return pyro.sample(name, conditional)
