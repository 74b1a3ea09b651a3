"""A fitted model at work on encoded tables: points, draws, quantiles and bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyro_gnr.data.table import Schema, Table
from pyro_gnr.imputation.mixtures import Mixture, Particles
from pyro_gnr.inference.posterior import Posterior, infer, resample
from pyro_gnr.inference.progress import progress
from pyro_gnr.inference.randomness import keyed_uniforms
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.transport import transport

__all__ = ["Draws", "FittedModel", "Intervals"]

# Numbers in the largest tensor (K, rows, ...) of a batch: bounds memory, fits a core's cache.
BATCH_NUMBERS = 2**23


class Draws(NamedTuple):
    """Imputations of a table's missing cells, interval cells among them.

    Attributes:
        values: (M, n_missing) encoded values, cells in the order of `Table.missing`.
        ess: (N,) effective sample size of each row's particles; NaN for complete rows.
        pareto_k: (N,) Pareto k of each row's weights; NaN for complete rows.
    """

    values: NDArray[np.float64]
    ess: NDArray[np.float64]
    pareto_k: NDArray[np.float64]


class Intervals(NamedTuple):
    """Predictive mixtures of a table's missing cells, summarised.

    Attributes:
        quantiles: (Q, n_missing) encoded; NaN for level columns.
        levels: (n_missing, most levels) P(level); NaN for numbers.
    """

    quantiles: NDArray[np.float64]
    levels: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Model, guide and schema after training; never changed, shared by what was imputed with it.

    Attributes:
        schema: of the training table.
        model: in evaluation mode, on `device`.
        guide: likewise.
        particles: K of the importance posterior.
        seed: of all row-keyed draws.
        device: where the networks are.
        show_progress: whether long work shows a bar on a terminal.
        configuration: of the imputer that was fitted, with the seed of its fit, as plain values.
    """

    schema: Schema
    model: GNR
    guide: Guide
    particles: int
    seed: int
    device: torch.device
    show_progress: bool = False
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in (self.model, self.guide):
            part.eval()

    def tensors(self, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Give x, observed and visible of a table, each (N, D), on the model's device."""
        # The networks' own precision: torch's default may have changed since the fit.
        x = torch.from_numpy(table.values).to(self.guide.encoder.centre)
        observed = torch.from_numpy(table.observed).to(self.device)
        return x, observed, torch.from_numpy(table.visible).to(self.device)

    def point(self, table: Table) -> NDArray[np.float64]:
        """Give the posterior mean (mode of level columns) of each missing cell, encoded."""
        found = np.zeros(table.values.shape)
        for rows, _, posterior in self._posteriors(table, _incomplete(table)):
            mixture = self._mixture(posterior, table, rows)
            found[rows] = mixture.point().cpu().numpy()
        return found[table.missing]

    def draw(self, table: Table, m: int) -> Draws:
        """Draw M imputations; in a row all cells of one draw come from one particle."""
        n_rows, n_columns = table.values.shape
        values = np.empty((m, len(table.missing[0])))
        ess, k = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
        # Missing cells are sorted by row, so a batch of rows is a run of cells.
        starts = np.searchsorted(table.missing[0], np.arange(n_rows + 1))
        for rows, keys, posterior in self._posteriors(table, _incomplete(table)):
            ess[rows] = posterior.ess.cpu().numpy()
            k[rows] = posterior.pareto_k.cpu().numpy()
            x = self._draw_rows(posterior, self._cells(table, rows), keys, m).cpu().numpy()
            cells = slice(starts[rows[0]], starts[rows[-1] + 1])
            where = np.searchsorted(rows, table.missing[0][cells])
            values[:, cells] = x[:, where, table.missing[1][cells]]
        return Draws(values, ess, k)

    def _draw_rows(
        self, posterior: Posterior, cells: dict[str, Tensor], keys: Tensor, m: int
    ) -> Tensor:
        chosen = resample(posterior.log_weights, m, keys=keys, seed=self.seed).unsqueeze(-1)
        if self.model.samples_missing_x:
            drawn = posterior.latents["x_missing"]
            return drawn.gather(0, chosen.expand(-1, -1, drawn.shape[-1]))
        u = posterior.latents["u"]
        picked = u.gather(0, chosen.expand(-1, -1, u.shape[-1]))
        with torch.no_grad():
            columns = self.model.given_row(picked, **cells)
        uniforms = keyed_uniforms(
            keys, tuple(columns.batch_shape), seed=self.seed, site="x_missing", row_dim=1
        )
        return transport(columns, uniforms)

    def intervals(self, table: Table, probabilities: Tensor) -> Intervals:
        """Summarise each missing cell's weighted mixture, found in one pass of inference."""
        n_rows, n_columns = table.values.shape
        most = max((len(c.levels or ()) for c in self.schema.modelled), default=0)
        quantiles = np.full((len(probabilities), n_rows, n_columns), np.nan)
        levels = np.full((n_rows, n_columns, most), np.nan)
        for rows, _, posterior in self._posteriors(table, _incomplete(table)):
            mixture = self._mixture(posterior, table, rows)
            wanted = torch.from_numpy(table.incomplete[rows]).to(self.device)
            quantiles[:, rows] = mixture.quantiles(probabilities, wanted).cpu().numpy()
            levels[rows] = mixture.level_probabilities(most).cpu().numpy()
        return Intervals(quantiles[:, *table.missing], levels[table.missing])

    def level_probabilities(self, table: Table) -> NDArray[np.float64]:
        """Give P(level) of each missing cell, (n_missing, most levels); NaN for numbers."""
        n_rows, n_columns = table.values.shape
        most = max((len(c.levels or ()) for c in self.schema.modelled), default=0)
        levels = np.full((n_rows, n_columns, most), np.nan)
        for rows, _, posterior in self._posteriors(table, _incomplete(table)):
            mixture = self._mixture(posterior, table, rows)
            levels[rows] = mixture.level_probabilities(most).cpu().numpy()
        return levels[table.missing]

    def observed_probabilities(self, table: Table, *, reconstruct: bool) -> NDArray[np.float64]:
        """Give P(m_j = 1 | x_visible), or with `reconstruct` P(m_j = 1 | x_visible, m), (N, D).

        Raises:
            ValueError: the mechanism has no distribution of m.
        """
        found = np.empty(table.values.shape)
        every = np.arange(len(found))
        for rows, _, posterior in self._posteriors(table, every, holes=reconstruct):
            if "m" not in posterior.conditionals:
                name = type(self.model.m_given_ux).__name__
                raise ValueError(
                    f"the mechanism {name} has no distribution of the holes: fit another one, "
                    "such as mechanism='conjunction'."
                )
            chances = posterior.conditionals["m"].mean
            found[rows] = (posterior.weights.unsqueeze(-1) * chances).sum(0).cpu().numpy()
        return found

    def row_bounds(self, table: Table) -> NDArray[np.float64]:
        """Give the importance-weighted bound on log p(x_o, m) of every row, (N,)."""
        found = np.empty(len(table.values))
        for rows, _, posterior in self._posteriors(table, np.arange(len(table.values))):
            found[rows] = posterior.log_evidence.cpu().numpy()
        return found

    @torch.no_grad()
    def _mixture(
        self, posterior: Posterior, table: Table, rows: NDArray[np.intp]
    ) -> Mixture | Particles:
        """What the weighted particles say of each cell, the holes of its row included."""
        if self.model.samples_missing_x:
            counts = [len(c.levels or ()) for c in self.schema.modelled]
            levels = torch.tensor(counts, device=self.device)
            return Particles(posterior.weights, posterior.latents["x_missing"], levels)
        u, cells = posterior.latents["u"], self._cells(table, rows)
        return Mixture(posterior.weights, self.model.given_row(u, **cells))

    def _cells(self, table: Table, rows: NDArray[np.intp]) -> dict[str, Tensor]:
        """x, observed and visible of some rows, as keyword arguments."""
        at = torch.from_numpy(rows).to(self.device)
        return dict(
            zip(("x", "observed", "visible"), (d[at] for d in self.tensors(table)), strict=True)
        )

    def _posteriors(
        self, table: Table, rows: NDArray[np.intp], *, holes: bool = True
    ) -> Iterator[tuple[NDArray[np.intp], Tensor, Posterior]]:
        """Infer some rows batch by batch: row numbers, keys, posterior.

        Without `holes`, from what is visible only: a missing cell is then a hidden one, and m has
        no part in proposal (all rows come with the same m) or weights.
        """
        # The model itself, whatever weight the holes had in training.
        model = self.model.at_mask_weight(1.0 if holes else 0.0)
        keys = torch.from_numpy(table.keys.view(np.int64)).to(self.device)
        x, observed, visible = self.tensors(table)
        data = (x, observed if holes else torch.ones_like(observed), visible)
        size = max(1, BATCH_NUMBERS // (self.particles * self.model.breadth(x[:1])))
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        with progress(len(batches), "imputing", show=self.show_progress) as advance:
            for batch in batches:
                at = torch.from_numpy(batch).to(self.device)
                posterior = infer(
                    model,
                    self.guide,
                    *(d[at] for d in data),
                    particles=self.particles,
                    keys=keys[at],
                    seed=self.seed,
                )
                yield batch, keys[at], posterior
                advance("")


def _incomplete(table: Table) -> NDArray[np.intp]:
    return np.flatnonzero(table.incomplete.any(1))
