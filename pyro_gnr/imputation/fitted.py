"""A fitted model at work on encoded tables: points, draws, quantiles and bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyro_gnr.data import Schema, Table
from pyro_gnr.imputation.mixtures import Mixture, Particles
from pyro_gnr.inference.posterior import Posterior, infer, resample
from pyro_gnr.inference.progress import progress
from pyro_gnr.inference.randomness import keyed_uniforms
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.likelihoods.block import Columnwise
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


class Batch(NamedTuple):
    """Some rows of a table on the model's device, and what was inferred of them.

    Attributes:
        rows: (N,) their numbers in the table.
        keys: (N,) int64 row keys.
        x: (N, D).
        observed: (N, D) bool, m.
        visible: (N, D) bool.
        posterior: of these rows.
    """

    rows: NDArray[np.intp]
    keys: Tensor
    x: Tensor
    observed: Tensor
    visible: Tensor
    posterior: Posterior


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
        for batch in self._posteriors(table, _incomplete(table)):
            found[batch.rows] = self._mixture(batch).point().cpu().numpy()
        return found[table.missing]

    def draw(self, table: Table, m: int) -> Draws:
        """Draw M imputations; in a row all cells of one draw come from one particle."""
        n_rows, n_columns = table.values.shape
        values = np.empty((m, len(table.missing[0])))
        ess, k = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
        # Missing cells are sorted by row, so a batch of rows is a run of cells.
        starts = np.searchsorted(table.missing[0], np.arange(n_rows + 1))
        for batch in self._posteriors(table, _incomplete(table)):
            rows = batch.rows
            ess[rows] = batch.posterior.ess.cpu().numpy()
            k[rows] = batch.posterior.pareto_k.cpu().numpy()
            x = self._draw_rows(batch, m).cpu().numpy()
            cells = slice(starts[rows[0]], starts[rows[-1] + 1])
            where = np.searchsorted(rows, table.missing[0][cells])
            values[:, cells] = x[:, where, table.missing[1][cells]]
        return Draws(values, ess, k)

    def _draw_rows(self, batch: Batch, m: int) -> Tensor:
        posterior, keys = batch.posterior, batch.keys
        chosen = resample(posterior.log_weights, m, keys=keys, seed=self.seed).unsqueeze(-1)
        if self.model.samples_missing_x:
            drawn = posterior.latents["x_missing"]
            return drawn.gather(0, chosen.expand(-1, -1, drawn.shape[-1]))
        u = posterior.latents["u"]
        columns = self._columns(batch, u.gather(0, chosen.expand(-1, -1, u.shape[-1])))
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
        for batch in self._posteriors(table, _incomplete(table)):
            mixture = self._mixture(batch)
            wanted = torch.from_numpy(table.incomplete[batch.rows]).to(self.device)
            quantiles[:, batch.rows] = mixture.quantiles(probabilities, wanted).cpu().numpy()
            levels[batch.rows] = mixture.level_probabilities(most).cpu().numpy()
        return Intervals(quantiles[:, *table.missing], levels[table.missing])

    def level_probabilities(self, table: Table) -> NDArray[np.float64]:
        """Give P(level) of each missing cell, (n_missing, most levels); NaN for numbers."""
        n_rows, n_columns = table.values.shape
        most = max((len(c.levels or ()) for c in self.schema.modelled), default=0)
        levels = np.full((n_rows, n_columns, most), np.nan)
        for batch in self._posteriors(table, _incomplete(table)):
            levels[batch.rows] = self._mixture(batch).level_probabilities(most).cpu().numpy()
        return levels[table.missing]

    def observed_probabilities(self, table: Table, *, reconstruct: bool) -> NDArray[np.float64]:
        """Give P(m_j = 1 | x_visible), or with `reconstruct` P(m_j = 1 | x_visible, m), (N, D).

        Raises:
            ValueError: the mechanism has no distribution of m.
        """
        found = np.empty(table.values.shape)
        every = np.arange(len(found))
        for batch in self._posteriors(table, every, holes=reconstruct):
            posterior = batch.posterior
            if "m" not in posterior.conditionals:
                name = type(self.model.m_given_ux).__name__
                raise ValueError(
                    f"the mechanism {name} has no distribution of the holes: fit another one, "
                    "such as mechanism='conjunction'."
                )
            chances = posterior.conditionals["m"].mean
            found[batch.rows] = (posterior.weights.unsqueeze(-1) * chances).sum(0).cpu().numpy()
        return found

    def row_bounds(self, table: Table) -> NDArray[np.float64]:
        """Give the importance-weighted bound on log p(x_o, m) of every row, (N,)."""
        found = np.empty(len(table.values))
        for batch in self._posteriors(table, np.arange(len(table.values))):
            found[batch.rows] = batch.posterior.log_evidence.cpu().numpy()
        return found

    def _mixture(self, batch: Batch) -> Mixture | Particles:
        """What the weighted particles say of each cell, the holes of its row included."""
        posterior = batch.posterior
        if self.model.samples_missing_x:
            counts = [len(c.levels or ()) for c in self.schema.modelled]
            levels = torch.tensor(counts, device=self.device)
            return Particles(posterior.weights, posterior.latents["x_missing"], levels)
        return Mixture(posterior.weights, self._columns(batch, posterior.latents["u"]))

    @torch.no_grad()
    def _columns(self, batch: Batch, u: Tensor) -> Columnwise:
        """What is imputed in the rows of a batch, given u (..., H)."""
        return self.model.given_row(u, x=batch.x, observed=batch.observed, visible=batch.visible)

    def _posteriors(
        self, table: Table, rows: NDArray[np.intp], *, holes: bool = True
    ) -> Iterator[Batch]:
        """Infer some rows, batch by batch.

        Without `holes`, from what is visible only: a missing cell is then a hidden one, and m has
        no part in proposal (all rows come with the same m) or weights.
        """
        # The model itself, whatever weight the holes had in training.
        model = self.model.at_mask_weight(1.0 if holes else 0.0)
        keys = torch.from_numpy(table.keys.view(np.int64)).to(self.device)
        data = self.tensors(table)
        size = max(1, BATCH_NUMBERS // (self.particles * self.model.breadth(data[0][:1])))
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        with progress(len(batches), "imputing", show=self.show_progress) as advance:
            for batch in batches:
                at = torch.from_numpy(batch).to(self.device)
                x, observed, visible = (d[at] for d in data)
                m = observed if holes else torch.ones_like(observed)
                posterior = infer(
                    model,
                    self.guide,
                    x,
                    m,
                    visible,
                    particles=self.particles,
                    keys=keys[at],
                    seed=self.seed,
                )
                yield Batch(batch, keys[at], x, observed, visible, posterior)
                advance("")


def _incomplete(table: Table) -> NDArray[np.intp]:
    return np.flatnonzero(table.incomplete.any(1))
