"""What an ensemble costs: M = 20 tables by five members beside one, on wine_white.

30 % of the cells are removed completely at random; every setting fits and imputes in the same
run, one after the other. "processes" is `n_jobs`. RMSE of the removed cells, in standard
deviations, of the one table that `transform` gives.

    PYRO_GNR_DATA=folder python benchmarks/bench_ensemble.py [--seeds 0 1]
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
from runs import Results
from tables import uci

from pyro_gnr import GNRImputer, ampute

SETTINGS = [(1, 1), (5, 1), (5, 2)]  # members, processes


def work(
    members: int, jobs: int, holed: np.ndarray, complete: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Fit, draw 20 tables, and complete one."""
    start = time.perf_counter()
    imputer = GNRImputer(members=members, n_jobs=jobs, random_state=seed, verbose=False)
    imputer.fit(holed)
    fitted = time.perf_counter()
    imputer.impute(holed, m=20)
    seconds = {"fit": fitted - start, "impute": time.perf_counter() - fitted}
    error = (imputer.transform(holed) - complete)[np.isnan(holed)]
    return {"rmse": float(np.sqrt(np.mean(error**2))), "seconds": sum(seconds.values()), **seconds}


def main() -> None:
    """Run every setting on every seed; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    arguments = parser.parse_args()
    results = Results("ensemble", ("data", "members", "processes", "seed"))
    X = uci("wine_white")
    X = (X - X.mean(0)) / X.std(0)
    for seed in arguments.seeds:
        holed = ampute(X, "mcar", rate=0.3, random_state=seed).table
        for members, jobs in SETTINGS:
            key = ("wine_white", members, jobs, seed)
            run = partial(work, members, jobs, holed, X, seed=seed)
            results.run(dict(zip(results.keys, key, strict=True)), run)


if __name__ == "__main__":
    main()
