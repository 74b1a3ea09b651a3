"""Likelihoods p(x_j | u): one file, one class."""

from pyro_gnr.model.likelihoods.base import Likelihood
from pyro_gnr.model.likelihoods.bernoulli import Bernoulli
from pyro_gnr.model.likelihoods.beta import Beta
from pyro_gnr.model.likelihoods.block import BlockLikelihood, Columnwise
from pyro_gnr.model.likelihoods.categorical import Categorical
from pyro_gnr.model.likelihoods.censored import Censored
from pyro_gnr.model.likelihoods.gamma import Gamma
from pyro_gnr.model.likelihoods.gaussian import Gaussian
from pyro_gnr.model.likelihoods.log_normal import LogNormal
from pyro_gnr.model.likelihoods.negative_binomial import NegativeBinomial
from pyro_gnr.model.likelihoods.ordinal import Ordinal
from pyro_gnr.model.likelihoods.poisson import Poisson
from pyro_gnr.model.likelihoods.student_t import StudentT
from pyro_gnr.model.likelihoods.truncated import Truncated
from pyro_gnr.model.likelihoods.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial
from pyro_gnr.model.likelihoods.zero_inflated_poisson import ZeroInflatedPoisson

__all__ = [
    "Bernoulli",
    "Beta",
    "BlockLikelihood",
    "Categorical",
    "Censored",
    "Columnwise",
    "Gamma",
    "Gaussian",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "StudentT",
    "Truncated",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
]
