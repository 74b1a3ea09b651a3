"""Mechanisms that make holes in a table: one class, one reason for the holes.

Letters: N rows, D columns, T columns that lose cells. m_nj = 1 where cell (n, j) stays observed,
and p_nj = P(m_nj = 0) is its chance to go missing. x~_k is column k standardised by its mean and
standard deviation (divisor N); a column of more than two levels enters as standardised indicators.
Columns whose values are read must be complete; the rate is of the cells that were observed.
Slopes are log-odds (probits) for one standard deviation of whatever drives the holes.
"""

from pyro_gnr.data.amputers.base import Amputer, Direction, Holes, OwnDirection
from pyro_gnr.data.amputers.general_mnar import GeneralMNAR
from pyro_gnr.data.amputers.mar import MAR
from pyro_gnr.data.amputers.mcar import MCAR
from pyro_gnr.data.amputers.no_self_censoring import NoSelfCensoring
from pyro_gnr.data.amputers.self_masking import AboveMean, HardSelfMasking, SelfMasking
from pyro_gnr.data.amputers.shared_latent import SharedLatent

__all__ = [
    "MAR",
    "MCAR",
    "AboveMean",
    "Amputer",
    "Direction",
    "GeneralMNAR",
    "HardSelfMasking",
    "Holes",
    "NoSelfCensoring",
    "OwnDirection",
    "SelfMasking",
    "SharedLatent",
]
