import numpy as np
import pandas as pd


def test_columns_kinds_and_missing_counts(run, table):
    ran = run("describe", table, "--kind", "row=ignore", "--seed", "1")
    assert ran.status == 0
    assert "60 rows, 5 columns, 40 missing cells (13.3%)" in ran.out
    for name, kind in [
        ("row", "ignore"),
        ("income", "continuous"),
        ("insured", "binary"),
        ("region", "categorical"),
    ]:
        line = next(line for line in ran.out.splitlines() if line.split()[:1] == [name])
        assert kind in line


def test_patterns_with_counts(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "1.5,,\n" * 3 + "2.5,1.5,\n" * 2 + "1.5,0.5,a\n1.5,2.5,b\n")
    out = run("describe", path).out.split("missing together")[1]
    rows = [line.strip().split(maxsplit=2) for line in out.splitlines() if "%" in line]
    assert rows == [["3", "42.9%", "b, c"], ["2", "28.6%", "(none)"], ["2", "28.6%", "c"]]


def test_numbers(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("year,dose\n2019,0.5\n1985,2.25\n1985,0.5\n,1\n")
    out = run("describe", path).out
    assert "min 1985, max 2019, 2 distinct" in out
    assert "min 0.5, max 2.25, 3 distinct" in out


def test_hints_for_whole_numbers(run, tmp_path):
    path = tmp_path / "t.csv"
    n = 30
    columns = {
        "my id": range(n),
        "ward": [i % 4 for i in range(n)],
        "age": [i % 25 for i in range(n)],
        "smokes": [i % 2 for i in range(n)],
        "dose": [i % 4 + 0.5 for i in range(n)],
        "same": 3,
    }
    pd.DataFrame(columns).to_csv(path, index=False)
    hints = [line for line in run("describe", path).out.splitlines() if "--kind" in line]
    assert hints == [
        "my id: an id? --kind 'my id=ignore'",
        "ward: say --kind ward=categorical if these are labels; say --kind ward=count if it "
        "counts something",
        "age: say --kind age=count if it counts something",
        "dose: --kind dose=positive keeps imputations above 0",
    ]
    said = ("my id=ignore", "ward=continuous", "age=count", "dose=positive")
    ran = run("describe", path, *(part for kind in said for part in ("--kind", kind)))
    assert "--kind" not in ran.out


def test_positive_bounded_counts_and_ordered_levels(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("income,score,visits,stage\n9.5,3,0,1\n80,20,4,3\n,1,,2\n1,0,1,\n")
    kinds = ["income=positive", "score=bounded(0, 20)", "visits=count", "stage=ordinal"]
    ran = run("describe", path, *(part for kind in kinds for part in ("--kind", kind)))
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    for name, kind, values in [
        ("income", "positive", "mean 30.17, sd 35.4, min 1, max 80, 3 distinct"),
        ("score", "bounded", "bounds 0 to 20, mean 6, sd 8.15, min 0, max 20, 4 distinct"),
        ("visits", "count", "mean 1.667, sd 1.7, min 0, max 4, 3 distinct"),
        ("stage", "ordinal", "1, 2, 3"),
    ]:
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert kind in line and values in line
    ran = run("describe", path, "--kind", "score=bounded(5, 20)", "--kind", "visits=positive")
    assert ran.status == 2
    assert "'score' has 3 value(s) out of bounds" in ran.err
    assert "'visits' has 1 value(s) zero or below" in ran.err
    assert "--kind visits=continuous" in ran.err
    path.write_text("height\n150\n180\n")
    ran = run("describe", path, "--kind", "height=bounded")
    assert "say its bounds, such as --kind 'height=bounded(150, 180)'" in ran.err


def test_names_that_are_numbers(run, tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({7: [1, 2, 3], 8: [1, 1, 2]}).to_parquet(path)
    ran = run("describe", path)
    assert ran.status == 0, ran.err
    assert "8: say --kind 8=categorical if these are labels" in ran.out


def test_one_is_singular(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1.5,2.5\n,3.5\n")
    assert "1 missing cell (25.0%), 1 complete row\n" in run("describe", path).out
    columns = [f"c{i}" for i in range(13)]
    frame = pd.DataFrame(np.eye(13), columns=columns).replace(1.0, np.nan)
    frame.iloc[:, 1:] += np.arange(13)[:, None]
    frame.to_csv(path, index=False)
    assert "(1 other pattern)" in run("describe", path).out


def test_all_problems_at_once_beside_the_description(run, tmp_path):
    path = tmp_path / "t.csv"
    note = [f"note number {i}" for i in range(120)]
    pd.DataFrame({"note": note, "empty": None, "x": np.arange(120) / 7}).to_csv(path, index=False)
    ran = run("describe", path)
    assert ran.status == 2
    assert "note" in ran.err
    assert "empty" in ran.err
    assert "continuous" in ran.out


def test_names_are_not_markup(run, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("[red]a,b\n1.5,2\n2.5,\n3.5,4\n")
    assert "[red]a" in run("describe", path).out
