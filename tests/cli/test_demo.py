import json

from pyro_gnr.data.files import read_table

STEPS = ("--max-steps", "3")


def test_the_demo_makes_a_directory(run, tmp_path):
    ran = run("demo", "--output", tmp_path / "demo.csv")
    assert ran.status == 2
    assert "directory" in ran.err


def test_demo(run, tmp_path):
    out = tmp_path / "demo"
    ran = run("demo", "--output", out, "--m", 2, *STEPS)
    assert ran.status == 0, ran.err
    summary = read_table(out / "summary.csv")
    assert len(summary) == 11
    assert (summary["note"].notna() == (summary["missing"] < 10)).all()
    assert "fewer than 10 cells" in summary["note"].tolist()
    assert "mechanism: Conjunction (" in ran.out
    assert len(list((out / "pictures").iterdir())) == 11
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"imputation_1.csv", "imputation_2.csv", "summary.csv"} <= set(manifest["files"])
    assert not read_table(out / "imputation_1.csv").isna().any(axis=None)
    assert "household_income" in ran.out
    assert run("demo", "--output", out, "--m", 2, *STEPS, "--force").status == 0
