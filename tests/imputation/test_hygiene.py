"""Nothing global changes; fits do not see each other; another process finds the same numbers."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from pandas.testing import assert_frame_equal

from pyro_gnr import GNRImputer
from pyro_gnr.model.mechanisms import Conjunction

SCRIPT = Path(__file__).with_name("fresh_process.py")
snapshot = runpy.run_path(str(SCRIPT))["snapshot"]


@pytest.fixture(scope="module")
def elsewhere(X, fitted, tmp_path_factory):
    """What a fresh process, with other hash seeds, makes of the same table and saved model."""
    folder = tmp_path_factory.mktemp("elsewhere")
    X.to_parquet(folder / "table.parquet")
    fitted.save(folder / "model")
    command = [sys.executable, "-W", "error", str(SCRIPT), "table.parquet", "model", "out.npz"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    return dict(np.load(folder / "out.npz"))


def test_a_fresh_process_loads_the_same_imputer(X, fitted, elsewhere):
    imputation = fitted.impute(X, m=3)
    np.testing.assert_allclose(elsewhere["draws"], imputation.draws.values, rtol=1e-5, atol=1e-6)
    point = fitted.transform(X).select_dtypes("number").to_numpy(float)
    np.testing.assert_allclose(elsewhere["point"], point, rtol=1e-5)
    lower = imputation.interval(0.9)["lower"].to_numpy(float)
    np.testing.assert_allclose(elsewhere["lower"], lower, rtol=1e-5)
    assert elsewhere["score"] == pytest.approx(fitted.score(X), rel=1e-5)


def test_a_fresh_process_fits_the_same_imputer(X, fitted, elsewhere):
    """There it is the first fit, here one of many."""
    here = GNRImputer(**{**fitted.get_params(), "random_state": 5}).fit(X)
    expected = here.impute(X, m=3).draws.values
    np.testing.assert_allclose(elsewhere["fitted"], expected, rtol=1e-4, atol=1e-5)


def test_import_load_and_fit_change_nothing_global_in_a_fresh_process(elsewhere):
    assert elsewhere["changed_by_import"].tolist() == []
    assert elsewhere["changed_by_use"].tolist() == []


def test_fits_in_one_process_agree_with_each_alone(X, table_of, imputer_of, ignored, fitted):
    alone = fitted.impute(X, m=2).draws.values
    other = table_of(45, seed=3)
    first = imputer_of(kinds=ignored, random_state=8).fit(other)
    between = first.impute(other, m=2).draws.values
    again = imputer_of(kinds=ignored).fit(X)
    np.testing.assert_array_equal(again.impute(X, m=2).draws.values, alone)
    np.testing.assert_array_equal(first.impute(other, m=2).draws.values, between)
    second = imputer_of(kinds=ignored, random_state=8).fit(other)
    np.testing.assert_array_equal(second.impute(other, m=2).draws.values, between)


def test_the_state_of_global_generators_does_not_matter(X, imputer_of, ignored, fitted):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        found = imputer_of(kinds=ignored).fit(X).impute(X, m=2)
    np.testing.assert_array_equal(found.draws.values, fitted.impute(X, m=2).draws.values)


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("fusion", ["deterministic", "replayed", "amortised"])
def test_no_step_changes_anything_global(X, imputer_of, ignored, tmp_path, random_state, fusion):
    likelihoods = {"bp": "student_t"}
    before = snapshot()
    imputer = imputer_of(
        kinds=ignored, fusion=fusion, random_state=random_state, likelihoods=likelihoods
    )
    imputation = None
    steps = {
        "fit": lambda: imputer.fit(X),
        "transform": lambda: imputer.transform(X),
        "impute": lambda: imputer.impute(X, m=2),
        "score": lambda: imputer.score(X),
        "save": lambda: imputer.save(tmp_path / "model"),
        "load": lambda: GNRImputer.load(tmp_path / "model"),
        "interval": lambda: imputation.interval(0.9),
        "long": lambda: imputation.to_long(),
        "tables": lambda: list(imputation),
    }
    for name, step in steps.items():
        result = step()
        imputation = result if name == "impute" else imputation
        after = snapshot()
        assert {k: after[k] for k in after if after[k] != before[k]} == {}, name


def test_a_failing_fit_changes_nothing_global_either(X, imputer_of, ignored):
    before = snapshot()

    def give_up(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imputer_of(kinds=ignored, callback=give_up).fit(X)
    assert snapshot() == before


def test_the_users_own_parameters_in_pyros_store_stay(X, imputer_of, ignored):
    store = pyro.get_param_store()
    with store.scope():
        pyro.param("mine", torch.tensor(3.0))
        imputer_of(kinds=ignored).fit(X).impute(X, m=1)
        assert set(store.keys()) == {"mine"}
        assert store["mine"].item() == 3.0


def test_templates_are_not_shared_between_fits(X, imputer_of, ignored):
    mechanism = Conjunction()
    one = imputer_of(kinds=ignored, mechanism=mechanism).fit(X)
    expected = one.impute(X, m=1).draws.values
    two = imputer_of(kinds=ignored, mechanism=mechanism, random_state=1).fit(X)
    heads = [i.impute(X, m=1).fitted.model.m_given_ux for i in (one, two)]
    assert heads[0] is not heads[1]
    assert mechanism not in heads
    np.testing.assert_array_equal(one.impute(X, m=1).draws.values, expected)


def test_an_imputation_keeps_its_own_model(X, imputer_of, ignored, table_of):
    imputer = imputer_of(kinds=ignored).fit(X)
    imputation = imputer.impute(X, m=2)
    before = imputation.interval(0.9)
    imputer.fit(table_of(40, seed=5))
    assert_frame_equal(imputation.interval(0.9), before)
    assert isinstance(imputation[1], pd.DataFrame)
