"""Model and guide of a table, put together from templates."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.conditionals import Fusion, StochasticFusion
from pyro_gnr.model.features import Features
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Encoder, Guide
from pyro_gnr.model.likelihoods import BlockLikelihood, Likelihood
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.part import hyperparameters
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import (
    LIKELIHOODS,
    MECHANISMS,
    PRIORS,
    plain,
    resolve,
)

__all__ = [
    "FUSIONS",
    "assemble",
    "check_values",
    "implied_kinds",
    "likelihood_templates",
    "own_kinds",
]

DEFAULT_LIKELIHOODS: dict[Kind, str] = {
    Kind.CONTINUOUS: "gaussian",
    Kind.BINARY: "bernoulli",
    Kind.CATEGORICAL: "categorical",
    Kind.POSITIVE: "log_normal",
    Kind.BOUNDED: "beta",
    Kind.COUNT: "negative_binomial",
    Kind.ORDINAL: "ordinal",
    Kind.CENSORED: "censored",
    Kind.CENSORED_LOG: "censored",
}
FUSIONS = ("deterministic", "replayed", "amortised")


def assemble(
    columns: Sequence[Column],
    *,
    n_rows: int,
    latent_dim: int,
    prior: object = "standard_normal",
    likelihoods: Mapping[str, object] | None = None,
    mechanism: object = "conjunction",
    hidden: int = 128,
    fusion: str = "deterministic",
    mask_weight: float = 1.0,
) -> tuple[GNR, Guide]:
    """Make a model and its guide for a table's columns; parameters at random.

    Args:
        columns: the D modelled columns.
        n_rows: N of the training table, to which the columns' `holes` refer.
        latent_dim: L.
        prior: template of p(z).
        likelihoods: templates of p(x_j|u) by column name; others go by kind. Columns of one class
            with equal hyperparameters are served by one part.
        mechanism: template of p(m|u,x).
        hidden: units in the hidden layers of decoder and encoder; 0 makes both linear.
        fusion: "deterministic" u = f(z); or u ~ p(u|z), "replayed" or "amortised" by the guide.
        mask_weight: exponent of p(m|.), >= 0.

    Returns:
        The model and the guide.

    Raises:
        ValueError: an unknown name or column, or a likelihood that does not serve the kind.
        TypeError: a template that is no such part, or a mechanism whose `build` takes other
            arguments.
        ImportError: the prior needs a library that is not installed.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"got fusion={fusion!r}, expected one of {list(FUSIONS)}.")
    p_z = resolve(prior, PRIORS, Prior)
    p_z.build(latent_dim)
    layer: Fusion | StochasticFusion = (
        Fusion(latent_dim, hidden=hidden)
        if fusion == "deterministic"
        else StochasticFusion(latent_dim, hidden=hidden)
    )
    p_m = resolve(mechanism, MECHANISMS, Mechanism)
    rates = torch.tensor([1.0 - c.holes / n_rows for c in columns])
    _check_signature(p_m)
    p_m.build(columns, layer.out_dim, rates=rates)
    p_x = _block_likelihood(columns, likelihood_templates(columns, likelihoods), layer.out_dim)
    model = GNR(
        p_z,
        layer,
        x_given_u=p_x,
        m_given_ux=p_m,
        mask_weight=mask_weight,
        replays_u=fusion == "replayed",
    )
    encoder = Encoder(Features(columns), len(columns), latent_dim=latent_dim, hidden=hidden)
    p_z.attach(encoder)
    return model, _guide(encoder, layer, fusion, samples_missing_x=model.samples_missing_x)


def _check_signature(mechanism: Mechanism) -> None:
    """Refuse a mechanism of the user's own that cannot be built as all are."""
    try:
        inspect.signature(mechanism.build).bind((), 1, rates=None)
    except TypeError as error:
        raise TypeError(
            f"mechanism {type(mechanism).__name__}: build takes other arguments ({error}), "
            "expected `def build(self, columns, u_dim, *, rates)`."
        ) from error


def _guide(
    encoder: Encoder, layer: Fusion | StochasticFusion, fusion: str, *, samples_missing_x: bool
) -> Guide:
    if isinstance(layer, Fusion):
        return Guide(encoder, samples_missing_x=samples_missing_x)
    if fusion == "replayed":
        return Guide(encoder, u_noise=layer.out_dim, samples_missing_x=samples_missing_x)
    own = StochasticFusion(
        encoder.directions.shape[1], hidden=layer.out_dim - encoder.directions.shape[1]
    )
    own.load_state_dict(layer.state_dict())  # at the start it proposes what the model expects
    return Guide(encoder, u_given_z=own, amortise_u=True, samples_missing_x=samples_missing_x)


def likelihood_templates(
    columns: Sequence[Column], likelihoods: Mapping[str, object] | None
) -> list[object]:
    """Give the template of each column's likelihood: the caller's, or the default of its kind.

    Raises:
        ValueError: a name is no modelled column.
    """
    chosen = dict(likelihoods or {})
    unknown = sorted(set(chosen) - {c.name for c in columns})
    if unknown:
        raise ValueError(
            f"likelihoods names {unknown}, expected modelled columns "
            f"({[c.name for c in columns]})."
        )
    return [chosen.get(c.name, DEFAULT_LIKELIHOODS[c.kind]) for c in columns]


def implied_kinds(
    columns: Sequence[Column], likelihoods: Mapping[str, object], *, said: Collection[str]
) -> dict[str, Kind]:
    """Give the kinds that the caller's likelihoods imply for columns of unsuitable default kinds.

    Args:
        columns: the modelled columns, of default kinds where the caller said none.
        likelihoods: templates by column name.
        said: names of the columns whose kinds the caller said.

    Returns:
        By column name the likelihood's own kind, where it does not serve the default one.

    Raises:
        ValueError: a likelihood has an unknown name.
        TypeError: a template is no likelihood.

    Example:
        >>> columns = [Column("income", Kind.CONTINUOUS, "float64")]
        >>> implied_kinds(columns, {"income": "gamma"}, said=[])
        {'income': <Kind.POSITIVE: 'positive'>}
    """
    found = {}
    for column in columns:
        if column.name not in likelihoods or column.name in said:
            continue
        likelihood = _likelihood(likelihoods[column.name])
        own = _own_kind(likelihood)
        if column.kind not in likelihood.kinds and own is not None:
            found[column.name] = own
    return found


def own_kinds(likelihoods: Mapping[str, object]) -> dict[str, Kind]:
    """Give the kinds that likelihoods have of their own, where they serve one or prefer one.

    Args:
        likelihoods: templates by column name.

    Raises:
        ValueError: a likelihood has an unknown name.
        TypeError: a template is no likelihood.

    Example:
        >>> own_kinds({"income": "gamma", "town": "categorical"})
        {'income': <Kind.POSITIVE: 'positive'>, 'town': <Kind.CATEGORICAL: 'categorical'>}
    """
    found = {name: _own_kind(_likelihood(template)) for name, template in likelihoods.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def _own_kind(likelihood: Likelihood) -> Kind | None:
    """The kind that a likelihood prefers, or else the only one that it serves."""
    only = next(iter(likelihood.kinds)) if len(likelihood.kinds) == 1 else None
    return likelihood.natural_kind or only


def _block_likelihood(
    columns: Sequence[Column], templates: Sequence[object], u_dim: int
) -> BlockLikelihood:
    """Serve columns of equal likelihoods by one part, so that they are computed together.

    Equal is what has one class and equal hyperparameters, however it was given: a model must not
    depend on whether it was described by objects or by the text that stands for them.
    """
    groups: dict[object, tuple[Likelihood, list[int]]] = {}
    for j, template in enumerate(templates):
        likelihood = _likelihood(template)
        groups.setdefault(_identity(likelihood, template), (likelihood, []))[1].append(j)
    for likelihood, members in groups.values():
        served = [columns[j] for j in members]
        _check_kinds(likelihood, served)
        likelihood.build(served, u_dim)
    return BlockLikelihood([part for part, _ in groups.values()], [m for _, m in groups.values()])


def _likelihood(template: object) -> Likelihood:
    """Make a likelihood from its template, and refuse a class that serves no kind."""
    made = resolve(template, LIKELIHOODS, Likelihood)
    kinds = getattr(made, "kinds", None)
    if not isinstance(kinds, Collection) or isinstance(kinds, str) or not kinds:
        came = "has no `kinds`" if kinds is None else f"has kinds = {kinds!r}"
        raise TypeError(
            f"likelihood {type(made).__name__} {came}, expected the kinds of columns that it "
            "serves: state `kinds = frozenset({Kind.CONTINUOUS})` in the class, with Kind from "
            "pyro_gnr.data."
        )
    return made


def _identity(part: Likelihood, template: object) -> object:
    """What equal parts have in common; the template itself where hyperparameters have no text."""
    try:
        return type(part), json.dumps(plain(hyperparameters(part)), sort_keys=True)
    except TypeError:
        return id(template)


def _check_kinds(likelihood: Likelihood, columns: Sequence[Column]) -> None:
    for column in columns:
        if column.kind not in likelihood.kinds:
            kinds = sorted(likelihood.kinds)
            own = [
                name
                for name, cls in LIKELIHOODS.items()
                if issubclass(cls, Likelihood) and column.kind in cls.kinds
            ]
            kind = likelihood.natural_kind or kinds[0]
            raise ValueError(
                f"column {column.name!r} is {column.kind}, but its likelihood "
                f"{type(likelihood).__name__} serves {', '.join(kinds)} columns: choose another "
                f"likelihood ({' or '.join(own)}), or set kinds={{{column.name!r}: '{kind}'}}."
            )


def check_values(
    model: GNR,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    observed: NDArray[np.bool_],
    *,
    training: bool = False,
) -> None:
    """Refuse observed values that their column's likelihood gives no probability.

    Args:
        model: from `assemble`.
        columns: the D modelled columns.
        values: (N, D) encoded values.
        observed: (N, D), True where observed.
        training: whether this is the training table, whose spread is looked at, too.

    Raises:
        ValueError: there is such a value, or values vary as the likelihood cannot; names the
            column.

    Warns:
        UserWarning: what is imputed for a column will spread clearly more than its values.
    """
    for i, part in enumerate(model.x_given_u.parts()):
        for j in model.x_given_u.positions(i).tolist():
            part.check(columns[j], values[observed[:, j], j])
            if training:
                part.check_spread(columns[j], values[observed[:, j], j])
