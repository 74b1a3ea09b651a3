import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import constraints
from torch.nn.functional import softplus

from pyro_gnr import GNRImputer
from pyro_gnr.data import Kind
from pyro_gnr.model.likelihoods import Likelihood


class CDFOnly(dist.TorchDistribution):
    """A logistic distribution of which no inverse CDF is known."""

    arg_constraints = {}
    support = constraints.real

    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self):
        return self.loc

    def cdf(self, value):
        return torch.sigmoid((value - self.loc) / self.scale)

    def log_prob(self, value):
        t = (value - self.loc) / self.scale
        return -t - 2 * softplus(-t) - self.scale.log()


class Logistic(Likelihood):
    """x_j | u ~ Logistic."""

    kinds = frozenset({Kind.CONTINUOUS})

    def n_parameters(self, columns):
        return 2 * len(columns)

    def distribution(self, parameters):
        location, raw = parameters.chunk(2, -1)
        return CDFOnly(location, 0.05 + softplus(raw))


class Undrawn(Logistic):
    """No value can be drawn from it."""

    def distribution(self, parameters):
        location, raw = parameters.chunk(2, -1)
        return dist.VonMises(location, softplus(raw))


@pytest.fixture
def holey():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) + rng.normal(size=(60, 1))
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    return X


def imputer(likelihood, **options):
    sizes = {"hidden": 4, "imputation_particles": 20, "members": 1, "verbose": False}
    likelihoods = {"x0": likelihood, "x1": likelihood}
    return GNRImputer(likelihoods=likelihoods, max_steps=2, random_state=0, **sizes, **options)


@pytest.mark.parametrize("mechanism", ["conjunction", "self_masking", "selection"])
def test_a_distribution_with_a_cdf_only_is_imputed(holey, mechanism):
    fitted = imputer(Logistic, mechanism=mechanism).fit(holey)
    imputation = fitted.impute(holey, m=2)
    assert all(np.isfinite(table).all() for table in imputation)
    ends = imputation.interval(0.9)
    assert len(ends) == np.isnan(holey).sum()
    assert (ends["lower"] < ends["upper"]).all()
    assert np.isfinite(fitted.transform(holey)).all()


def test_a_part_that_cannot_be_used_is_refused_before_training(holey):
    steps = []
    with pytest.raises(ValueError, match="likelihood Undrawn of columns .* can be drawn"):
        imputer(Undrawn, callback=steps.append).fit(holey)
    assert steps == []
    imputer(Logistic, callback=steps.append).fit(holey)
    assert steps
