import warnings

import numpy as np
import pytest

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.likelihoods import NegativeBinomial, Poisson, ZeroInflatedPoisson

VISITS = Column("visits", Kind.COUNT, "int64", whole=True)


@pytest.mark.parametrize("make", [Poisson, NegativeBinomial, ZeroInflatedPoisson])
def test_counts_that_vary_less_than_their_mean(make):
    heights = np.tile([160.0, 170.0, 180.0], 20)
    with pytest.warns(UserWarning, match=rf"'visits'.* a {make.__name__} .*spread more"):
        make().check_spread(VISITS, heights)
    with pytest.raises(ValueError, match=r"'visits'.* variance 0.667,.*'continuous'"):
        make().check_spread(VISITS, np.tile([169.0, 170.0, 171.0], 20))
    with pytest.warns(UserWarning, match="spread more"):  # small numbers are no error
        make().check_spread(VISITS, np.array([3.0] * 300 + [4.0]))


@pytest.mark.parametrize(
    "values",
    [[], [7.0], [7.0, 7.0], [3.0, 4.0, 4.0, 5.0], [0.0] * 7 + [1.0] * 3, [0.0] * 90 + [9.0] * 10],
)
def test_nothing_is_said_of_few_or_varied_counts(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Poisson().check_spread(VISITS, np.array(values))


def test_samples_of_a_poisson_are_hardly_ever_warned_of():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for n in (5, 20, 100):
            for mean in (0.3, 4.0, 1e4):
                for sample in rng.poisson(mean, size=(50, n)):
                    Poisson().check_spread(VISITS, sample.astype(float))
    assert len(said) <= 3
