"""A mixed table with holes, and imputers that are fitted in a blink.

What these tests show does not depend on how good a fit is: few steps, few particles.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from pyro_gnr import GNRImputer

GRADES = pd.CategoricalDtype(["low", "mid", "high", "never seen"], ordered=True)
IGNORED = {"id": "ignore", "visit": "ignore"}
HOLEY = ["age", "bp", "flag", "smoker", "grade", "site"]


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in the same order whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_imputer(**options) -> GNRImputer:
    """An unfitted imputer, small unless `options` say otherwise."""
    small = {
        "latent_dim": 2,
        "hidden": 8,
        "particles": 5,
        "members": 1,
        "max_steps": 4,
        "imputation_particles": 50,
        "random_state": 0,
        "device": "cpu",
        "verbose": False,
    }
    return GNRImputer(**{**small, **options})


def make_table(n_rows: int = 60, *, seed: int = 0) -> pd.DataFrame:
    """One column of each sort, tied by a factor; `weight` is complete, two are not modelled."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n_rows)
    days = np.arange(n_rows).astype("m8[D]")
    X = pd.DataFrame(
        {
            "id": [f"patient {i}" for i in rng.permutation(n_rows)],
            "age": pd.array(np.rint(50 + 10 * z).astype(int), dtype="Int64"),
            "bp": 120 + 8 * z + 2 * rng.normal(size=n_rows),
            "weight": rng.integers(50, 100, size=n_rows),
            "flag": (z + rng.normal(size=n_rows) > 0).astype(float),
            "smoker": pd.array(rng.uniform(size=n_rows) < 0.4, dtype="boolean"),
            "grade": pd.cut(z, [-9, -0.5, 0.5, 9], labels=["low", "mid", "high"]).astype(GRADES),
            "site": pd.array(rng.choice(["Bern", "Graz", "Linz"], size=n_rows), dtype="string"),
            "visit": pd.Timestamp("2020-01-01") + days,
        },
        index=pd.Index([f"r{i:03d}" for i in range(n_rows)], name="row"),
    )
    for name in HOLEY:
        X.loc[rng.uniform(size=n_rows) < 0.25, name] = None
    X.loc[X.index[1], HOLEY] = None  # every hole that a row can have
    X.loc[X.index[2], "visit"] = pd.NaT
    return X


def numbers(X: pd.DataFrame) -> np.ndarray:
    """The continuous and binary columns, as floats with NaN."""
    return X[["age", "bp", "weight", "flag"]].astype("float64").to_numpy(na_value=np.nan)


@pytest.fixture(scope="session")
def imputer_of():
    """`make_imputer`."""
    return make_imputer


@pytest.fixture(scope="session")
def table_of():
    """`make_table`."""
    return make_table


@pytest.fixture(scope="session")
def numbers_of():
    """`numbers`."""
    return numbers


@pytest.fixture(scope="session")
def ignored():
    """Kinds of `make_table` for columns that are not modelled."""
    return IGNORED


@pytest.fixture(scope="session")
def X() -> pd.DataFrame:
    """The table; not to be changed."""
    return make_table()


@pytest.fixture(scope="session")
def fitted(X) -> GNRImputer:
    """An imputer fitted to X; not to be changed."""
    return make_imputer(kinds=IGNORED).fit(X)


@pytest.fixture(scope="session")
def polars_X(X):
    """X as a polars table."""
    pl = pytest.importorskip("polars")
    return pl.from_pandas(X.reset_index(drop=True))


@pytest.fixture(scope="session")
def polars_fitted(polars_X) -> GNRImputer:
    """An imputer fitted to the polars table."""
    return make_imputer(kinds=IGNORED).fit(polars_X)
