"""The tables that the benchmarks read, from the folder that PYRO_GNR_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"

# Columns of whole-number codes that are levels, and of codes without an order.
LEVELS: dict[str, list[str]] = {
    "nhanes_2017": [
        "race", "education", "marital", "general_health", "diet_health", "snore",
        "little_interest", "feeling_down", "feeling_bad", "better_off_dead", "diabetes",
    ],
    "heart_disease": ["cp", "restecg", "slope", "ca", "thal", "num", "site"],
    "credit_approval": ["A4", "A5", "A6", "A7", "A13"],
    "adult": [
        "workclass", "marital_status", "occupation", "relationship", "race", "native_country",
    ],
    "boys": ["gen", "phb", "reg"],
}  # fmt: skip


def folder() -> Path:
    """Give the folder of the data sets.

    Raises:
        SystemExit: PYRO_GNR_DATA is not set, or names no folder.
    """
    path = Path(os.environ.get("PYRO_GNR_DATA", ""))
    if not os.environ.get("PYRO_GNR_DATA") or not path.is_dir():
        raise SystemExit("Set PYRO_GNR_DATA to the folder with wine_red.csv, concrete.csv, ...")
    return path


def uci(name: str) -> np.ndarray:
    """Give the numbers of a UCI table without its class, (N, D) (Ipsen et al. 2021's columns)."""
    frame = pd.read_csv(folder() / f"{name}.csv")
    dropped = {"wine_red": "quality", "wine_white": "quality", "banknote": "class"}
    dropped |= {"wdbc": "diagnosis", "protein": "rmsd", "shuttle": "class"}
    if name in dropped:
        frame = frame.drop(columns=dropped[name])
    if name == "yeast":
        frame = frame.iloc[:, :7]
    return frame.to_numpy(float)


def save(rows: list[dict[str, object]], name: str) -> pd.DataFrame:
    """Write results/<name>.csv and give it as a table."""
    RESULTS.mkdir(exist_ok=True)
    frame = pd.DataFrame(rows)
    frame.to_csv(RESULTS / f"{name}.csv", index=False)
    return frame
