"""Likelihoods p(x_j | u): one file, one class."""

from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.bernoulli import Bernoulli
from pyro_gnr.model.likelihoods.block import BlockLikelihood, Columnwise
from pyro_gnr.model.likelihoods.categorical import Categorical
from pyro_gnr.model.likelihoods.censored import Censored
from pyro_gnr.model.likelihoods.gaussian import Gaussian
from pyro_gnr.model.likelihoods.student_t import StudentT
from pyro_gnr.model.likelihoods.truncated import Truncated

__all__ = [
    "Bernoulli",
    "BlockLikelihood",
    "Categorical",
    "Censored",
    "Columnwise",
    "Gaussian",
    "Likelihood",
    "StudentT",
    "Truncated",
]
