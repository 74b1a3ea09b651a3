r"""The amortised guide q(z, u | x_o, m)."""

from __future__ import annotations

import pyro
import torch
from torch import Tensor, nn

from pyro_gnr.model.conditionals import (
    PrecisionNormal,
    StochasticFusion,
    noise_site,
    tanh_network,
)
from pyro_gnr.model.features import Features
from pyro_gnr.model.hole_factors import HoleFactors
from pyro_gnr.model.linear import LinearModel, outer_rows
from pyro_gnr.model.masked_linear import MaskedLinear
from pyro_gnr.model.missing import missing_noise

__all__ = ["Encoder", "Guide"]

# Bounds log-precisions that the network adds, so that no row's factor becomes singular.
LARGEST_LOG_PRECISION = 5.0


class Encoder(nn.Module):
    r"""q(z | x_o, m) as a product of experts, one a visible feature, bent by a network.

    q = N(P^-1 h, P^-1),  P = diag(exp(b)) + sum_f v_f d_f a_f a_f' + sum_j o_j o_j',
    h = c + sum_f v_f d_f (x_f - e_f) a_f + E m + r,  with (r, b) = network(x_o, v, m),
    and v_f = 1 where feature f is visible; the o_j are the experts of the holes, one for m_j = 0
    and one for m_j = 1, which is 0 where an observed cell shows its value anyway. A cell that is
    missing brings no expert of its value, whatever the pattern. Where the model is linear and
    Gaussian this is its exact posterior (a_f its loadings, d_f its noise precisions), from which
    `start` departs; the network starts at 0.

    Args:
        features: map from columns to features.
        n_columns: D.
        latent_dim: L.
        hidden: units in the network's two hidden layers; 0 for none.
    """

    def __init__(
        self, features: Features, n_columns: int, *, latent_dim: int, hidden: int = 128
    ) -> None:
        super().__init__()
        f = features.out_dim
        self.features = features
        self.directions = nn.Parameter(0.3 * torch.randn(f, latent_dim))
        self.log_precision = nn.Parameter(torch.zeros(f))
        self.centre = nn.Parameter(torch.zeros(f))
        self.hole_shift = nn.Linear(n_columns, latent_dim)
        nn.init.zeros_(self.hole_shift.weight)
        nn.init.zeros_(self.hole_shift.bias)
        self.hole_directions = nn.Parameter(torch.zeros(2, n_columns, latent_dim))
        self.network = (
            tanh_network(f + 2 * n_columns, 2 * latent_dim, hidden, zero=True) if hidden else None
        )

    @torch.no_grad()
    def start_holes(self, fit: HoleFactors) -> None:
        """Start the experts of the holes at what m_j = 0 and 1 say of the factors, on average."""
        precision = 1.0 / (1.0 + fit.noise)
        pull = (precision * (fit.value - fit.intercept)).unsqueeze(-1) * fit.slopes
        self.hole_shift.weight.copy_((pull[1] - pull[0]).T)
        self.hole_shift.bias.copy_(pull[0].sum(0))
        self.hole_directions.copy_(precision.sqrt().unsqueeze(-1) * fit.slopes)

    @torch.no_grad()
    def start_masked(self, fit: MaskedLinear, shares: Tensor) -> None:
        """Start the experts of the holes at what a hole says of its own value, on average.

        Args:
            fit: a linear model of features that are missing by their own values.
            shares: (F,) missing share of each; 0 for features that mask nothing.
        """
        noise = fit.linear.noise + fit.noise
        masks = shares > 0
        pull = ((fit.value - fit.linear.intercept) / noise)[:, None] * fit.linear.loadings
        pull, spread = pull * masks[:, None], noise.rsqrt()[:, None] * fit.linear.loadings
        for f in masks.nonzero()[:, 0].tolist():
            j = self.features.column[f]
            self.hole_shift.weight[:, j] = -pull[f]
            self.hole_directions[0, j] = spread[f]
        self.hole_shift.bias.copy_(pull.sum(0))

    def start(self, linear: LinearModel) -> None:
        """Start at the exact posterior of a linear model of the features."""
        with torch.no_grad():
            self.directions.copy_(linear.loadings)
            self.log_precision.copy_(-linear.noise.log())
            self.centre.copy_(linear.intercept)

    def forward(self, x: Tensor, observed: Tensor, visible: Tensor) -> PrecisionNormal:
        """Give q(z | x_o, m), batch (N,), event (L,).

        Args:
            x: (N, D) values; those of cells that are not visible play no part.
            observed: (N, D) bool, m.
            visible: (N, D) bool, True where x may be seen.
        """
        features, _ = self.features(x, visible)
        return self.from_features(features, visible.to(x.dtype), observed.to(x.dtype))

    def from_features(self, features: Tensor, visible: Tensor, m: Tensor) -> PrecisionNormal:
        """Give q(z | x_o, m), batch (N,), event (L,), of rows whose features are known.

        Args:
            features: (N, F) standardised features.
            visible: (N, D), 1 where x may be seen; between 0 and 1 a cell speaks with that
                share of its precision.
            m: (N, D), 1 where a cell is observed, else 0, or between.
        """
        shift, log_precision = self._correction(torch.cat([features, visible, m], -1))
        seen = visible[:, self.features.column]
        weight = seen * self.log_precision.clamp(max=10.0).exp()
        a = self.directions
        outer = outer_rows(a)
        own = torch.diag_embed(log_precision.exp())
        holes = torch.cat([1.0 - m, m], -1) @ outer_rows(self.hole_directions.flatten(0, 1))
        precision = (weight @ outer + holes).unflatten(-1, own.shape[-2:]) + own
        pull = (weight * (features - self.centre)) @ a + self.hole_shift(m) + shift
        factor = torch.linalg.cholesky(precision)
        loc = torch.cholesky_solve(pull.unsqueeze(-1), factor).squeeze(-1)
        return PrecisionNormal(loc, factor)

    def _correction(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        latent_dim = self.directions.shape[1]
        if self.network is None:
            zero = inputs.new_zeros(len(inputs), latent_dim)
            return zero, zero
        shift, raw = self.network(inputs).chunk(2, -1)
        return shift, LARGEST_LOG_PRECISION * torch.tanh(raw / LARGEST_LOG_PRECISION)


class Guide(nn.Module):
    r"""q(z | x_o, m) q(u | z, x_o, m): the Pyro guide of `GNR`.

    Args:
        encoder: q(z | x_o, m).
        u_given_z: for a stochastic u a `StochasticFusion` of the guide's own; None where u is
            deterministic or replayed.
        amortise_u: whether the guide's u is shifted by what is seen of the row.
        u_noise: H, where the model replays u, for which the guide then has the noise; else 0.
        samples_missing_x: whether the model draws missing values, for which the guide then has
            the noise.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        u_given_z: StochasticFusion | None = None,
        amortise_u: bool = False,
        u_noise: int = 0,
        samples_missing_x: bool = False,
    ) -> None:
        super().__init__()
        self.samples_missing_x = samples_missing_x
        self.u_noise = u_noise
        self.encoder = encoder
        self.u_given_z = u_given_z
        self.u_shift: nn.Linear | None = None
        if amortise_u and u_given_z is not None:
            features = encoder.features.out_dim
            self.u_shift = nn.Linear(features + encoder.hole_shift.in_features, u_given_z.out_dim)
            nn.init.zeros_(self.u_shift.weight)
            nn.init.zeros_(self.u_shift.bias)

    def forward(
        self, x: Tensor, observed: Tensor, visible: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Draw the latents of N rows; arguments as of `GNR`.

        Returns:
            Draws z (..., N, L), and u (..., N, H) where it is stochastic.
        """
        seen = observed if visible is None else visible
        with pyro.plate("rows", len(x), dim=-1):
            if self.samples_missing_x:
                missing_noise(x)
            if self.u_noise:
                noise_site("u_noise", x.new_zeros(self.u_noise))
            z = pyro.sample("z", self.encoder(x, observed, seen))
            if self.u_given_z is None:
                return {"z": z}
            q = self.u_given_z(z)
            if self.u_shift is not None:
                inputs = torch.cat([self.encoder.features(x, seen)[0], observed.to(x)], -1)
                normal = q.base_dist
                q = type(normal)(
                    normal.loc + self.u_shift(inputs), normal.scale, validate_args=False
                ).to_event(1)
            return {"z": z, "u": pyro.sample("u", q)}
