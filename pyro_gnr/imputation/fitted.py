"""A fitted model at work on encoded tables: points, draws, quantiles and bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from pyro_gnr.data import Schema, Table
from pyro_gnr.imputation.mixtures import Blend, Mixture, Particles, blend
from pyro_gnr.inference.posterior import Posterior, resample
from pyro_gnr.inference.progress import progress
from pyro_gnr.inference.randomness import keyed_uniforms
from pyro_gnr.inference.recentring import infer_recentred
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.intervals import knowing
from pyro_gnr.model.likelihoods.block import Columnwise
from pyro_gnr.model.transport import transport

__all__ = ["Draws", "FittedModel", "Intervals", "Member", "member_seed"]

# Numbers in the largest tensor (K, rows, ...) of a batch: bounds memory, fits a core's cache.
BATCH_NUMBERS = 2**23
# So many particles each member of an ensemble has at least, if there are as many for one.
ENOUGH_PARTICLES = 200


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


class Member(NamedTuple):
    """One fit of model and guide, both in evaluation mode."""

    model: GNR
    guide: Guide

    def to(self, device: torch.device) -> Member:
        """Move both."""
        return Member(self.model.to(device), self.guide.to(device))


class Batch(NamedTuple):
    """Some rows of a table on the model's device, and what a member inferred of them.

    Attributes:
        member: the fit.
        seed: of its row-keyed draws.
        rows: (N,) their numbers in the table.
        keys: (N,) int64 row keys.
        x: (N, D).
        observed: (N, D) bool, m.
        visible: (N, D) bool.
        posterior: of these rows.
    """

    member: Member
    seed: int
    rows: NDArray[np.intp]
    keys: Tensor
    x: Tensor
    observed: Tensor
    visible: Tensor
    posterior: Posterior


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Fits and schema after training; never changed, shared by what was imputed with them.

    Attributes:
        schema: of the training table.
        members: G fits on `device`: one, or an ensemble whose spread is that of the parameters.
        particles: K of the importance posterior, shared among the members.
        seed: of all row-keyed draws.
        device: where the networks are.
        pilots: how often proposals are moved to where their particles have weight.
        show_progress: whether long work shows a bar on a terminal.
        configuration: of the imputer that was fitted, with the seed of its fit, as plain values.
    """

    schema: Schema
    members: tuple[Member, ...]
    particles: int
    seed: int
    device: torch.device
    pilots: int = 0
    show_progress: bool = False
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for member in self.members:
            for part in member:
                part.eval()

    @property
    def particles_each(self) -> int:
        """Particles of a member: its share, but what is enough for one at least."""
        share = math.ceil(self.particles / len(self.members))
        return max(share, min(self.particles, ENOUGH_PARTICLES))

    @property
    def model(self) -> GNR:
        """Of the first member; all are built alike."""
        return self.members[0].model

    @property
    def guide(self) -> Guide:
        """Of the first member."""
        return self.members[0].guide

    @property
    def _level_counts(self) -> list[int]:
        """Number of levels of each modelled column; 0 of numbers."""
        return [len(c.levels or ()) for c in self.schema.modelled]

    def knowing(self, table: Table) -> FittedModel:
        """Give itself, or what knows the intervals of a table that has others than training."""
        if table.schema == self.schema:
            return self
        columns = table.schema.modelled
        members = tuple(Member(*knowing(*member, columns)) for member in self.members)
        return replace(self, schema=table.schema, members=members)

    def tensors(self, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Give x, observed and visible of a table, each (N, D), on the model's device."""
        # The networks' own precision: torch's default may have changed since the fit.
        x = torch.from_numpy(table.values).to(self.guide.encoder.centre)
        observed = torch.from_numpy(table.observed).to(self.device)
        return x, observed, torch.from_numpy(table.visible).to(self.device)

    def point(self, table: Table) -> NDArray[np.float64]:
        """Give the posterior mean (mode of level columns) of each missing cell, encoded."""
        found = np.zeros(table.values.shape)
        for batches in self._posteriors(table, _incomplete(table)):
            found[batches[0].rows] = self._blend(batches).point().cpu().numpy()
        return found[table.missing]

    def draw(self, table: Table, m: int) -> Draws:
        """Draw M imputations; in a row all cells of one draw come from one particle.

        Table i is drawn by member i mod G. Effective sample sizes are summed over members, Pareto
        k is their mean.
        """
        n_rows, n_columns = table.values.shape
        values = np.empty((m, len(table.missing[0])))
        ess, k = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
        some = range(min(m, len(self.members)))
        # Missing cells are sorted by row, so a batch of rows is a run of cells.
        starts = np.searchsorted(table.missing[0], np.arange(n_rows + 1))
        for batches in self._posteriors(table, _incomplete(table), members=some):
            rows = batches[0].rows
            ess[rows] = torch.stack([b.posterior.ess for b in batches]).sum(0).cpu().numpy()
            k[rows] = torch.stack([b.posterior.pareto_k for b in batches]).mean(0).cpu().numpy()
            cells = slice(starts[rows[0]], starts[rows[-1] + 1])
            where = np.searchsorted(rows, table.missing[0][cells])
            for g, batch in enumerate(batches):
                own = slice(g, m, len(self.members))
                x = self._draw_rows(batch, len(range(m)[own])).cpu().numpy()
                values[own, cells] = x[:, where, table.missing[1][cells]]
        return Draws(values, ess, k)

    def _draw_rows(self, batch: Batch, m: int) -> Tensor:
        posterior, keys, seed = batch.posterior, batch.keys, batch.seed
        chosen = resample(posterior.log_weights, m, keys=keys, seed=seed).unsqueeze(-1)
        if batch.member.model.samples_missing_x:
            drawn = posterior.latents["x_missing"]
            return drawn.gather(0, chosen.expand(-1, -1, drawn.shape[-1]))
        u = posterior.latents["u"]
        columns = self._columns(batch, u.gather(0, chosen.expand(-1, -1, u.shape[-1])))
        uniforms = keyed_uniforms(
            keys, tuple(columns.batch_shape), seed=seed, site="x_missing", row_dim=1
        )
        return transport(columns, uniforms)

    def pareto_k(self, table: Table, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Give Pareto k of the weights of some rows, (n,), with the first member's particles."""
        batches = self._posteriors(table, rows, members=[0])
        return torch.cat([batch.posterior.pareto_k for [batch] in batches]).cpu().numpy()

    def scale_scores(self, table: Table, rows: NDArray[np.intp]) -> Tensor:
        """Give d log p(x_visible, m) / d log s_j and minus its derivative, (2, G, n, D).

        By each member, of some rows; 0 in hidden cells, and in columns without s_j. (The score is
        the posterior mean of what each particle says; of the derivatives' mean the variance of
        the scores is taken: Louis 1982.)
        """
        found = []
        for batches in self._posteriors(table, rows):
            told = [
                b.member.model.x_given_u.scale_scores(
                    b.posterior.latents["u"], b.x, visible=b.visible
                )
                for b in batches
            ]
            weights = torch.stack([b.posterior.weights for b in batches]).unsqueeze(-1)
            score, curvature = torch.stack(told, 1)
            mean = (weights * score).sum(1)
            spread = (weights * score.square()).sum(1) - mean.square()
            found.append(torch.stack([mean, (weights * curvature).sum(1) - spread]))
        return torch.cat(found, 2)

    def intervals(self, table: Table, probabilities: Tensor) -> Intervals:
        """Summarise each missing cell's weighted mixture, found in one pass of inference."""
        n_rows, n_columns = table.values.shape
        quantiles = np.full((len(probabilities), n_rows, n_columns), np.nan)
        levels = np.full((n_rows, n_columns, max(self._level_counts, default=0)), np.nan)
        for batches in self._posteriors(table, _incomplete(table)):
            mixture, rows = self._blend(batches), batches[0].rows
            wanted = torch.from_numpy(table.incomplete[rows]).to(self.device)
            quantiles[:, rows] = mixture.quantiles(probabilities, wanted).cpu().numpy()
            levels[rows] = mixture.level_probabilities(levels.shape[-1]).cpu().numpy()
        return Intervals(quantiles[:, *table.missing], levels[table.missing])

    def level_probabilities(self, table: Table) -> NDArray[np.float64]:
        """Give P(level) of each missing cell, (n_missing, most levels); NaN for numbers."""
        n_rows, n_columns = table.values.shape
        levels = np.full((n_rows, n_columns, max(self._level_counts, default=0)), np.nan)
        for batches in self._posteriors(table, _incomplete(table)):
            found = self._blend(batches).level_probabilities(levels.shape[-1])
            levels[batches[0].rows] = found.cpu().numpy()
        return levels[table.missing]

    def level_chances(
        self, table: Table, values: NDArray[np.float64], j: int, *, member: int
    ) -> NDArray[np.float64]:
        """Give P(level | what is visible, m, and the row's other imputed cells) of a column.

        What the member's particles say after those cells: w_k is multiplied by their density. For
        a mechanism that samples missing values particles hold no other ones, and the other
        imputed cells play no part.

        Args:
            table: whose cells.
            values: (M, n_missing) encoded imputations that the member drew.
            j: place of a column of levels.
            member: its number.

        Returns:
            (M, n, levels), n missing cells of the column.
        """
        mine = np.flatnonzero(table.missing[1] == j)
        rows = table.missing[0][mine]
        found = np.empty((len(values), len(mine), self._level_counts[j]))
        for [batch] in self._posteriors(table, rows, members=[member]):
            at = np.searchsorted(rows, batch.rows)
            if batch.member.model.samples_missing_x:
                chances = self._mixture(batch).level_probabilities(found.shape[-1])[:, j]
                found[:, at] = chances.cpu().numpy()
                continue
            columns = self._columns(batch, batch.posterior.latents["u"])
            mixture = Mixture(batch.posterior.weights, columns)
            own = table.incomplete[batch.rows]
            cells = np.isin(table.missing[0], batch.rows)
            others = torch.from_numpy(own & (np.arange(own.shape[1]) != j)).to(self.device)
            for i, drawn in enumerate(values):
                x = table.values[batch.rows].copy()
                x[own] = drawn[cells]
                known = torch.from_numpy(x).to(batch.x)
                chances = mixture.given(known, others).column_chances(j)
                # It has as many levels as the column with most.
                found[i, at] = chances[..., : found.shape[-1]].cpu().numpy()
        return found

    def observed_probabilities(self, table: Table, *, reconstruct: bool) -> NDArray[np.float64]:
        """Give P(m_j = 1 | x_visible), or with `reconstruct` P(m_j = 1 | x_visible, m), (N, D).

        Raises:
            ValueError: the mechanism has no distribution of m.
        """
        found = np.empty(table.values.shape)
        every = np.arange(len(found))
        for batches in self._posteriors(table, every, holes=reconstruct):
            chances = torch.stack([_observed_chances(batch) for batch in batches]).mean(0)
            found[batches[0].rows] = chances.cpu().numpy()
        return found

    def row_bounds(self, table: Table, *, holes: bool = True) -> NDArray[np.float64]:
        """Give the importance-weighted bound on log p(x_o, m) of every row, (N,).

        p is the mean over members. Without `holes`, the bound on log p(x_o).
        """
        bounds = self.member_bounds(table, holes=holes)
        return np.asarray(logsumexp(bounds, axis=0) - math.log(len(bounds)))

    def member_bounds(self, table: Table, *, holes: bool = True) -> NDArray[np.float64]:
        """Give the same of every member, (G, N)."""
        found = np.empty((len(self.members), len(table.values)))
        for batches in self._posteriors(table, np.arange(len(table.values)), holes=holes):
            bounds = torch.stack([batch.posterior.log_evidence for batch in batches])
            found[:, batches[0].rows] = bounds.cpu().numpy()
        return found

    def _blend(self, batches: Sequence[Batch]) -> Mixture | Particles | Blend:
        return blend([self._mixture(batch) for batch in batches])

    def _mixture(self, batch: Batch) -> Mixture | Particles:
        """What the weighted particles say of each cell, the holes of its row included."""
        posterior = batch.posterior
        if batch.member.model.samples_missing_x:
            levels = torch.tensor(self._level_counts, device=self.device)
            return Particles(posterior.weights, posterior.latents["x_missing"], levels)
        return Mixture(posterior.weights, self._columns(batch, posterior.latents["u"]))

    @torch.no_grad()
    def _columns(self, batch: Batch, u: Tensor) -> Columnwise:
        """What is imputed in the rows of a batch, given u (..., H)."""
        model = batch.member.model
        return model.given_row(u, x=batch.x, observed=batch.observed, visible=batch.visible)

    def _posteriors(
        self,
        table: Table,
        rows: NDArray[np.intp],
        *,
        holes: bool = True,
        members: Sequence[int] | None = None,
    ) -> Iterator[list[Batch]]:
        """Infer some rows, batch by batch, by each member (or some, given by number).

        Without `holes`, from what is visible only: a missing cell is then a hidden one, and m has
        no part in proposal (all rows come with the same m) or weights.
        """
        some = range(len(self.members)) if members is None else members
        keys = torch.from_numpy(table.keys.view(np.int64)).to(self.device)
        data = self.tensors(table)
        width = len(some) * self.model.breadth(data[0][:1])
        size = max(1, BATCH_NUMBERS // (self.particles_each * width))
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        with progress(len(batches), "imputing", show=self.show_progress) as advance:
            for batch in batches:
                at = torch.from_numpy(batch).to(self.device)
                parts = [d[at] for d in data]
                yield [self._inferred(g, batch, keys[at], *parts, holes=holes) for g in some]
                advance("")

    def _inferred(
        self,
        g: int,
        rows: NDArray[np.intp],
        keys: Tensor,
        x: Tensor,
        observed: Tensor,
        visible: Tensor,
        *,
        holes: bool,
    ) -> Batch:
        member, seed = self.members[g], member_seed(self.seed, g)
        # The model itself, whatever weight the holes had in training.
        model = member.model.at_mask_weight(1.0 if holes else 0.0)
        m = observed if holes else torch.ones_like(observed)
        posterior = infer_recentred(
            model, member.guide, x, m, visible,
            particles=self.particles_each, keys=keys, seed=seed, pilots=self.pilots,
        )  # fmt: skip
        return Batch(member, seed, rows, keys, x, observed, visible, posterior)


def member_seed(seed: int, g: int) -> int:
    """Give the seed of a member's draws: tables of different members share no noise.

    Example:
        >>> member_seed(7, 0), member_seed(7, 1) != member_seed(7, 2)
        (7, True)
    """
    if g == 0:
        return seed
    return int(np.random.SeedSequence([seed, g]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _observed_chances(batch: Batch) -> Tensor:
    """P(m_j = 1) of each cell, (N, D), as a member says."""
    posterior = batch.posterior
    if "m" not in posterior.conditionals:
        name = type(batch.member.model.m_given_ux).__name__
        raise ValueError(
            f"the mechanism {name} has no distribution of the holes: fit another one, "
            "such as mechanism='conjunction'."
        )
    return (posterior.weights.unsqueeze(-1) * posterior.conditionals["m"].mean).sum(0)


def _incomplete(table: Table) -> NDArray[np.intp]:
    return np.flatnonzero(table.incomplete.any(1))
