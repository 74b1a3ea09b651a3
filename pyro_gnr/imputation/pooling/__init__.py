"""Pooling of analyses over M completed tables: Rubin's rules and nested ones."""

from __future__ import annotations

from pyro_gnr.imputation.pooling.advice import Advice, suggest_m
from pyro_gnr.imputation.pooling.draws import MixedDraws, pool_draws
from pyro_gnr.imputation.pooling.pool import pool
from pyro_gnr.imputation.pooling.pooled import Pooled
from pyro_gnr.imputation.pooling.scalar import PooledScalar, pool_scalar
from pyro_gnr.imputation.pooling.wald import PooledTest

__all__ = [
    "Advice",
    "MixedDraws",
    "Pooled",
    "PooledScalar",
    "PooledTest",
    "pool",
    "pool_draws",
    "pool_scalar",
    "suggest_m",
]
