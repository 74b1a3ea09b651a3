"""Factor analysis of self-masked rows recovers what made them, where plain one does not."""

import pytest
import torch

from pyro_gnr.model.linear import factor_analysis
from pyro_gnr.model.masked_linear import Cells, masked_factor_analysis

N, F, L = 1500, 6, 2
DIRECTIONS = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)


def world(*, slope, seed=0):
    """x = W z + e with the first three columns masked beyond 0.3: complete x, holes, truth."""
    torch.manual_seed(seed)
    w = 0.8 * torch.randn(F, L)
    x = torch.randn(N, L) @ w.T + 0.6 * torch.randn(N, F)
    holes = torch.zeros(N, F, dtype=torch.bool)
    beyond = DIRECTIONS[:3] * x[:, :3] - 0.3
    holes[:, :3] = torch.randn(N, 3) < slope * beyond
    return x, holes, w


def standardised(x, holes):
    visible = (~holes).to(x)
    mean = (visible * x).sum(0) / visible.sum(0)
    scale = ((visible * (x - mean) ** 2).sum(0) / visible.sum(0)).sqrt()
    return torch.where(holes, 0.0, (x - mean) / scale), visible, mean, scale


def fitted(x, holes, *, sign=DIRECTIONS):
    features, visible, mean, scale = standardised(x, holes)
    start = factor_analysis(
        features, visible, latent_dim=L, generator=torch.Generator().manual_seed(0)
    )
    fit = masked_factor_analysis(Cells(features, visible, holes.to(x)), sign=sign, start=start)
    return start, fit, mean, scale


@pytest.mark.parametrize("slope", [2.0, 1e6])
@pytest.mark.parametrize("seed", range(2))
def test_recovers_means_slopes_and_thresholds(slope, seed):
    x, holes, w = world(slope=slope, seed=seed)
    start, fit, mean, scale = fitted(x, holes)
    naive = start.intercept * scale + mean
    ours = fit.linear.intercept * scale + mean
    truth = x.mean(0)
    assert (naive - truth).abs()[:3].min() > 0.25  # what there is to mend
    assert (ours - truth).abs().max() < 0.15
    threshold = fit.threshold * scale + mean
    torch.testing.assert_close(threshold[:3], DIRECTIONS[:3] * 0.3, atol=0.15, rtol=0)
    found = fit.slope / scale
    assert (found[3:] == 0).all()
    if slope == 2.0:
        torch.testing.assert_close(found[:3], 2.0 * DIRECTIONS[:3], atol=0.7, rtol=0)
    else:
        assert (DIRECTIONS[:3] * found[:3]).min() > 10
    covariance = w @ w.T + 0.36 * torch.eye(F)
    loadings = fit.linear.loadings * scale[:, None]
    implied = loadings @ loadings.T + torch.diag(fit.linear.noise * scale**2)
    assert (implied - covariance).abs().max() < 0.45
    plain = start.loadings * scale[:, None]
    attenuated = plain @ plain.T + torch.diag(start.noise * scale**2)
    assert (implied - covariance).norm() < 0.5 * (attenuated - covariance).norm()


def test_a_hole_tells_its_value_on_average():
    x, holes, _ = world(slope=1e6)
    _, fit, mean, scale = fitted(x, holes)
    missing = torch.stack([x[holes[:, j], j].mean() for j in range(3)])
    said = (fit.value * scale + mean)[:3]
    torch.testing.assert_close(said, missing, atol=0.25, rtol=0)
    assert (fit.noise[:3] > 0).all() and (fit.noise[3:] > 1e3).all()  # no hole says nothing


def test_without_masked_cells_it_is_the_factor_analysis():
    """Same optimum: EM goes on from where plain EM came to, and comes no farther."""
    x, _, _ = world(slope=2.0)
    holes = torch.rand(N, F) < 0.2
    features, visible, _, _ = standardised(x, holes)
    generator = torch.Generator().manual_seed(0)
    plain = factor_analysis(features, visible, latent_dim=L, generator=generator)
    fit = masked_factor_analysis(
        Cells(features, visible, torch.zeros(N, F)), sign=DIRECTIONS, start=plain, steps=5
    )
    outer, again = (m.loadings @ m.loadings.T + torch.diag(m.noise) for m in (plain, fit.linear))
    torch.testing.assert_close(outer, again, atol=2e-3, rtol=0)
    torch.testing.assert_close(plain.intercept, fit.linear.intercept, atol=2e-3, rtol=0)
    assert fit.slope.abs().max() == 0


def test_a_column_that_hardly_shows_and_a_row_that_shows_nothing():
    x, holes, _ = world(slope=2.0)
    holes[:-3, 2] = True  # three cells are left
    holes[0] = True
    _, fit, _, _ = fitted(x, holes)
    for part in (*fit.linear, fit.slope, fit.threshold, fit.value, fit.noise):
        assert part.isfinite().all()
    assert (fit.linear.noise > 0).all()
