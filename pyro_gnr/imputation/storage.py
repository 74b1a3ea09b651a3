"""Fitted imputers on disk: a JSON manifest and safetensors; loading runs no code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pyro_gnr.data import Schema
from pyro_gnr.data.files import staged
from pyro_gnr.imputation.configuration import check_components, configured
from pyro_gnr.imputation.fitted import FittedModel, Member
from pyro_gnr.imputation.settings import Settings, check_settings, is_whole, resolve_device
from pyro_gnr.inference.training import local_precision
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.likelihoods import Likelihood
from pyro_gnr.model.mechanisms import Mechanism
from pyro_gnr.model.priors import Prior
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS, describe, rebuild

if TYPE_CHECKING:
    from pyro_gnr.imputation.imputer import GNRImputer

__all__ = ["FORMAT", "MANIFEST", "load", "save"]

FORMAT = "pyro_gnr model"
FORMAT_VERSION = 5
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"

_WHOLE = {"latent_dim": 1, "n_rows": 1, "n_steps": 0, "n_features_in": 1}

# What code that trusts its input raises when it gets a damaged manifest or damaged weights.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SafetensorError,
    TypeError,
)


def save(imputer: GNRImputer, directory: Path, *, overwrite: bool) -> None:
    """Write a fitted imputer beside the directory, then rename it into place."""
    if directory.exists() and not overwrite:
        raise FileExistsError(f"{directory} exists already: give overwrite=True to replace it.")
    if directory.exists() and not _is_model(directory):
        raise FileExistsError(f"{directory} is no saved model: it is not replaced.")
    manifest = json.dumps(_manifest(imputer), indent=2, default=_number)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with staged(directory, replace=overwrite) as staging:
        staging.mkdir()
        (staging / MANIFEST).write_text(manifest, encoding="utf-8")
        save_file(_weights(imputer._fitted), staging / WEIGHTS)
        shutil.copymode(staging / MANIFEST, staging / WEIGHTS)  # safetensors' are private


def _is_model(directory: Path) -> bool:
    """Whether everything in a directory is ours, so that it may be replaced."""
    if not directory.is_dir():
        return False
    names = {path.name for path in directory.iterdir()}
    return not names or (MANIFEST in names and names <= {MANIFEST, WEIGHTS})


def _weights(fitted: FittedModel) -> dict[str, torch.Tensor]:
    """Parameters and buffers of every member; what model and guide share is kept once."""
    weights: dict[str, torch.Tensor] = {}
    kept: set[int] = set()
    for g, member in enumerate(fitted.members):
        for prefix, part in member._asdict().items():
            for name, tensor in part.state_dict().items():
                if tensor.data_ptr() not in kept or tensor.numel() == 0:
                    kept.add(tensor.data_ptr())
                    weights[f"{g}.{prefix}.{name}"] = tensor.detach().cpu().contiguous()
    return weights


def _manifest(imputer: GNRImputer) -> dict[str, Any]:
    fitted = imputer._fitted
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "files": [WEIGHTS],
        "versions": {"pyro_gnr": version("pyro-gnr"), "torch": torch.__version__},
        "configuration": dict(imputer._at_work().configuration),
        "verbose": imputer.verbose,
        "parts": _parts(fitted),
        "latent_dim": imputer._settings.latent_dim,
        "n_rows": imputer._settings.n_rows,
        "pilots": fitted.pilots,
        "schema": fitted.schema.to_dict(),
        "n_steps": imputer.n_steps_,
        "history": imputer.history_.to_dict(orient="list"),
        "n_features_in": imputer.n_features_in_,
        "feature_names_in": _names_in(imputer),
    }


def _parts(fitted: FittedModel) -> dict[str, Any]:
    """Describe what was built: names and defaults of a later version may mean something else."""
    likelihood = fitted.model.x_given_u
    names = [c.name for c in fitted.schema.modelled]
    return {
        "prior": describe(fitted.model.prior, PRIORS),
        "mechanism": describe(fitted.model.m_given_ux, MECHANISMS),
        "likelihoods": [
            {
                "part": describe(part, LIKELIHOODS),
                "columns": [names[j] for j in likelihood.positions(i).tolist()],
            }
            for i, part in enumerate(likelihood.likelihoods)
        ],
    }


def _number(value: Any) -> Any:
    """Write numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"got {value!r}, which cannot be written as JSON.")


def _names_in(imputer: GNRImputer) -> list[str] | None:
    names = getattr(imputer, "feature_names_in_", None)
    return None if names is None else list(names)


def load(
    cls: type[GNRImputer],
    directory: Path,
    components: Mapping[str, type[torch.nn.Module]],
    *,
    device: str,
) -> GNRImputer:
    """Read a saved imputer; see `GNRImputer.load`."""
    check_components(components)
    manifest = _read_manifest(directory)
    try:
        return _rebuilt(cls, manifest, directory / WEIGHTS, components, device)
    except _DAMAGE as error:
        raise ValueError(f"the saved model in {directory} is damaged: {error}") from error
    except ValueError as error:
        raise ValueError(f"the saved model in {directory} cannot be loaded: {error}") from error


def _read_manifest(directory: Path) -> dict[str, Any]:
    for name in (MANIFEST, WEIGHTS):
        if not (directory / name).is_file():
            raise FileNotFoundError(f"{directory} holds no saved model: {name} is not there.")
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{directory / MANIFEST} is damaged: {error}") from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise ValueError(f"{directory / MANIFEST} is of no pyro_gnr model (format {found!r}).")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"the saved model in {directory} has format version "
            f"{manifest.get('format_version')!r}, this package reads {FORMAT_VERSION}: load it "
            "with the version of pyro_gnr that wrote it."
        )
    return manifest


def _rebuilt(
    cls: type[GNRImputer],
    manifest: dict[str, Any],
    weights: Path,
    components: Mapping[str, type[torch.nn.Module]],
    device: str,
) -> GNRImputer:
    schema = Schema.from_dict(manifest["schema"])
    _check_manifest(manifest, schema)
    imputer = configured(cls, manifest["configuration"], components)
    imputer.set_params(device=device, verbose=manifest["verbose"])
    settings = replace(check_settings(imputer), **_rebuilt_parts(manifest["parts"], components))
    settings = settings.sized(manifest["latent_dim"], manifest["n_rows"])
    _restore(imputer, manifest, schema, settings, load_file(weights))
    return imputer


def _rebuilt_parts(
    parts: dict[str, Any], components: Mapping[str, type[torch.nn.Module]]
) -> dict[str, Any]:
    """Make templates of what was built."""
    return {
        "prior": rebuild(parts["prior"], PRIORS, components, Prior),
        "mechanism": rebuild(parts["mechanism"], MECHANISMS, components, Mechanism),
        "likelihoods": {
            column: part
            for block in parts["likelihoods"]
            for part in [rebuild(block["part"], LIKELIHOODS, components, Likelihood)]
            for column in block["columns"]
        },
    }


def _check_manifest(manifest: dict[str, Any], schema: Schema) -> None:
    """Refuse what would fail only when the imputer is used."""
    for name, least in _WHOLE.items():
        if not is_whole(manifest[name], least=least):
            raise TypeError(f"{name} is {manifest[name]!r}, no whole number >= {least}")
    config = manifest["configuration"]
    if not isinstance(config, dict) or not is_whole(config.get("random_state"), least=0):
        raise TypeError("its configuration holds no seed")
    names = [c.name for c in schema.columns]
    if manifest["n_features_in"] != len(names) or manifest["feature_names_in"] not in (
        None,
        names,
    ):
        raise TypeError(f"its columns are not those of its schema, {names}")


def _restore(
    imputer: GNRImputer,
    manifest: dict[str, Any],
    schema: Schema,
    settings: Settings,
    weights: dict[str, torch.Tensor],
) -> None:
    """Give an imputer its fitted attributes."""
    place = resolve_device(imputer.device)
    imputer._fitted = FittedModel(
        schema,
        tuple(
            _member(schema, settings, own).to(place)
            for own in _by_member(weights, imputer.members)
        ),
        particles=imputer.imputation_particles,
        pilots=manifest["pilots"],
        seed=manifest["configuration"]["random_state"],
        device=place,
        configuration=manifest["configuration"],
    )
    imputer._settings = settings
    imputer.schema_ = schema
    imputer.seed_ = imputer._fitted.seed
    imputer.n_steps_ = manifest["n_steps"]
    imputer.history_ = pd.DataFrame(manifest["history"])
    imputer.n_features_in_ = manifest["n_features_in"]
    if manifest["feature_names_in"] is not None:
        imputer.feature_names_in_ = np.array(manifest["feature_names_in"], dtype=object)


def _by_member(
    weights: dict[str, torch.Tensor], members: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Weights of each member, without its number."""
    for g in range(members):
        own = [name for name in weights if name.startswith(f"{g}.")]
        yield {name.removeprefix(f"{g}."): weights.pop(name) for name in own}
    if weights:
        raise ValueError(f"the saved weights do not fit: unknown {sorted(weights)}.")


def _member(schema: Schema, settings: Settings, weights: dict[str, torch.Tensor]) -> Member:
    # Initial weights are drawn, then replaced.
    with torch.random.fork_rng([]), local_precision(_precision_of(weights)):
        model, guide = assemble(schema.modelled, **settings.assembly())
    _load_weights(model, guide, weights)
    return Member(model, guide)


def _precision_of(weights: dict[str, torch.Tensor]) -> torch.dtype:
    """That of the fit, to build in, whatever torch's default is now.

    To cast what was built would take digits from numbers that are double whatever the default
    is, such as the limits of intervals.
    """
    found = (t.dtype for t in weights.values() if t.is_floating_point())
    return next(found, torch.get_default_dtype())


def _load_weights(
    model: torch.nn.Module, guide: torch.nn.Module, weights: dict[str, torch.Tensor]
) -> None:
    """Load all weights; what is missing must be what the two share."""
    both = torch.nn.ModuleDict({"model": model, "guide": guide})
    result = both.load_state_dict(weights, strict=False)
    own = {t.data_ptr() for t in model.state_dict().values() if t.numel()}
    shared = {f"guide.{k}" for k, t in guide.state_dict().items() if t.data_ptr() in own}
    lost = set(result.missing_keys) - shared
    if lost or result.unexpected_keys:
        raise ValueError(
            f"the saved weights do not fit: missing {sorted(lost)}, unknown "
            f"{sorted(result.unexpected_keys)}."
        )
