"""The studies of the GNR and not-MIWAE papers, on protein and shuttle.

Defaults were chosen on these two tables (with SelfMasking, high, by the held-out bound).

1000 random rows of protein and of shuttle (standardised; columns without their target); in the
first half of the columns every value above the column's mean + offset sd is removed. RMSE of the
removed cells in standard deviations of the complete column.

- mask_weight: the exponent of p(m|.) in training, 0 to 10. Imputation uses weight 1 always; with
  weight 0 the head of the holes stays at the columns' rates and tells nothing: `Ignorable`, which
  stands beside it (its bound is on log p(x_o), that of the others on log p(x_o, m)). With it the
  accuracy of the mask's reconstruction, 1[P(m_j=1|x_o,m) > 1/2] = m_j over the columns with
  holes, and the majority's. It is *reconstruction*: the encoder is given the mask that it is asked
  for; no evidence for any mechanism.
- offset: how far the cut-off is above the mean, 0 to 1 sd. The missing rate follows from it; it
  is that of the columns that are cut.
- sparsity: a share of all cells that goes missing at random on top of the cut-off at the mean.
  The missing rate is that of the whole table.
- particles: K of the training bound, and seconds of the fit. `bound` is L_1000 on all rows.
- imputation_particles: L of the imputation, and seconds of the imputation, of one fit (K = 20).

GNR has its defaults but for 500 steps at most (the default is 1500) and 300 particles to impute.

    PYRO_GNR_DATA=folder python benchmarks/bench_paper_studies.py [--seeds 0 1] [--studies ...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from runs import Results
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from tables import uci

from pyro_gnr import GNRImputer, ampute
from pyro_gnr.data.amputation import AboveMean
from pyro_gnr.model.mechanisms import SelfMasking

TABLES = ["protein", "shuttle"]
ROWS, STEPS, PARTICLES = 1000, 500, 300
STUDIES = {
    "mask_weight": (0.0, 0.1, 0.3, 1.0, 3.0, 10.0),
    "offset": (0.0, 0.25, 0.5, 0.75, 1.0),
    "sparsity": (0.0, 0.1, 0.3, 0.5),
    "particles": (1, 5, 20, 100),
    "imputation_particles": (10, 100, 1000, 10000),
}
MECHANISMS = {
    "Ignorable": "ignorable",
    "Conjunction": "conjunction",
    "SelfMasking, high": SelfMasking(direction="high"),
}
BASELINES = {"mean": SimpleImputer(), "IterativeImputer": IterativeImputer(max_iter=10)}


class Case(NamedTuple):
    """A complete standardised table (N, D) and the same with holes."""

    complete: np.ndarray
    holed: np.ndarray

    def rmse(self, completed: np.ndarray) -> float:
        """Give the error of the removed cells."""
        return float(np.sqrt(np.mean((completed - self.complete)[np.isnan(self.holed)] ** 2)))


def case(table: str, seed: int, *, offset: float = 0.0, sparsity: float = 0.0) -> Case:
    """Take rows of a table; remove what lies above the cut-off, and a share of cells at random."""
    X = uci(table)
    X = X[np.random.default_rng(seed).permutation(len(X))[:ROWS]]
    X = X[:, X.std(0) > 0]
    X = (X - X.mean(0)) / X.std(0)
    holed = ampute(X, AboveMean(offset=offset)).table
    sparse = np.random.default_rng(seed).random(X.shape) < sparsity
    return Case(X, np.where(sparse, np.nan, holed))


def fit(case: Case, method: str, seed: int, **options: float) -> GNRImputer:
    """Fit GNR with a mechanism."""
    imputer = GNRImputer(
        mechanism=MECHANISMS[method], max_steps=STEPS, imputation_particles=PARTICLES,
        members=1, random_state=seed, verbose=False,
    )  # fmt: skip
    return imputer.set_params(**options).fit(case.holed)


def mask_weight(table: str, method: str, weight: float, *, seed: int) -> dict[str, float]:
    """Train with a weight; impute with 1."""
    made = case(table, seed)
    imputer = fit(made, method, seed, mask_weight=weight)
    found = {"rmse": made.rmse(imputer.transform(made.holed)), "bound": imputer.score(made.holed)}
    if method == "Ignorable":
        return found
    observed = ~np.isnan(made.holed)
    own = ~observed.all(0)
    chance = imputer.observed_probability(made.holed, reconstruct=True)
    found["mask reconstruction"] = float(((chance > 0.5) == observed)[:, own].mean())
    rates = observed.mean(0)[own]
    return found | {"mask majority": float(np.maximum(rates, 1 - rates).mean())}


def offset(table: str, method: str, offset: float, *, seed: int) -> dict[str, float]:
    """Impute what lies above a cut-off."""
    made = case(table, seed, offset=offset)
    own = np.isnan(made.holed).any(0)
    rate = float(np.isnan(made.holed)[:, own].mean())
    return {"rmse": made.rmse(complete(made, method, seed)), "missing rate": rate}


def sparsity(table: str, method: str, share: float, *, seed: int) -> dict[str, float]:
    """Impute what lies above the mean where other cells are missing, too."""
    made = case(table, seed, sparsity=share)
    completed = complete(made, method, seed)
    return {"rmse": made.rmse(completed), "missing rate": float(np.isnan(made.holed).mean())}


def complete(case: Case, method: str, seed: int) -> np.ndarray:
    """Impute by a baseline or by GNR."""
    if method in BASELINES:
        return BASELINES[method].fit_transform(case.holed)
    return fit(case, method, seed).transform(case.holed)


def particles(table: str, method: str, k: int, *, seed: int) -> dict[str, float]:
    """Train with K particles."""
    made = case(table, seed)
    start = time.perf_counter()
    imputer = fit(made, method, seed, particles=int(k))
    seconds = time.perf_counter() - start
    rmse = made.rmse(imputer.transform(made.holed))
    imputer.set_params(imputation_particles=1000)
    return {"rmse": rmse, "bound": imputer.score(made.holed), "seconds": seconds}


class Imputation:
    """Imputes with L particles by one fit for all L."""

    def __init__(self) -> None:
        self.fits: dict[tuple[str, str, int], GNRImputer] = {}

    def __call__(self, table: str, method: str, n: int, *, seed: int) -> dict[str, float]:
        """Impute with n particles."""
        made, key = case(table, seed), (table, method, seed)
        if key not in self.fits:
            self.fits[key] = fit(made, method, seed)
        imputer = self.fits[key].set_params(imputation_particles=int(n))
        start = time.perf_counter()
        completed = imputer.transform(made.holed)
        seconds = time.perf_counter() - start
        return {"rmse": made.rmse(completed), "seconds": seconds}


WORK = {
    "mask_weight": mask_weight,
    "offset": offset,
    "sparsity": sparsity,
    "particles": particles,
    "imputation_particles": Imputation(),
}


def methods(study: str, value: float) -> Iterator[str]:
    """Give the methods of a study."""
    if study in ("offset", "sparsity"):
        yield from (*BASELINES, *MECHANISMS)
        return
    yield "Conjunction"
    if (study, value) == ("mask_weight", 1.0):
        yield "Ignorable"


def main() -> None:
    """Run every study on every table and seed; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--studies", nargs="*", default=list(STUDIES))
    arguments = parser.parse_args()
    results = Results("paper_studies", ("study", "data", "mechanism", "setting", "method", "seed"))
    for seed, study, table in product(arguments.seeds, arguments.studies, arguments.tables):
        for value in STUDIES[study]:
            for method in methods(study, value):
                key = (study, table, "above_mean", value, method, seed)
                work = partial(WORK[study], table, method, value, seed=seed)
                results.run(dict(zip(results.keys, key, strict=True)), work)


if __name__ == "__main__":
    main()
