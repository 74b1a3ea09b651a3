"""Calls of the command line, and tables for it."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pyro_gnr.cli import app
from pyro_gnr.imputation.toml import to_toml

SMALL = {"members": 1, "hidden": 4, "particles": 3, "max_steps": 3, "imputation_particles": 30}


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def run_app(*arguments: object) -> Ran:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


def impute_people(table: Path, output: Path, *arguments: object, m: int = 2) -> Ran:
    small = ("--kind", "row=ignore", "--max-steps", "3")
    if not {"--config", "--model", "--members"} & set(map(str, arguments)):
        small = (*small, "--members", "1")
    return run_app("impute", table, "--output", output, "--m", m, *small, *arguments)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def run():
    """Call pyro-gnr with these arguments: exit status, stdout, stderr."""
    return run_app


@pytest.fixture(scope="session")
def impute():
    """Call pyro-gnr impute for `table`, in a few steps."""
    return impute_people


@pytest.fixture(scope="session")
def snapshot():
    """Files of a folder, with what is in them."""
    return contents


@pytest.fixture
def frame() -> pd.DataFrame:
    """Sixty rows of every kind; row 0 is complete, and `row` ties a row to its place."""
    rng = np.random.default_rng(7)
    n = 60
    frame = pd.DataFrame(
        {
            "row": [f"r{i:03d}" for i in range(n)],
            "income": pd.array(rng.normal(size=n) * 1e3, dtype="Float64"),
            "children": pd.array(rng.integers(0, 6, n), dtype="Int64"),
            "insured": pd.array(rng.random(n) < 0.6, dtype="boolean"),
            "region": pd.array(rng.choice(["north", "south", "west"], n), dtype="string"),
        }
    )
    for j in range(1, 5):
        frame.iloc[rng.choice(np.arange(1, n), 10, replace=False), j] = pd.NA
    return frame


@pytest.fixture
def table(frame, tmp_path) -> Path:
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def clinic(tmp_path) -> Path:
    """Sixty rows: labels, wards, and three columns of numbers with holes."""
    rng = np.random.default_rng(7)
    n = 60
    frame = pd.DataFrame({"row": [f"r{i}" for i in range(n)], "ward": rng.integers(0, 3, n)})
    for name in ("income", "age", "score"):
        frame[name] = rng.normal(size=n).round(3)
        frame.loc[rng.choice(n, 12, replace=False), name] = None
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


@pytest.fixture
def write(tmp_path):
    """A configuration file with some small sizes and what is given."""

    def write(name: str = "c.toml", **config: object) -> Path:
        config = {**SMALL, "kinds": {"row": "ignore"}, **config}
        text = json.dumps(config) if name.endswith("json") else to_toml(config)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def configuration(clinic):
    """What a fit with these arguments says of itself."""

    def configuration(*arguments: object) -> dict:
        model = clinic.parent / "model"
        ran = run_app("fit", clinic, "--model", model, "--force", "--quiet", *arguments)
        assert ran.status == 0, ran.err
        return json.loads((model / "manifest.json").read_text())["configuration"]

    return configuration
