"""Pooling of Bayesian analyses: posterior draws of M tables are mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyro_gnr.imputation.pooling.checks import check_level
from pyro_gnr.imputation.pooling.errors import on_table
from pyro_gnr.imputation.pooling.nesting import as_members
from pyro_gnr.imputation.pooling.tables import tables_and_members

if TYPE_CHECKING:
    import xarray

    from pyro_gnr.imputation.ledger import Ledger
    from pyro_gnr.imputation.multiple import MultipleImputation

__all__ = ["MixedDraws", "pool_draws"]

Array = NDArray[np.float64]

NOTE = (
    "posterior draws of an analysis of M completed tables, chain = table. Chains differ because "
    "of the missing cells, so a large R-hat between them measures missing information and says "
    "nothing about convergence: judge that table by table."
)


@dataclass(frozen=True, eq=False)
class MixedDraws:
    """Posterior draws of an analysis of M tables; all together they are the pooled posterior.

    p(theta | observed) is the average of p(theta | completed table) over imputations, so draws
    are mixed with equal weights, and no rules are needed (Gelman et al. 2013, BDA3, section
    18.2). It takes many tables, 100 rather than 20, for tails that repeat (Zhou & Reiter 2010).

    Attributes:
        draws: by parameter, (M, S, ...): S draws on each table.
        members: (M,) member that made each table; None if each has its own.
        imputation: what made the tables; None if they came from a list or from files.

    Example:
        >>> mixed = MixedDraws({"mean": np.array([[1.0, 3.0], [2.0, 4.0]])}, members=None)
        >>> mixed
        MixedDraws(m=2, draws a table=2, parameters=['mean'])
    """

    draws: Mapping[str, Array]
    members: NDArray[np.intp] | None
    imputation: MultipleImputation | None = None

    @property
    def m(self) -> int:
        """Number of tables."""
        return len(next(iter(self.draws.values())))

    def __repr__(self) -> str:
        size = next(iter(self.draws.values())).shape[1]
        return f"MixedDraws(m={self.m}, draws a table={size}, parameters={list(self.draws)})"

    def ledger(self) -> Ledger:
        """Say what the answer rests on: see `MultipleImputation.ledger`.

        Raises:
            ValueError: the tables came from a list or from files, and what made them is not known.

        Example:
            >>> from pyro_gnr import GNRImputer
            >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "b": [1.0, 3.0, 2.0, 5.0] * 9})
            >>> imputation = GNRImputer(max_steps=10, random_state=0).fit(X).impute(X, m=2)
            >>> mixed = imputation.pool_draws(lambda table: {"mean": table["a"].to_numpy()})
            >>> mixed.ledger().missing
            {'a': 9}
        """
        if self.imputation is None:
            raise ValueError(
                "the tables came without the imputation that made them: pool by its own method, "
                "MultipleImputation.pool_draws."
            )
        return self.imputation.ledger()

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Summarise the mixture.

        Args:
            level: of the central interval `lower` to `upper`.

        Returns:
            One row a parameter, and element of it: `mean`, `sd`, `median`, `lower`, `upper`, and
            `lambda`, the share of the variance that lies between tables.

        Raises:
            ValueError: `level` is not in (0, 1).

        Example:
            >>> mixed = MixedDraws({"mean": np.array([[1.0, 3.0], [2.0, 4.0]])}, members=None)
            >>> mixed.summary().loc["mean", ["mean", "median", "lambda"]].tolist()
            [2.5, 2.5, 0.2]
        """
        tails = (1 - check_level(level)) / 2
        rows = {}
        for name, values in self.draws.items():
            flat = values.reshape(*values.shape[:2], -1)
            for j, index in enumerate(np.ndindex(values.shape[2:])):
                label = name if not index else f"{name}[{', '.join(map(str, index))}]"
                rows[label] = _summarised(flat[:, :, j], tails)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("term")

    def to_datatree(self) -> xarray.DataTree:
        """Give all M posteriors as an ArviZ tree: `posterior` (chain = table, draw, ...).

        The group `constant_data` has the member of each table, where that is known.

        Example:
            >>> mixed = MixedDraws({"mean": np.ones((3, 50))}, members=np.arange(3))
            >>> tree = mixed.to_datatree()
            >>> sorted(tree.children), dict(tree["posterior"]["mean"].sizes)
            (['constant_data', 'posterior'], {'chain': 3, 'draw': 50})
        """
        # Takes half a second, and only this function needs it.
        from arviz_base import from_dict

        groups: dict[str, Any] = {"posterior": dict(self.draws)}
        dims = {}
        if self.members is not None:
            groups["constant_data"] = {"member": self.members}
            dims["member"] = ["table"]
        return from_dict(groups, dims=dims, attrs={"posterior": {"note": NOTE}})


def _summarised(draws: Array, tails: float) -> dict[str, float]:
    mixed = draws.ravel()
    lower, median, upper = np.quantile(mixed, [tails, 0.5, 1 - tails])
    variance = float(mixed.var())
    return {
        "mean": float(mixed.mean()),
        "sd": float(mixed.std(ddof=1)),
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "lambda": float(draws.mean(1).var()) / variance if variance > 0 else 0.0,
    }


def pool_draws(
    tables: Iterable[Any],
    analysis: Callable[[Any], Any],
    *,
    members: Sequence[int] | NDArray[np.intp] | None = None,
) -> MixedDraws:
    """Do a Bayesian analysis on each of M completed tables and mix its posterior draws.

    Args:
        tables: M completed tables: a list, a `MultipleImputation`, or what `read_long` gives.
        analysis: gives posterior draws for a table: a mapping of arrays (S, ...) by parameter, a
            table with a row a draw and a column a parameter, or an ArviZ tree with a group
            `posterior` (chain, draw, ...). S is the same for all tables.
        members: (M,) which member made each table; if None, those that the tables remember, else
            each its own.

    Returns:
        All draws; the pooled posterior is their mixture.

    Raises:
        TypeError: `tables` is one table, or `analysis` is no function, or gives something else.
        ValueError: there is no table, draws are not finite, or tables give other parameters or
            numbers of draws.

    Example:
        >>> def posterior(table):
        ...     rng = np.random.default_rng(0)
        ...     return {"mean": rng.normal(np.mean(table), 0.1, size=1000)}
        >>> pool_draws([[1.0, 2.0], [1.0, 3.0]], posterior).summary().round(1).loc["mean", "sd"]
        np.float64(0.3)
    """
    if not callable(analysis):
        raise TypeError(f"got {analysis!r}, expected a function of a table that gives draws.")
    kept, made_by = tables_and_members(tables, members)
    found = []
    for i, table in enumerate(kept):
        with on_table(i, len(kept)):
            output = analysis(table)
        found.append(_finite(_draws(output, i + 1), i + 1))
    if not found:
        raise ValueError("got no tables, expected at least one.")
    shapes = [{name: values.shape for name, values in one.items()} for one in found]
    for i, shape in enumerate(shapes, start=1):
        if shape != shapes[0]:
            raise ValueError(
                f"table {i} gave draws {shape}, table 1 {shapes[0]}: expected the same "
                "parameters and numbers of draws, which are mixed with equal weights."
            )
    stacked = {name: np.stack([one[name] for one in found]) for name in found[0]}
    made: Any = tables if hasattr(tables, "ledger") else None
    return MixedDraws(stacked, as_members(made_by, len(found)), made)


def _draws(output: Any, table: int) -> dict[str, Array]:
    """Arrays (S, ...) by parameter."""
    if isinstance(output, pd.DataFrame):
        output = {str(name): output[name].to_numpy() for name in output}
    elif hasattr(output, "posterior"):  # a tree of ArviZ
        posterior = output.posterior
        return {
            str(name): _flat(posterior[name].transpose("chain", "draw", ...).to_numpy())
            for name in posterior.data_vars
        }
    if not isinstance(output, Mapping) or not output:
        raise TypeError(
            f"table {table} gave {type(output).__name__}, expected draws: arrays by parameter, a "
            "table with a row a draw, or an ArviZ tree with a posterior."
        )
    draws = {str(name): np.asarray(values, dtype=np.float64) for name, values in output.items()}
    if any(values.ndim == 0 for values in draws.values()):
        raise ValueError(f"table {table} gave single numbers, expected arrays of draws.")
    return draws


def _finite(draws: dict[str, Array], table: int) -> dict[str, Array]:
    bad = [name for name, values in draws.items() if not np.isfinite(values).all()]
    if bad:
        raise ValueError(f"table {table} gave draws of {bad} that are not finite.")
    return draws


def _flat(values: NDArray[Any]) -> Array:
    return values.reshape(-1, *values.shape[2:]).astype(np.float64)
