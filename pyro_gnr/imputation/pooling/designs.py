"""Designs of regressions whose columns say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["aliased", "check_design"]


def aliased(exog: Any, terms: Sequence[str]) -> list[str]:
    """List terms whose columns are combinations of those before them.

    Columns are taken in units of their length, as the scale of a variable is no reason.

    Args:
        exog: (N, p) design.
        terms: (p,) names.

    Example:
        >>> aliased([[1.0, 2.0, 4.0], [1.0, 3.0, 6.0], [1.0, 5.0, 10.0]], ["one", "x", "2x"])
        ['2x']
    """
    design = np.asarray(exog, dtype=np.float64)
    lengths = np.linalg.norm(design, axis=0)
    scaled = design / np.where(lengths > 0, lengths, 1.0)
    # What rows say beyond p is in the triangle; the bound is that of numpy for all rows.
    triangle = np.asarray(np.linalg.qr(scaled, mode="r"))
    eps = max(design.shape) * np.finfo(np.float64).eps
    if _rank(triangle, eps) == len(terms):
        return []
    ranks = [0, *(_rank(triangle[:, : j + 1], eps) for j in range(len(terms)))]
    return [name for name, a, b in zip(terms, ranks[:-1], ranks[1:], strict=True) if a == b]


def _rank(triangle: Any, eps: float) -> int:
    sizes = np.linalg.svd(triangle, compute_uv=False)
    return int((sizes > eps * sizes.max(initial=0.0)).sum())


def check_design(model: Any) -> None:
    """Refuse a model of statsmodels whose design has terms that cannot be told apart.

    statsmodels gives such terms some estimates, of which none is an answer.

    Raises:
        ValueError: names them.
    """
    exog = getattr(model, "exog", None)
    # A penalty tells the columns of smooth terms apart.
    penalised = hasattr(model, "smoother")
    if exog is None or penalised or np.ndim(exog) != 2 or not np.isfinite(exog).all():
        return
    # Some models name parameters that are no columns at the end.
    twice = aliased(exog, list(map(str, model.exog_names))[: exog.shape[1]])
    if twice:
        raise ValueError(
            f"terms {twice} are 0 throughout or follow from those before them, so that they have "
            "no estimates of their own: leave them out, or join levels that this table lacks."
        )
