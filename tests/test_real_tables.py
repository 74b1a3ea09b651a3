"""Real tables with their own holes through the command line; they stand beside the checkout."""

import os
from pathlib import Path

import pandas as pd
import pytest
from pandas.api.types import is_integer_dtype
from typer.testing import CliRunner

from pyro_gnr.cli import app

FOLDER = Path(
    os.environ.get("PYRO_GNR_DATA") or Path(__file__).parents[1].parent / "shared" / "data"
)
LEVELS = {
    "boys": ["gen", "phb", "reg"],
    "heart_disease": ["cp", "restecg", "slope", "ca", "thal", "num", "site"],
    "credit_approval": ["A4", "A5", "A6", "A7", "A13"],
    "nhanes_2017": ["race", "education", "marital", "general_health", "snore", "diabetes"],
    "adult": ["workclass", "marital_status", "occupation", "race", "native_country"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_observed_cells_come_back_and_imputed_ones_are_levels(name, tmp_path):
    source = FOLDER / f"{name}.csv"
    if not source.exists():
        pytest.skip(f"{name}.csv is not beside this checkout; PYRO_GNR_DATA can name its folder")
    kinds = [word for level in LEVELS[name] for word in ("--kind", f"{level}=categorical")]
    command = ["impute", source, "--output", tmp_path / "out", "--m", 2, "--max-steps", 20, *kinds]
    ran = CliRunner().invoke(app, [str(word) for word in command])
    assert ran.exit_code == 0, ran.output
    original = pd.read_csv(source, dtype_backend="numpy_nullable")
    for i in (1, 2):
        completed = pd.read_csv(
            tmp_path / "out" / f"imputation_{i}.csv", dtype_backend="numpy_nullable"
        )
        assert completed.columns.equals(original.columns) and len(completed) == len(original)
        assert completed.notna().all(axis=None)
        for column in original:
            seen = original[column].notna()
            assert completed.loc[seen, column].equals(original.loc[seen, column]), column
            assert is_integer_dtype(completed[column]) == is_integer_dtype(original[column])
            if column in LEVELS[name]:
                assert set(completed[column]) <= set(original[column].dropna()), column
