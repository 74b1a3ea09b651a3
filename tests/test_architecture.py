"""Rules about the whole package: what imports what, what is documented, what importing does."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pyro_gnr"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ["data", "model", "inference", "imputation", "criticism", "cli"]
# Functions that import from a layer to their right: (module, module imported).
RIGHTWARD = {
    ("imputation.multiple", "criticism.datatree"),
    ("imputation.sensitivity.grid", "criticism.sensitivity"),
    ("imputation.sensitivity.ladder", "criticism.sensitivity"),
}


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(tree):
    """(module of pyro_gnr without its name, whether it runs when the module is imported)."""
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(node)
    } | {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [node.module] if node.module.count(".") > 1 else names
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "pyro_gnr":
                yield name.removeprefix("pyro_gnr").lstrip("."), id(node) not in lazy


def violations(name, source):
    """Imports of a module that point right, or past what inference may know."""
    own = name.split(".")[0]
    found = []
    for imported, at_import in imports(ast.parse(source)):
        layer = imported.split(".")[0]
        if layer not in LAYERS or own not in LAYERS:
            continue
        points_right = LAYERS.index(layer) > LAYERS.index(own)
        allowed = not at_import and (name, imported) in RIGHTWARD
        if points_right and not allowed:
            found.append(f"{name} imports {imported}, which lies to its right")
        knows_model = layer == "model" and not imported.startswith("model.transport")
        if own == "inference" and knows_model:
            found.append(f"{name} imports {imported}: inference knows the contract, not our model")
    return found


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_left(path):
    assert violations(module_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        ("data.table", "import pyro_gnr.model.gnr", True),
        ("data.table", "from pyro_gnr.model import gnr", True),
        ("data.table", "from pyro_gnr import model", True),
        ("data.table", "from pyro_gnr.data.columns import Kind", False),
        ("model.gnr", "def f():\n    from pyro_gnr.inference.training import train", True),
        ("inference.training", "from pyro_gnr.model.gnr import GNR", True),
        ("inference.training", "from pyro_gnr.model.transport import cdf", False),
        ("imputation.multiple", "from pyro_gnr.criticism.datatree import to_datatree", True),
        (
            "imputation.multiple",
            "def f():\n    from pyro_gnr.criticism.datatree import to_datatree",
            False,
        ),
        ("imputation.other", "def f():\n    from pyro_gnr.criticism.datatree import a", True),
        ("cli", "from pyro_gnr.imputation.imputer import GNRImputer", False),
    ],
)
def test_the_rule_about_imports_can_fail(name, source, wrong):
    assert bool(violations(name, source)) is wrong


def test_every_exception_is_in_use():
    used = set()
    for path in FILES:
        for imported, at_import in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if not at_import:
                used.add((module_name(path), imported))
    assert used >= RIGHTWARD


def public(tree, prefix=""):
    """Name and node of every public class, function and method."""
    for node in tree.body:
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [name for name, node in public(tree) if not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module has none"
    assert missing == []


def test_layers_are_the_folders():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders <= set(LAYERS)


PROBE = """
import json, os, sys, warnings
import torch, pyro, numpy
import sklearn.base  # sets two KMP_ variables itself
def state():
    return dict(
        settings=repr(sorted(pyro.settings.get().items())),
        torch_validation=torch.distributions.Distribution._validate_args,
        pyro_validation=pyro.distributions.is_validation_enabled(),
        infer_validation=pyro.infer.util.is_validation_enabled(),
        environment=hash(tuple(sorted(os.environ.items()))),
        store=sorted(pyro.get_param_store().keys()),
        dtype=str(torch.get_default_dtype()),
        threads=torch.get_num_threads(),
        torch_state=hash(torch.get_rng_state().numpy().tobytes()),
        numpy_state=hash(numpy.random.get_state()[1].tobytes()),
        constraints=sorted(torch.distributions.Normal.arg_constraints),
        filters=len(warnings.filters),
    )
before = state()
import pyro_gnr
from pyro_gnr.inference import objective, posterior, randomness, training
from pyro_gnr.model import assemble, gnr, guide
for name in getattr(pyro_gnr, "__all__", []):
    getattr(pyro_gnr, name)
after = state()
print(json.dumps({k: [repr(before[k]), repr(after[k])] for k in before if before[k] != after[k]}))
"""

LAZY = """
import json, sys
import pyro_gnr
slow = ("torch", "pyro", "sklearn", "matplotlib", "statsmodels", "arviz_base", "arviz_stats")
print(json.dumps([name for name in slow if name in sys.modules]))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_changes_nothing():
    changes = run(PROBE)
    # A library that we import may add its own warning filters; nothing else may move.
    changes.pop("filters", None)
    assert changes == {}


def test_import_is_lazy():
    assert run(LAZY) == []


def test_data_never_imports_torch():
    code = LAZY.replace("import pyro_gnr", "import pyro_gnr.data")
    assert [name for name in run(code) if name in ("torch", "pyro")] == []
