"""Mechanisms p(m | u, x), the reasons for the holes: one file, one class."""

from pyro_gnr.model.mechanisms.base import Collapsible, Mechanism
from pyro_gnr.model.mechanisms.conjunction import Conjunction
from pyro_gnr.model.mechanisms.ignorable import Ignorable
from pyro_gnr.model.mechanisms.no_self_censoring import NoSelfCensoring
from pyro_gnr.model.mechanisms.selection import Selection
from pyro_gnr.model.mechanisms.self_masking import SelfMasking

__all__ = [
    "Collapsible",
    "Conjunction",
    "Ignorable",
    "Mechanism",
    "NoSelfCensoring",
    "Selection",
    "SelfMasking",
]
