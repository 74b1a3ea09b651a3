import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data.files import read_table

STEPS = ("--max-steps", "3")


def test_the_seed_decides(impute, snapshot, table, tmp_path):
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        assert impute(table, tmp_path / name, "--seed", seed).status == 0
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")
    first = "imputation_1.csv"
    assert snapshot(tmp_path / "a")[first] != snapshot(tmp_path / "c")[first]


def test_a_saved_model_gives_the_same_tables(run, impute, snapshot, table, tmp_path):
    model = tmp_path / "model"
    ran = run("fit", table, "--model", model, "--kind", "row=ignore", "--members", 1, *STEPS)
    assert (ran.status, ran.err) == (0, "")
    assert "60 rows" in ran.out
    assert "60 rows, 3 steps, best held-out bound at " in ran.out
    ran = run("impute", table, "--model", model, "--output", tmp_path / "a", "--m", 2)
    assert ran.status == 0, ran.err
    assert impute(table, tmp_path / "b").status == 0
    first = "imputation_1.csv"
    assert snapshot(tmp_path / "a")[first] == snapshot(tmp_path / "b")[first]


def test_a_row_key_gives_a_row_its_draws_wherever_it_stands(run, table, frame, tmp_path):
    model = tmp_path / "model"
    ran = run("fit", table, "--model", model, "--row-key", "row", *STEPS)
    assert ran.status == 0, ran.err
    frame.iloc[::-1].to_csv(tmp_path / "turned.csv", index=False)
    parts = []
    for source in (table, tmp_path / "turned.csv"):
        ran = run("impute", source, "--model", model, "--output", tmp_path / source.stem)
        assert ran.status == 0, ran.err
        parts.append(pd.read_csv(tmp_path / source.stem / "imputation_01.csv"))
    turned = parts[1].iloc[::-1].reset_index(drop=True)
    assert turned["row"].tolist() == frame["row"].tolist()
    assert turned["region"].tolist() == parts[0]["region"].tolist()
    rounding = 1e-6 * frame["income"].std()  # of single precision, in the column's unit
    np.testing.assert_allclose(turned["income"], parts[0]["income"], rtol=1e-6, atol=rounding)


def test_a_row_key_without_a_saved_model(run, table, tmp_path):
    ran = run("impute", table, "--output", tmp_path / "o", "--row-key", "row", *STEPS)
    assert ran.status == 0, ran.err
    assert "40 cells imputed in 4 columns" in ran.out


@pytest.mark.parametrize("key", ["income", "name"])
def test_an_unusable_row_key(impute, table, tmp_path, key):
    ran = impute(table, tmp_path / "out", "--row-key", key)
    assert ran.status == 2
    assert "--row-key" in ran.err
    assert "row_key" not in ran.err


def test_cells_such_as_below_a_limit(run, impute, frame, tmp_path):
    """From a CSV file with "<0.5" to completed tables of numbers, by one call or two."""
    rng = np.random.default_rng(0)
    crp = np.exp(rng.normal(size=len(frame))).round(3)
    frame["crp"] = np.where(crp < 0.5, "<0.5", crp.astype(str))
    frame.loc[::9, "crp"] = None
    table, model, long = (tmp_path / name for name in ("assay.csv", "model", "long.csv"))
    frame.to_csv(table, index=False)
    described = run("describe", table, "--kind", "row=ignore")
    assert described.status == 0 and "censored_log" in described.out
    assert (
        run("fit", table, "--model", model, "--kind", "row=ignore", *STEPS, "--quiet").status == 0
    )
    assert run("impute", table, "--model", model, "--output", long, "--m", 2).status == 0
    found = read_table(long)
    assert str(found["crp"].dtype) == "Float64"
    low = found[found[".interval.crp"] == "<0.5"]
    assert (low[".imp"].value_counts() == (frame["crp"] == "<0.5").sum()).all()
    assert low["crp"][low[".imp"] == 0].isna().all()
    assert low["crp"][low[".imp"] > 0].between(0.0, 0.5).all()
    completed = found[found[".imp"] == 2]
    assert completed["crp"].notna().all()
    numbers = pd.to_numeric(frame["crp"], errors="coerce").to_numpy()
    seen = ~np.isnan(numbers)
    assert (completed["crp"].to_numpy(dtype=float)[seen] == numbers[seen]).all()
    with pytest.warns(UserWarning, match="limits of detection"):
        folder = impute(table, tmp_path / "tables", "--kind", "crp=censored")
    assert folder.status == 0, folder.err
    one = read_table(tmp_path / "tables" / "imputation_1.csv")
    assert (one["crp"][frame["crp"] == "<0.5"] <= 0.5).all()
    frame.loc[0, "crp"] = "n.d."
    frame.to_csv(table, index=False)
    wrong = impute(table, tmp_path / "more", "--kind", "crp=censored")
    assert wrong.status == 2 and "'crp' holds 'n.d.'" in wrong.err
