"""A multiple imputation as an ArviZ tree of labelled arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyro_gnr.criticism.checks import incomplete_columns, observed_values
from pyro_gnr.data import Column
from pyro_gnr.imputation.multiple import MultipleImputation

if TYPE_CHECKING:
    import xarray

__all__ = ["to_datatree"]

# Names that the tree uses itself.
RESERVED = ("chain", "draw", "row", "column", "observed", "row_bound")
BOUND_NOTE = (
    "importance-weighted lower bound on log p(x_o, m) of each row, latent variables integrated "
    "out, at one value of the parameters; it is no sample, so LOO and WAIC cannot be computed "
    "from it. Compare models by rows held out of the fit."
)
IMPUTATION_NOTE = (
    "draws from p(x_missing | x_o, m), one variable for each incomplete column and only its "
    "missing cells; draw = imputation, chain = fitted member. Draws of one member are "
    "independent: effective sample size and R-hat say nothing about the fit."
)
TREE_NOTE = (
    "multiple imputation; level columns are codes, see attribute `levels` of each variable. Why "
    "cells are missing is an assumption, `mechanism`, that these data cannot confirm."
)


def to_datatree(imputation: MultipleImputation) -> xarray.DataTree:
    """Give a multiple imputation as an ArviZ tree.

    Groups (N rows, D modelled columns, M imputations):

    - `posterior`: the imputations, dims (chain, draw, <column>_row), for each incomplete column
      and only its missing cells. They are unknowns given the data, so they are where PyMC puts
      imputed values and where `arviz_stats.summary` and `arviz_plots.plot_dist` look by default;
      `posterior_predictive` would be replicates of observed cells. chain is the fitted member,
      draw its imputations (one chain of all where members have different numbers of tables).
    - `observed_data`: each modelled column, dims (row), NaN where missing, in the caller's units.
    - `constant_data`: `observed` (row, column), True where the cell is observed.
    - `log_likelihood`: `row_bound` (chain, draw, row), each member's importance-weighted bound on
      log p(x_o, m), for which every row is inferred once. There is one value a row and member,
      and no draws: LOO is not possible from it.

    Between chains is what rows weighted anew change: the spread of the members' means is that of
    the parameters. It is no sign of convergence, nor is its absence one of failure.

    A cell known only to lie in an interval ("<0.5") is observed in `observed`, but has draws in
    `posterior` and NaN in `observed_data`.

    Level columns are codes, positions in the attribute `levels` of their variables. Rows are
    labelled as `MultipleImputation.ids`. A "/", which cannot be in a variable's name, becomes
    "_", and a name that is in use gets an "_" at its end; the attribute `column` has the name as
    it was.

    Args:
        imputation: M completed tables.

    Returns:
        The tree; its attributes are m, seed, mechanism, configuration (of the imputer that was
        fitted, as JSON), pyro_gnr_version, ledger (as JSON) and note.

    Example:
        >>> from pyro_gnr import GNRImputer
        >>> X = np.array([[1.0, 0.0], [2.5, 1.0], [3.0, np.nan], [4.0, 1.0]] * 10)
        >>> tree = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=3).to_datatree()
        >>> sorted(tree.children)
        ['constant_data', 'log_likelihood', 'observed_data', 'posterior']
        >>> dict(tree["posterior"]["x1"].sizes)
        {'chain': 3, 'draw': 1, 'x1_row': 10}
    """
    # Takes half a second, and only this function needs it.
    from arviz_base import from_dict

    names = _variables(imputation.table.schema.modelled)
    # Two calls: a column has other dims among the imputations than in the table.
    # Members may well be more than the tables of each, which ArviZ would warn of.
    tree = from_dict(**_imputations(imputation, names), check_conventions=False)
    tree.update(from_dict(**_rows(imputation, names), check_conventions=False).children)
    for node in (tree.children["posterior"], tree.children["observed_data"]):
        _describe(node, imputation.table.schema.modelled, names)
    tree.attrs = _attributes(imputation)
    return tree


def _imputations(imputation: MultipleImputation, names: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of `from_dict` for the imputed cells."""
    incomplete = incomplete_columns(imputation.table)
    labels = _row_labels(imputation)
    chains = _chains(imputation.members)
    variables, dims, coords = {}, {}, {}
    taken = {*RESERVED, *names.values()}
    for column in incomplete:
        rows, draws = imputation.decoded(column)
        dim = _unused(f"{names[column]}_row", taken)
        variables[names[column]] = draws[chains]
        dims[names[column]] = [dim]
        coords[dim] = labels[rows]
    attrs = {"posterior": {"note": IMPUTATION_NOTE}}
    return {"data": {"posterior": variables}, "dims": dims, "coords": coords, "attrs": attrs}


def _chains(members: NDArray[np.intp]) -> NDArray[np.intp]:
    """Numbers of tables, a row a member; one row where members have different numbers of them."""
    _, counts = np.unique(members, return_counts=True)
    if counts.min() != counts.max():
        return np.arange(len(members))[np.newaxis]
    return np.argsort(members, kind="stable").reshape(len(counts), -1)


def _rows(imputation: MultipleImputation, names: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of `from_dict` for what there is of every row."""
    table = imputation.table
    columns = [c.name for c in table.schema.modelled]
    data = {
        "observed_data": dict(zip(names.values(), observed_values(table).T, strict=True)),
        "constant_data": {"observed": table.observed},
        "log_likelihood": {"row_bound": imputation.fitted.member_bounds(table)[:, np.newaxis]},
    }
    dims = dict.fromkeys(names.values(), ["row"])
    dims |= {"observed": ["row", "column"], "row_bound": ["row"]}
    coords = {"row": _row_labels(imputation), "column": columns}
    return {
        "data": data,
        "dims": dims,
        "coords": coords,
        "attrs": {"log_likelihood": {"note": BOUND_NOTE}},
    }


def _describe(node: xarray.DataTree, columns: Sequence[Column], names: Mapping[str, str]) -> None:
    """Tell each variable which column it is and what its codes mean."""
    for column in columns:
        if names[column.name] in node:
            attrs: dict[str, Any] = {"column": column.name, "kind": str(column.kind)}
            if column.levels is not None:
                # Booleans cannot be attributes of the files that ArviZ writes.
                levels = [str(v) if isinstance(v, bool) else v for v in column.levels]
                attrs["levels"] = levels
            node[names[column.name]].attrs = attrs


def _attributes(imputation: MultipleImputation) -> dict[str, Any]:
    fitted = imputation.fitted
    return {
        "m": imputation.m,
        "seed": fitted.seed,
        "mechanism": type(fitted.model.m_given_ux).__name__,
        "configuration": json.dumps(dict(fitted.configuration), ensure_ascii=False),
        "pyro_gnr_version": version("pyro-gnr"),
        "ledger": json.dumps(imputation.ledger().to_dict()),
        "note": TREE_NOTE,
    }


def _row_labels(imputation: MultipleImputation) -> np.ndarray:
    """Labels (N,) that xarray can index by: numbers and dates as they are, others as strings."""
    ids = imputation.ids
    plain = isinstance(ids.dtype, np.dtype) and ids.dtype.kind in "iufM"
    labels = ids.to_numpy() if plain else ids.astype(str).to_numpy(dtype=str)
    unique = len(np.unique(labels)) == len(labels)
    return labels if unique else np.arange(1, len(labels) + 1)


def _variables(columns: Sequence[Column]) -> dict[str, str]:
    """Name a variable for each column, as the column where that is possible."""
    taken = {*RESERVED}
    return {c.name: _unused(c.name.replace("/", "_"), taken) for c in columns}


def _unused(name: str, taken: set[str]) -> str:
    """Add "_" until a name is new, and take it."""
    name = name or "_"
    while name in taken:
        name += "_"
    taken.add(name)
    return name
