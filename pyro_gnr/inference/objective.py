r"""The importance-weighted bound, weighted per row before rows are averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import ELBO
from pyro.infer.enum import get_importance_trace
from torch import Tensor, nn

__all__ = ["IWELBO", "WeightedTraces", "log_weights", "renyi_bound"]

PARTICLES = "particles"  # name of the plate that this module puts around model and guide


class WeightedTraces(NamedTuple):
    """What one run of guide and model gives.

    Attributes:
        log_weights: (K, N) log p(data, latents) - log q(latents), row by row.
        model: trace of the model.
        guide: trace of the guide.
    """

    log_weights: Tensor
    model: poutine.Trace
    guide: poutine.Trace


def log_weights(
    model: nn.Module, guide: nn.Module, *args: Any, particles: int, **kwargs: Any
) -> WeightedTraces:
    """Draw K particles of every row from the guide and weight them by the model.

    Args:
        model: Pyro model with one plate `rows` at dim -1 and every sample site inside it.
        guide: Pyro guide of the same contract, reparameterised.
        *args: given to both.
        particles: K >= 1; always a dimension of its own, at the left.
        **kwargs: given to both.

    Returns:
        Log-weights (K, N) and the traces.

    Raises:
        ValueError: a site lies outside the row plate, or a site of the guide cannot be
            reparameterised.
    """

    def vectorised(fn: nn.Module) -> Any:
        return pyro.plate(PARTICLES, particles, dim=-2)(poutine.broadcast(fn))

    traces = get_importance_trace("flat", 2, vectorised(model), vectorised(guide), args, kwargs)
    model_trace, guide_trace = traces
    for site in _samples(guide_trace):
        if not site["fn"].has_rsample:
            raise ValueError(
                f"guide site {site['name']!r} ({type(site['fn']).__name__}) cannot be "
                "reparameterised, and its gradient would be wrong: use one that has rsample."
            )
    log_weights: Any = sum(_row_log_prob(site) for site in _samples(model_trace))
    for site in _samples(guide_trace):
        log_weights = log_weights - _row_log_prob(site)
    return WeightedTraces(log_weights, model_trace, guide_trace)


def _samples(trace: poutine.Trace) -> Iterable[Any]:
    return (site for site in trace.nodes.values() if site["type"] == "sample")


def _row_log_prob(site: Any) -> Tensor:
    """Log-density (K, N) of a site; a site outside the rows belongs to no row's weight."""
    dims = {frame.dim for frame in site["cond_indep_stack"] if frame.vectorized}
    if -1 not in dims or dims - {-1, -2}:
        raise ValueError(
            f"site {site['name']!r} is not inside exactly the plate 'rows' at dim -1: its density "
            "cannot be shared out among rows. Make it a parameter, or put it inside the plate."
        )
    log_prob: Tensor = site["log_prob"]
    return log_prob


def renyi_bound(log_weights: Tensor, order: float = 0.0) -> Tensor:
    r"""Give each row's variational Renyi bound, (N,), from its K log-weights (K, N).

    L = 1/(1-a) log (1/K) sum_k w_k^{1-a}; order a = 0 is the importance-weighted bound (IWAE),
    a -> 1 the mean ELBO. Li & Turner 2016 (arXiv 1602.02311), eq. 11; Burda et al. 2016, eq. 8.

    Example:
        >>> w = torch.tensor([[1.0], [3.0]])
        >>> renyi_bound(w.log()).exp(), renyi_bound(w.log(), 1.0).exp()
        (tensor([2.]), tensor([1.7321]))
    """
    if order == 1.0:
        return log_weights.mean(0)
    scaled = (1.0 - order) * log_weights
    return (scaled.logsumexp(0) - math.log(len(log_weights))) / (1.0 - order)


class IWELBO(ELBO):
    r"""Importance-weighted (Renyi) bound with K vectorised particles, per row.

    loss = -(1/B) sum_n omega_n L_{K,n}, with row weights omega (default 1) outside the logarithm.
    Unlike Pyro's `RenyiELBO`, it averages rows instead of summing them, it refuses sites outside
    the row plate (there they silently turn the weights into weights of the whole batch), and it
    is a module when called with model and guide, so that any torch optimiser works.

    Args:
        particles: K >= 1.
        renyi_order: 0 is IWAE and converges to log p as K grows; in (0, 1) the bound converges
            below it; 1 is the ELBO; below 0 it is no lower bound.

    Raises:
        ValueError: `particles` is no positive whole number, or the order is not finite.

    Source: Burda et al. 2016 (arXiv 1509.00519), Li & Turner 2016 (arXiv 1602.02311).

    Example:
        >>> import pyro.distributions as dist
        >>> class Model(nn.Module):
        ...     def forward(self, x):
        ...         with pyro.plate("rows", len(x), dim=-1):
        ...             z = pyro.sample("z", dist.Normal(0.0, 1.0))
        ...             pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> class Exact(nn.Module):
        ...     def forward(self, x):
        ...         with pyro.plate("rows", len(x), dim=-1):
        ...             pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))
        >>> x = torch.tensor([0.0, 2.0])
        >>> loss = IWELBO(5)(Model(), Exact())(x)  # the exact posterior: no variance
        >>> torch.allclose(-loss, dist.Normal(0.0, 2**0.5).log_prob(x).mean())
        True
    """

    def __init__(self, particles: int = 20, renyi_order: float = 0.0) -> None:
        if not (isinstance(particles, int) and particles >= 1):
            raise ValueError(f"got particles={particles!r}, expected a whole number >= 1.")
        if not math.isfinite(renyi_order):
            raise ValueError(f"got renyi_order={renyi_order}, expected a finite number.")
        super().__init__(num_particles=particles, max_plate_nesting=1, vectorize_particles=True)
        self.renyi_order = renyi_order

    def row_bounds(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Give the bound of each row, (N,), differentiable."""
        traces = log_weights(model, guide, *args, particles=self.num_particles, **kwargs)
        return renyi_bound(traces.log_weights, self.renyi_order)

    def differentiable_loss(
        self,
        model: nn.Module,
        guide: nn.Module,
        *args: Any,
        row_weights: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Give minus the mean row bound; `row_weights` (N,) multiply the bounds as they are."""
        bounds = self.row_bounds(model, guide, *args, **kwargs)
        return -(bounds if row_weights is None else row_weights * bounds).mean()

    def loss(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> float:
        """Give the loss as a number, without gradients."""
        with torch.no_grad():
            return self.differentiable_loss(model, guide, *args, **kwargs).item()

    def loss_and_grads(
        self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any
    ) -> float:
        """Give the loss and add its gradients to the parameters (what `pyro.infer.SVI` calls)."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        loss.backward()
        return loss.item()

    def _get_trace(self, model: nn.Module, guide: nn.Module, args: Any, kwargs: Any) -> Any:
        # Abstract in Pyro's ELBO, whose _get_traces has put its own particle plate around both.
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)
