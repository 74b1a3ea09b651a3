"""What can be said against an analysis before anything is fitted for it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from pyro_gnr.data.frames import as_frame, column_names
from pyro_gnr.data.spelling import did_you_mean
from pyro_gnr.imputation.pooling import formulas
from pyro_gnr.imputation.pooling.analysis import Options, as_function
from pyro_gnr.imputation.pooling.formulas import Formula

__all__ = ["check_analysis"]


def check_analysis(analysis: Any, X: Any, options: Mapping[str, Any]) -> None:
    """Refuse an analysis that cannot be done on any completed table of X.

    Formulas have their names checked; what a function or an estimator asks for is not known.

    Args:
        analysis: as for `pool`.
        X: the table with holes.
        options: more arguments of `pool`.

    Raises:
        ModuleNotFoundError: a formula is given and statsmodels is not installed.
        TypeError: `analysis` is no analysis.
        ValueError: a formula cannot be read or names what is no column, or an option does not
            fit.

    Example:
        >>> import numpy as np
        >>> try:
        ...     check_analysis("x0 ~ np.log(xx1)", np.ones((2, 2)), {})
        ... except ValueError as error:
        ...     str(error).partition(", expected")[0]
        "got 'xx1' in the formula 'x0 ~ np.log(xx1)'"
    """
    own = {field.name for field in fields(Options)}
    analyse = as_function(
        analysis, Options(**{name: value for name, value in options.items() if name in own})
    )
    if not (isinstance(analyse, Formula) and _is_read_by_patsy(analyse)):
        return
    columns = column_names(as_frame(X))
    for name in _unknown(analyse.formula, columns):
        raise ValueError(
            f"got {name!r} in the formula {analyse.formula!r}, expected columns of the table, "
            f"{list(columns)}{did_you_mean(name, columns)}."
        )


def _is_read_by_patsy(formula: Formula) -> bool:
    """Whether it is: others' models, and statsmodels if told so, have other readers."""
    import statsmodels.formula

    options = getattr(statsmodels.formula, "options", None)  # before 0.15 there is none
    made = getattr(formula.build, "__self__", formula.build)
    of_statsmodels = made.__module__.partition(".")[0] == "statsmodels"
    return of_statsmodels and getattr(options, "formula_engine", "patsy") == "patsy"


def _unknown(formula: str, columns: Collection[str]) -> list[str]:
    """Names in a formula that patsy would find nowhere."""
    import patsy

    try:
        sides = patsy.ModelDesc.from_formula(formula)
    except patsy.PatsyError as error:
        raise ValueError(f"the formula {formula!r} cannot be read: {error}") from error
    terms = [*sides.lhs_termlist, *sides.rhs_termlist]
    parts = dict.fromkeys(factor.code for term in terms for factor in term.factors)
    # It looks in the table, in its own functions, Python's, and the module that calls it.
    known = {*columns, *vars(patsy.builtins), *vars(builtins), *vars(formulas)}
    names = [name for part in parts for name in _names(_parsed(part, formula))]
    return [name for name in names if name not in known]


def _parsed(part: str, formula: str) -> ast.AST:
    try:
        return ast.parse(part, mode="eval")
    except SyntaxError as error:
        raise ValueError(
            f"the formula {formula!r} cannot be read at {part!r}: {error.msg}; write Q('a b') for "
            "a column whose name is no name of Python."
        ) from error


def _names(tree: ast.AST) -> list[str]:
    """Names that an expression looks up, those of Q("...") among them, but not its own."""
    looked: list[str] = []
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                looked.append(node.id)
            else:
                own.add(node.id)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Q":
            looked += [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
    return [name for name in looked if name not in own]
