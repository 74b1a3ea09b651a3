"""Calibration with members: ranks of removed true cells among their M = 19 draws.

Complete rows come from a linear factor model (400 rows, 5 columns, 2 latents, half of a column's
variance its own), 30 % of cells go missing, and the imputer is fitted from scratch on each
replicated data set. If draws carry all uncertainty there is, that of parameters included, the rank
of a true cell among draws that are independent given the data is uniform on 0, ..., 19 over data
sets. Members share the tables in turn (four each of five, one of three), and draws of one member
share its parameters: were these a twentieth of the variance, tails would be .102 and inner .497
for that alone.

- tails: share of ranks in the outer two of 20 places (0.1 if uniform); more says that draws are
  too narrow.
- inner: share of ranks in the middle ten (0.5).
- low: share of ranks below the middle (0.5); more says that draws are too high.

Cells of one data set are not independent, so that errors are those of data sets. GNR has its
defaults but for 300 steps at most, 32 hidden units, 400 particles to impute, and as many latents
as the world has; Conjunction, which leaves one to the holes, has one more.

    python benchmarks/bench_calibration.py [--seeds 0 1 ...]
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product

import numpy as np
from runs import Results

from pyro_gnr import GNRImputer, ampute
from pyro_gnr.data.amputation import SelfMasking
from pyro_gnr.data.simulation import simulate_shared_latent
from pyro_gnr.model import mechanisms

ROWS, COLUMNS, LATENTS, DRAWS = 400, 5, 2, 19
# Generator of holes, and the mechanism that is right for it.
WORLDS = {
    "mcar": ("mcar", "ignorable"),
    "mar": ("mar", "ignorable"),
    "shared_latent": (None, "conjunction"),
    "self_masking": (SelfMasking(direction="high"), mechanisms.SelfMasking(direction="high")),
}
MEMBERS = {"one member": 1, "five members": 5}


def ranks(generator: str, members: int, *, seed: int) -> dict[str, float]:
    """Simulate, remove, fit, draw; count true cells' ranks."""
    holes, mechanism = WORLDS[generator]
    data = simulate_shared_latent(
        ROWS, COLUMNS, latents=LATENTS, idiosyncratic=0.5, random_state=seed
    )
    X, observed = data.complete, data.observed
    if holes is not None:
        observed = ampute(X, holes, random_state=seed).observed
    table = np.where(observed, X, np.nan)
    imputer = GNRImputer(
        mechanism=mechanism, members=members, max_steps=300, hidden=32,
        latent_dim=LATENTS + (mechanism == "conjunction"), imputation_particles=400,
        random_state=seed, verbose=False,
    ).fit(table)  # fmt: skip
    draws = np.stack(list(imputer.impute(table, m=DRAWS)))
    below = (draws < X).sum(0)[~observed]
    return {
        "tails": float(np.isin(below, (0, DRAWS)).mean()),
        "inner": float(((below >= 5) & (below < 15)).mean()),
        "low": float((below < 10).mean()),
        "cells": float(len(below)),
    }


def main() -> None:
    """Run every world and ensemble; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(40)))
    arguments = parser.parse_args()
    results = Results("calibration", ("mechanism", "method", "seed"))
    for seed, world, name in product(arguments.seeds, WORLDS, MEMBERS):
        work = partial(ranks, world, MEMBERS[name], seed=seed)
        results.run({"mechanism": world, "method": name, "seed": seed}, work)


if __name__ == "__main__":
    main()
