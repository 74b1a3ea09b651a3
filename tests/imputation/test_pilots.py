"""How many pilots a fitted model gets, and that it keeps them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from pyro_gnr import GNRImputer
from pyro_gnr.imputation.pilots import with_pilots

SMALL = {
    "latent_dim": 3, "hidden": 4, "members": 2, "max_steps": 0, "imputation_particles": 400,
    "mechanism": "ignorable", "random_state": 0, "device": "cpu", "verbose": False,
}  # fmt: skip


def table(n=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 8)) + 0.5 * rng.normal(size=(n, 8))
    x = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    return pd.DataFrame(x, columns=[f"x{j}" for j in range(8)])


@pytest.fixture
def imputer():
    """Fitted by nothing but the start, where the guide is the exact posterior."""
    return GNRImputer(**SMALL).fit(table())


def misplaced(imputer, by):
    """Move the guides of all members away from the posterior."""
    for member in imputer._fitted.members:
        with torch.no_grad():
            member.guide.encoder.hole_shift.bias.add_(by)
    return imputer._fitted


def encoded(imputer, X):
    return imputer._fitted.schema.encode(X)


def test_a_good_guide_needs_none(imputer):
    assert imputer._fitted.pilots == 0


@pytest.mark.parametrize(("by", "pilots"), [(2.2, 1), (8.0, 2)])
def test_a_misplaced_one_gets_what_it_takes(imputer, by, pilots):
    fitted = misplaced(imputer, by)
    rows = np.flatnonzero(table().isna().any(axis=1))
    data = encoded(imputer, table())
    found = with_pilots(fitted, data)
    assert found.pilots == pilots
    before, after = (f.pareto_k(data, rows) > 0.7 for f in (fitted, found))
    assert after.mean() < 0.5 * before.mean()


def test_where_it_changes_little_none_is_made(imputer):
    """A guide that is too narrow is no better in another place."""
    with torch.no_grad():
        for member in imputer._fitted.members:
            member.guide.encoder.directions.mul_(3.0)
    data = encoded(imputer, table())
    rows = np.flatnonzero(table().isna().any(axis=1))
    assert (imputer._fitted.pareto_k(data, rows) > 0.7).mean() > 0.5
    assert with_pilots(imputer._fitted, data).pilots == 0


def test_no_hole_and_no_pareto_k_no_pilot(imputer):
    fitted = misplaced(imputer, 8.0)
    assert with_pilots(fitted, encoded(imputer, table().fillna(0.0))).pilots == 0
    assert with_pilots(replace(fitted, particles=20), encoded(imputer, table())).pilots == 0


def test_a_saved_model_keeps_them(imputer, tmp_path):
    imputer._fitted = with_pilots(misplaced(imputer, 8.0), encoded(imputer, table()))
    imputer.save(tmp_path / "model")
    again = GNRImputer.load(tmp_path / "model")
    assert again._fitted.pilots == 2
    one, other = (i.impute(table(), m=3) for i in (imputer, again))
    for a, b in zip(one, other, strict=True):
        assert_frame_equal(a, b)


def test_a_row_is_imputed_alike_whatever_the_others(imputer):
    imputer._fitted = with_pilots(misplaced(imputer, 8.0), encoded(imputer, table()))
    assert imputer._fitted.pilots == 2
    X = table()
    some = X.index[[200, 7, 100]]
    every, few = imputer.impute(X, m=4), imputer.impute(X.loc[some], m=4)
    for a, b in zip(every, few, strict=True):
        assert_frame_equal(a.loc[some], b)
