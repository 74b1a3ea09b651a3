"""Saved imputers: what comes back, what is refused, and that nothing on disk is ever run."""

import io
import json
import os
import pickle
import shutil
import stat
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from pyro_gnr import GNRImputer
from pyro_gnr.imputation import storage
from pyro_gnr.model.likelihoods import Gaussian
from pyro_gnr.model.mechanisms import Conjunction
from pyro_gnr.model.priors import Flow, GaussianMixture, StandardNormal, VampPrior
from pyro_gnr.model.registry import describe


class Milder(Conjunction):
    """A mechanism of the user's own, with a hyperparameter."""

    def __init__(self, *, softness: float = 2.0) -> None:
        super().__init__()
        self.softness = softness

    def build(self, columns, u_dim, *, rates):
        super().build(columns, u_dim, rates=1.0 - (1.0 - rates) / self.softness)


class Sharper(Gaussian):
    """A likelihood of the user's own."""

    def __init__(self, *, floor: float = 0.02) -> None:
        super().__init__(floor=floor)


class Shifted(StandardNormal):
    """A prior of the user's own."""


# What comes back


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(directory)
    return directory


@pytest.fixture
def model(saved, tmp_path, nothing_runs):
    """A saved model that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def assert_alike(loaded, imputer, X):
    """The same answers to every question."""
    one, two = loaded.impute(X, m=3), imputer.impute(X, m=3)
    np.testing.assert_allclose(one.draws.values, two.draws.values, rtol=1e-6)
    assert_frame_equal(one.interval(0.8), two.interval(0.8))
    assert_frame_equal(one.diagnostics, two.diagnostics)
    assert loaded.score(X) == pytest.approx(imputer.score(X), rel=1e-6)
    assert loaded.schema_ == imputer.schema_
    assert_frame_equal(loaded.history_, imputer.history_, check_dtype=False)
    assert (loaded.n_steps_, loaded.seed_) == (imputer.n_steps_, imputer.seed_)
    assert loaded.get_feature_names_out().tolist() == imputer.get_feature_names_out().tolist()
    assert hasattr(loaded, "feature_names_in_") == hasattr(imputer, "feature_names_in_")


@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
@pytest.mark.parametrize("mechanism", ["conjunction", "ignorable"])
def test_every_model_comes_back(X, imputer_of, ignored, tmp_path, fusion, mechanism):
    imputer = imputer_of(
        fusion=fusion,
        mechanism=mechanism,
        kinds=ignored,
        likelihoods={
            "bp": "student_t",
            "age": partial(Gaussian, floor=0.3),
            "flag": "categorical",
        },
        hidden=0 if mechanism == "ignorable" else 8,
        mask_weight=0.5,
        validation="cells",
        row_key="id",
    ).fit(X)
    imputer.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    assert_alike(loaded, imputer, X)
    assert_frame_equal(loaded.transform(X), imputer.transform(X))


PRIORS = {
    "gaussian_mixture": GaussianMixture(components=3),
    "vamp": partial(VampPrior, components=np.int64(4)),
    "flow": Flow(transforms=1, hidden=4),
}


@pytest.mark.parametrize("fusion", ["deterministic", "replayed"])
@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_comes_back(X, imputer_of, ignored, tmp_path, prior, fusion):
    """Bit for bit; a VampPrior's encoder is the guide's, and is written once."""
    imputer = imputer_of(prior=PRIORS[prior], fusion=fusion, kinds=ignored, learning_rate=0.05)
    imputer.fit(X).save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    for kept in (imputer, loaded):
        fitted = kept._fitted
        assert (prior == "vamp") == (fitted.guide.encoder in fitted.model.modules())
    one, two = (kept.impute(X, m=3).draws.values for kept in (imputer, loaded))
    np.testing.assert_array_equal(one, two)
    assert_alike(loaded, imputer, X)
    stored = load_file(tmp_path / "model" / "weights.safetensors")
    assert sum(name.endswith("encoder.centre") for name in stored) == 1
    again = clone(loaded).fit(X)
    np.testing.assert_array_equal(again.impute(X, m=3).draws.values, one)
    assert len(pyro.get_param_store()) == 0


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_by_name(X, imputer_of, ignored, tmp_path, prior):
    imputer = imputer_of(prior=prior, kinds=ignored).fit(X)
    imputer.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    assert loaded.prior == prior
    assert_alike(loaded, imputer, X)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_lost_weight_of_a_prior_is_missed(X, imputer_of, ignored, tmp_path, prior):
    """Also one that guide and prior share, which is kept under one of its two names."""
    imputer_of(prior=PRIORS[prior], kinds=ignored, max_steps=0).fit(X).save(tmp_path / "model")
    own = [n for n in load_file(tmp_path / "model" / "weights.safetensors") if "model.prior" in n]
    assert own
    for name in own:
        damaged = Path(shutil.copytree(tmp_path / "model", tmp_path / "damaged"))
        reweigh(damaged, lambda w, name=name: w.pop(name))
        with pytest.raises(ValueError, match="weights do not fit"):
            GNRImputer.load(damaged)
        shutil.rmtree(damaged)


def test_polars_and_arrays_come_back(polars_X, polars_fitted, X, numbers_of, imputer_of, tmp_path):
    polars_fitted.save(tmp_path / "polars")
    loaded = GNRImputer.load(tmp_path / "polars")
    assert_polars_equal(loaded.transform(polars_X), polars_fitted.transform(polars_X))
    array = numbers_of(X)
    imputer = imputer_of(max_steps=0).fit(array)
    imputer.save(tmp_path / "array")
    loaded = GNRImputer.load(str(tmp_path / "array"))
    np.testing.assert_array_equal(loaded.transform(array), imputer.transform(array))
    assert_alike(loaded, imputer, array)


def test_arguments_come_back(X, imputer_of, ignored, tmp_path):
    given = {
        "particles": np.int64(3),
        "gradient": "dreg",
        "hidden": np.int32(4),
        "learning_rate": np.float32(0.01),
        "mask_weight": np.float64(0.7),
        "imputation_particles": 30,
        "verbose": False,
        "kinds": ignored,
        "likelihoods": {"bp": Gaussian(floor=np.float32(0.25))},
    }
    imputer_of(**given).fit(X).save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    parameters = loaded.get_params()
    for name in set(given) - {"likelihoods"}:
        assert parameters[name] == given[name], name
    assert parameters["likelihoods"]["bp"]["floor"] == 0.25  # a table says the same
    assert parameters["random_state"] == 0
    again = clone(loaded).fit(X)  # its parts are templates like any others
    assert_frame_equal(again.transform(X), loaded.transform(X), rtol=1e-5)
    loaded.save(tmp_path / "copy")
    assert_alike(GNRImputer.load(tmp_path / "copy"), loaded, X)


def test_model_from_before_there_was_a_choice_of_gradient(model):
    """Keys that a version adds have their defaults where they are not."""
    path = model / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["configuration"]["gradient"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert GNRImputer.load(model, device="cpu").gradient == "iwae"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_precision_comes_back_whatever_the_default_is(X, imputer_of, ignored, tmp_path, dtype):
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        imputer = imputer_of(kinds=ignored).fit(X)
        imputer.save(tmp_path / "model")
        torch.set_default_dtype(torch.float32 if dtype is torch.float64 else torch.float64)
        assert_alike(GNRImputer.load(tmp_path / "model"), imputer, X)
    finally:
        torch.set_default_dtype(before)


def test_a_loaded_model_is_what_was_built_whatever_the_defaults_are_now(model):
    """The description says no more than the kind; the built part's own numbers are kept."""
    manifest = json.loads((model / "manifest.json").read_text())
    assert "likelihoods" not in manifest["configuration"]
    block = manifest["parts"]["likelihoods"][0]["part"]
    assert block == describe(Gaussian())
    edit(model, put("parts", "likelihoods", 0, "part", "floor", 0.25))
    loaded = GNRImputer.load(model)
    assert loaded._fitted.model.x_given_u.likelihoods[0].floor == 0.25
    assert loaded.likelihoods is None


def test_own_classes_come_in_by_components_only(X, imputer_of, ignored, tmp_path):
    imputer = imputer_of(
        mechanism=Milder(softness=3.0), likelihoods={"bp": Sharper}, prior=Shifted, kinds=ignored
    ).fit(X)
    imputer.save(tmp_path / "model")
    classes = {"Milder": Milder, "Sharper": Sharper, "Shifted": Shifted}
    loaded = GNRImputer.load(tmp_path / "model", components=classes)
    assert_alike(loaded, imputer, X)
    assert type(loaded.mechanism) is Milder
    assert loaded.mechanism.softness == 3.0
    for name in classes:
        some = {k: v for k, v in classes.items() if k != name}
        with pytest.raises(
            ValueError, match=rf"got \w+ '{name}'.*components={{'{name}': YourClass}}"
        ):
            GNRImputer.load(tmp_path / "model", components=some)


def test_a_class_of_ones_own_cannot_pass_for_one_of_ours(X, imputer_of, ignored, tmp_path):
    impostor = type("Conjunction", (Milder,), {})
    imputer = imputer_of(mechanism=impostor, kinds=ignored).fit(X)
    with pytest.raises(ValueError, match=r"your class 'Conjunction'.*rename it"):
        imputer.save(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_hyperparameters_must_be_json(X, imputer_of, ignored, tmp_path):
    imputer = imputer_of(mechanism=Milder(softness=torch.tensor(2.0)), kinds=ignored).fit(X)
    with pytest.raises(TypeError, match=r"tensor\(2.*JSON"):
        imputer.save(tmp_path / "model")
    assert not any(tmp_path.iterdir())


# Where it is written


def test_two_plain_files_with_ordinary_permissions(saved):
    assert sorted(p.name for p in saved.iterdir()) == ["manifest.json", "weights.safetensors"]
    sibling = saved.parent / "ordinary"
    sibling.mkdir(exist_ok=True)
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(sibling.stat().st_mode)
    sibling.rmdir()
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_parents_are_made(fitted, tmp_path):
    fitted.save(tmp_path / "a" / "b" / "model")
    assert (tmp_path / "a" / "b" / "model" / "manifest.json").is_file()


def test_only_fitted_imputers_are_saved(imputer_of, tmp_path):
    with pytest.raises(NotFittedError):
        imputer_of().save(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_nothing_is_replaced_unless_asked(fitted, model, X, imputer_of, ignored):
    other = imputer_of(kinds=ignored, random_state=4).fit(X)
    with pytest.raises(FileExistsError, match="exists already: give overwrite=True"):
        other.save(model)
    assert_alike(GNRImputer.load(model), fitted, X)
    other.save(model, overwrite=True)
    assert_alike(GNRImputer.load(model), other, X)
    assert [p.name for p in model.parent.iterdir()] == ["model"]


def test_an_empty_folder_may_be_replaced(fitted, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        fitted.save(tmp_path / "model")
    fitted.save(tmp_path / "model", overwrite=True)
    GNRImputer.load(tmp_path / "model")


@pytest.mark.parametrize("kind", ["file", "folder", "model with a stranger"])
def test_what_is_no_model_is_never_replaced(fitted, model, tmp_path, kind):
    target = model if kind == "model with a stranger" else tmp_path / "precious"
    if kind == "file":
        target.write_text("thesis")
    else:
        target.mkdir(exist_ok=True)
        (target / "thesis.txt").write_text("thesis")
    before = sorted(tmp_path.rglob("*"))
    for overwrite in (True, False):
        with pytest.raises(FileExistsError):
            fitted.save(target, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unwritable_place_is_an_os_error(fitted, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fitted.save(tmp_path / "file" / "model")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize("there", [False, True])
def test_killed_in_the_middle_it_leaves_nothing_half_written(
    fitted, X, model, monkeypatch, imputer_of, ignored, error, there
):
    def fail(tensors, path):
        Path(path).write_bytes(b"half")
        raise error

    if not there:
        shutil.rmtree(model)
    monkeypatch.setattr(storage, "save_file", fail)
    with pytest.raises(type(error)):
        imputer_of(kinds=ignored, random_state=4).fit(X).save(model, overwrite=True)
    assert [p.name for p in model.parent.iterdir()] == (["model"] if there else [])
    if there:
        assert_alike(GNRImputer.load(model), fitted, X)


def test_a_rename_that_fails_leaves_the_old_model(
    fitted, X, model, monkeypatch, imputer_of, ignored
):
    rename = os.rename

    def fail(path, target):
        if (path / "manifest.json").exists() and ".old" not in str(path) and path != model:
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="no"):
        imputer_of(kinds=ignored, random_state=4).fit(X).save(model, overwrite=True)
    monkeypatch.undo()
    assert [p.name for p in model.parent.iterdir()] == ["model"]
    assert_alike(GNRImputer.load(model), fitted, X)


# What is refused


class Bomb:
    """Pickled, it would run a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


PICKLED, TORCH = pickle.dumps(Bomb()), io.BytesIO()
torch.save({"model": Bomb()}, TORCH)


@pytest.fixture
def nothing_runs(saved, monkeypatch, tmp_path):
    """From here on nothing may unpickle or run anything (`saved`: all imports are done)."""

    def forbidden(*args, **kwargs):
        raise AssertionError("tried to run what was read")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    monkeypatch.setattr(pickle, "loads", forbidden)
    monkeypatch.setattr(pickle, "Unpickler", forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    yield
    assert not (tmp_path / "exploded").exists()


def edit(model: Path, change) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    change(manifest)
    (model / "manifest.json").write_text(json.dumps(manifest))


def reweigh(model: Path, change) -> None:
    weights = load_file(model / "weights.safetensors")
    change(weights)
    save_file(weights, model / "weights.safetensors")


def put(*path):
    """A change of a manifest: the last argument goes to where the others point."""
    *keys, last, value = path

    def change(manifest):
        for key in keys:
            manifest = manifest[key]
        manifest[last] = value

    return change


CLASSES = {
    "a function": put("parts", "mechanism", "name", "os.system"),
    "its arguments": put("parts", "mechanism", {"name": "os.system", "command": "touch exploded"}),
    "builtins": put("parts", "prior", "name", "builtins.eval"),
    "a module of ours": put("parts", "prior", "name", "pyro_gnr.imputation.imputer.GNRImputer"),
    "a class instead of a name": put("parts", "mechanism", "name", "Conjunction"),
    "a part of another slot": put("parts", "mechanism", "name", "standard_normal"),
    "a likelihood": put("parts", "likelihoods", 0, "part", "name", "subprocess.Popen"),
    "a configured function": put("configuration", "mechanism", "os.system"),
    "a configured table": put("configuration", "prior", {"name": "builtins.eval"}),
    "a configured likelihood": put("configuration", "likelihoods", {"bp": "subprocess.Popen"}),
}


@pytest.mark.parametrize("change", CLASSES.values(), ids=CLASSES)
def test_only_known_classes_are_made(model, change):
    edit(model, change)
    with pytest.raises(
        ValueError, match=r"expected one of \[.*; a class of your own comes in by components="
    ):
        GNRImputer.load(model)


def test_a_configuration_is_never_read_from_another_file(model, tmp_path):
    (tmp_path / "other.toml").write_text("random_state = 0\n")
    edit(model, put("configuration", str(tmp_path / "other.toml")))
    with pytest.raises(ValueError, match="is damaged: its configuration holds no seed"):
        GNRImputer.load(model)


DAMAGE = {
    "no mechanism": lambda m: m["parts"].pop("mechanism"),
    "no parts": lambda m: m.pop("parts"),
    "no configuration": lambda m: m.pop("configuration"),
    "a configuration of no sort": put("configuration", ["hidden"]),
    "no schema": lambda m: m.pop("schema"),
    "no seed": lambda m: m["configuration"].pop("random_state"),
    "an unknown argument": put("configuration", "on_load", "os.system"),
    "a device": put("configuration", "device", "cpu"),
    "an argument that is missing": lambda m: m["configuration"].pop("hidden"),
    "an argument out of range": put("configuration", "imputation_particles", -1),
    "an argument of another type": put("configuration", "hidden", "8"),
    "a callback": put("configuration", "callback", "os.system"),
    "a hyperparameter too many": put("parts", "prior", "evil", 1),
    "a hyperparameter of no sort": put("parts", "likelihoods", 0, "part", "floor", "low"),
    "a name that is a list": put("parts", "prior", "name", ["standard_normal"]),
    "no name": put("parts", "prior", "name", None),
    "a part that is a number": put("parts", "prior", 3),
    "likelihoods of no sort": put("parts", "likelihoods", 3),
    "a column that is not": put("parts", "likelihoods", 0, "columns", ["nobody"]),
    "a likelihood of another kind": put("parts", "likelihoods", 0, "part", {"name": "bernoulli"}),
    "another latent size": put("latent_dim", 3),
    "no latent size": put("latent_dim", None),
    "no rows": put("n_rows", 0),
    "a seed that is a word": put("configuration", "random_state", "os.system"),
    "a negative seed": put("configuration", "random_state", -1),
    "steps that are a word": put("n_steps", "many"),
    "a history of no sort": put("history", 3),
    "a history of unequal columns": put("history", {"step": [1], "loss": []}),
    "features that do not add up": put("n_features_in", 3),
    "features of other names": put("feature_names_in", ["a"]),
    "a schema that is a list": put("schema", []),
    "a column of another kind": put("schema", "columns", 1, "kind", "magic"),
    "a column without kind": lambda m: m["schema"]["columns"][1].pop("kind"),
    "a column with more": put("schema", "columns", 1, "evil", True),
    "a column less": lambda m: m["schema"]["columns"].pop(),
    "other levels": put("schema", "columns", 6, "levels", ["a", "b"]),
    "other weights asked for": put("configuration", "hidden", 9),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_manifest_is_refused(model, change):
    edit(model, change)
    with pytest.raises(ValueError, match="the saved model in .*model (is damaged|cannot be load)"):
        GNRImputer.load(model)


TEXTS = {
    "nothing": b"",
    "half": b'{"format": "pyro_gnr model", "format_ver',
    "no text": b"\xff\xfe\x00\x80",
    "a pickle": pickle.dumps({"format": "pyro_gnr model"}),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_manifest_that_is_no_json_is_refused(model, text):
    (model / "manifest.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        GNRImputer.load(model)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "{}", '{"format": "other model"}'])
def test_json_of_another_program_is_refused(model, text):
    (model / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"is of no pyro_gnr model \(format"):
        GNRImputer.load(model)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 6, "5", None])
def test_another_format_version_is_refused(model, version):
    edit(model, put("format_version", version))
    with pytest.raises(ValueError, match=r"format version .* this package reads 5: load it with"):
        GNRImputer.load(model)


WEIGHTS = {
    "a pickle": lambda path: path.write_bytes(PICKLED),
    "a torch file": lambda path: path.write_bytes(TORCH.getvalue()),
    "nothing": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "half a header": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "a huge header": lambda path: path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:]),
    "something behind": lambda path: path.write_bytes(path.read_bytes() + b"rm -rf"),
}


@pytest.mark.parametrize("damage", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_no_safetensors_are_refused(model, damage):
    damage(model / "weights.safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        GNRImputer.load(model)


TENSORS = {
    "one is missing": lambda w: w.pop("0.guide.encoder.centre"),
    "one too many": lambda w: w.update(evil=torch.zeros(1)),
    "all are missing": lambda w: w.clear(),
    "another shape": lambda w: w.update({"0.guide.encoder.centre": torch.zeros(99)}),
}


@pytest.mark.parametrize("change", TENSORS.values(), ids=TENSORS)
def test_weights_that_do_not_fit_are_refused(model, change):
    reweigh(model, change)
    with pytest.raises(ValueError, match="weights do not fit|is damaged"):
        GNRImputer.load(model)


def test_only_weights_that_model_and_guide_share_are_written_once(
    X, imputer_of, ignored, tmp_path
):
    shapes = {}
    for fusion in ("replayed", "amortised"):
        imputer_of(kinds=ignored, fusion=fusion).fit(X).save(tmp_path / fusion)
        weights = load_file(tmp_path / fusion / "weights.safetensors")
        shapes[fusion] = {name for name in weights if "u_given_z" in name}
    assert not any(name.startswith("0.guide.") for name in shapes["replayed"])
    own = next(name for name in shapes["amortised"] if name.startswith("0.guide."))
    reweigh(tmp_path / "amortised", lambda w: w.pop(own))
    with pytest.raises(ValueError, match="weights do not fit"):
        GNRImputer.load(tmp_path / "amortised")


@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors"])
def test_a_missing_file_is_named(model, name):
    (model / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no saved model: {name} is not there"):
        GNRImputer.load(model)


def test_no_folder_and_a_file_instead_of_one(tmp_path):
    (tmp_path / "file").write_text("thesis")
    for name in ("nobody", "file", ""):
        with pytest.raises(FileNotFoundError, match="holds no saved model"):
            GNRImputer.load(tmp_path / name)


def test_a_device_that_is_not_there_is_no_damage(saved):
    with pytest.raises(ValueError, match="got device='nowhere', which cannot be used here"):
        GNRImputer.load(saved, device="nowhere")


def test_loading_leaves_the_directory_alone(saved):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in saved.iterdir()}
    GNRImputer.load(saved)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in saved.iterdir()} == before


def test_the_manifest_is_plain_json_without_a_path_or_a_value_of_the_table(saved, X):
    text = (saved / "manifest.json").read_text()
    json.loads(text, parse_constant=pytest.fail)  # no NaN, which is no JSON
    assert str(saved) not in text
    assert "patient 7" not in text  # ids are ignored, and stay at home
    assert isinstance(X, pd.DataFrame)


def test_a_clone_of_a_loaded_imputer_fits_other_columns(tmp_path):
    X = pd.DataFrame({"a": [1.0, 2.0, None, 4.0], "b": [0.5, None, 1.0, 2.0]})
    imputer = GNRImputer(max_steps=0, mechanism="ignorable", likelihoods={"a": "student_t"})
    imputer.fit(X).save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model")
    assert loaded.mechanism == "ignorable" and loaded.prior == "standard_normal"
    assert list(loaded.likelihoods) == ["a"]
    clone(loaded).fit(X.rename(columns={"b": "c"}))
