import numpy as np
import pytest
from scipy import special

from pyro_gnr.data.amputation import SharedLatent, ampute


def test_without_noise_the_holes_follow_the_first_component(normal):
    X = normal(400, 4)
    mechanism = SharedLatent(noise=0.0, slope=1.5, positivity=0.05, direction="high")
    p = ampute(X, mechanism, random_state=0).probabilities
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    u, _, axes = np.linalg.svd(standard, full_matrices=False)
    t = u[:, 0] * np.sqrt(len(X)) * np.sign(axes[0, np.abs(axes[0]).argmax()])
    intercept = special.logit((p - 0.05) / 0.9) - 1.5 * t[:, None]
    np.testing.assert_allclose(intercept, np.broadcast_to(intercept[0], p.shape), atol=1e-7)


def test_the_latent_has_variance_one_whatever_the_noise(normal):
    X = normal(20_000, 3)
    for noise in (0.0, 2.0):
        mechanism = SharedLatent(noise=noise, slope=1.0, positivity=0.0)
        logits = special.logit(ampute(X, mechanism, random_state=0).probabilities)
        np.testing.assert_allclose(logits.std(axis=0), 1.0, atol=0.03)


def test_noise_loosens_what_the_columns_tell(normal):
    X = normal(5000, 3)
    t = np.linalg.svd((X - X.mean(axis=0)) / X.std(axis=0), full_matrices=False)[0][:, 0]
    told = []
    for noise in (0.0, 0.5, 3.0):
        mechanism = SharedLatent(noise=noise, positivity=0.0)
        logits = special.logit(ampute(X, mechanism, random_state=0).probabilities[:, 0])
        told.append(abs(np.corrcoef(t, logits)[0, 1]))
    np.testing.assert_allclose(told, 1.0 / np.hypot(1.0, [0.0, 0.5, 3.0]), atol=0.02)


def test_rows_lose_many_or_few_in_one_direction(normal):
    X = normal(3000, 6)
    counts = {
        direction: (~ampute(X, SharedLatent(direction=direction), random_state=0).observed)
        .sum(axis=1)
        .var()
        for direction in ("high", "random")
    }
    independent = 6 * 0.3 * 0.7
    assert counts["high"] > 2 * independent


def test_components(normal, mixed):
    with pytest.raises(ValueError, match=r"latents 3, but the table has 2 principal component"):
        ampute(normal(50, 2), SharedLatent(latents=3))
    holes = ampute(mixed(), SharedLatent(latents=6), random_state=0)
    assert np.linalg.matrix_rank(special.logit((holes.probabilities - 0.02) / 0.96), tol=1e-6) <= 7


def test_the_rate_must_leave_room_for_positivity(normal):
    with pytest.raises(ValueError, match="rate 0.05 with positivity 0.1, .* lower positivity"):
        ampute(normal(), SharedLatent(positivity=0.1), rate=0.05)
