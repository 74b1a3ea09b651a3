"""Truncated normal likelihood of continuous columns between hard bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyro_gnr.data import Column
from pyro_gnr.data.columns.kinds import Bounds
from pyro_gnr.model.likelihoods.location_scale import LocationScale
from pyro_gnr.model.part import check_numbers
from pyro_gnr.model.truncation import NO_LIMIT, TruncatedNormal

__all__ = ["Truncated"]


class Truncated(LocationScale):
    r"""x_j | u ~ N(mu_j(u), s_j(u)^2) given lower <= x_j <= upper, in the caller's units.

    p(x) = phi((x - mu) / s) / s / (Phi((upper - mu) / s) - Phi((lower - mu) / s)), in the bounds.

    Imputations never leave the bounds, and none are set onto them. mu may lie outside: a quantity
    that is mostly near 0 has its mu below 0. The bounds are this likelihood's own, of a continuous
    column: kind "bounded" is another way to say bounds, and goes with `Beta`.

    Args:
        lower: lower bound, or None for none; one of the two is needed.
        upper: upper bound, above `lower`, or None for none.
        floor: smallest scale s in observed standard deviations, in (0, 1).
        ceiling: largest scale; a truncated normal is narrower than its s.
        heteroscedastic: whether s_j depends on u, or is one number a column.

    Raises:
        ValueError: a bound is not finite, they are out of order, or `floor` or `ceiling` is out
            of range; later, if there is no bound, or a table holds values outside the bounds.
        TypeError: a number is none.

    Example:
        >>> from functools import partial
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[0.1, 1.0], [2.0, 3.0], [0.3, np.nan], [np.nan, 2.0]] * 10)
        >>> positive = partial(Truncated, lower=0.0)
        >>> imputer = GNRImputer(likelihoods={"x0": positive}, max_steps=5, random_state=0)
        >>> draws = imputer.fit(X).impute(X, m=5).decoded("x0")[1]
        >>> bool((draws >= 0.0).all())
        True
    """

    lower_bounds: Tensor
    upper_bounds: Tensor

    def __init__(
        self,
        *,
        lower: float | None = None,
        upper: float | None = None,
        floor: float = 0.1,
        ceiling: float = 3.0,
        heteroscedastic: bool = True,
    ) -> None:
        super().__init__(floor=floor, ceiling=ceiling, heteroscedastic=heteroscedastic)
        for name, bound in (("lower", lower), ("upper", upper)):
            if bound is None:
                continue
            check_numbers(**{name: bound})
            if not math.isfinite(bound):
                raise ValueError(f"got {name}={bound}, expected a finite number, or None.")
        if lower is not None and upper is not None and not lower < upper:
            raise ValueError(f"got lower={lower} and upper={upper}, expected lower < upper.")
        self.lower = lower
        self.upper = upper

    def build(self, columns: Sequence[Column], u_dim: int) -> None:
        """Make the head, and the bounds in each column's standardised units.

        Raises:
            ValueError: there is no bound, as where the likelihood came by its name alone.
        """
        if self.lower is None and self.upper is None:
            name = columns[0].name
            key = json.dumps(name, ensure_ascii=False)  # a quoted key of TOML, too
            raise ValueError(
                f"column {name!r} got likelihood Truncated without bounds, expected lower, upper "
                "or both, in the column's units: give "
                f"likelihoods={{{name!r}: functools.partial(Truncated, lower=0)}}, or in a "
                "configuration file (TOML), under [likelihoods], the line "
                f'{key} = {{ name = "truncated", lower = 0 }}'
            )
        super().build(columns, u_dim)
        for name, bound, sign in (("lower", self.lower, -1), ("upper", self.upper, 1)):
            bounds = [_standardised(column, bound, sign) for column in columns]
            buffer = torch.tensor(bounds, dtype=torch.float64)
            self.register_buffer(f"{name}_bounds", buffer, persistent=False)

    @property
    def bounds(self) -> Bounds:
        """`lower` and `upper`, infinite where there is none."""
        low = -math.inf if self.lower is None else self.lower
        return low, math.inf if self.upper is None else self.upper

    def check(self, column: Column, values: NDArray[np.float64]) -> None:
        """Refuse observed values outside the bounds."""
        if not len(values):
            return
        low, high = column.to_units(np.array([values.min(), values.max()]))
        low, high = (np.rint(v) if column.whole else v for v in (low, high))
        outside = np.zeros(len(values), dtype=bool)
        # In standardised units, where rounding cannot push a value beyond a bound it lies on.
        if self.lower is not None:
            outside |= values < (self.lower - column.location) / (column.scale or 1.0)
        if self.upper is not None:
            outside |= values > (self.upper - column.location) / (column.scale or 1.0)
        if outside.any():
            raise ValueError(
                f"column {column.name!r} has {int(outside.sum())} value(s) outside the bounds "
                f"[{self.lower}, {self.upper}] of its likelihood Truncated (they go from {low:g} "
                f"to {high:g}): correct them, set them to missing, or widen the bounds."
            )

    def distribution(self, parameters: Tensor) -> TruncatedNormal:
        """Give the truncated normal, batch (..., C), from parameters (..., 2C)."""
        location, scale = self._location_scale(parameters)
        return TruncatedNormal(location, scale, lower=self.lower_bounds, upper=self.upper_bounds)


def _standardised(column: Column, bound: float | None, sign: int) -> float:
    """The outermost single-precision number that is within the bound in the caller's units.

    Draws are clipped to it, so it must not be off by a rounding error to the wrong side.
    """
    if bound is None or column.scale == 0.0:
        return sign * NO_LIMIT
    if column.whole:
        bound = math.floor(bound) if sign > 0 else math.ceil(bound)
    number = np.float32((bound - column.location) / column.scale)
    step = np.spacing(np.abs(number))
    while sign * column.to_units(np.array(number, dtype=np.float64)) > sign * bound:
        number -= np.float32(sign) * step
        step *= 2
    return float(number)
