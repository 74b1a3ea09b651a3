"""What priors, likelihoods and mechanisms have in common: hyperparameters that can be told."""

from __future__ import annotations

import inspect
from typing import Any, Self, SupportsFloat

from torch import nn

__all__ = ["Part", "check_numbers", "check_scales", "hyperparameters"]


def hyperparameters(part: nn.Module | type[nn.Module]) -> dict[str, Any]:
    """Give a part's hyperparameters by name; of a class, their defaults.

    Raises:
        TypeError: the part does not keep one under its name.

    Example:
        >>> from pyro_gnr.model.mechanisms import Selection
        >>> hyperparameters(Selection), hyperparameters(Selection(hidden=8))
        ({'hidden': 0}, {'hidden': 8})
    """
    cls = part if isinstance(part, type) else type(part)
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = {
        name: parameter.default
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self" and parameter.kind not in several
    }
    return found if cls is part else {name: _kept(part, name) for name in found}


def _kept(part: nn.Module | type[nn.Module], name: str) -> Any:
    if not hasattr(part, name):
        raise TypeError(
            f"{type(part).__name__} does not keep its argument {name!r}, so that it can be "
            "neither described nor saved: keep arguments of the constructor under their own names "
            f"(self.{name} = {name})."
        )
    return getattr(part, name)


def check_numbers(**values: object) -> None:
    """Check hyperparameters, given by name, that are numbers.

    Raises:
        TypeError: one is none.

    Example:
        >>> check_numbers(floor=0.1, ceiling=1)
        >>> check_numbers(floor="0.1")
        Traceback (most recent call last):
        TypeError: got floor='0.1', expected a number.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, SupportsFloat):
            raise TypeError(f"got {name}={value!r}, expected a number.")


def check_scales(*, floor: float, ceiling: float) -> None:
    """Check the smallest and the largest scale of a likelihood.

    Raises:
        TypeError: one is no number.
        ValueError: `floor` is not in (0, 1), or `ceiling` is not above it.

    Example:
        >>> check_scales(floor=0.1, ceiling=1.0)
    """
    check_numbers(floor=floor, ceiling=ceiling)
    if not 0.0 < floor < 1.0:
        raise ValueError(f"got floor={floor}, expected a number in (0, 1).")
    if not floor < ceiling < float("inf"):
        raise ValueError(f"got ceiling={ceiling}, expected a number above floor={floor}.")


class Part(nn.Module):
    """A module whose constructor takes hyperparameters only, kept under their own names.

    Example:
        >>> from pyro_gnr.model.mechanisms import SelfMasking
        >>> SelfMasking(direction="low", slope=1.0)
        SelfMasking(direction='low')
    """

    _call: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember how it is called, see `made_again`."""
        part = super().__new__(cls)
        object.__setattr__(part, "_call", (args, kwargs))  # nn.Module's own is not ready yet
        return part

    def made_again(self) -> Self:
        """Make the unbuilt part that the caller made, whatever it keeps of the arguments."""
        args, kwargs = self._call
        return type(self)(*args, **kwargs)

    def extra_repr(self) -> str:
        """Give the hyperparameters that are not the default, as they are written."""
        defaults = hyperparameters(type(self))
        now = {name: getattr(self, name, default) for name, default in defaults.items()}
        return ", ".join(f"{k}={v!r}" for k, v in now.items() if repr(v) != repr(defaults[k]))
