"""What a part has to give, asked of it before training, so that one's own fails early.

Each part is called once, for some particles and rows: one u is 0, others are random. What is
asked is what training and imputation do with the answer; see `Likelihood` and `Mechanism` for what
a part is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from pyro_gnr.data import Column
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.likelihoods import Likelihood
from pyro_gnr.model.mechanisms import Collapsible, Mechanism
from pyro_gnr.model.part import Part
from pyro_gnr.model.registry import EVERY, resolve
from pyro_gnr.model.transport import transport

__all__ = ["check_model", "check_part"]

PARTICLES, ROWS = 2, 3
MISSING_X = ("sampled", "unused", "collapsed")
TRANSPORTS = "pyro_gnr/model/transport.py"


def check_part(part: object, columns: Sequence[Column]) -> None:
    """Check a likelihood or a mechanism by itself, for example in the tests of your own.

    It is built for the columns as for a fit, but sees no cells: `calibrate` and `start` are not
    called. A fit asks the same after them.

    Args:
        part: template, as `GNRImputer` takes it: a class, `functools.partial` or unbuilt instance.
        columns: columns that it is to serve.

    Raises:
        TypeError: it is neither, says no kinds, gives no distribution, or `build` takes other
            arguments.
        ValueError: the columns' kind is not among its own; it raises an error; the distribution
            has another shape, no way to draw from it, no finite density at `filler` or of holes,
            or is not one of 0 and 1 for a mechanism; or its `missing_x` is unknown.

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
        ValueError: it cannot be used; see `check_part`.
    """
    x_given_u, names = model.x_given_u, [column.name for column in columns]
    u = _probes(model.u_given_z.out_dim).to(x_given_u.order.device)
    for i, part in enumerate(x_given_u.parts()):
        _check_likelihood(part, u, [names[j] for j in x_given_u.positions(i).tolist()])
    nothing = u.new_zeros(*u.shape[:-1], len(columns))
    _check_mechanism(model.m_given_ux, u, x_given_u(u).filled(nothing, nothing.bool()), names)


def _probes(u_dim: int) -> Tensor:
    """Give u (K, N, H), the first 0; the same at every call, the global generator left alone."""
    u = torch.randn(PARTICLES, ROWS, u_dim, generator=torch.Generator().manual_seed(0))
    u[0, 0] = 0.0
    return u


def _called(function: Callable[..., Any], *arguments: Any, doing: str) -> Any:
    """Call code of the user's own; an error is said to come from there, in one line."""
    try:
        return function(*arguments)
    except Exception as error:
        raise ValueError(f"{doing} failed with {_in_a_line(error)}") from error


def _in_a_line(error: Exception) -> str:
    """Name an error; torch's go on with whole tensors in further lines."""
    first = next(iter(str(error).splitlines()), "").rstrip(":. ")
    return f"{type(error).__name__}: {first}."


def _check_likelihood(part: Likelihood, u: Tensor, names: Sequence[str]) -> None:
    who = f"likelihood {type(part).__name__} of columns {list(names)}"
    found = _called(part, u, doing=f"{who}: `forward` for u of shape {tuple(u.shape)}")
    expected = (*u.shape[:-1], len(names))
    if not isinstance(found, Distribution):
        raise TypeError(
            f"{who} returned {type(found).__name__}: return a torch or Pyro distribution from "
            "`distribution`."
        )
    if (came := _shapes(found)) != (expected, ()):
        raise ValueError(
            f"{who} gave a distribution of batch and event shape {came} for u of shape "
            f"{tuple(u.shape)}, expected {(expected, ())}: `n_parameters` counts the numbers of "
            "ALL columns together, and `distribution` turns parameters (..., P) into batch "
            "(..., C)."
        )
    _check_draws(found, u.new_full(expected, 0.5), who)
    if (reason := _infinite(found, u.new_full(expected, part.filler))) is not None:
        raise ValueError(
            f"{who} has no finite density at its filler {part.filler}, which stands in cells that "
            "are not seen: set `filler` in the class to a value that has, such as `filler = 1.0` "
            f"for positive numbers ({reason})."
        )


def _check_draws(found: Distribution, half: Tensor, who: str) -> None:
    """Check that values can be drawn, and that there is a density where they are."""
    try:
        median = transport(found, half.double()).to(half)
    except NotImplementedError as error:
        raise ValueError(
            f"{who}: no value can be drawn from a {type(found).__name__}, which has neither "
            f"`icdf` nor `cdf`: give it one of them, or register it as in {TRANSPORTS}."
        ) from error
    except Exception as error:
        raise ValueError(f"{who}: drawing a value failed with {_in_a_line(error)}") from error
    density = _called(found.log_prob, median, doing=f"{who}: `log_prob` of medians")
    if density.isnan().any():
        raise ValueError(
            f"{who}: log p is nan at its own median: are the parameters that `distribution` makes "
            "kept in their range (a scale by softplus)?"
        )


def _infinite(found: Distribution, x: Tensor) -> str | None:
    """Say why the density at x is not finite; None where it is."""
    try:
        density = found.log_prob(x)
    except ValueError as error:  # of a distribution that checks its values
        return _in_a_line(error)
    finite = density.isfinite()
    return None if finite.all() else f"log p is {density[~finite][0].item()}"


def _check_mechanism(part: Mechanism, u: Tensor, x: Tensor, names: Sequence[str]) -> None:
    who = f"mechanism {type(part).__name__}"
    _check_missing_x(part, who)
    unused = part.missing_x == "unused"
    given = 'None, as `missing_x` is "unused"' if unused else f"of shape {tuple(x.shape)}"
    doing = f"{who}: `forward(u, x)` for u of shape {tuple(u.shape)} and x {given},"
    found = _called(part, u, None if unused else x, doing=doing)
    if found is None and unused:
        return  # the holes are ignored
    if not isinstance(found, Distribution):
        raise TypeError(
            f"{who} returned {type(found).__name__}: return a distribution of m, such as "
            "Bernoulli(logits=...).to_event(1)."
        )
    _check_batch(found, x.shape, who)
    if not _is_binary(found):
        raise ValueError(
            f"{who} gave a distribution with support {found.support}, expected one of m, 1 where "
            "a cell is observed and 0 where it is missing: give Bernoulli(logits=...).to_event(1)."
        )
    _check_holes(found, x, who, names)


def _check_missing_x(part: Mechanism, who: str) -> None:
    missing_x: object = part.missing_x
    if missing_x not in MISSING_X:
        raise ValueError(f"{who} has missing_x = {missing_x!r}, expected one of {MISSING_X}.")
    if missing_x == "collapsed" and not isinstance(part, Collapsible):
        raise ValueError(
            f'{who} has missing_x = "collapsed": subclass `Collapsible`, which says how a missing '
            'x is integrated out, or leave it at "sampled".'
        )


def _check_batch(found: Distribution, shape: torch.Size, who: str) -> None:
    batch, event = _shapes(found)
    lead, size = tuple(shape[:-1]), tuple(shape[-1:])
    # A smaller batch has chances that are the same for all particles, or all rows, too.
    if event != size or batch not in [(), (1,), lead[-1:], lead]:
        raise ValueError(
            f"{who} gave a distribution of batch and event shape {(batch, event)} for x of shape "
            f"{tuple(shape)}, expected {(lead, size)}: give one Bernoulli for each column, and "
            "end with .to_event(1)."
        )


def _is_binary(found: Distribution) -> bool:
    """Whether values are 0 and 1; what does not say its support is taken at its word."""
    try:
        support: Any = found.support
        while hasattr(support, "base_constraint"):  # of independent columns, of a mixture
            support = support.base_constraint
        inside = [bool(support.check(torch.tensor(m)).all()) for m in (0.0, 1.0, 0.5, 2.0)]
    except (NotImplementedError, AttributeError):
        return True
    return inside == [True, True, False, False]


def _check_holes(found: Distribution, x: Tensor, who: str, names: Sequence[str]) -> None:
    """Check log p(m) of rows that are complete, and that it is a number for empty ones."""
    doing = f"{who}: `log_prob` of m"
    complete, empty = torch.ones_like(x), torch.zeros_like(x)
    density = _called(found.log_prob, complete, doing=doing)
    if not density.isfinite().all():
        where = _columns_at_fault(found, complete, names)
        raise ValueError(
            f"{who}: log p(m) is not finite for complete rows{where}: keep log-odds finite "
            "(`rates.clamp(0.01, 0.99)`: a column without holes has rate 1), and leave columns "
            "without holes out by `.mask(rates < 1)` before `.to_event(1)`."
        )
    if _called(found.log_prob, empty, doing=doing).isnan().any():
        raise ValueError(f"{who}: log p(m) is nan for empty rows: keep log-odds finite.")


def _columns_at_fault(found: Distribution, m: Tensor, names: Sequence[str]) -> str:
    """Name the columns whose own factor is not finite, where columns are independent."""
    if not isinstance(found, Independent) or found.reinterpreted_batch_ndims != 1:
        return ""
    fine = found.base_dist.log_prob(m).isfinite().reshape(-1, len(names)).all(0).tolist()
    wrong = [name for name, good in zip(names, fine, strict=True) if not good]
    return f" (columns {wrong})"


def _shapes(found: Distribution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(found.batch_shape), tuple(found.event_shape)
