r"""The importance posterior of each row: weighted particles, and how far to trust them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from pyro.distributions import Unit
from pyro.distributions.torch_distribution import MaskedDistribution
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from pyro_gnr.inference.objective import log_weights, renyi_bound
from pyro_gnr.inference.randomness import RowKeyed, keyed_uniforms

__all__ = ["Posterior", "effective_sample_size", "infer", "pareto_k", "resample"]


class Posterior(NamedTuple):
    """Weighted particles of N rows.

    Attributes:
        log_weights: (K, N), not normalised.
        latents: draws by site, each (K, N, ...), deterministic sites included.
        conditionals: distribution of each observed site of the model given these latents, batch
            (K, N, ...), without its mask.
    """

    log_weights: Tensor
    latents: dict[str, Tensor]
    conditionals: dict[str, Distribution]

    @property
    def weights(self) -> Tensor:
        """Self-normalised weights, (K, N); each row sums to 1."""
        return self.log_weights.softmax(0)

    @property
    def ess(self) -> Tensor:
        """Effective sample size of each row, (N,); see `effective_sample_size`."""
        return effective_sample_size(self.log_weights)

    @property
    def pareto_k(self) -> Tensor:
        """Pareto k of each row, (N,); see `pareto_k`."""
        return pareto_k(self.log_weights)

    @property
    def log_evidence(self) -> Tensor:
        """Bound L_K of each row, (N,)."""
        return renyi_bound(self.log_weights)


@torch.no_grad()
def infer(
    model: nn.Module,
    guide: nn.Module,
    *args: Any,
    particles: int,
    keys: Tensor,
    seed: int,
) -> Posterior:
    """Draw and weight K particles of every row, by row key.

    Args:
        model: Pyro model that keeps the contract (one plate `rows` at dim -1, all sites inside).
        guide: its guide.
        *args: given to both.
        particles: K >= 1.
        keys: (N,) int64 row keys.
        seed: any whole number.

    Returns:
        The posterior of the rows.

    Raises:
        ValueError: a site lies outside the row plate.
    """
    with RowKeyed(keys, seed=seed):
        traces = log_weights(model, guide, *args, particles=particles)
    latents: dict[str, Tensor] = {}
    conditionals: dict[str, Distribution] = {}
    site: Any  # Pyro's messages are typed more loosely than they are
    for name, site in traces.model.nodes.items():
        if site["type"] != "sample" or isinstance(site["fn"], Unit):
            continue  # a factor is neither drawn nor observed
        if site["is_observed"] and not site["infer"].get("_deterministic"):
            conditionals[name] = _bare(site["fn"])
        else:
            latents[name] = site["value"]
    return Posterior(traces.log_weights, latents, conditionals)


def _bare(distribution: Distribution) -> Distribution:
    """Take off what a model wraps around the distribution of single columns."""
    while isinstance(distribution, (Independent, MaskedDistribution)):
        distribution = distribution.base_dist
    return distribution


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """Give 1 / sum_k w_k^2 of each row's normalised weights: (N,), in [1, K], for (K, N).

    Example:
        >>> effective_sample_size(torch.zeros(4, 2))
        tensor([4., 4.])
    """
    return 1.0 / log_weights.softmax(0).square().sum(0)


def resample(
    log_weights: Tensor, draws: int, *, keys: Tensor, seed: int, stream: str = "resample"
) -> Tensor:
    """Choose particles k ~ Categorical(w) of every row, with replacement, by row key.

    Args:
        log_weights: (K, N).
        draws: M.
        keys: (N,) int64 row keys.
        seed: any whole number.
        stream: keeps this choice apart from others with the same keys.

    Returns:
        (M, N) particle numbers; the first ones do not depend on M.
    """
    cumulative = log_weights.double().softmax(0).cumsum(0).T.contiguous()
    uniforms = keyed_uniforms(keys, (draws, len(keys)), seed=seed, site=stream, row_dim=1)
    chosen = torch.searchsorted(cumulative, (uniforms.T * cumulative[:, -1:]).contiguous())
    return chosen.clamp(max=len(log_weights) - 1).T


def pareto_k(log_weights: Tensor) -> Tensor:
    r"""Give the shape k of a generalised Pareto fitted to each row's largest weights.

    Below 0.7 importance sampling with these weights is reliable; above it the error is larger
    than the weights show. Tail of min(K/5, 3 sqrt(K)) weights, fitted by Zhang & Stephens (2009)
    with the weak prior of Vehtari et al. 2024 (arXiv 1507.02646), all rows at once.

    Args:
        log_weights: (K, N).

    Returns:
        (N,) float64; minus infinity for a row whose weights are all equal (an exact guide), and
        NaN where K < 25, too few for a tail of five.
    """
    n_particles, n_rows = log_weights.shape
    tail = min(n_particles // 5, int(3 * n_particles**0.5))
    if tail < 5:
        return log_weights.new_full((n_rows,), torch.nan, dtype=torch.float64)
    top = log_weights.double().topk(tail + 1, dim=0).values
    scaled = (top - top[0]).exp()
    # Ascending exceedances over the largest weight outside the tail.
    exceedance = (scaled[:-1] - scaled[-1]).flip(0)
    k = _generalised_pareto_shape(exceedance)
    # Weights that differ by rounding only have no tail.
    return torch.where(exceedance[-1] > 1e-5, k, -torch.inf)


def _generalised_pareto_shape(x: Tensor) -> Tensor:
    """Zhang & Stephens's estimate from ascending positive x (S, N), as in the loo package."""
    x = x.clamp(min=1e-300)
    s = len(x)
    points = 30 + int(s**0.5)
    grid = torch.arange(1, points + 1, dtype=x.dtype, device=x.device)[:, None]
    quartile = x[int(s / 4 + 0.5) - 1]
    theta = (1 - (points / (grid - 0.5)).sqrt()) / (3 * quartile) + 1 / x[-1]
    shape = torch.log1p(-theta.unsqueeze(1) * x).mean(1)
    profile = s * ((-theta / shape).log() - shape - 1)
    theta_hat = (profile.softmax(0) * theta).sum(0)
    k = torch.log1p(-theta_hat * x).mean(0)
    return (s * k + 5.0) / (s + 10.0)
