"""Multiple imputation of tables whose holes may depend on the values that are missing."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyro_gnr.data.amputation import ampute
    from pyro_gnr.data.datasets import load_nhanes
    from pyro_gnr.imputation.imputer import GNRImputer
    from pyro_gnr.imputation.multiple import MultipleImputation
    from pyro_gnr.imputation.pooling.pool import pool
    from pyro_gnr.imputation.pooling.scalar import pool_scalar
    from pyro_gnr.imputation.sensitivity import Delta, compare_mechanisms

__version__ = version("pyro-gnr")
__all__ = [
    "Delta",
    "GNRImputer",
    "MultipleImputation",
    "ampute",
    "compare_mechanisms",
    "load_nhanes",
    "pool",
    "pool_scalar",
]

# Torch takes seconds to import: names are loaded when first used.
_HOMES = {
    "GNRImputer": "pyro_gnr.imputation.imputer",
    "MultipleImputation": "pyro_gnr.imputation.multiple",
    "Delta": "pyro_gnr.imputation.sensitivity",
    "ampute": "pyro_gnr.data.amputation",
    "compare_mechanisms": "pyro_gnr.imputation.sensitivity",
    "load_nhanes": "pyro_gnr.data.datasets",
    "pool": "pyro_gnr.imputation.pooling",
    "pool_scalar": "pyro_gnr.imputation.pooling",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
