"""Where training starts.

For `Conjunction` it is a trade: what drives holes must be found, chance must not be.
"""

import numpy as np
import pytest
import torch
from scipy import special

from pyro_gnr import GNRImputer
from pyro_gnr.inference.training import local_seed


def imputed(holed, *, seed):
    return GNRImputer(
        mechanism="conjunction", members=1, hidden=8, max_steps=1, imputation_particles=300,
        random_state=seed, verbose=False,
    ).fit_transform(holed)  # fmt: skip


def shared_latent(seed, n=2000):
    """Two of four columns of one factor go missing by the factor itself."""
    rng = np.random.default_rng(seed)
    a, z = np.array([0.8, 0.7, 0.7, 0.6]), rng.normal(size=(n, 1))
    complete = z * a + np.sqrt(1 - a**2) * rng.normal(size=(n, 4))
    gone = np.zeros(complete.shape, bool)
    gone[:, :2] = rng.random((n, 2)) < special.expit(2 * z - 1.2)
    return complete, gone


def weak_shared_latent(seed, n=2000):
    """All of eight columns go missing by one factor, of which each has a tenth of its variance."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1))
    complete = 0.3 * z + np.sqrt(0.91) * rng.normal(size=(n, 8))
    return complete, rng.random((n, 8)) < special.expit(2 * z - 1.2)


def block_by_chance(seed, n=600):
    """Three of seven columns are missing together, in three of ten rows, for no reason."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1))
    complete = np.concatenate(
        [0.8 * z + 0.6 * rng.normal(size=(n, 4)), 0.3 * z + 0.95 * rng.normal(size=(n, 3))], 1
    )
    gone = np.zeros(complete.shape, bool)
    gone[np.ix_(rng.random(n) < 0.3, [0, 4, 5])] = True
    return complete, gone


def blocks_by_chance(seed, n=600):
    """Three blocks of three of four columns, each missing together and by chance."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(2, 12))
    complete = rng.normal(size=(n, 2)) @ w / np.linalg.norm(w, axis=0) + rng.normal(size=(n, 12))
    gone = np.zeros(complete.shape, bool)
    for b in range(3):
        gone[np.ix_(rng.random(n) < 0.3, [4 * b, 4 * b + 1, 4 * b + 2])] = True
    return complete, gone


@pytest.mark.parametrize(
    ("world", "tolerance"),
    [
        (shared_latent, 0.1),
        (block_by_chance, 0.2),
        (weak_shared_latent, 0.15),
        (blocks_by_chance, 0.4),
    ],
)
def test_conjunction_starts_near_the_truth(world, tolerance):
    """Ignoring holes errs by .4 and .2 on the first two; without factors of the holes' own,
    log-odds that are not linearised by 1 to 2 on the others."""
    errors = []
    for seed in range(4):
        complete, gone = world(seed)
        holed = np.where(gone, np.nan, complete)
        error = np.where(gone, imputed(holed, seed=seed) - complete, np.nan)
        errors.append(np.nanmean(error[:, gone.any(0)], axis=0))
    assert np.sqrt(np.square(errors).mean(0)).max() < tolerance


def joint(n, seed):
    """Four numbers of one factor, and two levels that depend on what is each one's own."""
    rng = np.random.default_rng(seed)
    a, z = np.array([0.8, 0.7, 0.7, 0.6]), rng.normal(size=(n, 1))
    x = z * a + np.sqrt(1 - a**2) * rng.normal(size=(n, 4))
    y = rng.random(n) < special.expit(x[:, :3] @ [0.8, -0.4, 0.4])
    return np.column_stack([x, y]).astype(float)


def test_ignorable_starts_at_the_maximum_of_the_likelihood():
    """Stopped after 50 EM steps it is .05 off: levels and columns share the common factor only."""
    table = joint(4000, seed=0)
    holed = table.copy()
    holed[np.random.default_rng(1).random(len(table)) < 0.3, 0] = np.nan
    imputer = GNRImputer(
        mechanism="ignorable", kinds={"x4": "binary"}, members=1, hidden=0, max_steps=0,
        random_state=0, verbose=False,
    ).fit(holed)  # fmt: skip
    with local_seed(0), torch.no_grad():
        drawn, _ = imputer._fitted.model(size=200_000)
    np.testing.assert_allclose(np.corrcoef(drawn.numpy().T), np.corrcoef(table.T), atol=0.035)
