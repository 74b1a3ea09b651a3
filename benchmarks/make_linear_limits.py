"""What a linear regression shown the true values reaches on the UCI protocol of not-MIWAE.

For each column that lost cells: a ridge regression of the removed values on the other cells of
their rows (0, the cut-off, where these are missing, too) and on what is missing, its penalty
chosen by leave-one-out; every value is predicted from the other nine tenths of the removed ones.
No imputation can be fitted like this: it is a limit for what is linear. Prints rows for
reference/uci_self_masking_rmse.csv, which holds them already:

    PYRO_GNR_DATA=folder python benchmarks/make_linear_limits.py
"""

from __future__ import annotations

import numpy as np
from bench_uci_ladder import TABLES, protocol
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

METHOD = "linear regression shown the true values"


def limit(holed: np.ndarray, X: np.ndarray) -> float:
    """Give the RMSE on the removed cells; (N, D) with holes and without, both standardised."""
    missing = np.isnan(holed)
    design = np.c_[np.where(missing, 0.0, holed), missing[:, missing.any(0)]]
    errors = []
    for j in np.flatnonzero(missing.any(0)):
        own = missing[:, j]  # in whose rows column j itself is constant
        y, folds = X[own, j], KFold(10, shuffle=True, random_state=0)
        ridge = RidgeCV(np.logspace(-2, 3, 11))
        errors.append(cross_val_predict(ridge, design[own], y, cv=folds) - y)
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def main() -> None:
    """Print a row a table."""
    for table in TABLES:
        print(f"computed for this project,{METHOD},{table},{limit(*protocol(table)):.3f},")


if __name__ == "__main__":
    main()
