"""How an answer depends on what data cannot say: delta adjustment, tipping points, the ladder."""

from __future__ import annotations

from pyro_gnr.imputation.sensitivity.delta import Delta
from pyro_gnr.imputation.sensitivity.grid import DeltaGrid
from pyro_gnr.imputation.sensitivity.ladder import Ladder, compare_mechanisms
from pyro_gnr.imputation.sensitivity.tipping import TippingPoint

__all__ = ["Delta", "DeltaGrid", "Ladder", "TippingPoint", "compare_mechanisms"]
