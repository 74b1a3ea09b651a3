"""Models of statsmodels from formulas; statsmodels is imported when one is fitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np  # noqa: F401 (formulas say np.log and so on: they see this module's names)
import pandas as pd

from pyro_gnr.imputation.pooling.frames import as_pandas

__all__ = ["Formula", "formula_api"]


def formula_api() -> ModuleType:
    """Import the models that take formulas.

    Raises:
        ModuleNotFoundError: statsmodels is not installed; says how to get it.
    """
    try:
        import statsmodels.formula.api as api
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "formulas need statsmodels: pip install 'pyro-gnr[stats]', or pool a function that "
            "gives (estimates, covariance) of a table."
        ) from error
    return api


class Formula:
    """A model of statsmodels with its formula; called with a table it fits that.

    Args:
        formula: such as "bmi ~ age + C(sex)"; a boolean outcome is 1 where it is True.
        model: a name in `statsmodels.formula.api` such as "ols" or "logit", or a class.
        model_options: more arguments of the model, such as `{"family": ...}` of a GLM.
        fit_options: arguments of its `fit`, such as `{"cov_type": "HC3"}`.

    Raises:
        ModuleNotFoundError: statsmodels is not installed.
        TypeError: `model` is no class with formulas.
        ValueError: `formula` is none, or `model` is not known.

    Example:
        >>> table = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0, 1, 3, 2]})
        >>> Formula("y ~ x")(table).params.round(3).tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        formula: str,
        *,
        model: str | type[Any] | None = None,
        model_options: Mapping[str, Any] | None = None,
        fit_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(formula, str) or "~" not in formula:
            raise ValueError(f"got formula {formula!r}, expected one such as 'bmi ~ age + sex'.")
        self.formula = formula
        self.build = _builder("ols" if model is None else model)
        self.model_options = dict(model_options or {})
        self.fit_options = dict(fit_options or {})

    def __call__(self, table: Any) -> Any:
        """Fit a table, of any library, and give statsmodels' results."""
        frame = self._with_outcome(_plain(as_pandas(table)))
        try:
            model = self.build(self.formula, frame, **self.model_options)
        except Exception as error:
            # patsy has its own errors; they name the part of the formula that is wrong.
            raise ValueError(f"the formula {self.formula!r} cannot be used: {error}") from error
        if "disp" in inspect.signature(model.fit).parameters:
            return model.fit(**{"disp": False, **self.fit_options})
        return model.fit(**self.fit_options)

    def _with_outcome(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A boolean outcome is 1 where it is True: patsy would make two columns of it."""
        name = self.formula.partition("~")[0].strip()
        if name in frame and pd.api.types.is_bool_dtype(frame[name]):
            return frame.astype({name: "int64"})
        return frame


def _builder(model: str | type[Any]) -> Any:
    if isinstance(model, str):
        api = formula_api()
        known = [n for n, v in vars(api).items() if callable(v) and not n.startswith("_")]
        if model.lower() not in known:
            raise ValueError(f"got model={model!r}, expected one of {sorted(known)}, or a class.")
        return getattr(api, model.lower())
    if not hasattr(model, "from_formula"):
        raise TypeError(f"got model={model!r}, expected a model of statsmodels with formulas.")
    return model.from_formula


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give numpy's types for pandas' own booleans and whole numbers, which patsy cannot read."""
    changed: dict[str, str] = {}
    for name, dtype in frame.dtypes.items():
        if not pd.api.types.is_extension_array_dtype(dtype) or frame[name].isna().any():
            continue
        if pd.api.types.is_bool_dtype(dtype):
            changed[str(name)] = "bool"
        elif pd.api.types.is_integer_dtype(dtype):
            changed[str(name)] = "int64"
        elif pd.api.types.is_numeric_dtype(dtype):
            changed[str(name)] = "float64"
    return frame.astype(changed)
