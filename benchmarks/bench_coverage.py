r"""Does a 95 % interval cover in 95 of 100 tables? Bias, standard errors and coverage.

Complete rows come from one factor and a logistic regression, so that all truths are known:

    x_j = a_j z + sqrt(1 - a_j^2) e_j, j = 1, ..., 4, with a = (.8, .7, .7, .6), z, e_j ~ N(0, 1),
    logit P(y = 1) = .8 x1 - .4 x2 + .4 x3.

x1 and x2 lose 30 % of their cells each (about half of the rows have a hole): mcar; mar (by a
combination of x3 and x4, slope 2, logit); shared_latent (by z, slope 2, logit, never surer than
.98); self_masking (by the own value, slope 1.2, probit, high values go missing);
hard_self_masking (the highest 30 % go missing, always).

Estimands, with what is taken for their variance on a complete table:

- mean of x1; its variance (on the log: 2 / (n - 1)); its upper quartile (half the distance of the
  order statistics 1.96 standard errors of the rank away, over 1.96);
- correlation of x1 and x2 (Fisher's z, 1 / (n - 3));
- slopes of x2 and of x3 in the linear regression of x1 on x2, x3 and x4;
- slopes of x1 and of x3 in the logistic regression of y on x1, x2 and x3.

M = 20 tables are pooled by `pool_scalar` (nested rules, where members have several); mean
imputation and the complete cases are one table. Every method sees the same tables. "complete" is
the table before it lost cells: how far the analyses by themselves are from 95 %, and what their
estimates are of these tables, so that few replications tell the bias (see the report).

Ours has its defaults but for the sizes in SETTINGS, the same for all generators: small networks
for small tables. "one member" has one member. Which mechanism is right stands in RIGHT.

Rows of one member of Conjunction and SelfMasking were made before two-valued columns started at
steeper slopes (`likelihoods.bernoulli.steepened`); with n = 2000 that moves the logistic slope of
x1 by .02 to .03 standard errors, and nothing else.

Rows of five members were made before members' noise was widened (`imputation/optimism.py`) where
n = 500 and the mechanism is the right one (but for the last chunks of both self-maskings), where
n = 2000 and `first` is below 150 (self-masking: 40), and for other mechanisms where `first` is
below 50 (Ignorable), 20 (Conjunction; hard self-masking 10) or 10. On 30 tables of mcar that moved
the correlation by -.08 standard errors, which halves its bias, no other estimate by more than .05,
and standard errors by half a percent at most.

A row of results is a chunk of ten replications: sums over those that did not fail of the error
(estimate - truth), its square, the standard error, the width of the interval and of hits; and
their number. The seed of a replication is its number. What is there already is not run again:

    python benchmarks/bench_coverage.py [--jobs 2] [--generators mar] [--methods Ignorable]

miceforest is run if it is installed.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from runs import FAILURES
from scipy import special, stats
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from tables import RESULTS

from pyro_gnr import GNRImputer, ampute
from pyro_gnr.data.amputation import MAR, HardSelfMasking, SelfMasking
from pyro_gnr.data.rates import soft_probabilities
from pyro_gnr.imputation.pooling import pool_scalar

LOADINGS = np.array([0.8, 0.7, 0.7, 0.6])
LOGISTIC = np.array([0.8, -0.4, 0.4])
NAMES = ["x1", "x2", "x3", "x4", "y"]
RATE, SLOPE, QUANTILE, TABLES, CHUNK = 0.3, 2.0, 0.75, 20, 10
GENERATORS = {
    "mcar": "mcar",
    "mar": MAR(predictors=["x3", "x4"], slope=SLOPE),
    "shared_latent": None,  # by the factor, which is not in the table
    "self_masking": SelfMasking(direction="high", slope=1.2, link="probit"),
    "hard_self_masking": HardSelfMasking(direction="high"),
}
HIGH = {"name": "self_masking", "direction": "high"}
RIGHT = {
    "mcar": "Ignorable",
    "mar": "Ignorable",
    "shared_latent": "Conjunction",
    "self_masking": "SelfMasking, high",
    "hard_self_masking": "SelfMasking, high",
}
SETTINGS = {"hidden": 16, "particles": 10, "max_steps": 100, "imputation_particles": 1000}
KEYS = ("generator", "n", "method", "first")
SUMS = ("error", "squares", "se", "hits", "width")


class World(NamedTuple):
    """A table without holes, and with them."""

    complete: pd.DataFrame
    holed: pd.DataFrame


class Tables(NamedTuple):
    """Completed tables (M, n, 5), and which member made each."""

    values: np.ndarray
    members: np.ndarray | None = None


class Study(NamedTuple):
    """Estimates and variances of the analyses of M tables, each (M, E), and their parameters."""

    estimates: np.ndarray
    variances: np.ndarray
    n: int


Method = Callable[[World, int], Tables]


def covariance() -> np.ndarray:
    """Give that of x, (4, 4)."""
    return np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)


def truths() -> dict[str, float]:
    """Give the true values of the estimands."""
    s = covariance()
    linear = np.linalg.solve(s[1:, 1:], s[1:, 0])
    return {
        "mean": 0.0,
        "log variance": 0.0,
        "upper quartile": float(special.ndtri(QUANTILE)),
        "correlation (z)": float(np.arctanh(s[0, 1])),
        "linear, x2": float(linear[0]),
        "linear, x3": float(linear[1]),
        "logistic, x1": float(LOGISTIC[0]),
        "logistic, x3": float(LOGISTIC[2]),
    }


# Parameters of the analyses: n less these are their degrees of freedom.
PARAMETERS = np.array([1, 1, 1, 3, 4, 4, 4, 4])


def world(generator: str, n: int, seed: int) -> World:
    """Simulate a table, and take cells away."""
    rng = np.random.default_rng([seed, *b"coverage"])
    z = rng.normal(size=(n, 1))
    x = z * LOADINGS + np.sqrt(1 - LOADINGS**2) * rng.normal(size=(n, 4))
    y = rng.random(n) < special.expit(x[:, :3] @ LOGISTIC)
    complete = pd.DataFrame(np.column_stack([x, y]), columns=NAMES)
    mechanism = GENERATORS[generator]
    if mechanism is None:
        chance = soft_probabilities(SLOPE * z, RATE, floor=0.02)
        holed = complete.copy()
        holed[["x1", "x2"]] = holed[["x1", "x2"]].mask(rng.random((n, 2)) < chance)
        return World(complete, holed)
    made = ampute(
        complete, mechanism, rate=RATE, columns=["x1", "x2"], kinds={"y": "binary"},
        random_state=seed,
    )  # fmt: skip
    return World(complete, made.table)


def analyse(values: np.ndarray) -> Study:
    """Estimate everything on each of M tables (M, n, 5)."""
    n = values.shape[1]
    x1, x2 = values[..., 0], values[..., 1]
    own, rank = x1.var(1, ddof=1), 1.96 * np.sqrt(QUANTILE * (1 - QUANTILE) / n)
    low, middle, high = np.quantile(x1, [QUANTILE - rank, QUANTILE, QUANTILE + rank], axis=1)
    d1, d2 = x1 - x1.mean(1, keepdims=True), x2 - x2.mean(1, keepdims=True)
    r = (d1 * d2).sum(1) / np.sqrt((d1**2).sum(1) * (d2**2).sum(1))
    ones = np.ones_like(x1)
    linear = least_squares(np.stack([*np.moveaxis(values[..., 1:4], 2, 0), ones], 2), x1)
    logit = logistic(np.stack([*np.moveaxis(values[..., :3], 2, 0), ones], 2), values[..., 4])
    found = [
        (x1.mean(1), own / n),
        (np.log(own), np.full_like(own, 2 / (n - 1))),
        (middle, ((high - low) / 2 / 1.96) ** 2),
        (np.arctanh(r), np.full_like(r, 1 / (n - 3))),
        *((beta[:, k], v[:, k]) for (beta, v), k in ((linear, 0), (linear, 1))),
        *((beta[:, k], v[:, k]) for (beta, v), k in ((logit, 0), (logit, 2))),
    ]
    estimates, variances = (np.column_stack(part) for part in zip(*found, strict=True))
    return Study(estimates, variances, n)


def least_squares(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regress y (M, n) on a design (M, n, k): coefficients and their variances, each (M, k)."""
    inverse = np.linalg.inv(np.swapaxes(design, 1, 2) @ design)
    beta = (inverse @ (np.swapaxes(design, 1, 2) @ y[..., None]))[..., 0]
    residual = y - (design @ beta[..., None])[..., 0]
    s2 = (residual**2).sum(1) / (design.shape[1] - design.shape[2])
    return beta, s2[:, None] * np.diagonal(inverse, axis1=1, axis2=2)


def logistic(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regress y (M, n), 0 or 1, on a design (M, n, k): coefficients and variances, by Newton."""
    beta, across = np.zeros((len(design), design.shape[2])), np.swapaxes(design, 1, 2)
    for _ in range(12):
        p = special.expit((design @ beta[..., None])[..., 0])
        inverse = np.linalg.inv(across @ (design * (p * (1 - p))[..., None]))
        step = (inverse @ (across @ (y - p)[..., None]))[..., 0]
        beta = beta + step
    if np.abs(step).max() > 1e-6:
        raise ValueError("the logistic regression did not converge")
    return beta, np.diagonal(inverse, axis1=1, axis2=2)


def complete(world: World, seed: int) -> Tables:
    """Give the table before it lost cells."""
    return Tables(world.complete.to_numpy(float)[None])


def complete_cases(world: World, seed: int) -> Tables:
    """Give the rows without a hole."""
    return Tables(world.holed.dropna().to_numpy(float)[None])


def mean(world: World, seed: int) -> Tables:
    """Fill holes with the mean of what is seen."""
    return Tables(world.holed.fillna(world.holed.mean()).to_numpy(float)[None])


def iterative(world: World, seed: int) -> Tables:
    """Draw by scikit-learn's chained Bayesian regressions."""
    holed = world.holed.to_numpy(float)
    with warnings.catch_warnings():  # that ten rounds may be too few
        warnings.simplefilter("ignore")
        drawn = [
            IterativeImputer(sample_posterior=True, random_state=seed * TABLES + i)
            .fit_transform(holed)
            for i in range(TABLES)
        ]  # fmt: skip
    return Tables(np.array(drawn))


def statsmodels_mice(world: World, seed: int) -> Tables:
    """Draw by the chained equations of statsmodels (it takes its noise from numpy's own)."""
    from statsmodels.imputation.mice import MICEData

    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        data = MICEData(world.holed)
        data.update_all(10)
        drawn = []
        for _ in range(TABLES):
            data.update_all(3)
            drawn.append(data.data[NAMES].to_numpy(float, copy=True))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return Tables(np.array(drawn))


def miceforest(world: World, seed: int) -> Tables:
    """Draw by chained trees."""
    import miceforest

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernel = miceforest.ImputationKernel(
            world.holed, num_datasets=TABLES, random_state=seed, variable_schema=["x1", "x2"]
        )
        kernel.mice(5, num_threads=1, verbose=False)
        drawn = [kernel.complete_data(i)[NAMES].to_numpy(float) for i in range(TABLES)]
    return Tables(np.array(drawn))


def gnr(mechanism: object, *, members: int = 5) -> Method:
    """Draw by GNR with a mechanism."""

    def run(world: World, seed: int) -> Tables:
        imputer = GNRImputer(
            mechanism=mechanism, kinds={"y": "binary"}, members=members,
            random_state=seed, verbose=False, device="cpu", **SETTINGS,
        )  # fmt: skip
        drawn = imputer.fit(world.holed).impute(world.holed, m=TABLES)
        return Tables(np.array([t.to_numpy(float) for t in drawn]), drawn.members)

    return run


METHODS: dict[str, Method] = {
    "complete": complete,
    "complete cases": complete_cases,
    "mean": mean,
    "IterativeImputer": iterative,
    "statsmodels MICE": statsmodels_mice,
    "miceforest": miceforest,
    "Ignorable": gnr("ignorable"),
    "Conjunction": gnr("conjunction"),
    "SelfMasking, high": gnr(HIGH),
    "Ignorable, one member": gnr("ignorable", members=1),
    "Conjunction, one member": gnr("conjunction", members=1),
    "SelfMasking, high, one member": gnr(HIGH, members=1),
}
OURS = [m for m in METHODS if m.startswith(("Ignorable", "Conjunction", "SelfMasking"))]
ORDER = ["self_masking", "mar", "shared_latent", "mcar", "hard_self_masking"]


def replicate(generator: str, n: int, method: str, *, seed: int) -> np.ndarray:
    """Do one replication: what is summed, (5, E)."""
    made = METHODS[method](world(generator, n, seed), seed)
    study, truth = analyse(made.values), np.array(list(truths().values()))
    degrees = study.n - PARAMETERS
    if len(made.values) == 1:
        estimate, se, df = study.estimates[0], np.sqrt(study.variances[0]), degrees
    else:
        pooled = [
            pool_scalar(q, u, n=study.n, k=int(k), members=made.members)
            for q, u, k in zip(study.estimates.T, study.variances.T, PARAMETERS, strict=True)
        ]
        estimate, se, df = np.array([(p.estimate, p.std_error, p.df) for p in pooled]).T
    error, half = estimate - truth, stats.t.ppf(0.975, df) * se
    return np.array([error, error**2, se, np.abs(error) <= half, 2 * half])


def chunk(key: tuple[str, int, str, int]) -> list[dict[str, object]]:
    """Do ten replications and add them up: a row for each estimand."""
    generator, n, method, first = key
    start, total, done, note = time.perf_counter(), np.zeros((len(SUMS), len(PARAMETERS))), 0, ""
    for seed in range(first, first + CHUNK):
        try:
            total += replicate(generator, n, method, seed=seed)
            done += 1
        except FAILURES as error:
            note = str(error).partition("\n")[0]
    seconds = (time.perf_counter() - start) / CHUNK
    return [
        dict(zip(KEYS, key, strict=True))
        | {"estimand": estimand, "count": done, "failed": CHUNK - done}
        | {name: f"{v:.6g}" for name, v in zip(SUMS, total[:, e], strict=True)}
        | {"seconds": f"{seconds:.3g}", "note": note}
        for e, estimand in enumerate(truths())
    ]


def wanted() -> list[tuple[str, int, str, int]]:
    """Say what to run, the most informative first, so that all generators get as far.

    A chunk of a right mechanism comes with every round; of another one, of what others offer, of
    one member and of n = 2000 with every second to sixth.
    """
    methods = [m for m in METHODS if m != "miceforest" or importlib.util.find_spec("miceforest")]
    turns = []
    for g, generator in enumerate(ORDER):
        for m, method in enumerate(methods):
            every, replications = pace(method, generator)
            for k in range(replications // CHUNK):
                turns.append((every * (k + 1), every, g, m, (generator, 500, method, k * CHUNK)))
            if method in (RIGHT[generator], "complete"):
                for k in range(200 // CHUNK):
                    turns.append((6 * (k + 1), 6, g, m, (generator, 2000, method, k * CHUNK)))
    return [turn[-1] for turn in sorted(turns)]


def pace(method: str, generator: str) -> tuple[int, int]:
    """Give every how many rounds a method has its turn, and how many replications are wanted."""
    if method in (RIGHT[generator], "complete"):
        return 1, 500
    if method not in OURS:
        return 2, 100
    if method in ("Ignorable", "Conjunction"):
        return 3, 500
    return 4, 100


class Chunks:
    """Rows of results/coverage.csv, written as chunks come."""

    def __init__(self, path: Path = RESULTS / "coverage.csv") -> None:
        self.path = path
        self.done: set[tuple[str, ...]] = set()
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.done = {tuple(row[k] for k in KEYS) for row in csv.DictReader(file)}

    def missing(
        self, keys: Sequence[tuple[str, int, str, int]]
    ) -> list[tuple[str, int, str, int]]:
        """Take out what is there."""
        return [key for key in keys if tuple(map(str, key)) not in self.done]

    def write(self, rows: list[dict[str, object]]) -> None:
        """Add a chunk."""
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)
        hits = {row["estimand"]: row["hits"] for row in rows}
        print(*(rows[0][k] for k in KEYS), rows[0]["seconds"], hits, flush=True)


def main() -> None:
    """Run what is missing, chunk by chunk; write results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--generators", nargs="*", default=list(GENERATORS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--replications", type=int, default=500, help="at most, of a cell")
    parser.add_argument("--sizes", type=int, nargs="*", default=[500, 2000])
    parser.add_argument("--results", type=Path, default=RESULTS / "coverage.csv")
    asked = parser.parse_args()
    results = Chunks(asked.results)
    keys = [
        key
        for key in wanted()
        if key[0] in asked.generators and key[1] in asked.sizes and key[2] in asked.methods
        if key[3] < asked.replications
    ]
    work = Parallel(n_jobs=asked.jobs, return_as="generator_unordered", pre_dispatch=asked.jobs)
    for rows in work(delayed(chunk)(key) for key in results.missing(keys)):
        results.write(rows)


if __name__ == "__main__":
    main()
