"""The direction of self-masking is found where there is one, and only there."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pyro_gnr.model.directions import _gain_of_others, directed_factor_analysis
from pyro_gnr.model.linear import factor_analysis
from pyro_gnr.model.masked_linear import Cells, flat_support, masked_factor_analysis

N, F, L = 1500, 6, 2
FREE = torch.full((F,), math.nan, dtype=torch.float64)
SIGNS = torch.tensor([1.0, -1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)


def complete_rows(seed):
    generator = torch.Generator().manual_seed(seed)
    w = 0.8 * torch.randn(F, L, generator=generator)
    z, e = (torch.randn(N, n, generator=generator) for n in (L, F))
    return z @ w.T + 0.6 * e


def cells_of(x, chance):
    """Standardised cells; the first three columns are missing with a chance."""
    holes = torch.zeros(N, F)
    holes[:, :3] = (torch.rand(N, 3, generator=torch.Generator().manual_seed(9)) < chance).to(x)
    visible = 1.0 - holes
    mean = (visible * x).sum(0) / visible.sum(0)
    scale = ((visible * (x - mean) ** 2).sum(0) / visible.sum(0)).sqrt()
    return Cells(visible * (x - mean) / scale, visible, holes)


def self_masked(x, *, slope=2.0):
    return torch.special.ndtr(slope * (SIGNS[:3] * x[:, :3] - 0.3))


def linear(cells):
    generator = torch.Generator().manual_seed(0)
    return factor_analysis(cells.x, cells.visible, latent_dim=L, generator=generator)


@pytest.mark.parametrize("slope", [2.0, 1e6])
def test_finds_the_direction(slope):
    cells = cells_of(complete_rows(0), self_masked(complete_rows(0), slope=slope))
    found = directed_factor_analysis(cells, sign=FREE, start=linear(cells))
    assert torch.equal(found.slope.sign(), SIGNS)
    known = masked_factor_analysis(cells, sign=SIGNS, start=linear(cells))
    torch.testing.assert_close(found.threshold[:3], known.threshold[:3], atol=1e-3, rtol=0)


def test_a_known_direction_is_taken_as_it_is():
    cells = cells_of(complete_rows(0), self_masked(complete_rows(0)))
    sign = -SIGNS  # wrong, but said
    found = directed_factor_analysis(cells, sign=sign, start=linear(cells))
    said = masked_factor_analysis(cells, sign=sign, start=linear(cells))
    for one, other in zip((*found[1:], *found.linear), (*said[1:], *said.linear), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_finds_none_where_chance_removes(seed):
    cells = cells_of(complete_rows(seed), 0.3)
    found, start = directed_factor_analysis(cells, sign=FREE, start=linear(cells)), linear(cells)
    assert found.slope.abs().max() == 0
    torch.testing.assert_close(found.linear.intercept, start.intercept, atol=0.05, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_finds_none_where_other_columns_remove(seed):
    """A column's values are cut short by what it correlates with; that is no threshold."""
    x = complete_rows(seed)
    chance = torch.special.ndtr(2.0 * x[:, 3:] - 0.5)
    cells = cells_of(x, chance)
    high = masked_factor_analysis(cells, sign=torch.ones_like(FREE), start=linear(cells))
    tempting = high.support - flat_support(cells, linear(cells))
    found = directed_factor_analysis(cells, sign=FREE, start=linear(cells))
    assert tempting[:3].max() > math.log(N)  # beside chance alone a direction would be found
    assert found.slope.abs().max() == 0


def test_each_column_has_a_direction_of_its_own_or_none():
    """One that masks itself does not make a threshold of another's reason."""
    x = complete_rows(2)
    chance = self_masked(x, slope=1e6)
    chance[:, 1] = torch.special.ndtr(1.5 * x[:, 3] - 1.0)
    cells = cells_of(x, chance)
    found = directed_factor_analysis(cells, sign=FREE, start=linear(cells))
    assert found.slope.sign().tolist() == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("steep", [1.0, 4.0])
def test_gain_of_others_is_that_of_a_logistic_regression_without_the_own_column(steep):
    x = complete_rows(1)
    cells = cells_of(x, torch.special.ndtr(steep * (x[:, 3:] + 0.5 * x[:, [1, 2, 0]])))
    gain = _gain_of_others(cells).numpy()
    for j in range(3):
        design = np.delete((cells.x * cells.visible).numpy(), j, axis=1)
        m = cells.masked[:, j].numpy()
        full = LogisticRegression(C=1e6, max_iter=500).fit(design, m).predict_proba(design)[:, 1]
        rate = m.mean()
        flat = N * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        expected = np.log(np.where(m > 0, full, 1 - full)).sum() - flat
        assert gain[j] == pytest.approx(expected, rel=0.05)
        assert expected > 50
    assert (gain[3:] == 0).all()  # no holes, nothing to explain
