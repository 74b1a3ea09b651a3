"""One argument at a time away from the defaults: held-out bound, RMSE and time.

30 % of cells removed completely at random with seeds of their own (100, 101, ...), so that the
masks of bench_mcar.py are not those that the defaults were chosen on; the tables concrete
and wdbc are. Bounds are means a row, in nats, of the rows that early stopping held out.

    PYRO_GNR_DATA=folder python benchmarks/bench_defaults.py
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
from bench_mcar import remove
from tables import save, uci

from pyro_gnr import GNRImputer
from pyro_gnr.model.likelihoods import Gaussian, StudentT

TABLES = ["concrete", "wdbc", "protein"]


def likelihood(template: object, n_columns: int) -> dict[str, object]:
    """Give one template for all columns of an array."""
    return {f"x{j}": template for j in range(n_columns)}


def variants(n: int) -> dict[str, dict[str, Any]]:
    """Give what each variant changes, for a table of n columns."""
    return {
        "default": {},
        "latent_dim=8": {"latent_dim": 8},
        "latent_dim=24": {"latent_dim": 24},
        "hidden=0": {"hidden": 0},
        "hidden=64": {"hidden": 64},
        "particles=5": {"particles": 5},
        "gradient=dreg": {"gradient": "dreg"},
        "gradient=stl": {"gradient": "stl"},
        "batch_size=256": {"batch_size": 256},
        "learning_rate=3e-3": {"learning_rate": 3e-3},
        "max_steps=750": {"max_steps": 750},
        "max_steps=3000": {"max_steps": 3000},
        "floor=0.05": {"likelihoods": likelihood(partial(Gaussian, floor=0.05), n)},
        "floor=0.2": {"likelihoods": likelihood(partial(Gaussian, floor=0.2), n)},
        "ceiling=3": {"likelihoods": likelihood(partial(Gaussian, ceiling=3.0), n)},
        "one scale a column": {
            "likelihoods": likelihood(partial(Gaussian, heteroscedastic=False), n)
        },
        "StudentT": {"likelihoods": likelihood(StudentT(), n)},
        "validation=cells": {"validation": "cells"},
        "fusion=replayed": {"fusion": "replayed"},
        "fusion=amortised": {"fusion": "amortised"},
        "mechanism=ignorable": {"mechanism": "ignorable"},
    }


def trial(X: np.ndarray, seed: int, changed: dict[str, object]) -> dict[str, object]:
    """Fit one variant to one table with holes; give its bound, its error and what it took."""
    holed = remove(X, seed)
    hole = np.isnan(holed)
    start = time.perf_counter()
    imputer = GNRImputer(members=1, random_state=seed, verbose=False).set_params(**changed)
    imputer.fit(holed)
    seconds = time.perf_counter() - start
    error = np.sqrt(np.mean((imputer.transform(holed) - X)[hole] ** 2))
    ess = imputer.impute(holed, m=1).diagnostics["ess"].median()
    return {
        "bound": round(float(imputer.history_["validation"].max()), 3),
        "rmse": round(float(error), 4), "median_ess": round(float(ess)),
        "steps": imputer.n_steps_, "seconds": round(seconds, 1),
    }  # fmt: skip


def main() -> None:
    """Run every variant on every table and seed; write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--rows", type=int, default=1030)
    parser.add_argument("--variants", nargs="*")
    parser.add_argument("--name", default="defaults", help="results/NAME.csv")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for table in arguments.tables:
        X = uci(table)[: arguments.rows]
        X = (X - X.mean(0)) / X.std(0)
        for seed in range(100, 100 + arguments.seeds):
            for name, changed in variants(X.shape[1]).items():
                if arguments.variants and name not in arguments.variants:
                    continue
                rows.append(
                    {"table": table, "seed": seed, "variant": name, **trial(X, seed, changed)}
                )
                print(rows[-1], flush=True)
    frame = save(rows, arguments.name)
    shown = frame.pivot_table(
        index="variant", columns="table", values=["bound", "rmse"], sort=False
    )
    print(shown.to_string())


if __name__ == "__main__":
    main()
