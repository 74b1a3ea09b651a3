"""Versions of the programs that numbers come from; torch is not needed to ask."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["versions"]

NEEDED = ("pyro-gnr", "torch", "pyro-ppl", "numpy", "pandas", "narwhals", "pyarrow", "scipy",
          "scikit-learn")  # fmt: skip
# Extras that compute: analyses by formula, and the prior `Flow`.
OPTIONAL = ("statsmodels", "zuko")


def versions() -> dict[str, str]:
    """Give them by name; of extras those that are installed.

    Example:
        >>> "scipy" in versions(), "python" in versions()
        (True, True)
    """
    found = {"python": platform.python_version(), **{name: version(name) for name in NEEDED}}
    for name in OPTIONAL:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
