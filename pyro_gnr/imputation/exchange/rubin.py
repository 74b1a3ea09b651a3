"""What the rules of Rubin, all that other programs have, make of tables of fitted members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["rubin_note"]

# No apostrophes: it is a comment of SPSS, too.
MEND = (
    "make one table a member (m = members, such as 20 and 20), or pool what was imputed by "
    "imputation.pool or pyro-gnr pool"
)


def rubin_note(members: Sequence[int] | NDArray[np.intp] | None) -> str | None:
    """Say what to know before mice, Stata or SPSS pools these tables; None if nothing.

    Args:
        members: (M,) the fitted member that made each table; None: not known.

    Example:
        >>> rubin_note([0, 1, 2]) is None, rubin_note(None) is None
        (True, True)
        >>> rubin_note([0, 1, 0, 1])[:56]
        'these 4 tables come from 2 fitted members, which mice, S'
    """
    if members is None or len(members) < 2:
        return None
    fitted = len(np.unique(members))
    if fitted == len(members):
        return None
    if fitted == 1:
        return (
            f"these {len(members)} tables come from one fitted member, which leaves out that the "
            "parameters of the model are uncertain: standard errors pooled from them come out "
            "somewhat too small. Impute by several members, one table each (m = members, such as "
            "20 and 20)."
        )
    return (
        f"these {len(members)} tables come from {fitted} fitted members, which mice, Stata and "
        "SPSS do not know: they pool by the rules of Rubin as if each table had a member of its "
        "own, so that standard errors come out too small and degrees of freedom too many. For "
        f"them {MEND}, whose rules are nested."
    )
