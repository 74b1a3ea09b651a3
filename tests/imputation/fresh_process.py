"""Run by the tests in a process of its own: import, load, impute, fit; and what that changed.

    python fresh_process.py TABLE MODEL OUTPUT

TABLE is a Parquet file, MODEL a saved imputer, OUTPUT an npz file to write.
"""

import logging
import os
import random
import sys
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pyro
import sklearn
import sympy  # noqa: F401 - torch's optimisers import it, and it adds a warning filter
import torch

IGNORED = {"id": "ignore", "visit": "ignore"}


def snapshot() -> dict[str, str]:
    """Everything global that a polite package leaves alone, as text."""
    root = logging.getLogger()
    mask = os.umask(0)
    os.umask(mask)
    state = {
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": [np.asarray(s).tolist() for s in np.random.get_state()],  # noqa: NPY002
        "random generator": random.getstate(),
        "param store": sorted(pyro.get_param_store().keys()),
        "pyro settings": sorted(map(repr, pyro.settings.get().items())),
        "pyro stack": len(pyro.poutine.runtime._PYRO_STACK),
        "torch validation": torch.distributions.Distribution._validate_args,
        "torch dtype": torch.get_default_dtype(),
        "torch device": torch.get_default_device(),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch determinism": torch.are_deterministic_algorithms_enabled(),
        "numpy errors": np.geterr(),
        "warnings": warnings.filters,
        "matplotlib": (matplotlib.get_backend(auto_select=False), len(matplotlib.rcParams)),
        "scikit-learn": sklearn.get_config(),
        "logging": (root.level, root.handlers),
        "environment": sorted(os.environ.items()),
        "folder": os.getcwd(),
        "umask": mask,
        "hooks": (sys.excepthook, sys.displayhook, sys.path),
    }
    return {name: repr(value) for name, value in state.items()}


def main(table: str, model: str, output: str) -> None:
    """Write draws of the loaded and of a newly fitted imputer, and what changed globally."""
    before = snapshot()
    from pyro_gnr import GNRImputer

    imported = snapshot()
    X = pd.read_parquet(table)
    loaded = GNRImputer.load(model)
    imputation = loaded.impute(X, m=3)
    interval = imputation.interval(0.9)
    fitted = GNRImputer(**{**loaded.get_params(), "random_state": 5}).fit(X)
    after = snapshot()
    np.savez(
        output,
        draws=imputation.draws.values,
        point=loaded.transform(X).select_dtypes("number").to_numpy(float),
        lower=interval["lower"].to_numpy(float),
        fitted=fitted.impute(X, m=3).draws.values,
        score=loaded.score(X),
        changed_by_import=[k for k in before if before[k] != imported[k]],
        changed_by_use=[k for k in imported if imported[k] != after[k]],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
