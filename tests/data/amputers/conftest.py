import numpy as np
import pandas as pd
import pytest


def make_mixed(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Columns of every kind that share a factor; the index is out of order."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "income": np.exp(z + 0.5 * rng.normal(size=n)),
            "age": (50 + 12 * z + 8 * rng.normal(size=n)).astype(int),
            "smokes": z + rng.normal(size=n) > 0.5,
            "region": pd.Categorical(rng.choice(["north", "south", "west"], size=n)),
            "ward": rng.choice([3, 7, 9, 11], size=n),
            "dose": z + rng.normal(size=n),
        }
    )
    frame["code"] = np.where(frame["smokes"], "s", "n")
    return frame.set_axis(rng.permutation(n) + 100)


@pytest.fixture
def mixed():
    """`make_mixed`."""
    return make_mixed


@pytest.fixture
def normal():
    """Correlated normal columns, (N, D)."""

    def make(n: int = 500, d: int = 4, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(n, 1)) + rng.normal(size=(n, d)) * np.arange(1, d + 1)

    return make
