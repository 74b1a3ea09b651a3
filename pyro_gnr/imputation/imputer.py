"""GNR as a scikit-learn transformer that also gives multiple imputations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import narwhals.stable.v1 as nw
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from pyro_gnr.data import Kind, Schema, Table, checks, frames
from pyro_gnr.imputation.configuration import (
    configuration,
    configuration_of_fit,
    configured,
)
from pyro_gnr.imputation.fitted import FittedModel, Member
from pyro_gnr.imputation.fitting import fit_model
from pyro_gnr.imputation.ledger import warn_of_learnt_directions
from pyro_gnr.imputation.members import fit_members
from pyro_gnr.imputation.multiple import MultipleImputation
from pyro_gnr.imputation.optimism import without_optimism
from pyro_gnr.imputation.pilots import with_pilots
from pyro_gnr.imputation.settings import (
    Settings,
    check_settings,
    is_whole,
    latent_dim_for,
    resolve_device,
)
from pyro_gnr.inference.training import Fit, Progress, local_seed
from pyro_gnr.model.assemble import assemble, check_values, implied_kinds, own_kinds
from pyro_gnr.model.registry import plain

__all__ = ["GNRImputer"]


class GNRImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Multiple imputation by GNR, a deep generative model of a table and of its holes.

    The model is z ~ p(z), u = f(z), x_j ~ p(x_j|u), m_j ~ p(m_j|u), m = 1 where a cell is
    observed; it is fitted by maximising the importance-weighted bound on log p(x_o, m). Whether
    holes depend on what is missing no data can tell: the `mechanism` is an assumption. See
    `pyro_gnr.model.mechanisms` for when each is right and how it fails.

    Args:
        mechanism: template of p(m|u): "conjunction" (GNR: holes share the latent with the
            values), "ignorable" (missing at random), "self_masking", "selection" or
            "no_self_censoring"; a table of a name and arguments, such as {"name":
            "self_masking", "direction": "high"}; or a `Mechanism` class, `functools.partial` or
            unbuilt instance.
        prior: template of p(z), likewise: "standard_normal", "gaussian_mixture", "vamp" or
            "flow" (see `pyro_gnr.model.priors`).
        likelihoods: templates of p(x_j|u) by column name, likewise ("gamma", "poisson", ...: the
            names in `pyro_gnr.model.registry.LIKELIHOODS`); others go by kind. A column without a
            kind in `kinds` gets one that its likelihood serves.
        kinds: "continuous", "positive" (> 0), "bounded" (in [0, 1] or [0, 100]; or say
            "bounded(0, 20)"), "count" (0, 1, 2, ...), "binary", "categorical", "ordinal",
            "censored", "censored_log" or "ignore" by column name; others go by dtype and values
            (see `Schema.learn`).
        latent_dim: L, the numbers in z; None takes one less than the features, at most 16, but
            under Conjunction three for each pattern of columns that are missing together.
        hidden: units in the hidden layers of decoder and encoder; 0 makes both linear.
        fusion: "deterministic" u = f(z); or random u, "replayed" or "amortised" by the guide.
        particles: K of the training bound.
        renyi_order: order of the training bound; 0 is IWAE.
        gradient: estimator of the bound's gradient in training: "iwae"; "dreg", doubly
            reparameterised (order 0; less noise for the guide); or "stl", sticking the landing
            (order 1, or 0, where it is biased); see `IWELBO`.
        mask_weight: exponent >= 0 of p(m|u) in training; imputation always uses
            1, so that 0 is refused for a mechanism that looks at x.
        members: G fits of an ensemble, each to rows weighted anew (Bayesian bootstrap), so that
            the M tables carry the uncertainty of the parameters, too. 1 is faster and leaves that
            out: estimates pooled from its tables have standard errors that are too small.
        max_steps: gradient steps at most, of the first fit, which says how long members train.
        batch_size: rows a step.
        learning_rate: of Adam at the start; it falls to 0 along a cosine.
        validation: what is held out to stop early: "rows", "cells", or None for nothing.
        validation_fraction: share of rows or observed cells held out, in (0, 1).
        patience: evaluations (100 steps apart) without progress before training stops.
        imputation_particles: K of the importance posterior that imputes; members share them, down
            to 200 each. If more than 5 % of the training rows then have a Pareto k above 0.7, one
            or two pilot runs move the proposals first, which takes two or three times as long.
        row_key: name of a column that identifies rows (carried along, not modelled, unless
            `kinds` says how); None: index label and content do.
        random_state: seed; the same seed and row give the same draws in any batch or order.
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...
        n_jobs: processes that fit members; None is 1, -1 all cores. Results are the same.
        verbose: whether long work shows a progress bar on a terminal.
        callback: called with a `Progress` after every evaluation in the first fit.

    Attributes:
        schema_: columns, kinds and scales of the training table.
        history_: DataFrame of the first fit: step, loss, validation (mean held-out bound).
        n_steps_: step of the first fit whose weights were kept.
        seed_: seed of the row-keyed draws.
        n_features_in_: columns of the training table.
        feature_names_in_: their names, where they are strings.

    Source: Chen, Xu, Wang & Yang, CIKM 2023 (arXiv 2308.08158).

    Example:
        >>> import pandas as pd
        >>> from pyro_gnr import GNRImputer
        >>> X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0] * 10, "b": [2.0, 4.1, 6.2, None] * 10})
        >>> imputer = GNRImputer(max_steps=10, random_state=0).fit(X)
        >>> imputer.transform(X).shape
        (40, 2)
        >>> [table["a"].isna().sum().item() for table in imputer.impute(X, m=2)]
        [0, 0]
    """

    def __init__(
        self,
        *,
        mechanism: object = "conjunction",
        prior: object = "standard_normal",
        likelihoods: Mapping[str, object] | None = None,
        kinds: Mapping[str, str] | None = None,
        latent_dim: int | None = None,
        hidden: int = 128,
        fusion: str = "deterministic",
        particles: int = 20,
        renyi_order: float = 0.0,
        gradient: str = "iwae",
        mask_weight: float = 1.0,
        members: int = 5,
        max_steps: int = 1500,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        validation: str | None = "rows",
        validation_fraction: float = 0.1,
        patience: int = 5,
        imputation_particles: int = 1000,
        row_key: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: bool = True,
        callback: Callable[[Progress], None] | None = None,
    ) -> None:
        self.mechanism = mechanism
        self.prior = prior
        self.likelihoods = likelihoods
        self.kinds = kinds
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.fusion = fusion
        self.particles = particles
        self.renyi_order = renyi_order
        self.gradient = gradient
        self.mask_weight = mask_weight
        self.members = members
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation = validation
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.imputation_particles = imputation_particles
        self.row_key = row_key
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: object = None) -> Self:
        """Fit model and guide to a table with holes.

        Args:
            X: pandas or polars DataFrame, or (N, D) array of numbers with NaN for holes.
            y: ignored.

        Returns:
            The imputer itself.

        Raises:
            ValueError: an argument, a part of your own or the table cannot be used; names it.
            TypeError: X or a column is of a type that cannot be modelled, or a part of your own
                gives no distribution.
            FloatingPointError: training diverged; says at which step and what to try.
        """
        fresh = copy.copy(self)
        fresh._fit(X)
        # Only now: a fit that fails leaves the imputer as it was.
        self.__dict__ = fresh.__dict__
        return self

    def _fit(self, X: Any) -> None:
        fitted, table, settings = self._prepared(X)
        first = fit_model(self, fitted, table)
        if self.members > 1:
            members, weights = fit_members(self, fitted, table, first=first)
            fitted = without_optimism(replace(fitted, members=members), table, weights)
        self._keep(with_pilots(fitted, table), settings, first.fit)

    def _prepared(self, X: Any) -> tuple[FittedModel, Table, Settings]:
        """The model before training, the encoded table, and the settings.

        What is said of a table, in errors and warnings, is said here.
        """
        settings = check_settings(self)
        device = resolve_device(self.device)
        X = self._validated(X, reset=True)
        schema = self._learn(X, settings.likelihoods)
        table = schema.encode(X, row_key=self.row_key)
        seed = _seed(self.random_state)
        settings = settings.sized(
            latent_dim_for(self.latent_dim, settings, table), len(table.keys)
        )
        with local_seed(seed, device):
            model, guide = assemble(schema.modelled, **settings.assembly())
        check_values(model, schema.modelled, table.values, table.observed, training=True)
        model, guide = model.to(device), guide.to(device)
        fitted = FittedModel(
            schema,
            (Member(model, guide),),
            particles=self.imputation_particles,
            seed=seed,
            device=device,
            configuration=configuration_of_fit(self, seed),
        )
        return fitted, table, settings

    def _kinds(self, X: Any) -> dict[str, str]:
        """The caller's kinds; a row key names rows, and is modelled only if they say so."""
        names = frames.column_names(frames.as_frame(X))
        key = {self.row_key: "ignore"} if self.row_key in names else {}
        return key | dict(self.kinds or {})

    def _learn(self, X: Any, likelihoods: Mapping[str, object]) -> Schema:
        """Kinds as the caller said, else as their likelihoods need, else by dtype and values."""
        kinds = self._kinds(X)
        schema = Schema.learn(X, kinds, fallbacks=own_kinds(likelihoods))
        _check_ignored(schema, likelihoods)
        implied = implied_kinds(schema.modelled, likelihoods, said={str(name) for name in kinds})
        if not implied:
            return schema
        try:
            return Schema.learn(X, kinds | implied)
        except ValueError as error:
            # Before, with default kinds, it could be learnt: one of these does not fit.
            found = {name: str(kind) for name, kind in implied.items()}
            raise ValueError(
                f"{error} (The kinds {found} follow from the likelihoods given: choose other "
                "likelihoods, or say kinds.)"
            ) from error

    def _keep(self, fitted: FittedModel, settings: Settings, fit: Fit) -> None:
        self._fitted = fitted
        self._settings = settings
        self.schema_ = fitted.schema
        self.seed_ = fitted.seed
        self.n_steps_ = fit.best_step
        self.history_ = pd.DataFrame(fit.history, columns=list(Progress._fields))

    def transform(self, X: Any) -> Any:
        """Complete a table by the posterior mean (numbers) or mode (levels) of each hole.

        A cell known only to lie in an interval, such as "<0.5", gets its mean in there; its
        column comes back as floats. For kind "censored_log" the mean is of the logarithm.

        One completed table is for prediction; for inference draw several with `impute`.

        Args:
            X: table with the columns of the training table; new rows need no refit.

        Returns:
            A table of the caller's type.

        Raises:
            ValueError: the columns differ from the training table's, or a level is new.
        """
        table = self._encoded(X)
        return table.fill(self._at_work(table).point(table))

    def impute(self, X: Any, m: int = 20, *, seed: int | None = None) -> MultipleImputation:
        """Draw M completed tables.

        Cells known only to lie in an interval are drawn from p(x | u) within it, and their
        columns come back as floats.

        Args:
            X: as for `transform`.
            m: M >= 1.
            seed: of the draws; None is the seed of the fit.

        Returns:
            The completed tables, with intervals and diagnostics.

        Warns:
            UserWarning: most imputed values of a column are beyond all observed ones, in a
                direction that no one stated.

        Raises:
            ValueError: m is no positive whole number, seed no whole number >= 0; else as
                `transform`.
        """
        if not is_whole(m, least=1):
            raise ValueError(f"got m={m!r}, expected a whole number of tables >= 1.")
        if not (seed is None or is_whole(seed, least=0)):
            raise ValueError(f"got seed={seed!r}, expected a whole number >= 0, or None.")
        table = self._encoded(X)
        fitted = self._at_work(table, seed)
        imputation = MultipleImputation(table, fitted.draw(table, int(m)), fitted)
        warn_of_learnt_directions(imputation)
        return imputation

    def score(self, X: Any, y: object = None, *, holes: bool = True) -> float:
        """Give the mean over rows of the bound on log p(x_o, m), in nats; larger is better.

        Compare mechanisms by it only on held-out rows, and know that observed data cannot
        decide among them. Values are standardised: other tables' scores are not comparable, nor
        are those of likelihoods that change a column's kind (positive columns are in multiples of
        their mean), unless the logarithm of the ratio of units is taken off.

        Args:
            X: as for `transform`.
            y: ignored.
            holes: False leaves m out: the bound on log p(x_o), which every mechanism has.
        """
        return float(self.row_bounds(X, holes=holes).mean())

    def row_bounds(self, X: Any, *, holes: bool = True) -> NDArray[np.float64]:
        """Give the bound of every row, (N,), in nats; see `score`, which is their mean.

        Differences between two imputers over the same rows have the standard error of the mean
        of the rows' differences, which is smaller than those of the two means.

        Args:
            X: as for `transform`.
            holes: False leaves m out.

        Example:
            >>> X = np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 1.0], [4.0, np.nan]] * 15)
            >>> GNRImputer(max_steps=10, random_state=0).fit(X).row_bounds(X[:3]).shape
            (3,)
        """
        table = self._encoded(X)
        return self._at_work(table).row_bounds(table, holes=holes)

    def observed_probability(self, X: Any, *, reconstruct: bool = False) -> NDArray[np.float64]:
        """Give the model's chance that each cell is observed, from the row's values.

        P(m_j = 1 | x_visible), z integrated out over importance weights in which m has no part;
        what is missing in X is integrated out, too. With `reconstruct`, P(m_j = 1 | x_visible, m):
        an answer to a question that contains it, and no evidence for a mechanism. Evidence there
        is where complete rows exist whose holes were kept apart, such as in simulations.

        Args:
            X: as for `transform`; rows may be complete.
            reconstruct: whether the holes of X are made use of.

        Returns:
            (N, D) chances in [0, 1], D modelled columns in order; 1 (but for rounding) in columns
            without a hole in training.

        Raises:
            ValueError: the mechanism is `Ignorable`, which says nothing of holes; else as
                `transform`.

        Example:
            >>> X = np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 1.0], [4.0, np.nan]] * 15)
            >>> imputer = GNRImputer(max_steps=10, latent_dim=1, random_state=0).fit(X)
            >>> p = imputer.observed_probability(np.array([[1.5, 2.0]]))
            >>> p.shape, bool(0.0 < p[0, 1] < p[0, 0])
            ((1, 2), True)
        """
        table = self._encoded(X)
        return self._at_work(table).observed_probabilities(table, reconstruct=reconstruct)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> None:
        """Save the fitted imputer as a directory of safetensors and JSON; never a pickle.

        Args:
            directory: to be made; it appears whole or not at all.
            overwrite: whether to replace a model saved there before.

        Raises:
            FileExistsError: there is something already, and `overwrite` is False or it is no
                saved model.
            ValueError: a part's class has the name of another one that this package knows.
            TypeError: a hyperparameter of a part cannot be written as JSON.
        """
        from pyro_gnr.imputation.storage import save

        check_is_fitted(self)
        save(self, Path(directory), overwrite=overwrite)

    @classmethod
    def load(
        cls,
        directory: str | Path,
        *,
        components: Mapping[str, type[torch.nn.Module]] | None = None,
        device: str = "auto",
    ) -> GNRImputer:
        """Load what `save` wrote; runs no code from it.

        Args:
            directory: of the saved model.
            components: classes of your own that the model uses, by class name.
            device: as in the constructor.

        Returns:
            A fitted imputer that gives the same draws.

        Raises:
            FileNotFoundError: there is no saved model.
            ValueError: it is damaged, of another program, or needs classes not given.
            TypeError: `components` is no dict of classes.
        """
        from pyro_gnr.imputation.storage import load

        given = {} if components is None else components
        return load(cls, Path(directory), given, device=device)

    @classmethod
    def from_config(
        cls,
        config: str | Path | Mapping[str, Any],
        *,
        components: Mapping[str, type[torch.nn.Module]] | None = None,
    ) -> GNRImputer:
        """Make an imputer from a description in plain values, checked at once.

        Args:
            config: a mapping, or the path of a .toml or .json file. Its keys are arguments of the
                constructor but `device`, `verbose` and `callback`; what it leaves out has its
                default. A part (`mechanism`, `prior`, a value of `likelihoods`) is a name or a
                table of a name and arguments; `validation` "none" is None.
            components: classes of your own that it names, by class name.

        Returns:
            An imputer that is not fitted.

        Raises:
            ValueError: a key or value is unknown or out of range, or the file is no such file;
                names the file, the key, what came and what was expected.
            TypeError: a value in a mapping is of another type, or `components` is no dict of
                classes.
            OSError: the file cannot be read.

        Example:
            >>> mechanism = {"name": "self_masking", "direction": "high"}
            >>> GNRImputer.from_config({"mechanism": mechanism, "hidden": 64}).hidden
            64
        """
        return configured(cls, config, {} if components is None else components)

    def to_config(self) -> dict[str, Any]:
        """Describe the arguments in plain values, which JSON and TOML have; see `from_config`.

        Parts given as names or tables stay as they are, but for None in them; classes, partials
        and instances become tables of a name (that of the class, if it is your own) and all their
        hyperparameters. Arguments that are None are left out (`validation`: "none").

        Returns:
            A new dict; a fit of `from_config` of it with the same seed gives the same draws.

        Raises:
            ValueError: a class of your own has the name of one of this package's, or does not
                keep its arguments under their own names.
            TypeError: it keeps none of that name, or a value has no plain form, such as a
                `random_state` that is a generator.

        Example:
            >>> imputer = GNRImputer(prior="flow", likelihoods={"income": "student_t"})
            >>> config = imputer.to_config()
            >>> config["prior"], config["likelihoods"], config["hidden"]
            ('flow', {'income': 'student_t'}, 128)
        """
        return configuration(self)

    def to_toml(self) -> str:
        """Describe the arguments as `to_config` does, as the text of a .toml file.

        Returns:
            What `from_config` and `pyro-gnr fit --config` read, written to a file as UTF-8.

        Raises:
            ValueError, TypeError: as `to_config`; an argument holds None, which TOML has no word
                for.

        Example:
            >>> imputer = GNRImputer(mechanism={"name": "self_masking", "direction": "high"})
            >>> text = imputer.to_toml()
            >>> print(text[text.index("[mechanism]") :])
            [mechanism]
            name = "self_masking"
            direction = "high"
            <BLANKLINE>
            >>> import tomllib
            >>> tomllib.loads(text) == imputer.to_config()
            True
        """
        from pyro_gnr.imputation.toml import to_toml

        return to_toml(configuration(self))

    def _at_work(self, table: Table | None = None, seed: int | None = None) -> FittedModel:
        """The fitted model, with the arguments that may change after the fit."""
        seed = self._fitted.seed if seed is None else int(seed)
        return replace(
            self._fitted if table is None else self._fitted.knowing(table),
            seed=seed,
            particles=self.imputation_particles,
            show_progress=self.verbose,
            configuration=self._configuration(),
        )

    def _configuration(self) -> dict[str, Any]:
        """That of the fit, with the arguments that may change after it."""
        now = {name: getattr(self, name) for name in ("imputation_particles", "row_key")}
        found = {**self._fitted.configuration, **plain(now)}
        return {key: value for key, value in found.items() if value is not None}

    def _encoded(self, X: Any) -> Table:
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        table = self.schema_.encode(X, row_key=self.row_key)
        model = self._fitted.model
        check_values(model, self.schema_.modelled, table.values, table.observed)
        return table

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Check what scikit-learn checks; data frames stay as they are, lists become arrays."""
        if nw.dependencies.is_into_dataframe(X) or nw.dependencies.is_polars_lazyframe(X):
            X = frames.as_frame(X)  # refuses libraries that we do not write
            if reset:
                checks.check_shape(X, frames.column_names(X), {})
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        return validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan", copy=False
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _check_ignored(schema: Schema, likelihoods: Mapping[str, object]) -> None:
    """Refuse likelihoods of columns that are in the table, but not modelled."""
    ignored = [c.name for c in schema.columns if c.kind is Kind.IGNORE and c.name in likelihoods]
    if ignored:
        raise ValueError(
            f"likelihoods names {ignored}, which kinds or row_key leave out of the model: give "
            "them a kind, or no likelihood."
        )


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """A whole number stays what it is; of anything else scikit-learn makes a generator."""
    if random_state is None:  # scikit-learn would draw from numpy's global generator
        return int(np.random.default_rng().integers(2**31 - 1))
    if is_whole(random_state, least=0) and random_state < 2**32:  # type: ignore[operator]
        return int(random_state)  # type: ignore[arg-type]
    return int(check_random_state(random_state).randint(2**31 - 1))
