import numpy as np
import pytest
import torch
from scipy import stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.model.features import (
    SMALLEST_SCALE,
    Features,
    Units,
    curve_masks,
    feature_counts,
    natural,
)


def test_one_feature_a_number_and_one_a_level(columns_of):
    columns = columns_of(continuous=1, binary=1, levels=(3,))
    assert feature_counts(columns) == [1, 1, 3]
    features = Features(columns)
    assert features.out_dim == 5
    x = torch.tensor([[0.5, 1.0, 2.0], [-1.0, 0.0, 0.0]])
    expected = [[0.5, 1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 1.0, 0.0, 0.0]]
    assert features.raw(x).tolist() == expected
    f, seen = features(x, torch.ones(2, 3, dtype=torch.bool))
    assert f.tolist() == expected and seen.min() == 1


def test_fit_uses_visible_cells_only(columns_of):
    features = Features(columns_of(continuous=2, levels=(3,)))
    x = torch.stack([torch.randn(50), 3 + 2 * torch.randn(50), torch.arange(50.0) % 3], 1)
    visible = torch.rand(50, 3) < 0.7
    before = features.fit(torch.where(visible, x, 0.0), visible)
    mean, scale = before.mean.clone(), before.scale.clone()
    seen = [x[visible[:, j], j] for j in range(3)]
    levels = [(seen[2] == level).to(x) for level in range(3)]
    for i, values in enumerate([seen[0], seen[1], *levels]):
        torch.testing.assert_close(mean[i], values.mean())
        torch.testing.assert_close(scale[i], values.std(correction=0))
    features.fit(torch.where(visible, x, 99.0), visible)
    assert torch.equal(features.mean, mean) and torch.equal(features.scale, scale)
    f, _ = features(x, torch.ones(50, 3, dtype=torch.bool))
    torch.testing.assert_close(f[visible[:, 0], 0].mean(), torch.tensor(0.0))
    assert {"mean", "scale"} == set(features.state_dict())


def test_rare_level_and_constant_column_have_a_floor(columns_of):
    features = Features(columns_of(continuous=1, levels=(2,)))
    x = torch.zeros(1000, 2)
    x[0, 1] = 1.0
    scale = features.fit(x, torch.ones(1000, 2, dtype=torch.bool)).scale
    assert scale.tolist() == [SMALLEST_SCALE] * 3


def test_column_that_is_never_visible_is_zero(columns_of):
    features = Features(columns_of(continuous=2))
    visible = torch.tensor([[True, False]]).expand(4, 2)
    fitted = features.fit(torch.randn(4, 2), visible)
    assert fitted.mean[1] == 0 and fitted.scale.isfinite().all()
    f, seen = features(torch.full((4, 2), 7.0), visible)
    assert f[:, 1].abs().max() == 0 and seen[:, 1].max() == 0 and f[:, 0].abs().min() > 0


def test_an_interval_counts_as_its_mean_under_the_standard_normal():
    intervals = ((-np.inf, 1.0), (3.0, 7.0), (5.0, np.inf))
    limited = Column("a", Kind.CENSORED, "str", location=3.0, scale=2.0, intervals=intervals)
    features = Features([Column("n", Kind.CONTINUOUS, "float64"), limited])
    x = torch.tensor([[9.0, CODE_BASE], [2e6, CODE_BASE + 1], [1.0, CODE_BASE + 2], [0.0, 0.3]])
    expected = [stats.truncnorm(*v).mean() for v in ((-np.inf, -1), (0, 2), (1, np.inf))]
    np.testing.assert_allclose(features.raw(x)[:, 1], [*expected, 0.3], rtol=1e-12)
    assert features.raw(x)[:, 0].tolist() == [9.0, 2e6, 1.0, 0.0]  # no interval: no code
    assert features.raw(x.float()).dtype == torch.float32
    scale = features.fit(x, torch.ones_like(x, dtype=torch.bool))
    assert scale.mean[1].item() == pytest.approx(np.mean([*expected, 0.3]))


def test_numbers_come_on_their_natural_scales():
    columns = [
        Column("p", Kind.POSITIVE, "float64"),
        Column("b", Kind.BOUNDED, "float64"),
        Column("n", Kind.COUNT, "int64"),
        Column("o", Kind.ORDINAL, "category", levels=("l", "m", "h")),
        Column("c", Kind.CONTINUOUS, "float64"),
    ]
    assert feature_counts(columns) == [1] * 5
    features = Features(columns)
    assert features.discrete.tolist() == [False, False, False, True, False]
    x = torch.stack(
        [
            torch.randn(50).exp(),
            torch.rand(50).clamp(0.01, 0.99),
            torch.poisson(torch.ones(50)),
            torch.arange(50.0) % 3,
            torch.randn(50),
        ],
        1,
    )
    expected = [x[:, 0].log(), torch.logit(x[:, 1]), x[:, 2].log1p(), x[:, 3], x[:, 4]]
    torch.testing.assert_close(features.raw(x), torch.stack(expected, 1))
    visible = torch.rand(50, 5) < 0.7
    scale = features.fit(torch.where(visible, x, 0.0), visible)
    for j, t in enumerate(expected):
        torch.testing.assert_close(scale.mean[j], t[visible[:, j]].mean())
        torch.testing.assert_close(scale.scale[j], t[visible[:, j]].std(correction=0))
    # Unseen cells hold 0, whose logarithm is not finite.
    f, _ = features(torch.where(visible, x, 0.0), visible)
    assert f.isfinite().all() and (f[~visible] == 0).all()


def test_logarithms_that_hardly_differ_are_standardised_all_the_same():
    features = Features([Column("p", Kind.POSITIVE, "float64")])
    x = (0.01 * torch.randn(500, 1)).exp()
    features.fit(x, torch.ones_like(x, dtype=torch.bool))
    f, _ = features(x, torch.ones_like(x, dtype=torch.bool))
    assert 0.99 < f.std() < 1.01


@pytest.mark.parametrize("kind", list(Kind))
def test_natural_scales_are_finite_for_any_finite_number(kind):
    x = torch.tensor([-1e300, -1.0, 0.0, 1e-300, 0.5, 1.0, 7.0, 1e300])
    assert natural(x, kind).isfinite().all()


def test_units_go_back_and_forth():
    kinds = (Kind.CONTINUOUS, Kind.POSITIVE, Kind.COUNT, Kind.BOUNDED, Kind.POSITIVE)
    centre, spread = torch.rand(5), 0.5 + torch.rand(5)
    units = Units(kinds, curve_masks(kinds), centre, spread)
    y = 2.0 * torch.rand(7, 5)  # a count is not below 0
    x = units.back(y)
    torch.testing.assert_close(units(x), y)
    for j, kind in enumerate(kinds):
        torch.testing.assert_close(natural(x[:, j], kind), y[:, j] * spread[j] + centre[j])
    some = torch.tensor([3, 1])
    torch.testing.assert_close(units.of(some)(x[:, some]), y[:, some])
    torch.testing.assert_close(units.of(some[:1])(x[:, some[:1]]), y[:, some[:1]])
    assert units.curved and not units.of(torch.tensor([0])).curved
