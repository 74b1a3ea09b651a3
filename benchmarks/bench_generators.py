"""Where each mechanism is right: seven generators of holes, and how much of a value is its own.

Complete rows come from a linear factor model, x = sqrt(1 - v) A z + sqrt(v) e, of 6 columns and
2 latents, all of variance 1; the share v of a column's variance that is its own is 0.1, 0.5 or 1.
About 30 % of cells go missing (general MNAR: about half, by its protocol, in which rows without
any observed cell are dropped): 800 rows are fitted and imputed, 200 more are held out.

- rmse: of the removed cells of the 800 rows, in standard deviations of the complete column.
- bias: |mean of the completed column - mean of the complete one|, in the same units, averaged
  over the columns with holes.
- auc: of the predicted chance to go missing on the held-out rows, mean over columns. Rows come
  complete and their holes are kept apart (`GNRImputer.observed_probability`), so that this is
  prediction and no reconstruction. "truth" is the generator's own chance, the latent draws behind
  it included: no model that sees values only can reach it where there are such draws.

The rows were made before a learnt direction had to win against other columns in its own column,
too, and not only on the whole; that takes directions away and gives none. That is so of seeds 0
to 2. Those of Conjunction were all made anew with the start of model/hole_factors.py.

GNR has its defaults but for 500 steps at most (the default is 1500) and 300 particles to impute.

    python benchmarks/bench_generators.py [--seeds 0 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from runs import Results
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.metrics import roc_auc_score

from pyro_gnr import GNRImputer, ampute
from pyro_gnr.data.amputation import HardSelfMasking, SelfMasking
from pyro_gnr.data.simulation import simulate_shared_latent
from pyro_gnr.model import mechanisms

IDIOSYNCRATIC = (0.1, 0.5, 1.0)
COLUMNS, LATENTS, FITTED, HELD_OUT = 6, 2, 800, 200
STEPS, PARTICLES = 500, 300
GENERATORS = {
    "shared_latent": None,  # comes with the data
    "mcar": "mcar",
    "mar": "mar",
    "self_masking": SelfMasking(direction="high"),
    "hard_self_masking": HardSelfMasking(direction="high"),
    "no_self_censoring": "no_self_censoring",
    "general_mnar": "general_mnar",
}


class World(NamedTuple):
    """Complete rows (N, D), where they are observed, and the true chances to go missing."""

    complete: np.ndarray
    observed: np.ndarray
    missing_chance: np.ndarray

    def rows(self, which: slice) -> World:
        """Take some of the rows."""
        return World(*(part[which] for part in self))

    @property
    def table(self) -> np.ndarray:
        """The rows with their holes."""
        return np.where(self.observed, self.complete, np.nan)


Method = Callable[[World, World, int], tuple[np.ndarray | None, np.ndarray | None]]


def world(generator: str, idiosyncratic: float, seed: int) -> tuple[World, World]:
    """Simulate the rows to be fitted and those held out."""
    n = FITTED + HELD_OUT
    data = simulate_shared_latent(
        n, COLUMNS, latents=LATENTS, idiosyncratic=idiosyncratic, random_state=seed
    )
    made = World(data.complete, data.observed, data.probabilities)
    if GENERATORS[generator] is not None:
        general = generator == "general_mnar"
        holes = ampute(
            data.complete, GENERATORS[generator], drop_empty_rows=general, random_state=seed
        )
        made = World(data.complete[holes.rows], holes.observed, holes.probabilities)
    return made.rows(slice(None, -HELD_OUT)), made.rows(slice(-HELD_OUT, None))


def plain(imputer: object) -> Method:
    """Make a method of a scikit-learn imputer."""
    return lambda fitted, held_out, seed: (imputer.fit_transform(fitted.table), None)


def gnr(mechanism: object) -> Method:
    """Give GNR with a mechanism."""

    def run(
        fitted: World, held_out: World, seed: int
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        imputer = GNRImputer(
            mechanism=mechanism, max_steps=STEPS, imputation_particles=PARTICLES,
            members=1, random_state=seed, verbose=False,
        ).fit(fitted.table)  # fmt: skip
        says = mechanism != "ignorable"
        chance = 1 - imputer.observed_probability(held_out.complete) if says else None
        return imputer.transform(fitted.table), chance

    return run


METHODS: dict[str, Method] = {
    "truth": lambda fitted, held_out, seed: (None, held_out.missing_chance),
    "mean": plain(SimpleImputer()),
    "IterativeImputer": plain(IterativeImputer(max_iter=10, random_state=0)),
    "Ignorable": gnr("ignorable"),
    "Conjunction": gnr("conjunction"),
    "SelfMasking, high": gnr(mechanisms.SelfMasking(direction="high")),
    "SelfMasking, free": gnr(mechanisms.SelfMasking()),
    "Selection": gnr("selection"),
    "NoSelfCensoring": gnr("no_self_censoring"),
}


def applies(method: str, generator: str) -> bool:
    """Say whether a method is told something that is true: the direction is, of self-masking."""
    return method != "SelfMasking, high" or "self_masking" in generator


def metrics(method: str, fitted: World, held_out: World, *, seed: int) -> dict[str, float]:
    """Run a method."""
    completed, chance = METHODS[method](fitted, held_out, seed)
    found: dict[str, float] = {}
    if completed is not None:
        X, hole = fitted.complete, ~fitted.observed
        error = (completed - X) / X.std(0)
        found["rmse"] = float(np.sqrt(np.mean(error[hole] ** 2)))
        found["bias"] = float(np.abs(error.mean(0))[hole.any(0)].mean())
    if chance is not None:
        found["auc"] = auc(~held_out.observed, chance)
    return found


def auc(missing: np.ndarray, chance: np.ndarray) -> float:
    """Give the mean over columns with both sorts of cells of the area under the ROC curve."""
    both = missing.any(0) & ~missing.all(0)
    return float(
        np.mean([roc_auc_score(missing[:, j], chance[:, j]) for j in np.flatnonzero(both)])
    )


def main() -> None:
    """Run every method on every generator and seed; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    arguments = parser.parse_args()
    results = Results("generators", ("mechanism", "idiosyncratic", "method", "seed"))
    for seed, share, generator in product(arguments.seeds, IDIOSYNCRATIC, GENERATORS):
        fitted, held_out = world(generator, share, seed)
        for method in METHODS:
            if applies(method, generator):
                key = (generator, share, method, seed)
                work = partial(metrics, method, fitted, held_out, seed=seed)
                results.run(dict(zip(results.keys, key, strict=True)), work)


if __name__ == "__main__":
    main()
