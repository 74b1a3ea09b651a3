"""Numbers, two-valued and many-valued columns with 10 % more of their cells removed at random.

nhanes_2017 and adult (2000 random rows of each) and heart_disease (all 920), with the holes that
they have already. Removed cells come back with

- rmse: of numbers, in standard deviations of the column's observed cells, all cells together;
- accuracy and log_loss (nats a cell, probabilities floored at 1e-6), of columns of two levels
  ("binary") and of more ("categorical").

A cell is left out if its level is nowhere else in the table. GNR has its defaults, five members
among them, but for 800 steps at most (the default is 1500) and 300 particles to impute. Baselines:

- mean and most frequent level (log-loss: add-one frequencies);
- IterativeImputer on standardised numbers and one-hot columns. With a column for each level, each
  is one less the others, which are missing in the same rows, and the means it starts from are a
  fixed point: levels come back as the most frequent one. "one-hot less one" leaves the last
  level's column out; it predicts levels, but may do worse on numbers. Level: the largest.
  Log-loss: predictions clipped below and normalised, the clip the best of 0.001, 0.01, 0.03, 0.1
  *on the removed cells*, which is generous to both.

    PYRO_GNR_DATA=folder python benchmarks/bench_mixed_types.py [--seeds 0 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from runs import Results
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from tables import LEVELS, folder

from pyro_gnr import GNRImputer

TABLES = ["heart_disease", "nhanes_2017", "adult"]
ROWS, SHARE = 2000, 0.1
STEPS, PARTICLES = 800, 300
FLOOR, CLIPS = 1e-6, (0.001, 0.01, 0.03, 0.1)


class Case(NamedTuple):
    """A table with more holes than it came with.

    Attributes:
        truth: the table as it came; floats, and levels as codes.
        table: with cells removed.
        removed: (N, D) bool, the cells that count.
        levels: level columns and their remaining levels.
        binary: those of them with two.
    """

    truth: pd.DataFrame
    table: pd.DataFrame
    removed: pd.DataFrame
    levels: dict[str, np.ndarray]
    binary: list[str]


# What a method gives: a completed table; for each level column P(level), (N, levels).
Answer = tuple[pd.DataFrame, dict[str, np.ndarray]]
Method = Callable[[Case, int], Answer]


def case(name: str, seed: int) -> Case:
    """Read a table and remove cells."""
    rng = np.random.default_rng(seed)
    truth = pd.read_csv(folder() / f"{name}.csv").astype(float)
    if len(truth) > ROWS:
        truth = truth.iloc[np.sort(rng.permutation(len(truth))[:ROWS])].reset_index(drop=True)
    gone = truth.notna() & (rng.random(truth.shape) < SHARE)
    table = truth.mask(gone)
    codes = [c for c in truth if c in LEVELS[name] or truth[c].nunique() <= 2]
    levels = {c: np.sort(table[c].dropna().unique()) for c in codes}
    for column, left in levels.items():
        gone[column] &= truth[column].isin(left)
    binary = [c for c in codes if c not in LEVELS[name]]
    return Case(truth, table, gone, levels, binary)


def simple(case: Case, seed: int) -> Answer:
    """Impute means and the most frequent levels."""
    completed = case.table.fillna(case.table.mean())
    chances = {}
    for column, levels in case.levels.items():
        counts = np.array([(case.table[column] == v).sum() for v in levels]) + 1.0
        completed[column] = case.table[column].fillna(levels[counts.argmax()])
        chances[column] = np.tile(counts / counts.sum(), (len(completed), 1))
    return completed, chances


def one_hot(case: Case, seed: int, *, left_out: int) -> Answer:
    """Impute by IterativeImputer; a level is a column of its own, but the last ones left out."""
    numbers = case.table.drop(columns=list(case.levels))
    centre, spread = numbers.mean(), numbers.std(ddof=0).replace(0.0, 1.0)
    blocks = [((numbers - centre) / spread).to_numpy()]
    for column, levels in case.levels.items():
        cells = case.table[column].to_numpy()[:, None]
        blocks.append(np.where(np.isnan(cells), np.nan, cells == levels[: len(levels) - left_out]))
    imputer = IterativeImputer(max_iter=10, random_state=seed, keep_empty_features=True)
    found = imputer.fit_transform(np.column_stack(blocks))
    completed = case.table.copy()
    completed[list(numbers)] = found[:, : numbers.shape[1]] * spread.to_numpy() + centre.to_numpy()
    at, scores = numbers.shape[1], {}
    for column, levels in case.levels.items():
        width = len(levels) - left_out
        known = found[:, at : at + width]
        rest = [1.0 - known.sum(1)] * left_out
        scores[column] = np.column_stack([known, *rest])
        at += width
        completed[column] = levels[scores[column].argmax(1)]
    tried = [{c: normalised(s, clip) for c, s in scores.items()} for clip in CLIPS]
    return completed, min(tried, key=lambda chances: log_loss(case, chances, list(case.levels)))


def normalised(scores: np.ndarray, clip: float) -> np.ndarray:
    """Make probabilities of one-hot predictions."""
    clipped = np.clip(scores, clip, 1.0)
    return clipped / clipped.sum(1, keepdims=True)


def gnr(mechanism: str) -> Method:
    """Give GNR with a mechanism."""

    def run(case: Case, seed: int) -> Answer:
        kinds = {c: "binary" if c in case.binary else "categorical" for c in case.levels}
        imputer = GNRImputer(
            mechanism=mechanism, kinds=kinds, max_steps=STEPS, imputation_particles=PARTICLES,
            random_state=seed, verbose=False,
        ).fit(case.table)  # fmt: skip
        cells = imputer.impute(case.table, m=1).level_probabilities()
        chances = {}
        for column, levels in case.levels.items():
            mine = cells[cells["column"] == column]
            wide = mine.pivot(index=".id", columns="level", values="probability")
            found = np.full((len(case.table), len(levels)), np.nan)
            found[wide.index.to_numpy()] = wide[list(levels)].to_numpy(float)
            chances[column] = found
        return imputer.transform(case.table), chances

    return run


METHODS: dict[str, Method] = {
    "mean, mode": simple,
    "IterativeImputer, one-hot": partial(one_hot, left_out=0),
    "IterativeImputer, one-hot less one": partial(one_hot, left_out=1),
    "Conjunction": gnr("conjunction"),
    "Ignorable": gnr("ignorable"),
}


def log_loss(case: Case, chances: dict[str, np.ndarray], columns: list[str]) -> float:
    """Give the mean of -log P(the level that was removed)."""
    losses = []
    for column in columns:
        rows = case.removed[column].to_numpy()
        truth = case.truth[column].to_numpy()[rows]
        code = np.searchsorted(case.levels[column], truth)
        losses.append(-np.log(np.maximum(chances[column][rows, code], FLOOR)))
    return float(np.concatenate(losses).mean())


def accuracy(case: Case, completed: pd.DataFrame, columns: list[str]) -> float:
    """Give the share of removed levels that came back."""
    hits = (completed[columns] == case.truth[columns]).to_numpy()
    return float(hits[case.removed[columns].to_numpy()].mean())


def rmse(case: Case, completed: pd.DataFrame) -> float:
    """Give the error of removed numbers in standard deviations of their columns."""
    columns = [c for c in case.truth if c not in case.levels]
    error = (completed[columns] - case.truth[columns]) / case.truth[columns].std(ddof=0)
    return float(np.sqrt(np.mean(error.to_numpy()[case.removed[columns].to_numpy()] ** 2)))


def metrics(method: str, case: Case, *, seed: int) -> dict[str, float]:
    """Run a method."""
    completed, chances = METHODS[method](case, seed)
    many = [c for c in case.levels if c not in case.binary]
    found = {"numbers rmse": rmse(case, completed)}
    for kind, columns in (("binary", case.binary), ("categorical", many)):
        found[f"{kind} accuracy"] = accuracy(case, completed, columns)
        found[f"{kind} log_loss"] = log_loss(case, chances, columns)
    return found


def main() -> None:
    """Run every method on every table and seed; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--tables", nargs="*", default=TABLES)
    arguments = parser.parse_args()
    results = Results("mixed_types", ("data", "mechanism", "method", "seed"))
    for seed, table in product(arguments.seeds, arguments.tables):
        made = case(table, seed)
        for method in METHODS:
            key = (table, "mcar", method, seed)
            work = partial(metrics, method, made, seed=seed)
            results.run(dict(zip(results.keys, key, strict=True)), work)


if __name__ == "__main__":
    main()
