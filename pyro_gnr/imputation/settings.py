"""The imputer's arguments, checked before any work, and the sizes that the table adds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyro_gnr.data import Table
from pyro_gnr.inference.objective import check_gradient
from pyro_gnr.model.assemble import FUSIONS
from pyro_gnr.model.features import feature_counts
from pyro_gnr.model.hole_factors import ONE_IN, hole_patterns
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import MECHANISMS, PRIORS, resolve
from pyro_gnr.model.start import START_ROWS

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = [
    "Settings",
    "check_settings",
    "evenly_spaced",
    "is_number",
    "is_whole",
    "latent_dim_for",
    "resolve_device",
]

LARGEST_DEFAULT_LATENT = 16
# Patterns of holes that get factors of their own by default, at most: a step's time grows with the
# square of L.
MOST_PATTERNS = 16


@dataclass(frozen=True)
class Settings:
    """What `assemble` needs beside the columns: templates and sizes.

    Attributes:
        prior: template of p(z).
        mechanism: template of p(m|u,x).
        likelihoods: templates of p(x_j|u) by column name.
        hidden: units in hidden layers.
        fusion: how u follows from z.
        mask_weight: exponent of p(m|.).
        latent_dim: L; 0 until `sized`.
        n_rows: N of the training table; 0 until `sized`.
    """

    prior: object
    mechanism: object
    likelihoods: Mapping[str, object]
    hidden: int
    fusion: str
    mask_weight: float
    latent_dim: int = 0
    n_rows: int = 0

    def sized(self, latent_dim: int, n_rows: int) -> Settings:
        """Add the sizes that a training table brings."""
        return replace(self, latent_dim=latent_dim, n_rows=n_rows)

    def assembly(self) -> dict[str, Any]:
        """Give the keyword arguments of `assemble`."""
        return dict(vars(self))


def check_settings(imputer: GNRImputer) -> Settings:
    """Check an imputer's arguments.

    Raises:
        ValueError: an argument is out of range; names it, what came and what is expected.
        TypeError: a template is no such part, or a mapping is none.
    """
    for name in ("particles", "batch_size", "imputation_particles", "patience", "members"):
        _check_whole(imputer, name, least=1)
    for name in ("hidden", "max_steps"):
        _check_whole(imputer, name, least=0)
    if imputer.latent_dim is not None:
        _check_whole(imputer, "latent_dim", least=1)
    _check_number(imputer, "learning_rate", low=0.0, high=math.inf)
    _check_number(imputer, "validation_fraction", low=0.0, high=1.0)
    if not (is_number(imputer.mask_weight) and 0.0 <= imputer.mask_weight < math.inf):
        raise ValueError(f"got mask_weight={imputer.mask_weight!r}, expected a number >= 0.")
    if not (is_number(imputer.renyi_order) and math.isfinite(imputer.renyi_order)):
        raise ValueError(f"got renyi_order={imputer.renyi_order!r}, expected a finite number.")
    check_gradient(imputer.gradient, renyi_order=imputer.renyi_order, particles=imputer.particles)
    _check_choice(imputer, "validation", ("rows", "cells", None))
    _check_choice(imputer, "fusion", FUSIONS)
    for name in ("kinds", "likelihoods"):
        given = getattr(imputer, name)
        if given is not None and not hasattr(given, "items"):
            raise TypeError(f"got {name}={given!r}, expected a dict from column names, or None.")
    jobs = imputer.n_jobs
    if jobs is not None and (jobs == 0 or not is_whole(abs(jobs), least=1)):
        raise ValueError(
            f"got n_jobs={jobs!r}, expected a number of processes, -1 for all cores, or None."
        )
    if imputer.callback is not None and not callable(imputer.callback):
        raise TypeError(f"got callback={imputer.callback!r}, expected a function, or None.")
    # Templates are tried here, so that a wrong name fails before the table is read.
    resolve(imputer.prior, PRIORS, Prior)
    mechanism = resolve(imputer.mechanism, MECHANISMS, Mechanism)
    if imputer.mask_weight == 0 and mechanism.missing_x != "unused":
        raise ValueError(
            f"got mask_weight=0 and mechanism={imputer.mechanism!r}, which imputation would use "
            "(it always gives the holes weight 1) though training never learnt it: use "
            "mechanism='ignorable', or a mask_weight > 0."
        )
    return Settings(
        prior=imputer.prior,
        mechanism=imputer.mechanism,
        likelihoods={str(k): v for k, v in (imputer.likelihoods or {}).items()},
        hidden=imputer.hidden,
        fusion=imputer.fusion,
        mask_weight=float(imputer.mask_weight),
    )


def latent_dim_for(latent_dim: int | None, settings: Settings, table: Table) -> int:
    """Give L: the caller's, or one less than the features, 1 to 16, or more for the holes.

    Where columns are missing together, each such pattern needs a factor of its own, which the
    values do without, and holes get a third of L at most (`hole_factor_analysis`). With fewer,
    what goes missing with nothing but itself takes one of the values: on 49 columns of NHANES,
    with 7 patterns, imputed incomes have a mean of -4,000 with L = 16 (observed: 53,000), and of
    27,000 with L = 21.

    Warns:
        UserWarning: there are fewer factors for the holes than patterns.
    """
    patterns = _patterns(settings, table)
    if latent_dim is None:
        n_features = sum(feature_counts(table.schema.modelled))
        least = max(1, min(LARGEST_DEFAULT_LATENT, n_features - 1))
        latent_dim = max(least, ONE_IN * min(patterns, MOST_PATTERNS))
    own = latent_dim // ONE_IN or int(latent_dim > 1)
    if patterns > own:
        warnings.warn(
            f"columns are missing together in {patterns} pattern(s), and latent_dim={latent_dim} "
            f"leaves {own} latent(s) to them: some columns may be imputed far from all observed "
            f"values. Set latent_dim to {ONE_IN * patterns} or more (steps take longer), or leave "
            "out columns that you do not need.",
            UserWarning,
            stacklevel=5,
        )
    return int(latent_dim)


def _patterns(settings: Settings, table: Table) -> int:
    """Count the patterns of holes that want factors; 0 where nothing starts with such."""
    mechanism = resolve(settings.mechanism, MECHANISMS, Mechanism)
    if not mechanism.starts_linear or settings.mask_weight == 0:
        return 0
    some = evenly_spaced(len(table.keys), START_ROWS)
    return hole_patterns(torch.from_numpy(table.observed[some]))


def evenly_spaced(n: int, most: int) -> NDArray[np.intp]:
    """Give places of n things, from the first to the last, all of them or `most`.

    Example:
        >>> evenly_spaced(10, 4), evenly_spaced(2, 4)
        (array([0, 3, 6, 9]), array([0, 1]))
    """
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def resolve_device(device: str) -> torch.device:
    """Give the device; "auto" is a GPU where there is one.

    Raises:
        ValueError: torch knows no such device, or cannot use it here.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        # A round trip: not every device that torch has a name for can hold numbers.
        torch.zeros(1, device=torch.device(device)).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"got device={device!r}, which cannot be used here: {reason}") from error
    return torch.device(device)


def is_whole(value: object, *, least: int) -> bool:
    """Say whether a value is a whole number (of Python or numpy, but no bool) >= `least`.

    Example:
        >>> is_whole(3, least=1), is_whole(True, least=1), is_whole(2.0, least=1)
        (True, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return False
    return int(value) >= least


def is_number(value: object) -> bool:
    """Say whether a value is a number (of Python or numpy, but no bool).

    Example:
        >>> is_number(0.5), is_number(True), is_number("0.5")
        (True, False, False)
    """
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _check_whole(imputer: GNRImputer, name: str, *, least: int) -> None:
    value = getattr(imputer, name)
    if not is_whole(value, least=least):
        raise ValueError(f"got {name}={value!r}, expected a whole number >= {least}.")


def _check_number(imputer: GNRImputer, name: str, *, low: float, high: float) -> None:
    value = getattr(imputer, name)
    if not (is_number(value) and low < value < high):
        raise ValueError(f"got {name}={value!r}, expected a number in ({low:g}, {high:g}).")


def _check_choice(imputer: GNRImputer, name: str, choices: tuple[str | None, ...]) -> None:
    value = getattr(imputer, name)
    if value not in choices:
        raise ValueError(f"got {name}={value!r}, expected one of {list(choices)}.")
