"""Versions name all that computes."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from pyro_gnr.imputation import versions


def test_what_computes_is_named():
    found = versions.versions()
    for name in ("scipy", "scikit-learn", "statsmodels", "numpy", "torch"):
        assert found[name] == version(name)


def test_an_extra_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(versions, "OPTIONAL", ("no-such-package-here",))
    assert "no-such-package-here" not in versions.versions()
    with pytest.raises(PackageNotFoundError):
        version("no-such-package-here")
