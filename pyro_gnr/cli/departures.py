"""What --delta, --tip, --where and --category ask: grids, priors and searches of departures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pyro_gnr.cli.options import parse_pairs

if TYPE_CHECKING:
    from pyro_gnr import Delta, MultipleImputation

__all__ = ["Departures", "parse_departures"]

PRIOR = re.compile(r"norm\(([^,()]+),([^,()]+)\)")


@dataclass(frozen=True)
class Departures:
    """Departures from the model.

    Attributes:
        grid: with the numbers that multiply them.
        priors: those whose size is uncertain; all at once.
        tips: for each of which a tipping point is searched.
    """

    grid: dict[Delta | str, list[float]] = field(default_factory=dict)
    priors: Sequence[Delta] = ()
    tips: Sequence[Delta] = ()

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return bool(self.grid or self.priors or self.tips)

    def with_levels(self, imputation: MultipleImputation) -> Departures:
        """Find the levels that the text of --category stands for."""
        from pyro_gnr.imputation.sensitivity.delta import as_delta

        levels = {c.name: c.levels or () for c in imputation.table.schema.modelled}

        def meant(delta: Delta | str) -> Delta:
            """Put the level in the place of its text."""
            delta = as_delta(delta)
            found = [v for v in levels.get(delta.column, ()) if str(v) == delta.level]
            return replace(delta, level=found[0]) if found else delta

        grid: dict[Delta | str, list[float]] = {meant(d): v for d, v in self.grid.items()}
        return Departures(grid, list(map(meant, self.priors)), list(map(meant, self.tips)))


def parse_departures(
    delta: Sequence[str] | None,
    tip: Sequence[str] | None,
    *,
    where: str | None,
    category: Sequence[str] | None,
) -> Departures:
    """Read --delta, --tip, --where and --category."""
    from scipy.stats import norm

    from pyro_gnr.imputation.sensitivity import Delta

    words = {"option": "--category", "expected": "COLUMN=LEVEL", "example": "site=Graz"}
    levels = parse_pairs(category, **words)
    words = {"option": "--delta", "expected": "COLUMN=LOW:HIGH:N or COLUMN=norm(MEAN, SD)",
             "example": "income=-1:1:9"}  # fmt: skip
    asked = parse_pairs(delta, **words)
    unused = sorted(set(levels) - set(asked) - set(tip or ()))
    if unused:
        raise ValueError(f"--category names {unused}, which neither --delta nor --tip moves")

    def of(name: str, by: object = 1.0) -> Delta:
        """Make the departure of a column, of its level and rows."""
        return Delta(name, by, level=levels.get(name), where=where)

    priors = {name: _prior(text) for name, text in asked.items()}
    return Departures(
        {of(name): _range(name, text) for name, text in asked.items() if priors[name] is None},
        [of(name, norm(*found)) for name, found in priors.items() if found is not None],
        [of(name) for name in tip or ()],
    )


def _prior(text: str) -> tuple[float, float] | None:
    """Mean and standard deviation of norm(MEAN, SD); None of anything else."""
    import numpy as np

    found = PRIOR.fullmatch(text.strip())
    try:
        mean, sd = map(float, found.groups() if found else ())
    except ValueError:
        return None
    return (mean, sd) if np.isfinite([mean, sd]).all() and sd > 0 else None


def _range(name: str, text: str) -> list[float]:
    import numpy as np

    try:
        low, high, n = text.split(":")
        found = np.linspace(float(low), float(high), int(n)).tolist()
    except ValueError:
        found = []
    if not found or not np.isfinite(found).all():
        raise ValueError(
            f"--delta {name}={text}: expected COLUMN=LOW:HIGH:N, such as {name}=-1:1:9, or "
            f"COLUMN=norm(MEAN, SD), SD > 0, such as '{name}=norm(0, 1)'"
        )
    return found
