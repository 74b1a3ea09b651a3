"""Every notebook runs from top to bottom, and is committed with its outputs.

To bring the outputs up to date: `.venv/bin/jupyter execute --inplace notebooks/*.ipynb`.
"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LARGEST = 600_000  # bytes


def printed(notebook):
    """What the cells wrote to stderr."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "".join(o["text"] for o in outputs if o.get("name") == "stderr")


@pytest.fixture
def private_jupyter(tmp_path, monkeypatch):
    """Keep the kernel's files out of the home directory, and its backend the notebook's own."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == [
        "01_story.ipynb",
        "02_swap_prior_likelihood_mechanism.ipynb",
        "03_pool_and_stress.ipynb",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_without_errors_and_warnings(path, private_jupyter):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
    assert printed(notebook) == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_executed_and_small(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert printed(notebook) == ""
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_names_no_place_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not [
        place
        for place in ("/home/", "/tmp/", "site-packages", str(path.parents[1]))
        if place in text
    ]
