"""Imputations made by hand: the numbers in them are known, and no model is fitted for most."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import GNRImputer, MultipleImputation
from pyro_gnr.data import Schema
from pyro_gnr.imputation.fitted import Draws
from pyro_gnr.model.mechanisms import Ignorable


class FakeModel:
    """What a fitted model says about rows, without one."""

    seed = 7
    configuration = {"mechanism": "ignorable", "random_state": 7}
    model = SimpleNamespace(m_given_ux=Ignorable())
    members = ((model, None),)
    particles_each = 1000

    def member_bounds(self, table):
        return -np.arange(float(len(table.keys)))[None]


def make_imputation(X, values, *, train=None, kinds=None):
    """An imputation of X with `values` (M, n_missing) in the caller's units or level codes."""
    table = Schema.learn(X if train is None else train, kinds).encode(X)
    _, cols = table.missing
    columns = table.schema.modelled
    location = np.array([c.location for c in columns])[cols]
    scale = np.array([c.scale or 1.0 for c in columns])[cols]
    encoded = (np.asarray(values, dtype=float) - location) / scale
    nothing = np.full(len(table.keys), np.nan)
    return MultipleImputation(table, Draws(encoded, nothing, nothing), FakeModel())


@pytest.fixture
def by_hand():
    """`make_imputation`."""
    return make_imputation


@pytest.fixture(scope="session")
def mixed_frame():
    """60 rows of every kind, a fifth of the cells missing, an ignored column, an index."""
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "dose": rng.normal(3.3, 0.7, n).round(2),
            "children": pd.array(rng.poisson(1.0, n), dtype="Int64"),
            "smoker": pd.array(rng.integers(0, 2, n), dtype="boolean"),
            "grade": pd.Categorical.from_codes(rng.integers(0, 3, n), ["low", "mid", "high"]),
            "city/area": rng.choice(["Rome", "Oslo"], n),
        },
        index=[f"row {i}" for i in range(n)],
    )
    return frame.mask(rng.uniform(size=frame.shape) < np.where(frame.columns == "id", 0, 0.2))


@pytest.fixture(scope="session")
def mixed_imputation(mixed_frame):
    """A real imputation of it, m = 4."""
    imputer = GNRImputer(max_steps=20, kinds={"id": "ignore"}, random_state=0, verbose=False)
    return imputer.fit(mixed_frame).impute(mixed_frame, m=4)
