import torch
from torch.distributions import constraints

from pyro_gnr.model.inverses import probabilities, quantiles

U = torch.linspace(0.001, 0.999, 97, dtype=torch.float64)


def test_each_is_the_inverse_of_the_other():
    x = quantiles(torch.special.ndtr, U)
    torch.testing.assert_close(x, torch.special.ndtri(U), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(probabilities(torch.special.ndtri, x), U, atol=1e-9, rtol=0)


def test_searches_stay_within_the_support():
    bounds = {
        constraints.greater_than(2.0): lambda x: 1 - torch.exp(2.0 - x),
        constraints.less_than(-1.0): lambda x: torch.exp(x + 1.0),
        constraints.interval(torch.tensor([-3.0]), 5.0): lambda x: (x + 3.0) / 8.0,
    }
    for support, cdf in bounds.items():

        def checked(x, cdf=cdf, support=support):
            assert support.check(x).all()
            return cdf(x)

        x = quantiles(checked, U, support=support)
        torch.testing.assert_close(cdf(x), U, atol=1e-9, rtol=0)


def test_numbers_of_any_size_are_found():
    for size in (1e-20, 1.0, 1e20):

        def cdf(x, size=size):
            return 1 - torch.exp(-x / size)

        x = quantiles(cdf, U, support=constraints.positive)
        torch.testing.assert_close(x, -size * torch.log1p(-U), rtol=1e-8, atol=0)


def test_what_no_search_can_find_ends_at_an_end_of_it():
    assert quantiles(torch.zeros_like, U).isfinite().all()
    assert quantiles(torch.ones_like, U).isfinite().all()
