"""Row-keyed randomness: draws that depend on (seed, row key, site), not on batch or order."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyro_gnr.model.transport import transport

__all__ = ["RowKeyed", "keyed_uniforms", "rekeyed"]

# splitmix64 (Steele, Lea & Flood 2014) in int64 arithmetic, which wraps like uint64.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's is arithmetic."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """Scramble int64 numbers, one to one."""
    x = x + _GOLDEN
    x = (x ^ _shifted(x, 30)) * _MIX_1
    x = (x ^ _shifted(x, 27)) * _MIX_2
    return x ^ _shifted(x, 31)


def keyed_uniforms(
    keys: Tensor, shape: tuple[int, ...], *, seed: int, site: str, row_dim: int
) -> Tensor:
    """Give uniform numbers in (0, 1), each a hash of (seed, site, row key, place in the row).

    Args:
        keys: (N,) int64 row keys.
        shape: of the result; `shape[row_dim]` is N or 1.
        seed: any whole number.
        site: name that keeps streams apart.
        row_dim: the dimension of the rows.

    Returns:
        float64 uniforms; a row has the same ones whatever the other rows are, and the first k
        along a dimension are the same however long it is.

    Example:
        >>> keys = torch.tensor([7, 8, 9])
        >>> u = keyed_uniforms(keys, (5, 3), seed=0, site="z", row_dim=1)
        >>> torch.equal(u[:, 1:], keyed_uniforms(keys[1:], (5, 2), seed=0, site="z", row_dim=1))
        True
    """
    row_dim = row_dim % len(shape)
    view = [1] * len(shape)
    view[row_dim] = -1
    start = torch.tensor(seed % (1 << 63), device=keys.device)
    stream = _mix(_mix(start) ^ crc32(site.encode()))
    state = _mix(keys ^ stream).reshape(view)
    # One round of mixing a dimension, not a flat index: lengths of dimensions do not matter.
    for dim, length in enumerate(shape):
        if dim != row_dim:
            place = [1] * len(shape)
            place[dim] = -1
            counter = torch.arange(length, device=keys.device).reshape(place)
            state = _mix(state ^ _mix(counter + (dim + 1 - len(shape)) * _GOLDEN))
    state = state.expand(shape)
    # 52 bits: with 53, adding a half rounds the largest number up to exactly 1.
    return (_shifted(state, 12).double() + 0.5) * 2.0**-52


def rekeyed(keys: Tensor, stream: str) -> Tensor:
    """Give other keys (N,) for (N,) int64 row keys, so that the same rows get new draws.

    Example:
        >>> keys = torch.tensor([7, 8, 9])
        >>> again = rekeyed(keys, "again")
        >>> torch.equal(again[1:], rekeyed(keys[1:], "again")), (again == keys).any().item()
        (True, False)
    """
    return _mix(_mix(keys) ^ crc32(stream.encode()))


class RowKeyed(Messenger):
    """Effect handler that draws every latent site by row key.

    Put it outside all plates, around any model or guide whose sites lie in the plate `rows`.

    Args:
        keys: (N,) int64 row keys.
        seed: any whole number.

    Raises:
        ValueError: (while sampling) a site is not inside the plate at dim -1, or its rows are not
            as many as the keys.

    Example:
        >>> import pyro, pyro.distributions as dist
        >>> def model(n):
        ...     with pyro.plate("rows", n, dim=-1):
        ...         return pyro.sample("z", dist.Normal(0.0, 1.0))
        >>> keys = torch.tensor([3, 1, 4])
        >>> with RowKeyed(keys, seed=1):
        ...     z = model(3)
        >>> with RowKeyed(keys[[2, 0]], seed=1):
        ...     print(torch.equal(model(2), z[[2, 0]]))
        True
    """

    def __init__(self, keys: Tensor, *, seed: int) -> None:
        super().__init__()
        self.keys = keys
        self.seed = seed

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if msg["done"] or msg["is_observed"] or type(msg["fn"]).__name__ == "_Subsample":
            return
        fn = msg["fn"]
        in_rows = any(frame.dim == -1 for frame in msg["cond_indep_stack"] if frame.vectorized)
        if not in_rows or fn.batch_shape[-1] != len(self.keys):
            raise ValueError(
                f"site {msg['name']!r} has batch shape {tuple(fn.batch_shape)}, expected "
                f"{len(self.keys)} rows (one a key) at dim -1 inside the plate 'rows'."
            )
        shape = tuple(fn.batch_shape + fn.event_shape)
        uniforms = keyed_uniforms(
            self.keys,
            shape,
            seed=self.seed,
            site=msg["name"],
            row_dim=len(fn.batch_shape) - 1,
        )
        msg["value"] = transport(fn, uniforms)
        msg["done"] = True
