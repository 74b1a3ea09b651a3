"""Imputations of a table with a column of every kind that delta can move."""

import numpy as np
import pandas as pd
import pytest

from pyro_gnr import GNRImputer

GRADES = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)


def make(n_rows=90):
    rng = np.random.default_rng(3)
    z = rng.normal(size=n_rows)
    X = pd.DataFrame(
        {
            "age": 50 + 10 * z + 3 * rng.normal(size=n_rows),
            "dose": np.exp(0.5 * z + 0.3 * rng.normal(size=n_rows)),
            "visits": rng.poisson(np.exp(1 + 0.4 * z)),
            "score": 20 / (1 + np.exp(-z - 0.5 * rng.normal(size=n_rows))),
            "smoker": np.where(z + rng.normal(size=n_rows) > 0, "yes", "no"),
            "site": rng.choice(["Bern", "Graz", "Linz"], size=n_rows),
            "grade": pd.cut(z, [-9, -0.5, 0.5, 9], labels=["low", "mid", "high"]).astype(GRADES),
            "group": np.where(np.arange(n_rows) % 2, "a", "b"),
        },
        index=pd.Index([f"r{i}" for i in range(n_rows)]),
    )
    X["visits"] = X["visits"].astype("Int64")
    for name in X.columns[:-1]:
        X.loc[rng.uniform(size=n_rows) < 0.3, name] = None
    return X


@pytest.fixture(scope="session")
def X():
    return make()


@pytest.fixture(scope="session")
def imputer(X):
    """Two members, fitted in a blink."""
    kinds = {"visits": "count", "score": "bounded(0, 20)", "dose": "positive"}
    return GNRImputer(
        kinds=kinds, members=2, latent_dim=2, hidden=8, particles=5, max_steps=6,
        imputation_particles=100, random_state=0, device="cpu", verbose=False,
    ).fit(X)  # fmt: skip


@pytest.fixture(scope="session")
def imputation(imputer, X):
    return imputer.impute(X, m=6)
