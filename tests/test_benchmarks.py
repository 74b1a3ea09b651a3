"""The arithmetic of the benchmarks: resumed runs, and the report."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("tables", "runs", "report", "findings", "summaries", "bench_mixed_types")
SCRIPTS += ("bench_generators", "bench_coverage", "bench_uci_ladder", "make_linear_limits")


@pytest.fixture
def script(monkeypatch):
    """Import a script as it is when run: its folder comes first."""
    monkeypatch.syspath_prepend(FOLDER)
    yield lambda name: __import__(name)
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def long(*rows, columns=("method", "seed", "metric", "value")):
    return pd.DataFrame(rows, columns=list(columns))


def test_a_run_that_is_there_is_not_run_again(script, tmp_path):
    calls = []

    def work():
        calls.append(1)
        return {"rmse": 0.5, "bias": 0.1}

    def results():
        return script("runs").Results("x", ("method", "setting"), folder=tmp_path)

    first = results()
    assert first.run({"method": "a, b", "setting": 0.5}, work)
    assert not first.run({"method": "a, b", "setting": 0.5}, work)
    again = results()  # as after an interruption
    assert not again.run({"method": "a, b", "setting": 0.5}, work)
    assert again.run({"method": "a, b", "setting": 1.0}, work)
    assert len(calls) == 2
    rows = pd.read_csv(tmp_path / "x.csv")
    assert rows["metric"].tolist() == ["rmse", "bias", "seconds"] * 2


def test_a_failure_is_a_result_and_a_mistake_is_not(script, tmp_path):
    results = script("runs").Results("x", ("method",), folder=tmp_path)

    def diverges():
        raise FloatingPointError("loss is nan\nmore")

    def mistaken():
        raise KeyError("typing error")

    assert results.run({"method": "a"}, diverges)
    with pytest.raises(KeyError):
        results.run({"method": "b"}, mistaken)
    rows = pd.read_csv(tmp_path / "x.csv")
    assert rows.iloc[0].tolist() == ["a", "failed", 1.0, "loss is nan"]
    assert set(rows["method"]) == {"a"}


def test_means_standard_errors_and_failures(script):
    report = script("report")
    frame = long(
        *[("a", s, "rmse", v) for s, v in enumerate([1.0, 2.0, 4.0])],
        ("a", 3, "failed", 1.0),
        ("b", 0, "rmse", 3.0),
        ("c", 0, "failed", 1.0),
    )
    found = report.summarise(frame, ["method"])
    row = found.loc[("a", "rmse")]
    assert row["mean"] == pytest.approx(7 / 3)
    assert row["se"] == pytest.approx(np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    assert (row["n"], row["failed"]) == (3, 1)
    assert report.cell(found, ["a"], "rmse") == "2.333 ± 0.882 (1 of 4 failed)"
    assert report.cell(found, ["b"], "rmse") == "3.000"
    assert report.cell(found, ["c"], "rmse") == "failed"
    assert report.cell(found, ["d"], "rmse") == ""


@pytest.mark.parametrize(("metric", "best"), [("rmse", "a"), ("auc", "b"), ("x accuracy", "b")])
def test_the_best_is_bold_and_truth_is_no_rival(script, metric, best):
    report = script("report")
    columns = ("data", "method", "seed", "metric", "value")
    values = {"a": 0.2, "b": 0.7, "truth": 0.9 if metric != "rmse" else 0.1}
    frame = long(*[("t", m, 0, metric, v) for m, v in values.items()], columns=columns)
    table = report.grid(report.summarise(frame, ["data", "method"]), metric, rows=["data"])
    assert table.count("**") == 2 and f"**{values[best]:.3f}**" in table


def test_ladder_is_marked_where_it_beats_the_best_published_row(script):
    report = script("report")
    reference = pd.read_csv(report.REFERENCE)
    best = report.best_published(reference)
    assert best == pytest.approx(
        {"banknote": 0.57, "concrete": 1.12, "wine_red": 1.07, "wine_white": 0.99}
        | {"yeast": 0.77, "wdbc": 0.72}
    )
    columns = ("table", "method", "seed", "rmse")
    ours = long(
        *[("banknote", "ours", s, v) for s, v in enumerate([0.5, 0.6])],
        *[("concrete", "ours", s, v) for s, v in enumerate([1.12, 1.14])],
        ("yeast", "ours", 0, np.nan),
        columns=columns,
    )
    text = report.uci_ladder(ours, reference)
    (line,) = [row for row in text.splitlines() if row.startswith("| ours: ours")]
    cells = line.strip("| ").split(" | ")
    assert cells[1:3] == ["**0.550 ± 0.050**", "1.130 ± 0.010"] and cells[5] == "failed"
    assert "does not exist yet" in report.uci_ladder(None, reference)
    assert "published: MIWAE | 1.19 |" in text and "computed: oracle constant | 0.51" in text


def uci(report, **rows):
    """Results of some methods on the six tables, one seed."""
    frame = pd.DataFrame(rows, index=report.UCI).rename_axis("table")
    frame = frame.melt(var_name="method", value_name="rmse", ignore_index=False)
    return frame.reset_index().assign(seed=0)


def test_goals_of_the_ladder_are_checked_table_by_table(script):
    report = script("report")
    reference = pd.read_csv(report.REFERENCE)
    best = report.best_published(reference)
    rows = {
        "SelfMasking, free": [0.57, 1.27, 1.0, 1.0, 0.7, 0.7],  # lower ones: .57 1.26 1.08 .99 ...
        "Selection": [0.8, 1.47, 1.31, 1.0, 1.0, 0.7],  # .80 1.47 1.30 1.27 1.20 .78
        "SelfMasking, high": [0.89 * best[t] for t in report.UCI],
        "Conjunction": [1.0] * 6,
        "Ignorable": [0.9, *[1.1] * 5],
    }
    text = report.uci_ladder(uci(report, **rows), reference)
    lines = {line.split(" | ")[0]: line for line in text.splitlines()}
    free = lines["| SelfMasking, free ≤ the lower published self-masking row"]
    assert "| 0.570, 0.57: yes | 1.270, 1.26: no | 1.000, 1.08: yes | 1.000, 0.99: no |" in free
    assert free.endswith("| 4 of 6 |")
    assert lines["| Selection ≤ the lower published agnostic row"].endswith("| 5 of 6 |")
    assert "| 1.000, 0.9: no |" in lines["| Conjunction < Ignorable"]
    gain = lines["| SelfMasking, high, gain on the best of 12: 10%"]
    assert gain.endswith("| +11.0% | +11.0% on average: yes |")
    assert "Conjunction is below Ignorable on 5 of the 6 tables" in text
    limit = "| computed: linear regression shown the true values | 0.42 | 0.40 | 0.82 | 0.83 "
    assert limit in text and "was the goal: reached)" in text
    without = {**rows, "SelfMasking, high": [1.0] * 6, "Ignorable": [0.9] * 6}
    text = report.uci_ladder(uci(report, **without), reference)
    assert "below the best of the 12 published rows on concrete and wine_red, not on bank" in text
    assert "was the goal: not reached)" in text and "below Ignorable on 0 of the 6" in text
    some = uci(report, **rows).query("table != 'wdbc'")
    assert "| not run | 4 of 6 |" in report.uci_ladder(some, reference)


def test_limit_of_linear_regressions_is_the_noise(script):
    X = np.random.default_rng(0).normal(size=(3000, 4))
    X[:, 0] = X[:, 1:].sum(1) + 0.3 * X[:, 0]
    X = (X - X.mean(0)) / X.std(0)
    holed = np.where((np.arange(4) == 0) & (X > 0), np.nan, X)
    noise = 0.3 / np.sqrt(3.09)
    assert script("make_linear_limits").limit(holed, X) == pytest.approx(noise, rel=0.05)


def test_missing_rates_of_the_studies_do_not_share_a_name(script):
    report = script("report")
    text = report.paper_studies(report.read("paper_studies"))
    assert "missing in columns that are cut" in text and "missing in the whole table" in text
    assert "missing rate" not in text


def test_findings_of_the_studies_are_those_of_their_numbers(script):
    findings = script("findings")
    columns = ("study", "data", "setting", "method", "seed", "metric", "value")
    rmse = {"SelfMasking, high": [0.5, 2.0], "Conjunction": [0.9, 1.0], "Ignorable": [1.0, 0.9]}
    rmse |= {"IterativeImputer": [0.8, 1.1]}
    cases = [
        (study, "shuttle", setting, method, seed, "rmse", value + 0.1 * seed - 0.05)
        for study in ("offset", "sparsity")
        for method, values in rmse.items()
        for setting, value in zip((0.0, 0.5), values, strict=True)
        for seed in (0, 1)
    ]
    weights = {0.0: (0.9, 0.6), 1.0: (0.95, 0.8), 10.0: (0.8, 0.99)}
    cases += [
        ("mask_weight", "shuttle", w, "Conjunction", 0, metric, value)
        for w, (error, right) in weights.items()
        for metric, value in zip(
            ("rmse", "mask reconstruction", "mask majority"), (error, right, 0.6), strict=True
        )
    ]
    cases += [("mask_weight", "shuttle", 1.0, "Ignorable", 0, "rmse", 0.85)]
    frame = long(*cases, columns=columns)
    found = findings.sparsity(frame)
    assert "lowest RMSE in 1 of 2 cases" in found and "below Ignorable in 1." in found
    assert "fails on shuttle with 0.5 (2.000, Ignorable 0.900)" in found
    assert "from 0.500 to 2.000 on shuttle, that of Conjunction from 0.900" in findings.offset(
        frame
    )
    found = findings.mask_weight(frame)
    assert "lowest on shuttle at 10 (0.800; weight 1, the default: 0.950; weight 0: 0.900" in found
    assert "better than leaving the holes out: shuttle." in found
    assert "in 80.0% of cells at weight 1 and in 99.0% at the largest, where RMSE is 0.8" in found
    particles = [
        (study, "shuttle", k, "Conjunction", 0, metric, value)
        for study in ("particles", "imputation_particles")
        for k in (1.0, 100.0)
        for metric, value in (("rmse", 1.0 - k / 1000), ("bound", k / 50), ("seconds", 3 * k))
    ]
    frame = pd.concat([frame, long(*particles, columns=columns)])
    found = findings.particles(frame)
    assert "From K = 1 to 100 the bound rises by 2.0 nats and a fit takes 100 times" in found
    assert "From L = 1 to 100 RMSE changes by 0.099" in findings.imputation_particles(frame)
    found = findings.paper_studies(frame)
    assert "Of 4 cases" in found and "RMSE in 2; Conjunction is below Ignorable in 2" in found
    assert "afterwards, is 0.800 on shuttle, where that of SelfMasking, high is 0.500" in found


def test_every_section_opens_with_what_it_says(script):
    report = script("report")
    text = report.report()
    for title, name, find, _ in report.SECTIONS:
        found = find(report.read(name))
        assert f"## {title} (bench_{name}.py)\n\n{found}\n" in text
        assert "nan" not in found
    for study, find in script("findings").STUDIES.items():
        assert f"### {study}\n\n{find(report.read('paper_studies'))}\n" in text


@pytest.mark.parametrize(
    ("own", "says"), [(0.4, "best"), (0.509, "tied"), (0.52, "worse")], ids=str
)
def test_verdict_on_the_right_mechanism(script, own, says):
    report = script("report")
    columns = ("mechanism", "idiosyncratic", "method", "seed", "metric", "value")
    rows = {"Conjunction": own, "Ignorable": 0.5, "mean": 1.0}
    frame = long(
        *[("shared_latent", 0.1, m, 0, "rmse", v) for m, v in rows.items()], columns=columns
    )
    keys = ["mechanism", "idiosyncratic", "method"]
    (line,) = report.verdicts(report.summarise(frame, keys))
    assert line[6] == says and line[8] == f"{own / 0.5:.2f}"


def test_every_row_of_results_is_in_the_report(script):
    report = script("report")
    text = report.report()
    for _, name, _, _ in report.SECTIONS:
        frame = report.read(name)
        if frame is None:
            assert f"results/{name}.csv does not exist yet" in text
            continue
        what = {"gradients": "estimator", "defaults": "variant"}.get(name, "method")
        for method in frame[what].unique():
            assert method in text


def test_findings_and_table_of_defaults(script):
    """By hand: one variant wins on both tables, one on one, one was run with one seed only."""
    bounds = {
        "default": {"protein": [-3.0, -3.2], "shuttle": [0.0, 0.1]},
        "slope=10": {"protein": [-2.9, -3.0], "shuttle": [0.2, 0.2]},
        "hidden=0": {"protein": [-2.9, -3.3], "shuttle": [0.1, 0.2]},
        "floor=0.1": {"protein": [-3.5], "shuttle": [-1.0]},
    }
    rows = [
        (data, variant, seed, metric, value if metric == "bound" else 1.0 + seed)
        for variant, tables in bounds.items()
        for data, values in tables.items()
        for seed, value in enumerate(values)
        for metric in ("bound", "rmse")
    ]
    frame = long(*rows, columns=("data", "variant", "seed", "metric", "value"))
    found = script("findings").defaults(frame)
    assert "Of 3 changes of one argument slope=10 have a better held-out bound" in found
    assert "on one table with every seed: hidden=0 (shuttle)." in found
    lines = script("report").defaults(frame).splitlines()
    line = (
        "| slope=10 | +0.150 ± 0.050 | +0.000 ± 0.000 | 2 | +0.150 ± 0.050 | +0.000 ± 0.000 | 2 |"
    )
    assert line in lines
    assert "| floor=0.1 | -0.500 | +0.000 | 1 | -1.000 | +0.000 | 1 |" in lines


def test_log_loss_and_accuracy_of_removed_levels(script):
    mixed = script("bench_mixed_types")
    truth = pd.DataFrame({"k": [0.0, 1.0, 2.0, 1.0], "x": [0.0, 2.0, 4.0, 6.0]})
    removed = pd.DataFrame({"k": [True, True, False, False], "x": [False, True, False, True]})
    case = mixed.Case(truth, truth.mask(removed), removed, {"k": np.array([0.0, 1.0, 2.0])}, [])
    chances = {"k": np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0.0], [np.nan] * 3, [np.nan] * 3])}
    assert mixed.log_loss(case, chances, ["k"]) == pytest.approx(-np.log([0.5, 0.1]).mean())
    completed = pd.DataFrame({"k": [0.0, 0.0, 2.0, 1.0], "x": [0.0, 3.0, 4.0, 4.0]})
    assert mixed.accuracy(case, completed, ["k"]) == 0.5
    expected = np.sqrt((1 + 4) / 2) / truth["x"].std(ddof=0)
    assert mixed.rmse(case, completed) == pytest.approx(expected)


def test_truths_of_the_coverage_study_are_those_of_its_tables(script):
    bench = script("bench_coverage")
    n = 200_000
    study = bench.analyse(bench.world("mcar", n, 1).complete.to_numpy(float)[None])
    z = (study.estimates[0] - np.array(list(bench.truths().values()))) / study.variances[0] ** 0.5
    assert np.abs(z).max() < 3.5


def test_analyses_of_the_coverage_study_are_those_of_statsmodels(script):
    sm = pytest.importorskip("statsmodels.api")
    bench = script("bench_coverage")
    tables = np.stack([bench.world("mar", 300, s).complete.to_numpy(float) for s in (0, 1)])
    study = bench.analyse(tables)
    for i, table in enumerate(tables):
        linear = sm.OLS(table[:, 0], sm.add_constant(table[:, 1:4])).fit()
        logit = sm.Logit(table[:, 4], sm.add_constant(table[:, :3])).fit(disp=False)
        assert np.allclose(study.estimates[i, 4:6], linear.params[1:3])
        assert np.allclose(study.variances[i, 4:6], linear.bse[1:3] ** 2)
        assert np.allclose(study.estimates[i, 6:], logit.params[[1, 3]])
        assert np.allclose(study.variances[i, 6:], logit.bse[[1, 3]] ** 2, rtol=1e-4)


@pytest.mark.parametrize("generator", ["mcar", "mar", "shared_latent", "self_masking"])
def test_tables_of_the_coverage_study_lose_what_they_should(script, generator):
    made = script("bench_coverage").world(generator, 20_000, 0)
    missing = made.holed.isna()
    assert np.allclose(missing.mean(), [0.3, 0.3, 0.0, 0.0, 0.0], atol=0.02)
    assert made.holed.stack().equals(made.complete.where(~missing).stack())


def test_chunks_add_up_and_resume(script, tmp_path, monkeypatch):
    bench = script("bench_coverage")
    monkeypatch.setattr(bench, "CHUNK", 3)
    path = tmp_path / "coverage.csv"
    key = ("mar", 60, "complete", 0)
    bench.Chunks(path).write(bench.chunk(key))
    assert bench.Chunks(path).missing([key, ("mar", 60, "complete", 3)]) == [
        ("mar", 60, "complete", 3)
    ]
    found = script("report").coverage_of(pd.read_csv(path)).loc[("mar", 60, "complete")]
    each = np.array([bench.replicate("mar", 60, "complete", seed=s) for s in range(3)])
    assert found["count"].eq(3).all()
    assert np.allclose(found["bias"], each[:, 0].mean(0), rtol=1e-4)
    assert np.allclose(found["sd"], each[:, 0].std(0, ddof=1), rtol=1e-3)
    assert np.allclose(found["se"], each[:, 2].mean(0), rtol=1e-4)
    assert np.allclose(found["coverage"], each[:, 3].mean(0), rtol=1e-4)


def test_a_replication_that_fails_is_counted(script, monkeypatch):
    bench = script("bench_coverage")

    def diverges(world, seed):
        if seed % 2:
            raise FloatingPointError("loss is nan")
        return bench.complete(world, seed)

    monkeypatch.setitem(bench.METHODS, "diverges", diverges)
    rows = bench.chunk(("mcar", 60, "diverges", 0))
    assert {(r["count"], r["failed"], r["note"]) for r in rows} == {(5, 5, "loss is nan")}


def test_coverage_is_compared_with_what_was_asked_for(script):
    rows = [
        {"generator": "mar", "n": 500, "method": method, "first": first, "estimand": name}
        | {"count": 200, "failed": 0, "error": 200 * bias, "squares": 200 * (bias**2 + 0.01)}
        | {"se": 20.0, "hits": hits / 2, "width": 80.0, "seconds": 1.0, "note": ""}
        for first in (0, 200)
        for name, shift, hits in (
            ("right", 0.0, 380), ("narrow", 0.0, 340), ("lucky", 0.02, 376), ("off", 0.05, 376)
        )
        for method, bias in (("complete", 0.1), ("Ignorable", 0.1 + shift))
    ]  # fmt: skip
    written = script("report").coverage(pd.DataFrame(rows))
    line = next(x for x in written.splitlines() if x.startswith("| mar | 500 "))
    assert line.split(" | ")[3:7] == [
        "95.0 ± 1.1; +0.00 ± 0.00", "85.0 ± 1.8; +0.00 ± 0.00 ✗ coverage",
        "94.0 ± 1.2; +0.20 ± 0.00", "94.0 ± 1.2; +0.50 ± 0.00 ✗ bias",
    ]  # fmt: skip
    assert "in 3 of 4 cells" in written
