"""Numbers in messages: with the digits that they need to be read back."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

__all__ = ["exact", "outward"]

# As many as tell any two numbers apart.
MOST_DIGITS = 17


def exact(number: float) -> str:
    """Write a number so that it is read back as itself, as short as can be.

    Example:
        >>> exact(20.0), exact(1e-13), exact(999999970.0)
        ('20', '1e-13', '999999970')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number)).removesuffix(".0")


def outward(low: float, high: float) -> tuple[str, str]:
    """Write two numbers, rounded away from each other: what lies between them stays there.

    They get as many significant digits as tell them apart, and one more; equal ones are moved
    apart at their second digit.

    Args:
        low: the lower one.
        high: the higher one, or the same.

    Example:
        >>> outward(1.090884e12, 8.406756e12), outward(999999970.0, 1000000030.0)
        (('1e+12', '8.5e+12'), ('999999970', '1000000030'))
    """
    down, up = Decimal(repr(float(low))), Decimal(repr(float(high)))
    if low == high:
        step = max(_unit(down, 2), Decimal(math.ulp(0.0)))  # less would be lost next to 0
        return exact(float(down - step)), exact(float(up + step))
    digits = 1
    while digits < MOST_DIGITS and _cut(down, digits) == _cut(up, digits):
        digits += 1
    return (
        exact(float(_cut(down, digits + 1, ROUND_FLOOR))),
        exact(float(_cut(up, digits + 1, ROUND_CEILING))),
    )


def _unit(number: Decimal, digits: int) -> Decimal:
    """The unit of the last of some significant digits; of 0, as of 1."""
    place = number.adjusted() if number else 0
    return Decimal(1).scaleb(place - digits + 1)


def _cut(number: Decimal, digits: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Round to some significant digits."""
    unit = _unit(number, digits)
    return (number / unit).to_integral_value(rounding) * unit
