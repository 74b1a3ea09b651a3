"""A normalising flow as prior."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.transforms import _InverseTransform

from pyro_gnr.model.densities import WarpedNormal
from pyro_gnr.model.priors.base import Prior, check_count

__all__ = ["Flow"]


class Flow(Prior):
    r"""log p(z) = log N(f(z); 0, I) + log |det df/dz|, f a neural spline flow.

    f is a chain of autoregressive transforms, each z_l -> spline(z_l; network(z_1..z_{l-1})),
    monotone on [-5, 5] and the identity outside, so that tails stay normal. It starts at the
    identity, p(z) = N(0, I).

    *Choose it* where z has curved or many-shaped structure that a mixture would need many
    components for, and there are thousands of rows to learn it from. *Costs* the networks and
    splines on all K N particles, the dearest of the priors here: a training step took 6 times
    that of the standard normal (L = 11). The density is one pass, a simulated z takes L passes.
    Needs the extra `flows`: pip install pyro-gnr[flows].

    Args:
        transforms: transforms in the chain, >= 1; directions take turns, so that with two each
            number of z is bent given every other.
        hidden: units in each of a network's two hidden layers, >= 1.

    Raises:
        ValueError: an argument is no whole number >= 1.
        ImportError: (from `build`) zuko is not installed.

    Source: Durkan et al., NeurIPS 2019 (arXiv 1906.04032), by zuko; Papamakarios et al. 2017
    (arXiv 1705.07057).

    Example:
        >>> prior = Flow(transforms=1)
        >>> prior.build(3)
        >>> p = prior()
        >>> p.event_shape, p.log_prob(torch.zeros(5, 3)).shape
        (torch.Size([3]), torch.Size([5]))
    """

    zero: Tensor

    def __init__(self, *, transforms: int = 2, hidden: int = 32) -> None:
        super().__init__()
        check_count("transforms", transforms)
        check_count("hidden", hidden)
        self.transforms = transforms
        self.hidden = hidden

    def __repr__(self) -> str:
        # zuko's would draw from torch's global generator.
        return f"Flow(transforms={self.transforms}, hidden={self.hidden})"

    def build(self, latent_dim: int) -> None:
        """Make the transforms, each the identity."""
        flows = _zuko_flows()
        self.chain: nn.Module = flows.NSF(
            latent_dim,
            transforms=self.transforms,
            hidden_features=[self.hidden] * 2,
            activation=nn.Tanh,
        ).transform
        for part in self.chain.transforms:
            # One number has no others to depend on: its spline has parameters, but no network.
            for last in (part.phi if latent_dim == 1 else part.hyper[-1]).parameters():
                nn.init.zeros_(last)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> WarpedNormal:
        """Give the flow's density, event (L,)."""
        f = self.chain()
        return WarpedNormal(f.call_and_ladj, f.inv, zero=self.zero)


def _zuko_flows() -> ModuleType:
    """Import zuko, and leave torch as it was."""
    with _torch_as_it_was():
        try:
            from zuko import flows
        except ImportError as error:
            raise ImportError(
                "the prior 'flow' needs zuko, which cannot be imported: "
                "pip install pyro-gnr[flows]."
            ) from error
    return flows


@contextlib.contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Undo what importing zuko does to torch: it switches all validation of arguments off."""
    names = ((Distribution, "_validate_args"), (Distribution, "arg_constraints"))
    # As stored, not as read: `arg_constraints` is a property.
    before = [(cls, name, vars(cls)[name]) for cls, name in names]
    inverse = _InverseTransform.__name__
    try:
        yield
    finally:
        for cls, name, value in before:
            setattr(cls, name, value)
        _InverseTransform.__name__ = inverse
