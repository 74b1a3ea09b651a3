r"""The importance-weighted bound, weighted per row before rows are averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import ELBO
from pyro.infer.enum import get_importance_trace
from torch import Tensor, nn

__all__ = ["GRADIENTS", "IWELBO", "WeightedTraces", "check_gradient", "log_weights", "renyi_bound"]

PARTICLES = "particles"  # name of the plate that this module puts around model and guide
GRADIENTS = ("iwae", "dreg", "stl")


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
    return _weighted(_vectorised(model, particles), _vectorised(guide, particles), args, kwargs)


def _vectorised(fn: nn.Module, particles: int) -> Any:
    return pyro.plate(PARTICLES, particles, dim=-2)(poutine.broadcast(fn))


def _weighted(model: Any, guide: Any, args: Any, kwargs: Any) -> WeightedTraces:
    traces = get_importance_trace("flat", 2, model, guide, args, kwargs)
    model_trace, guide_trace = traces
    for site in _samples(guide_trace):
        if not site["fn"].has_rsample:
            raise ValueError(
                f"guide site {site['name']!r} ({type(site['fn']).__name__}) cannot be "
                "reparameterised, and its gradient would be wrong: use one that has rsample."
            )
    log_weights = _log_density(model_trace) - _log_density(guide_trace)
    return WeightedTraces(log_weights, model_trace, guide_trace)


def _samples(trace: poutine.Trace) -> Iterable[Any]:
    return (site for site in trace.nodes.values() if site["type"] == "sample")


def _log_density(trace: poutine.Trace) -> Any:
    """Log-density (K, N) of all sites of a trace."""
    return sum(_row_log_prob(site) for site in _samples(trace))


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


def _pathwise_log_weights(
    model: nn.Module, guide: nn.Module, args: Any, kwargs: Any, *, particles: int, squared: bool
) -> Tensor:
    """Give log-weights (K, N) through which the guide is reached by its draws alone.

    Model and log q get copies of the draws, while later sites of the guide were made from the
    draws themselves. So what flows back into a copy is d log w_k / d draw, no more, and there
    `squared` multiplies it by w~_k: the bound's own w~_k becomes w~_k^2 on all paths through
    draws, and stays w~_k on the model's parameters.
    """
    model, guide = (_vectorised(fn, particles) for fn in (model, guide))
    draws = poutine.trace(guide).get_trace(*args, **kwargs)
    for site in _samples(draws):
        site["value"] = site["value"].view_as(site["value"])
    # Once more, so that a later site's density sees the copies of the earlier ones.
    traces = _weighted(model, poutine.replay(guide, trace=draws), args, kwargs)
    _check_repeatable(draws, traces.guide)
    latents = [s["value"] for s in _samples(traces.guide) if not s["is_observed"]]
    copies = [value for value in latents if value.requires_grad]
    # What the model drew has a part in the proposal, too: its density moves with the draws as the
    # score that stands for it in the model does, and takes the score's path through them away.
    scores = sum(_row_log_prob(s) for s in _samples(traces.model) if s["infer"].get("is_score"))
    log_q = _of_draws_alone(_log_density(traces.guide) + scores, copies)
    log_weights: Tensor = _log_density(traces.model) - log_q
    if squared:
        weights = log_weights.detach().softmax(0)
        for copy in copies:
            copy.register_hook(partial(_times_rows, weights))
    return log_weights


@torch.no_grad()
def _check_repeatable(once: poutine.Trace, again: poutine.Trace) -> None:
    once.compute_log_prob()
    for name, site in again.nodes.items():
        if site["type"] != "sample":
            continue
        before, after = once.nodes[name]["log_prob"], site["log_prob"]
        if not torch.allclose(before, after, rtol=1e-3, atol=1e-3, equal_nan=True):
            raise ValueError(
                f"guide site {name!r} has another density when the guide runs again with the same "
                "draws, as after dropout: make the guide repeatable, or use gradient='iwae'."
            )


def _of_draws_alone(log_q: Tensor, draws: list[Tensor]) -> Tensor:
    """Give log q (K, N) with the same derivatives by the draws and none by anything else."""
    value = log_q.detach()
    if not (draws and log_q.requires_grad):
        return value
    # The model's part of the graph is needed again.
    slopes = torch.autograd.grad(log_q.sum(), draws, allow_unused=True, retain_graph=True)
    for draw, slope in zip(draws, slopes, strict=True):
        if slope is not None:
            change = slope * (draw - draw.detach())  # 0, but not its derivative
            value = value + change.reshape(*value.shape, -1).sum(-1)
    return value


def _times_rows(weights: Tensor, gradient: Tensor) -> Tensor:
    """Multiply a gradient (K, N, ...) by weights (K, N)."""
    return weights.reshape(*weights.shape, *[1] * (gradient.dim() - 2)) * gradient


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


def check_gradient(gradient: str, *, renyi_order: float, particles: int) -> None:
    """Check that a gradient estimator is known and estimates the bound of this order.

    Args:
        gradient: name of the estimator; see `IWELBO`.
        renyi_order: order of the bound.
        particles: K.

    Raises:
        ValueError: the name is unknown, or the estimator is for other orders.

    Example:
        >>> check_gradient("dreg", renyi_order=0.5, particles=20)
        Traceback (most recent call last):
        ValueError: got gradient='dreg' with renyi_order=0.5, expected renyi_order=0: ...
    """
    if gradient not in GRADIENTS:
        raise ValueError(f"got gradient={gradient!r}, expected one of {list(GRADIENTS)}.")
    if gradient == "dreg" and renyi_order != 0.0:
        expected = "renyi_order=0"
    elif gradient == "stl" and particles > 1 and renyi_order not in (0.0, 1.0):
        expected = "renyi_order 0 or 1, or one particle"
    else:
        return
    raise ValueError(
        f"got gradient={gradient!r} with renyi_order={renyi_order}, expected {expected}: its "
        "gradient is of no other bound; gradient='iwae' is of any."
    )


class IWELBO(ELBO):
    r"""Importance-weighted (Renyi) bound with K vectorised particles, per row.

    loss = -(1/B) sum_n omega_n L_{K,n}, with row weights omega (default 1) outside the logarithm.
    Unlike Pyro's `RenyiELBO`, it averages rows instead of summing them, it refuses sites outside
    the row plate (there they silently turn the weights into weights of the whole batch), and it
    is a module when called with model and guide, so that any torch optimiser works.

    The loss is the same number whatever the estimator of its gradient. With draws h_k ~ q and
    w~_k = w_k / sum_j w_j, stopped where it is a factor, the gradient of a row's bound is

    - "iwae": that of sum_k w~_k log w_k, draws and parameters live. It contains the score
      -w~_k d log q(h_k) / d phi, which drowns the guide's signal as K grows.
    - "dreg" (order 0): for the guide that of sum_k w~_k^2 log w_k with all parameters stopped and
      draws live; for the model that of sum_k w~_k log w_k at stopped draws. Unbiased, no score.
    - "stl": that of "iwae" without the score. Unbiased for order 1 or one particle, where the
      score is 0 on average; biased for order 0 and K > 1.

    Where the guide is the exact posterior, "dreg" and "stl" give it gradient 0 in every draw. Both
    run the guide twice, so it must be repeatable (no dropout), and no parameter may move the
    support of a site, such as a `Uniform`'s or `Delta`'s, other than by earlier draws. A model
    that draws by itself what cannot be reparameterised marks the factor of the draw's score, 0 in
    value, by infer={"is_score": True}: its proposal is held fixed, so the guide does not see it.
    A p(u|z) that model and guide share gets both parts; its own score, which cancels in "iwae",
    then drowns its signal: better let the model make u of z and of noise that both draw alike.

    Args:
        particles: K >= 1.
        renyi_order: 0 is IWAE and converges to log p as K grows; in (0, 1) the bound converges
            below it; 1 is the ELBO; below 0 it is no lower bound.
        gradient: estimator of the gradient: "iwae" (any order), "dreg" (order 0) or "stl" (order
            0 or 1, or one particle).

    Raises:
        ValueError: `particles` is no positive whole number, the order is not finite, or the
            estimator is unknown or for other orders.

    Source: Burda et al. 2016 (arXiv 1509.00519), Li & Turner 2016 (arXiv 1602.02311); "dreg":
    Tucker, Lawson, Gu & Maddison 2019 (arXiv 1810.04152), IWAE-DReG; "stl": Roeder, Wu & Duvenaud
    2017 (arXiv 1703.09194).

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

    def __init__(
        self, particles: int = 20, renyi_order: float = 0.0, *, gradient: str = "iwae"
    ) -> None:
        if not (isinstance(particles, int) and particles >= 1):
            raise ValueError(f"got particles={particles!r}, expected a whole number >= 1.")
        if not math.isfinite(renyi_order):
            raise ValueError(f"got renyi_order={renyi_order}, expected a finite number.")
        check_gradient(gradient, renyi_order=renyi_order, particles=particles)
        super().__init__(num_particles=particles, max_plate_nesting=1, vectorize_particles=True)
        self.renyi_order = renyi_order
        self.gradient = gradient

    def row_bounds(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Give the bound of each row, (N,), differentiable."""
        particles = self.num_particles
        if self.gradient == "iwae" or not torch.is_grad_enabled():
            log_w = log_weights(model, guide, *args, particles=particles, **kwargs).log_weights
        else:
            squared = self.gradient == "dreg"
            log_w = _pathwise_log_weights(
                model, guide, args, kwargs, particles=particles, squared=squared
            )
        return renyi_bound(log_w, self.renyi_order)

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
