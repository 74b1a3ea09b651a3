from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.assemble import assemble, check_values
from pyro_gnr.model.likelihoods import Truncated
from pyro_gnr.model.transport import cdf, transport

DOSE = Column("dose", Kind.CONTINUOUS, "float64", location=3.0, scale=2.0)


def built(columns, **options):
    likelihood = Truncated(**options)
    likelihood.build(columns, u_dim=2)
    return likelihood


def test_bounds_are_in_the_units_of_the_column():
    other = Column("a", Kind.CONTINUOUS, "float64", location=-1.0, scale=0.5)
    d = built([DOSE, other], lower=0.0, upper=5.0)(torch.randn(4, 2))
    np.testing.assert_allclose(d.lower[0], [-1.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(d.upper[0], [1.0, 12.0], rtol=1e-6)


def test_it_is_scipys_truncated_normal():
    likelihood = built([DOSE], lower=0.0, upper=5.0)
    d = likelihood(torch.randn(50, 2))
    loc, scale = d.loc.detach().numpy(), d.scale.detach().numpy()
    scipys = stats.truncnorm((-1.5 - loc) / scale, (1.0 - loc) / scale, loc, scale)
    x = np.linspace(-1.5, 1.0, 50)[:, None]
    np.testing.assert_allclose(
        d.log_prob(torch.tensor(x)).detach(), scipys.logpdf(x), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(cdf(d, torch.tensor(x)).detach(), scipys.cdf(x), atol=1e-6)
    np.testing.assert_allclose(d.mean.detach(), scipys.mean(), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("location, scale", [(3.0, 2.0), (0.1, 0.3), (1e5, 7e-2), (-1e-3, 1e4)])
def test_draws_in_the_callers_units_never_leave_the_bounds(dtype, location, scale):
    """Not by a rounding error (0.6 and 0.8 grow in single precision); nor do they pile up."""
    column = Column("a", Kind.CONTINUOUS, "float64", location=location, scale=scale)
    lower, upper = location - 0.6 * scale, location + 0.8 * scale
    likelihood = built([column], lower=lower, upper=upper).to(dtype)
    u = torch.rand(2000, 1, dtype=torch.float64)
    u[:4, 0] = torch.tensor([1e-15, 1e-10, 1 - 1e-10, 1 - 1e-15])
    for shift in (-1e6, -3.0, 0.0, 3.0, 1e6):
        parameters = torch.tensor([shift, -2.0], dtype=dtype).expand(2000, 2)
        d = likelihood.distribution(parameters)
        for x in (transport(d, u), d.mean[:1]):
            units = column.to_units(x.double().numpy())
            assert (units >= lower).all() and (units <= upper).all()
        if abs(shift) < 10:
            drawn = transport(d, u)[4:]
            assert len(drawn.unique()) > 1900


def test_whole_numbers_stay_within_after_rounding():
    column = Column("n", Kind.CONTINUOUS, "int64", location=3.0, scale=2.0, whole=True)
    d = built([column], lower=0.5, upper=4.6).distribution(torch.zeros(1, 2))
    ends = column.to_units(torch.stack([d.lower, d.upper]).numpy())[:, 0, 0]
    np.testing.assert_allclose(ends, [1.0, 4.0], rtol=1e-6)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"lower": 1.0, "upper": 1.0}, "lower < upper"),
        ({"lower": 2, "upper": 1}, "lower < upper"),
        ({"lower": float("nan")}, "lower=nan"),
        ({"upper": float("inf")}, "upper=inf"),
        ({"lower": 0.0, "floor": 2.0}, "floor="),
        ({"lower": 0.0, "ceiling": 0.05}, "ceiling="),
    ],
)
def test_arguments_are_checked(options, text):
    with pytest.raises(ValueError, match=text):
        Truncated(**options)


def test_by_name_it_says_what_to_do():
    with pytest.raises(ValueError, match=r"'dose'.*functools\.partial\(Truncated, lower=0\)"):
        assemble([DOSE], n_rows=9, latent_dim=1, likelihoods={"dose": "truncated"})


def test_values_outside_the_bounds_are_refused():
    columns = [Column("other", Kind.CONTINUOUS, "float64"), DOSE]
    model, _ = assemble(
        columns, n_rows=9, latent_dim=1, likelihoods={"dose": partial(Truncated, lower=0.1)}
    )
    units = np.array([0.1, -5.0, 0.1, 7.0, 0.05])
    values = np.stack([np.full(5, -1e3), DOSE.standardised(units)], 1)
    observed = np.array([[True, True], [True, False], [True, True], [True, True], [True, False]])
    check_values(model, columns, values, observed)
    observed[1, 1] = observed[4, 1] = True
    with pytest.raises(ValueError, match=r"'dose' has 2 value.*\[0.1, None\].*from -5 to 7"):
        check_values(model, columns, values, observed)


def test_a_constant_column():
    column = Column("a", Kind.CONTINUOUS, "float64", location=3.0, scale=0.0)
    likelihood = built([column], lower=1.0)
    likelihood.check(column, np.zeros(4))
    assert likelihood(torch.zeros(5, 2)).log_prob(torch.zeros(5, 1)).isfinite().all()
    with pytest.raises(ValueError, match="'a' has 4 value"):
        built([column], upper=1.0).check(column, np.zeros(4))


def test_training_finds_a_mean_beyond_the_bound():
    """Half-normal data: the normal's own mean and scale, not those of the values."""
    x = np.abs(np.random.default_rng(0).normal(size=5000))
    column = Column("a", Kind.CONTINUOUS, "float64", location=x.mean(), scale=x.std())
    likelihood = built([column], lower=0.0, heteroscedastic=False)
    data = torch.tensor(column.standardised(x))[:, None]
    optimiser = torch.optim.LBFGS(likelihood.parameters(), max_iter=100)

    def closure():
        optimiser.zero_grad()
        loss = -likelihood(torch.zeros(1, 2)).log_prob(data).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    d = likelihood(torch.zeros(1, 2))
    assert column.to_units(d.loc.detach().numpy()).item() == pytest.approx(0.0, abs=0.15)
    assert d.scale.item() * column.scale == pytest.approx(1.0, abs=0.1)
    assert column.to_units(d.mean.detach().numpy()).item() == pytest.approx(x.mean(), abs=0.01)
