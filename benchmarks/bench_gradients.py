"""Signal to noise of the bound's gradient, and time of a step, by estimator and particles.

30 % of cells removed completely at random, 300 steps of training at the defaults, then one fixed
minibatch: the mean over coordinates of |mean| / standard deviation among independent gradients,
guide and model apart. Pure noise would give about 0.8 / sqrt(draws), 0.056 at 200. A step is
loss, gradient and Adam (at learning rate 0); estimators take turns, and `step_ratio` is the
median time over that of "iwae". "stl" is biased here: its signal is not of the bound.

    PYRO_GNR_DATA=folder python benchmarks/bench_gradients.py [--seeds 3] [--tables wine_red ...]
        [--fusion deterministic]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from bench_mcar import remove
from tables import save, uci
from torch import Tensor, nn

from pyro_gnr.data import Schema
from pyro_gnr.inference.objective import GRADIENTS, IWELBO
from pyro_gnr.inference.training import TrainingPlan, local_seed, train
from pyro_gnr.model.assemble import FUSIONS, assemble
from pyro_gnr.model.start import start

PARTICLES = (5, 20, 100)
STEPS = 300
BATCH = 128


class Moments:
    """Running mean and standard deviation of flattened gradients."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, gradient: Tensor) -> None:
        """Take in one gradient."""
        gradient = gradient.double()
        self.count += 1
        self.total = self.total + gradient
        self.squares = self.squares + gradient.square()

    def signal_to_noise(self) -> float:
        """Give the mean over coordinates that vary of |mean| / standard deviation."""
        mean = self.total / self.count
        variance = (self.squares / self.count - mean.square()) * self.count / (self.count - 1)
        varies = variance > 1e-12 * mean.square() + 1e-30
        return (mean.abs()[varies] / variance[varies].sqrt()).mean().item()


def trained(X: np.ndarray, seed: int, fusion: str) -> tuple[nn.Module, nn.Module, list[Tensor]]:
    """Give model and guide after some steps, and a minibatch."""
    schema = Schema.learn(X)
    table = schema.encode(X)
    x = torch.from_numpy(table.values).float()
    observed, visible = torch.from_numpy(table.observed), torch.from_numpy(table.visible)
    with local_seed(seed):
        model, guide = assemble(
            schema.modelled,
            n_rows=len(x),
            latent_dim=max(1, min(16, X.shape[1] - 1)),
            fusion=fusion,
        )
    generator = torch.Generator().manual_seed(seed)
    start(model, guide, x, visible, generator=generator, observed=observed)
    data = (x, observed, visible)
    train(model, guide, data, plan=TrainingPlan(max_steps=STEPS, batch_size=BATCH), seed=seed)
    rows = torch.randperm(len(x), generator=generator)[:BATCH]
    return model, guide, [d[rows] for d in data]


def flat_gradient(module: nn.Module) -> Tensor:
    """Give the gradient of all parameters of a module, one after the other."""
    parameters = [p for p in module.parameters() if p.grad is not None]
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def measure(
    model: nn.Module, guide: nn.Module, batch: list[Tensor], *, particles: int, draws: int
) -> Iterator[dict[str, object]]:
    """Give rows of the results for a number of particles: estimators in turns."""
    modules = {g: IWELBO(particles, gradient=g)(model, guide) for g in GRADIENTS}
    optimiser = torch.optim.Adam(next(iter(modules.values())).parameters(), lr=0.0)
    parts = {"guide": guide, "model": model}
    moments = {(g, part): Moments() for g in GRADIENTS for part in parts}
    seconds: dict[str, list[float]] = {g: [] for g in GRADIENTS}
    for _ in range(draws):
        for gradient, loss_of in modules.items():
            begin = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            loss_of(*batch).backward()
            optimiser.step()
            seconds[gradient].append(time.perf_counter() - begin)
            for part, module in parts.items():
                moments[gradient, part].add(flat_gradient(module))
    median = {g: float(np.median(s)) for g, s in seconds.items()}
    for (gradient, part), found in moments.items():
        yield {
            "estimator": gradient, "K": particles, "part": part,
            "snr": round(found.signal_to_noise(), 4),
            "step_ratio": round(median[gradient] / median["iwae"], 3),
        }  # fmt: skip


def main() -> None:
    """Measure every estimator on every table and seed; write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="*", default=["wine_red"])
    parser.add_argument("--fusion", choices=FUSIONS, default="deterministic")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--name", default="gradients", help="results/NAME.csv")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for table in arguments.tables:
        X = uci(table)
        X = (X - X.mean(0)) / X.std(0)
        for seed in range(arguments.seeds):
            model, guide, batch = trained(remove(X, seed), seed, arguments.fusion)
            for particles in PARTICLES:
                with local_seed(seed):
                    found = measure(
                        model, guide, batch, particles=particles, draws=arguments.draws
                    )
                    rows += [{"table": table, **row, "seed": seed} for row in found]
                print(rows[-1], flush=True)
    frame = save(rows, arguments.name)
    shown = frame.groupby(["table", "part", "K", "estimator"], sort=False)[["snr", "step_ratio"]]
    print(shown.mean().unstack("estimator").round(3).to_string())


if __name__ == "__main__":
    main()
