"""M completed tables of a regression, some values of which differ between them."""

import numpy as np
import pandas as pd
import pytest


def make_tables(m=6, n=60, *, seed=0):
    rng = np.random.default_rng(seed)
    age, sex = rng.normal(50, 10, size=n), rng.choice(["f", "m"], size=n)
    ward = rng.choice(["a", "b", "c"], size=n)
    bmi = 22 + 0.1 * age + (sex == "m") + rng.normal(size=n)
    ill = (rng.random(n) < 1 / (1 + np.exp(25 - bmi))).astype(int)
    code = np.unique(ward, return_inverse=True)[1]
    visits = rng.poisson(np.exp(0.02 * age))
    tables = []
    for _ in range(m):
        filled = age.copy()
        filled[: n // 4] = rng.normal(50, 10, size=n // 4)
        columns = {"bmi": bmi, "age": filled, "sex": sex, "ward": ward}
        tables.append(pd.DataFrame({**columns, "code": code, "ill": ill, "visits": visits}))
    return tables


@pytest.fixture(scope="session")
def tables():
    """Six completed tables; not to be changed."""
    return make_tables()


@pytest.fixture(scope="session")
def tables_of():
    """`make_tables`."""
    return make_tables
