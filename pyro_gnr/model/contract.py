"""What a part has to give, asked of it before training, so that one's own fails early.

Each part is called once, at u = 0. What is asked is what training and imputation do with the
answer; see `Likelihood` and `Mechanism` for what a part is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyro_gnr.data import Column
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.likelihoods import Likelihood
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.part import Part
from pyro_gnr.model.registry import EVERY, resolve
from pyro_gnr.model.transport import transport

__all__ = ["check_model", "check_part"]

ROWS = 2
TRANSPORTS = "pyro_gnr/model/transport.py"


def check_part(part: object, columns: Sequence[Column]) -> None:
    """Check a likelihood or a mechanism by itself, for example in the tests of your own.

    It is built for the columns as for a fit, but sees no cells: `calibrate` and `start` are not
    called. A fit asks the same after them.

    Args:
        part: template, as `GNRImputer` takes it: a class, `functools.partial` or unbuilt instance.
        columns: columns that it is to serve.

    Raises:
        TypeError: it is neither, says no kinds, or gives no distribution.
        ValueError: the columns' kind is not among its own, or the distribution has another shape,
            no way to draw from it, or no finite density at `filler`.

    Example:
        >>> from pyro_gnr.data import Kind
        >>> from pyro_gnr.model.likelihoods import Gaussian
        >>> columns = [Column(name, Kind.CONTINUOUS, "float64", holes=1) for name in "ab"]
        >>> check_part(Gaussian(floor=0.2), columns)
    """
    made = resolve(part, EVERY, Part)
    options: dict[str, Any] = {}
    if isinstance(made, Likelihood):
        options["likelihoods"] = {column.name: part for column in columns}
    elif isinstance(made, Mechanism):
        options["mechanism"] = part
    else:
        raise TypeError(f"got {made!r}, expected a likelihood or a mechanism.")
    n_rows = 2 * max([1, *(column.holes for column in columns)])
    with torch.random.fork_rng(devices=[]):
        model, _ = assemble(columns, n_rows=n_rows, latent_dim=2, hidden=0, **options)
    check_model(model, columns)


@torch.no_grad()
def check_model(model: GNR, columns: Sequence[Column]) -> None:
    """Check every likelihood of a model, and its mechanism.

    Args:
        model: built; where likelihoods have units, calibrated.
        columns: the D modelled columns.

    Raises:
        TypeError: a part gives no distribution.
        ValueError: one of another shape, without a way to draw from it, or without a finite
            density at the likelihood's `filler`.
    """
    x_given_u = model.x_given_u
    u = x_given_u.order.new_zeros(ROWS, model.u_given_z.out_dim, dtype=torch.get_default_dtype())
    for i, part in enumerate(x_given_u.parts()):
        names = [columns[j].name for j in x_given_u.positions(i).tolist()]
        _check_likelihood(part, u, names)
    nothing = u.new_zeros(ROWS, len(columns))
    _check_mechanism(model.m_given_ux, u, x_given_u(u).filled(nothing, nothing.bool()))


def _check_likelihood(part: Likelihood, u: Tensor, names: Sequence[str]) -> None:
    who = f"likelihood {type(part).__name__} of columns {list(names)}"
    found, expected = part(u), (len(u), len(names))
    if not isinstance(found, Distribution):
        raise TypeError(
            f"{who} returned {type(found).__name__}: return a torch or Pyro distribution from "
            "`distribution`."
        )
    if (came := _shapes(found)) != (expected, ()):
        raise ValueError(
            f"{who} gave a distribution of batch and event shape {came} for {len(u)} rows, "
            f"expected {(expected, ())}: `n_parameters` counts the numbers of ALL columns "
            "together, and `distribution` turns parameters (..., P) into batch (..., C)."
        )
    try:
        transport(found, u.new_full(expected, 0.5, dtype=torch.float64))
    except NotImplementedError as error:
        raise ValueError(
            f"{who}: no value can be drawn from a {type(found).__name__}, which has neither "
            f"`icdf` nor `cdf`: give it one of them, or register it as in {TRANSPORTS}."
        ) from error
    if (reason := _infinite(found, u.new_full(expected, part.filler))) is not None:
        raise ValueError(
            f"{who} has no finite density at its filler {part.filler}, which stands in cells that "
            "are not seen: set `filler` in the class to a value that has, such as `filler = 1.0` "
            f"for positive numbers ({reason})."
        )


def _infinite(found: Distribution, x: Tensor) -> str | None:
    """Say why the density at x is not finite; None where it is."""
    try:
        density = found.log_prob(x)
    except ValueError as error:  # of a distribution that checks its values
        return str(error)
    finite = density.isfinite()
    return None if finite.all() else f"log p is {density[~finite][0].item()}"


def _check_mechanism(part: Mechanism, u: Tensor, x: Tensor) -> None:
    who = f"mechanism {type(part).__name__}"
    unused = part.missing_x == "unused"
    found = part(u, None if unused else x)
    if found is None and unused:
        return  # the holes are ignored
    if not isinstance(found, Distribution):
        raise TypeError(
            f"{who} returned {type(found).__name__}: return a distribution of m, such as "
            "Bernoulli(logits=...).to_event(1)."
        )
    event = (x.shape[-1],)
    # Without a batch, or with one of 1, chances are the same for all rows.
    if (came := _shapes(found)) not in [(b, event) for b in ((), (1,), (len(u),))]:
        raise ValueError(
            f"{who} gave a distribution of batch and event shape {came} for {len(u)} rows, "
            f"expected {((len(u),), event)}: give one Bernoulli for each column, and end with "
            ".to_event(1)."
        )


def _shapes(found: Distribution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(found.batch_shape), tuple(found.event_shape)
