import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [[], ["describe"], ["config"], ["fit"], ["impute"], ["pool"], ["export"], ["demo"]],
)
def test_help(run, arguments):
    assert run(*arguments, "--help").status == 0


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from pyro_gnr.cli import app;"
        "assert CliRunner().invoke(app, ['pool', '--help']).exit_code == 0;"
        "assert CliRunner().invoke(app, ['export', '--help']).exit_code == 0;"
        "assert CliRunner().invoke(app, ['impute', '--help']).exit_code == 0;"
        "print({'torch', 'pyro', 'pandas', 'numpy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr


def test_version(run):
    assert run("--version").out.startswith("pyro-gnr 0.")


@pytest.mark.parametrize("module", ["pyro_gnr", "pyro_gnr.cli"])
def test_runs_as_a_module(module):
    call = [sys.executable, "-m", module, "--version"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pyro-gnr 0.")
