"""The size of the latent space that a table gets where its user says nothing."""

from contextlib import nullcontext

import numpy as np
import pytest

from pyro_gnr import GNRImputer

FAST = {"members": 1, "max_steps": 0, "hidden": 4, "imputation_particles": 100, "verbose": False}


def pairs(n_pairs, *, seed=0, n=600):
    """Columns in pairs that share a factor and, in 15 % of the rows at random, a hole."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.normal(size=(n, n_pairs)), 2, axis=1)
    x = x + 0.5 * rng.normal(size=x.shape)
    return np.where(np.repeat(rng.random((n, n_pairs)) < 0.15, 2, axis=1), np.nan, x)


def latent_dim(table, **options):
    return GNRImputer(**FAST, random_state=0, **options).fit(table)._settings.latent_dim


@pytest.mark.parametrize(("n_pairs", "expected"), [(1, 3), (2, 6), (3, 9), (8, 24)])
def test_each_pattern_of_holes_gets_three_latents(n_pairs, expected):
    assert latent_dim(pairs(n_pairs)) == expected


@pytest.mark.parametrize(
    ("n_pairs", "options", "expected", "said"),
    [
        (17, {}, 48, "in 17 pattern.s., and latent_dim=48 leaves 16 .*latent_dim to 51 or more"),
        (3, {"latent_dim": 8}, 8, "in 3 .*=8 leaves 2 .*latent_dim to 9 or more"),
        (2, {"latent_dim": 2}, 2, "in 2 .*=2 leaves 1 "),
        (1, {"latent_dim": 1}, 1, "in 1 .*=1 leaves 0 "),
    ],
)
def test_patterns_of_holes_without_a_latent_are_said(n_pairs, options, expected, said):
    with pytest.warns(UserWarning, match=said) as warned:
        assert latent_dim(pairs(n_pairs, n=1000), **options) == expected
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"latent_dim": 9}, 9),
        ({"latent_dim": 2, "mechanism": "ignorable"}, 2),
        ({"mechanism": "ignorable"}, 5),
        ({"mechanism": "self_masking"}, 5),
        ({"mask_weight": 0.0}, 5),
    ],
)
def test_holes_without_factors_of_their_own_change_nothing(options, expected):
    assert latent_dim(pairs(3), **options) == expected


def test_rows_of_a_large_table_are_taken_from_all_over():
    """The last 5,000 rows of 10,000 are complete."""
    table = np.vstack([pairs(4, n=5000), np.nan_to_num(pairs(4, n=5000))])
    assert latent_dim(table) == 12


def test_columns_that_are_missing_together_at_random_are_not_extrapolated():
    """A missing pair is told by nothing, so that its imputed mean is that of the observed."""
    bias = {}
    for size in (None, 5):
        means = []
        for seed in range(3):
            table = pairs(3, seed=seed)
            imputer = GNRImputer(**FAST, latent_dim=size, random_state=seed)
            with pytest.warns(UserWarning, match="in 3 pattern") if size else nullcontext():
                imputed = imputer.fit_transform(table)
            means.append(np.nanmean(np.where(np.isnan(table), imputed, np.nan), axis=0))
        bias[size] = np.square(means).mean() ** 0.5
    assert bias[None] < 0.3
    assert bias[5] > 1.0  # of five latents, one is left to the three patterns
