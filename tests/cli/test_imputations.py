import json

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr import GNRImputer
from pyro_gnr.data.files import digest, read_table


def assert_completes(completed: pd.DataFrame, original: pd.DataFrame) -> None:
    """No holes; observed cells bit-equal; imputed ones of the column's own kind."""
    assert list(completed) == list(original)
    assert not completed.isna().any(axis=None)
    for name in original:
        seen = original[name].notna()
        assert completed[name][seen].tolist() == original[name][seen].tolist()
    assert set(completed["region"]) <= set(original["region"].dropna())
    assert (completed["children"] % 1 == 0).all()
    assert set(completed["insured"]) <= {True, False}


def test_directory_of_tables_with_a_manifest(impute, table, frame, tmp_path):
    out = tmp_path / "out"
    ran = impute(table, out)
    assert ran.status == 0, ran.err
    assert "40 cells imputed in 4 columns" in ran.out
    assert "Pareto k above 0.7" in ran.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert sorted(manifest["files"]) == ["imputation_1.csv", "imputation_2.csv"]
    assert sorted(p.name for p in out.iterdir()) == [
        *sorted(manifest["files"]),
        "manifest.json",
    ]
    for name, sha in manifest["files"].items():
        assert digest(out / name) == sha
        assert_completes(read_table(out / name), frame)
    assert manifest["m"] == 2
    assert manifest["seed"] == 0
    assert manifest["source"] == {"name": "people.csv", "sha256": digest(table)}
    assert manifest["imputed_cells"]["income"] == 10
    assert manifest["versions"]["pandas"] == pd.__version__
    expected = {"members": 1, "max_steps": 3, "kinds": {"row": "ignore"}, "random_state": 0}
    assert manifest["configuration"] == GNRImputer(**expected).to_config()


@pytest.mark.parametrize("name", ["long.csv", "long.parquet", "LONG.CSV"])
def test_one_long_table(impute, table, frame, tmp_path, name):
    assert impute(table, tmp_path / name).status == 0
    long = read_table(tmp_path / name)
    assert list(long) == [".imp", ".id", ".member", *frame]
    assert long.pop(".member").tolist()[-1] == 0  # which pool needs to know
    assert long[".imp"].tolist() == [0] * 60 + [1] * 60 + [2] * 60
    parts = [part.iloc[:, 2:].reset_index(drop=True) for _, part in long.groupby(".imp")]
    assert_frame_equal(parts[0], frame, check_dtype=False)
    for part in parts[1:]:
        assert_completes(part, frame)


def test_parquet_in_parquet_out(impute, frame, tmp_path):
    frame["region"] = frame["region"].astype("category")
    frame.index = pd.Index(range(100, 160), name="person")
    frame.to_parquet(tmp_path / "people.parquet")
    source = pd.read_parquet(tmp_path / "people.parquet")
    assert impute(tmp_path / "people.parquet", tmp_path / "out").status == 0
    completed = pd.read_parquet(tmp_path / "out" / "imputation_1.parquet")
    assert completed.dtypes.to_dict() == source.dtypes.to_dict()
    assert completed.index.equals(source.index)
    assert_completes(completed, source)


def test_rows_are_numbered_from_one(impute, table, frame, tmp_path):
    frame.to_parquet(tmp_path / "plain.parquet")
    for source in (table, tmp_path / "plain.parquet"):
        assert impute(source, tmp_path / "long.csv", "--force").status == 0
        assert read_table(tmp_path / "long.csv")[".id"].tolist() == [*range(1, 61)] * 3
    assert impute(tmp_path / "plain.parquet", tmp_path / "out").status == 0
    completed = pd.read_parquet(tmp_path / "out" / "imputation_1.parquet")
    assert completed.index.equals(frame.index)
    frame.set_axis(pd.Index(range(100, 160), name="person")).to_parquet(tmp_path / "own.parquet")
    assert impute(tmp_path / "own.parquet", tmp_path / "long.csv", "--force").status == 0
    assert read_table(tmp_path / "long.csv")[".id"].tolist() == [*range(100, 160)] * 3
