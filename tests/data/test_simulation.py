import numpy as np
import pytest
from scipy import special

from pyro_gnr.data.simulation import simulate_shared_latent


def test_values_are_what_the_docstring_says():
    data = simulate_shared_latent(200_000, 3, latents=2, idiosyncratic=0.3, random_state=0)
    np.testing.assert_allclose(data.complete.mean(axis=0), 0.0, atol=0.01)
    a = data.loadings
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1.0)
    covariance = 0.7 * a @ a.T + 0.3 * np.eye(3)
    np.testing.assert_allclose(np.cov(data.complete.T), covariance, atol=0.015)
    residual = data.complete - np.sqrt(0.7) * data.z @ a.T
    np.testing.assert_allclose(np.cov(residual.T), 0.3 * np.eye(3), atol=0.01)


@pytest.mark.parametrize("aligned", [True, False])
def test_holes_are_what_the_docstring_says(aligned):
    data = simulate_shared_latent(
        20_000, 3, rate=0.4, slope=1.5, positivity=0.05, aligned=aligned, random_state=1
    )
    np.testing.assert_allclose(data.probabilities.mean(axis=0), 0.4, atol=1e-9)
    assert (data.probabilities > 0.05).all() and (data.probabilities < 0.95).all()
    np.testing.assert_allclose((~data.observed).mean(axis=0), 0.4, atol=0.015)
    g = data.mask_loadings
    assert np.array_equal(g, data.loadings) is aligned
    b = special.logit((data.probabilities - 0.05) / 0.9) - 1.5 * data.z @ g.T
    np.testing.assert_allclose(b, np.broadcast_to(b[0], b.shape), atol=1e-8)
    assert (np.isnan(data.table) == ~data.observed).all()
    assert (data.table[data.observed] == data.complete[data.observed]).all()


def test_given_z_the_holes_tell_nothing_about_the_values():
    data = simulate_shared_latent(50_000, 2, idiosyncratic=0.4, slope=4.0, random_state=2)
    residual = data.complete - np.sqrt(0.6) * data.z @ data.loadings.T
    for j in range(2):
        shift = residual[~data.observed[:, j], j].mean() - residual[data.observed[:, j], j].mean()
        assert abs(shift) < 0.03
        gap = data.complete[~data.observed[:, j], j].mean() - data.complete[:, j].mean()
        assert gap > 0.5  # aligned: high values go missing


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_of_the_sweep(share):
    data = simulate_shared_latent(5_000, 4, latents=1, idiosyncratic=share, random_state=3)
    expected = np.eye(4) if share else data.loadings @ data.loadings.T
    np.testing.assert_allclose(np.corrcoef(data.complete.T), expected, atol=0.05)


def test_no_slope_is_completely_at_random():
    data = simulate_shared_latent(10, 2, slope=0.0, rate=0.25, random_state=0)
    np.testing.assert_allclose(data.probabilities, 0.25)


def test_the_seed_decides():
    one, two, three = (simulate_shared_latent(9, 2, random_state=s) for s in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one.complete, three.complete)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"latents": 0}, "latents 0"),
        ({"idiosyncratic": 1.1}, "idiosyncratic 1.1"),
        ({"slope": -1.0}, "slope -1.0"),
        ({"positivity": 0.5}, "positivity 0.5"),
        ({"rate": 0.01, "positivity": 0.02}, "lower positivity"),
        ({"rate": 1.0}, "between 0 and 1"),
    ],
)
def test_ranges(wrong, text):
    with pytest.raises(ValueError, match=text):
        simulate_shared_latent(5, 2, **wrong)
    with pytest.raises(ValueError, match="n 0"):
        simulate_shared_latent(0, 2)
