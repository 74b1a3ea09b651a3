"""Priors p(z) of the latent variable: one file, one class."""

from pyro_gnr.model.priors.base import Prior
from pyro_gnr.model.priors.flow import Flow
from pyro_gnr.model.priors.gaussian_mixture import GaussianMixture
from pyro_gnr.model.priors.standard_normal import StandardNormal
from pyro_gnr.model.priors.vamp import VampPrior

__all__ = ["Flow", "GaussianMixture", "Prior", "StandardNormal", "VampPrior"]
