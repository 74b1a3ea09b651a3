"""RMSE with 30 % of cells removed completely at random: GNR, the mean, IterativeImputer.

One default configuration for all tables; RMSE in standard deviations of the complete table.
The defaults were chosen on other seeds of the masks of concrete and wdbc, by an earlier
bench_defaults.py, so these numbers are of data that the method was tuned on.

    PYRO_GNR_DATA=folder python benchmarks/bench_mcar.py [--seeds 3] [--tables wine_red ...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from tables import save, uci

from pyro_gnr import GNRImputer

TABLES = ["wine_red", "concrete", "wdbc"]
SHARE = 0.3
Method = Callable[[np.ndarray, int], np.ndarray]


def gnr(mechanism: str) -> Method:
    """Give GNR with its defaults and a mechanism."""
    return lambda X, seed: GNRImputer(
        mechanism=mechanism, members=1, random_state=seed
    ).fit_transform(X)


METHODS: dict[str, Method] = {
    "mean": lambda X, seed: SimpleImputer().fit_transform(X),
    "IterativeImputer": lambda X, seed: IterativeImputer(random_state=seed).fit_transform(X),
    "GNR (conjunction)": gnr("conjunction"),
    "GNR (ignorable)": gnr("ignorable"),
}


def remove(X: np.ndarray, seed: int) -> np.ndarray:
    """Make holes in 30 % of the cells, at random."""
    hole = np.random.default_rng(seed).random(X.shape) < SHARE
    return np.where(hole, np.nan, X)


def main() -> None:
    """Run every method on every table and seed; write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--rows", type=int, default=5000, help="at most so many, the first")
    parser.add_argument("--name", default="mcar", help="results/NAME.csv")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for table in arguments.tables:
        X = uci(table)[: arguments.rows]
        X = (X - X.mean(0)) / X.std(0)
        for seed in range(arguments.seeds):
            holed = remove(X, seed)
            hole = np.isnan(holed)
            for name, method in METHODS.items():
                start = time.perf_counter()
                error = np.sqrt(np.mean((method(holed, seed) - X)[hole] ** 2))
                seconds = time.perf_counter() - start
                rows.append(
                    {
                        "table": table, "seed": seed, "method": name,
                        "rmse": round(float(error), 4), "seconds": round(seconds, 1),
                    }
                )  # fmt: skip
                print(rows[-1], flush=True)
    frame = save(rows, arguments.name)
    summary = frame.groupby(["table", "method"], sort=False)[["rmse", "seconds"]]
    print(summary.agg(["mean", "std"]).round(4).to_string())


if __name__ == "__main__":
    main()
