"""One description of an imputer: checked, written, read, and the same imputer again."""

import copy
import inspect
import json
import tomllib
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from pyro_gnr import GNRImputer
from pyro_gnr.data import Column, Kind
from pyro_gnr.imputation.configuration import LOCAL, defaults, read
from pyro_gnr.imputation.toml import to_toml
from pyro_gnr.model.likelihoods import Gaussian, StudentT, Truncated
from pyro_gnr.model.mechanisms import Conjunction, Ignorable, SelfMasking
from pyro_gnr.model.part import hyperparameters
from pyro_gnr.model.priors import GaussianMixture, StandardNormal
from pyro_gnr.model.registry import LIKELIHOODS, MECHANISMS, PRIORS


class Milder(Conjunction):
    """A mechanism of the user's own."""

    def __init__(self, *, softness: float = 2.0, note: str | None = None) -> None:
        super().__init__()
        self.softness = softness
        self.note = note


class Forgetful(StandardNormal):
    """A prior that does not keep its hyperparameter, which it should."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()


# What the description is


def test_the_keys_are_the_constructors_arguments_but_for_the_machines():
    parameters = inspect.signature(GNRImputer).parameters
    assert set(parameters) - set(defaults(GNRImputer)) == set(LOCAL)
    assert set(LOCAL) == {"device", "n_jobs", "verbose", "callback"}


def test_an_imputer_of_defaults_says_what_it_does():
    config = GNRImputer().to_config()
    unset = {name for name, value in defaults(GNRImputer).items() if value is None}
    assert set(config) == set(defaults(GNRImputer)) - unset
    assert config["mechanism"] == "conjunction"
    assert config["hidden"] == 128


def test_the_machine_is_no_part_of_it():
    config = GNRImputer(device="cpu", verbose=False, callback=print).to_config()
    assert config == GNRImputer().to_config()
    for key in ("device", "verbose", "callback"):
        with pytest.raises(ValueError, match=f"got key '{key}', expected some of"):
            GNRImputer.from_config({key: "cpu"})


FULL = {"name": "gaussian", "floor": 0.3, "ceiling": 1.0, "heteroscedastic": True}
TEMPLATES = {
    "a name": ("student_t", "student_t"),
    "a table": ({"name": "gaussian", "floor": 0.3}, {"name": "gaussian", "floor": 0.3}),
    "a partial": (partial(Gaussian, floor=0.3), FULL),
    "an instance": (Gaussian(floor=0.3), FULL),
    "a class": (Gaussian, {"name": "gaussian", **hyperparameters(Gaussian)}),
}


@pytest.mark.parametrize(("template", "expected"), TEMPLATES.values(), ids=TEMPLATES)
def test_parts_are_names_or_tables(template, expected):
    imputer = GNRImputer(likelihoods={"a": template})
    config = imputer.to_config()
    assert config["likelihoods"] == {"a": expected}
    assert json.loads(json.dumps(config)) == config
    assert GNRImputer.from_config(config).to_config() == config


def test_numbers_of_numpy_become_pythons():
    config = GNRImputer(
        hidden=np.int32(4), learning_rate=np.float64(0.01), random_state=np.int64(3)
    ).to_config()
    assert [type(config[k]) for k in ("hidden", "learning_rate", "random_state")] == [
        int,
        float,
        int,
    ]
    assert GNRImputer(kinds={"a": Kind.BINARY, 7: "ignore"}).to_config()["kinds"] == {
        "a": "binary",
        "7": "ignore",
    }


def test_the_description_and_the_imputer_share_nothing():
    mechanism = {"name": "self_masking", "direction": {"a": "high"}}
    config = {"mechanism": mechanism, "kinds": {"a": "continuous"}}
    before = copy.deepcopy(config)
    imputer = GNRImputer.from_config(config)
    described = imputer.to_config()
    imputer.mechanism["direction"]["a"] = "low"
    imputer.kinds["a"] = "ignore"
    assert config == before
    assert described["mechanism"] == mechanism and described["kinds"] == before["kinds"]
    described["mechanism"]["direction"]["a"] = "off"
    assert imputer.mechanism["direction"]["a"] == "low"


@pytest.mark.parametrize("value", [np.random.RandomState(0), np.random.default_rng(0)])
def test_a_generator_has_no_plain_form(value):
    with pytest.raises(TypeError, match="^random_state: got .*cannot be written as JSON or TOML"):
        GNRImputer(random_state=value).to_config()


def test_own_classes_by_name_and_back_by_components():
    imputer = GNRImputer(mechanism=Milder(softness=3.0), likelihoods={"a": "gaussian"})
    config = imputer.to_config()
    assert config["mechanism"] == {"name": "Milder", "softness": 3.0}
    message = r"^mechanism: got mechanism 'Milder'.*components={'Milder': YourClass}"
    with pytest.raises(ValueError, match=message):
        GNRImputer.from_config(config)
    again = GNRImputer.from_config(config, components={"Milder": Milder})
    assert type(again.mechanism) is Milder and again.mechanism.softness == 3.0
    assert again.to_config() == config
    clone(again)
    named = GNRImputer.from_config({"mechanism": "Milder"}, components={"Milder": Milder})
    assert type(named.mechanism) is Milder
    with pytest.raises(ValueError, match=r"got argument 'softnes' .*did you mean 'softness'"):
        GNRImputer.from_config(
            {"mechanism": {"name": "Milder", "softnes": 1.0}}, components={"Milder": Milder}
        )


@pytest.mark.parametrize("mechanism", [Milder(softness=torch.tensor(2.0)), Milder])
def test_what_has_no_description_is_fitted_all_the_same(X, imputer_of, ignored, mechanism):
    imputer = imputer_of(mechanism=mechanism, prior=Forgetful, kinds=ignored)
    config = imputer.fit(X).impute(X, m=1).fitted.configuration
    assert config["mechanism"]["name"] == "Milder" and config["prior"] == {"name": "Forgetful"}


# Round trips

numbers = st.floats(min_value=0.01, max_value=0.99)
parts = st.one_of(
    st.sampled_from(sorted(set(LIKELIHOODS) - {"truncated"})),
    st.builds(lambda floor: {"name": "gaussian", "floor": floor}, numbers),
    st.builds(lambda lower: {"name": "truncated", "lower": lower}, st.integers(-9, 9)),
)
directions = st.one_of(
    st.sampled_from(["high", "low", "off", "free"]),
    st.dictionaries(st.text(), st.sampled_from(["high", "low", "off", "free"])),
)
mechanisms = st.one_of(
    st.sampled_from(sorted(MECHANISMS)),
    st.builds(
        lambda direction, slope: {"name": "self_masking", "direction": direction, "slope": slope},
        directions,
        st.floats(min_value=1e-300, max_value=1e300),
    ),
)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "mechanism": mechanisms,
        "prior": st.one_of(
            st.sampled_from(sorted(PRIORS)),
            st.builds(lambda c: {"name": "vamp", "components": c}, st.integers(1, 50)),
        ),
        "likelihoods": st.dictionaries(st.text(), parts, min_size=1, max_size=3),
        "kinds": st.dictionaries(st.text(), st.sampled_from([str(k) for k in Kind]), min_size=1),
        "latent_dim": st.one_of(st.none(), st.integers(1, 10**9)),
        "hidden": st.integers(0, 10**6),
        "fusion": st.sampled_from(["deterministic", "replayed", "amortised"]),
        # 0 is refused with some mechanisms.
        "mask_weight": st.floats(min_value=0.0, exclude_min=True, max_value=1e300),
        "learning_rate": st.floats(min_value=5e-324, max_value=1e300),
        "validation": st.sampled_from(["rows", "cells", None]),
        "row_key": st.one_of(st.none(), st.text()),
        "random_state": st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    },
)


def assert_equal(one, two):
    """Equal parameters, 1 and 1.0 told apart: they are one number, but not one text."""
    assert repr(one.get_params()) == repr(two.get_params())


@settings(max_examples=150, deadline=None)
@given(arguments)
def test_a_description_is_the_same_imputer_again_also_by_file(tmp_path_factory, given):
    imputer = GNRImputer(**given)
    config = imputer.to_config()
    assert_equal(GNRImputer.from_config(config), imputer)
    folder = tmp_path_factory.getbasetemp()
    texts = {"c.toml": imputer.to_toml(), "c.json": json.dumps(config)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        assert_equal(GNRImputer.from_config(folder / name), imputer)
    assert_equal(clone(imputer), imputer)


@given(st.dictionaries(st.text(), st.sampled_from(["high", "free", None]), min_size=1))
def test_a_learnt_direction_has_a_word_in_toml(given):
    config = GNRImputer(mechanism=SelfMasking(direction=given)).to_config()
    read = tomllib.loads(to_toml(config))
    assert GNRImputer.from_config(read).to_config() == read == config
    found = SelfMasking(direction=read["mechanism"]["direction"])
    columns = [Column(name, Kind.CONTINUOUS, "float64", holes=1) for name in given]
    learnt = [d in ("free", None) for d in given.values()]
    for mechanism in (found, SelfMasking(direction=given)):
        mechanism.build(columns, 2, rates=torch.full((len(columns),), 0.5))
        assert mechanism.free.tolist() == learnt


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"mechanism": {"name": "self_masking", "direction": {"a": None, "b": "low"}}},
            {"name": "self_masking", "direction": {"a": "free", "b": "low"}},
        ),
        ({"mechanism": {"name": "self_masking", "direction": None}}, {"name": "self_masking"}),
        (
            {"likelihoods": {"b": {"name": "truncated", "lower": 0, "upper": None}}},
            {"b": {"name": "truncated", "lower": 0}},
        ),
    ],
)
def test_tables_with_none_in_them_are_said_in_toml(given, expected):
    imputer = GNRImputer(**given)
    assert tomllib.loads(imputer.to_toml()) == imputer.to_config()
    assert list(imputer.to_config().values()).count(expected) == 1
    assert imputer.get_params()[next(iter(given))] == given[next(iter(given))]


@pytest.mark.parametrize("components", [[Milder], Milder, {"Milder": Milder()}, {3: Milder}, []])
def test_components_are_classes_by_name(components, tmp_path):
    with pytest.raises(TypeError, match=r"got components=.*expected a dict of your classes by na"):
        GNRImputer.from_config({}, components=components)
    with pytest.raises(TypeError, match=r"got components=.*expected a dict of your classes by na"):
        GNRImputer.load(tmp_path, components=components)


def test_order_is_kept(tmp_path):
    (tmp_path / "c.toml").write_text('[kinds]\nz = "binary"\na = "ignore"\n')
    assert list(GNRImputer.from_config(str(tmp_path / "c.toml")).kinds) == ["z", "a"]


TOML = """
mechanism = { name = "self_masking", direction = "high", link = "probit" }
prior = { name = "gaussian_mixture", components = 3 }
latent_dim = 2
hidden = 8
particles = 5
members = 2
max_steps = 4
imputation_particles = 50
random_state = 3
validation = "none"

[kinds]
id = "ignore"
visit = "ignore"

[likelihoods]
bp = { name = "gaussian", floor = 0.3 }
age = { name = "gaussian", floor = 0.3 }
weight = "student_t"
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "model.toml").write_text(TOML)
    return tmp_path / "model.toml"


SHARED = Gaussian(floor=0.3)
GIVEN = {
    "objects": {
        "mechanism": SelfMasking(direction="high"),
        "prior": partial(GaussianMixture, components=3),
        "likelihoods": {"bp": SHARED, "age": SHARED, "weight": StudentT},
    },
    "tables": {
        "mechanism": {"name": "self_masking", "direction": "high"},
        "prior": {"name": "gaussian_mixture", "components": 3},
        "likelihoods": {
            "bp": {"name": "gaussian", "floor": 0.3},
            "age": partial(Gaussian, floor=0.3),
            "weight": "student_t",
        },
    },
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_a_fit_from_a_file_is_the_fit_from_arguments(X, imputer_of, ignored, file, given):
    """Bit for bit, and so is the fit of what either says of itself, saved or not."""
    imputer = imputer_of(**given, kinds=ignored, validation=None, random_state=3, members=2)
    expected = imputer.fit(X).impute(X, m=3).draws.values
    saved = file.parent / "saved"
    imputer.save(saved)
    loaded = GNRImputer.load(saved, device="cpu")
    assert loaded.to_config() == imputer.to_config()
    for config in (file, imputer.to_config(), loaded.to_config()):
        other = GNRImputer.from_config(config).set_params(device="cpu", verbose=False)
        np.testing.assert_array_equal(other.fit(X).impute(X, m=3).draws.values, expected)
    np.testing.assert_array_equal(loaded.impute(X, m=3).draws.values, expected)
    assert (expected != 0).any()


def test_a_saved_model_holds_the_description_and_nothing_twice(X, imputer_of, ignored, tmp_path):
    imputer = imputer_of(kinds=ignored, random_state=None, validation="cells").fit(X)
    imputer.save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    expected = {**imputer.to_config(), "random_state": imputer.seed_}
    assert manifest["configuration"] == expected
    assert not set(manifest) & {*expected, "arguments", "given", "seed"} - {"latent_dim"}
    assert GNRImputer.load(tmp_path / "model").to_config() == expected


def test_what_was_fitted_is_described_not_what_was_set_afterwards(X, imputer_of, tmp_path):
    imputer = imputer_of(kinds={"id": "ignore", "visit": "ignore"}).fit(X)
    expected = imputer.impute(X, m=2).draws.values
    imputer.set_params(hidden=3, mechanism="ignorable", imputation_particles=60)
    config = imputer.impute(X, m=2, seed=9).fitted.configuration
    assert (config["hidden"], config["mechanism"]) == (8, "conjunction")
    assert config["imputation_particles"] == 60  # this one counts at once
    assert config["random_state"] == 0  # of the fit
    imputer.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", device="cpu")
    assert (loaded.hidden, loaded.mechanism, loaded.imputation_particles) == (
        *(8, "conjunction"),
        60,
    )
    loaded.imputation_particles = 50
    np.testing.assert_array_equal(loaded.impute(X, m=2).draws.values, expected)


def test_a_loaded_imputer_described_again(X, imputer_of, ignored, tmp_path):
    imputer = imputer_of(mechanism=Milder(softness=3.0), kinds=ignored).fit(X)
    imputer.save(tmp_path / "model")
    loaded = GNRImputer.load(tmp_path / "model", components={"Milder": Milder})
    assert type(loaded.mechanism) is Milder
    assert loaded.to_config() == imputer.to_config()
    assert (
        loaded.impute(X, m=1).fitted.configuration == imputer.impute(X, m=1).fitted.configuration
    )


# What is refused

WRONG = {
    "a typo": (
        {"mechansim": "ignorable"},
        r"got key 'mechansim', expected some of .* \(did you mean 'mechanism'\?\)",
    ),
    "a key of no sort": ({3: 4}, "got key 3, expected some of"),
    "what is held out": (
        {"validation": "row"},
        r"got validation='row', expected one of \['rows', 'cells', 'none'\]",
    ),
    "a mechanism": ({"mechanism": "magic"}, "mechanism: got mechanism 'magic', expected one of"),
    "a prior of mechanisms": ({"prior": "conjunction"}, "prior: got prior 'conjunction'"),
    "an argument": (
        {"mechanism": {"name": "self_masking", "directon": "high"}},
        r"mechanism: got argument 'directon' .*\(did you mean 'direction'\?\)",
    ),
    "a value of a part": (
        {"mechanism": {"name": "self_masking", "direction": "up"}},
        "mechanism: got direction='up', expected one of",
    ),
    "a column's part": (
        {"likelihoods": {"income": "normal"}},
        "likelihoods.income: got likelihood 'normal', expected one of",
    ),
    "a column's value": (
        {"likelihoods": {"income": {"name": "gaussian", "floor": 2.0}}},
        "likelihoods.income: got floor=2.0, expected a number in",
    ),
    "a kind": ({"kinds": {"a": "wavy"}}, "got kind 'wavy' for column 'a', expected one of"),
    "a number": ({"hidden": -1}, "got hidden=-1, expected a whole number >= 0"),
    "text for a number": ({"hidden": "8"}, "got hidden='8', expected a whole number"),
    "a truth for a number": ({"max_steps": True}, "got max_steps=True, expected a whole number"),
    "nothing for a number": ({"hidden": None}, "got hidden=None, expected a whole number"),
    "infinity": ({"learning_rate": float("inf")}, "got learning_rate=inf"),
    "no number": ({"mask_weight": float("nan")}, "got mask_weight=nan"),
    "a choice": ({"fusion": "none"}, "got fusion='none', expected one of"),
    "validation": ({"validation": "nothing"}, "got validation='nothing', expected one of"),
    "a gradient that does not go": (
        {"gradient": "dreg", "renyi_order": 1.0},
        "got gradient='dreg' with",
    ),
    "a negative seed": ({"random_state": -1}, r"got random_state=-1, expected a whole number in"),
    "a large seed": ({"random_state": 2**32}, "got random_state=4294967296"),
    "a seed of no sort": ({"random_state": "now"}, "got random_state='now'"),
    "a row key": ({"row_key": 3}, "got row_key=3, expected the name of a column"),
}
OF_ANOTHER_TYPE = {
    "kinds": ({"kinds": "ignore"}, "got kinds='ignore', expected values by column name"),
    "one kind": ({"kinds": {"a": 3}}, "kinds.a: got 3, expected the name of a kind"),
    "likelihoods": ({"likelihoods": ["gaussian"]}, "got likelihoods=.*expected values by column"),
    "a part that is a number": ({"prior": 3}, "prior: got prior 3, expected a name"),
    "a part of a part": (
        {"mechanism": {"name": "self_masking", "slope": "steep"}},
        "mechanism: .*slope is 'steep', expected a number",
    ),
}


ALL_WRONG = WRONG | OF_ANOTHER_TYPE
# All that a file can say.
IN_FILES = [
    (name, form)
    for name in ALL_WRONG
    for form in ("toml", "json")
    if name != "a key of no sort" and (name, form) != ("nothing for a number", "toml")
]


@pytest.mark.parametrize(("config", "message"), WRONG.values(), ids=WRONG)
def test_errors_name_the_key_the_value_and_what_is_expected(config, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        GNRImputer.from_config(config)


@pytest.mark.parametrize(("name", "form"), IN_FILES)
def test_errors_in_a_file_name_the_file_too(tmp_path, name, form):
    config, message = ALL_WRONG[name]
    path = tmp_path / f"c.{form}"
    path.write_text(to_toml(config) if form == "toml" else json.dumps(config))
    with pytest.raises(ValueError, match=rf"c\.{form}: {message}"):
        GNRImputer.from_config(path)


@pytest.mark.parametrize(("config", "message"), OF_ANOTHER_TYPE.values(), ids=OF_ANOTHER_TYPE)
def test_a_wrong_type_in_a_mapping_is_a_type_error(config, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        GNRImputer.from_config(config)


@pytest.mark.parametrize("part", [Ignorable, Ignorable(), partial(Ignorable)])
def test_objects_belong_in_the_constructor(part):
    with pytest.raises(TypeError, match="^mechanism: got mechanism .*expected a name"):
        GNRImputer.from_config({"mechanism": part})


@pytest.mark.parametrize("config", [3, None, ["hidden"]])
def test_a_description_of_no_sort(config):
    with pytest.raises(TypeError):
        GNRImputer.from_config(config)


FILES = {
    "c.toml": ("hidden = \n", r"c\.toml is no TOML file: .*line 1"),
    "twice.toml": ("hidden = 1\nhidden = 2\n", "is no TOML file"),
    "c.json": ("{", r"c\.json is no JSON file"),
    "deep.json": ("[" * 100_000, r"deep\.json is no JSON file"),
    "list.json": ("[1]", r"list\.json holds \[1\], expected keys and values"),
    "c.yaml": ("hidden: 1", r"c\.yaml', expected the ending \.toml or \.json"),
    "latin.toml": (b"# \xff\nhidden = 1\n", r"latin\.toml is no TOML file"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_none(tmp_path, name):
    content, message = FILES[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        GNRImputer.from_config(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        GNRImputer.from_config(tmp_path / "none.toml")


def test_a_file_of_windows(tmp_path):
    (tmp_path / "C.TOML").write_bytes(b"\xef\xbb\xbfhidden = 7\r\n")
    assert read(tmp_path / "C.TOML") == {"hidden": 7}
    assert GNRImputer.from_config(tmp_path / "C.TOML").hidden == 7


def test_sections_may_be_written_out(tmp_path):
    (tmp_path / "c.toml").write_text(
        '[mechanism]\nname = "self_masking"\n[mechanism.direction]\na = "high"\n[kinds]\n'
    )
    imputer = GNRImputer.from_config(tmp_path / "c.toml")
    assert imputer.mechanism == {"name": "self_masking", "direction": {"a": "high"}}
    assert imputer.kinds is None  # an empty section says nothing


def test_tables_that_only_the_data_can_refuse(X, imputer_of, ignored):
    imputer = imputer_of(kinds=ignored, likelihoods={"bp": {"name": "truncated", "lower": 1e6}})
    with pytest.raises(ValueError, match="bp"):
        imputer.fit(X)
    part = Truncated(lower=0.0)
    config = GNRImputer(likelihoods={"bp": part}).to_config()
    assert config["likelihoods"]["bp"]["lower"] == 0.0
    assert "upper" not in tomllib.loads(to_toml(config))["likelihoods"]["bp"]
