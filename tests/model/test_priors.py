import pytest
import torch
from scipy import stats

from pyro_gnr.model.priors import StandardNormal
from pyro_gnr.model.registry import PRIORS, describe, rebuild


@pytest.mark.parametrize("name", PRIORS)
def test_prior_has_event_z_and_a_finite_density(name):
    prior = rebuild(describe(PRIORS[name]()), PRIORS, {})
    prior.build(3)
    p = prior()
    assert p.batch_shape == () and p.event_shape == (3,)
    z = p.sample((10,))
    assert z.shape == (10, 3) and p.log_prob(z).isfinite().all()


def test_standard_normal():
    prior = StandardNormal()
    prior.build(3)
    z = torch.tensor([0.3, -2.0, 1.0])
    assert prior().log_prob(z).item() == pytest.approx(stats.norm.logpdf(z).sum())
    assert not list(prior.parameters()) and not prior.state_dict()
    assert StandardNormal().build(2) is None
