"""Models of statsmodels from formulas; statsmodels is imported when one is fitted."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from copy import copy
from types import ModuleType
from typing import Any

import numpy as np  # formulas say np.log and so on, too: they see this module's names
import pandas as pd

from pyro_gnr.imputation.pooling.designs import check_design
from pyro_gnr.imputation.pooling.frames import with_names
from pyro_gnr.imputation.pooling.levels import Levels, used_levels, with_levels
from pyro_gnr.imputation.pooling.named_columns import fit_columns, model_columns
from pyro_gnr.imputation.pooling.outcomes import (
    MANY_COLUMNS,
    as_codes,
    coding_note,
    outcome_codes,
    outcome_name,
)

__all__ = ["Formula", "formula_api", "model_class"]

# statsmodels' OrderedModel, which its formula.api leaves out; as MASS::polr, which mice's users
# have. Its own default of a search without gradients often stops short.
ORDERED = "ordered"
ORDERED_NOTE = (
    "terms such as a/b are thresholds: the first one, and for others the logarithms of how far "
    "each is from the one before"
)
ORDERED_DEFAULTS: tuple[dict[str, Any], dict[str, Any]] = ({"distr": "logit"}, {"method": "bfgs"})


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

    An outcome that is a column of levels (text, category, truth values) is coded: the later of
    two levels is 1, in declared order or sorted, and more levels are 0, 1, 2, ... for the models
    that take them. Categories have no terms for levels that no table uses.

    Args:
        formula: such as "bmi ~ age + C(sex)".
        model: a name in `statsmodels.formula.api` such as "ols" or "logit"; "ordered", a
            cumulative logit; or a class.
        model_options: more arguments of the model, such as `{"family": ...}` of a GLM; groups,
            weights, offsets and times may be names of columns.
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
        self.outcome = outcome_name(formula)
        self.levels: dict[str, Levels] | None = None
        self.build = _builder("ols" if model is None else model)
        ordered = isinstance(model, str) and model.lower() == ORDERED
        defaults = ORDERED_DEFAULTS if ordered else ({}, {})
        self.model_options = {**defaults[0], **(model_options or {})}
        self.fit_options = {**defaults[1], **(fit_options or {})}

    def over(self, tables: Iterable[Any]) -> Formula:
        """Give the same for tables with these levels, so that each is read like the others.

        Raises:
            ValueError: the model cannot take an outcome of these levels.
        """
        found = copy(self)
        found.levels = used_levels(self.formula, self.outcome, tables)
        found._codes()
        return found

    @property
    def notes(self) -> list[str]:
        """What was done with levels."""
        levels, codes = self.levels or {}, self._codes()
        coded = None if codes is None else coding_note(self.outcome, codes, self._model)
        unused = [
            f"no table has {', '.join(map(repr, found.unused))} of {name}: there is no such term"
            for name, found in levels.items()
            if found.unused
        ]
        cuts = [ORDERED_NOTE] if self._model == "OrderedModel" else []
        single = [
            f"all tables have {found.values[0]!r} of {name} only"
            for name, found in levels.items()
            if len(found.values) == 1
        ]
        return [*([coded] if coded else []), *cuts, *unused, *single]

    @property
    def _model(self) -> str:
        """Name of the class, whose method makes the model."""
        return str(getattr(self.build, "__self__", self.build).__name__)

    def _codes(self) -> dict[Any, int] | None:
        levels = (self.levels or {}).get(self.outcome)
        return None if levels is None else outcome_codes(self.outcome, levels, self._model)

    def __call__(self, table: Any) -> Any:
        """Fit a table, of any library, and give statsmodels' results.

        Raises:
            ValueError: the formula, or an option, does not suit the table; or terms cannot be told
                apart.
        """
        if self.levels is None:
            return self.over([table])(table)
        frame = with_levels(with_names(table), self.levels)
        codes = self._codes()
        if codes is not None:
            frame = frame.assign(**{self.outcome: as_codes(frame[self.outcome], codes)})
        frame = _plain(frame)
        model = self._built(frame, model_columns(self.model_options, frame))
        check_design(model)
        options = fit_columns(self.fit_options, frame, model)
        if "disp" in inspect.signature(model.fit).parameters:
            return model.fit(**{"disp": False, **options})
        return model.fit(**options)

    def _built(self, frame: pd.DataFrame, options: dict[str, Any]) -> Any:
        try:
            # By name: the second argument of some models is another.
            model = self.build(self.formula, data=frame, **options)
        except Exception as error:
            # patsy has its own errors; they name the part of the formula that is wrong.
            many = "endog has evaluated to an array with multiple columns" in str(error)
            raise ValueError(self._cannot(MANY_COLUMNS if many else error)) from error
        self._check_binomial(model)
        # A GLM takes two columns for successes and failures, here those of the first level.
        outcome = getattr(model, "endog_names", None)
        if isinstance(outcome, list) and any(str(name).endswith("]") for name in outcome):
            raise ValueError(self._cannot(MANY_COLUMNS))
        return model

    def _check_binomial(self, model: Any) -> None:
        """Refuse an outcome of 1 and 2, of which statsmodels makes estimates of 1e15."""
        family = type(getattr(model, "family", None)).__name__
        outcome = np.asarray(getattr(model, "endog", 0.0), dtype=np.float64)
        if family == "Binomial" and not ((outcome >= 0) & (outcome <= 1)).all():
            raise ValueError(
                self._cannot(
                    f"its outcome lies in {outcome.min():g} to {outcome.max():g}, expected 0 to 1"
                )
            )

    def _cannot(self, why: object) -> str:
        given = f" with {self.model_options}" if self.model_options else ""
        return f"the formula {self.formula!r} cannot be used for {self._model}{given}: {why}"


def model_class(model: Any) -> Any:
    """Give the class of what makes a model of a formula (`smf.ols` is OLS.from_formula)."""
    owner = getattr(model, "__self__", None)
    made = isinstance(owner, type) and getattr(model, "__name__", "") == "from_formula"
    return owner if made else model


def _builder(model: str | type[Any]) -> Any:
    if isinstance(model, str):
        api = formula_api()
        if model.lower() == ORDERED:
            from statsmodels.miscmodels.ordinal_model import OrderedModel

            return OrderedModel.from_formula
        known = [n for n, v in vars(api).items() if callable(v) and not n.startswith("_")]
        known.append(ORDERED)
        if model.lower() not in known:
            raise ValueError(f"got model={model!r}, expected one of {sorted(known)}, or a class.")
        return getattr(api, model.lower())
    made = model_class(model)
    if not hasattr(made, "from_formula"):
        raise TypeError(f"got model={model!r}, expected a model of statsmodels with formulas.")
    return made.from_formula


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give numpy's types for pandas' own, which patsy cannot read; their holes are NaN."""
    plain: dict[str, pd.Series] = {}
    for name, dtype in frame.dtypes.items():
        if not pd.api.types.is_extension_array_dtype(dtype):
            continue
        holes = bool(frame[name].isna().any())
        if pd.api.types.is_bool_dtype(dtype) and not holes:
            plain[str(name)] = frame[name].astype("bool")
        elif pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
            plain[str(name)] = frame[name].astype(object).where(frame[name].notna(), np.nan)
        elif pd.api.types.is_integer_dtype(dtype) and not holes:
            plain[str(name)] = frame[name].astype("int64")
        elif pd.api.types.is_numeric_dtype(dtype):
            plain[str(name)] = frame[name].astype("float64")
    return frame.assign(**plain)
