"""What a caller of pooling may have got wrong."""

from __future__ import annotations

from numbers import Real

__all__ = ["check_level", "check_positive"]


def _is_number(value: object) -> bool:
    # As `imputation.settings.is_number`, which would import torch.
    return isinstance(value, Real) and not isinstance(value, bool)


def check_level(level: float) -> float:
    """Give a confidence level.

    Raises:
        ValueError: it is not in (0, 1).
    """
    if not (_is_number(level) and 0.0 < level < 1.0):
        raise ValueError(f"got level={level!r}, expected a number in (0, 1), such as 0.95.")
    return float(level)


def check_positive(value: float, what: str) -> float:
    """Give a positive number or infinity.

    Raises:
        ValueError: it is no such number; names it by `what`.
    """
    if not (_is_number(value) and value > 0):
        raise ValueError(f"got {what}, expected a positive number or infinity.")
    return float(value)
