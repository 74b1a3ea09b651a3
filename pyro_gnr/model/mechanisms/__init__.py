"""Mechanisms p(m | u, x), the reasons for the holes: one file, one class."""

from pyro_gnr.model.mechanisms.base import Mechanism
from pyro_gnr.model.mechanisms.conjunction import Conjunction
from pyro_gnr.model.mechanisms.ignorable import Ignorable

__all__ = ["Conjunction", "Ignorable", "Mechanism"]
