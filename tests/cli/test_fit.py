STEPS = ("--max-steps", "3")


def test_steps_run_without_a_held_out_bound(run, table, frame, tmp_path):
    frame.iloc[:20].to_csv(table, index=False)
    fit = ("fit", table, "--kind", "row=ignore", "--max-steps")
    out = run(*fit, 3, "--model", tmp_path / "a").out
    assert "20 rows, 3 steps, " in out
    assert "bound" not in out
    assert "20 rows, 1 step, " in run(*fit, 1, "--model", tmp_path / "b").out


def test_a_saved_model_is_readable_as_any_new_file(run, impute, table, tmp_path):
    assert impute(table, tmp_path / "plain.csv").status == 0
    fit = ("fit", table, "--model", tmp_path / "model", "--kind", "row=ignore", *STEPS)
    assert run(*fit).status == 0
    modes = {path.stat().st_mode for path in (tmp_path / "model").iterdir()}
    assert modes == {(tmp_path / "plain.csv").stat().st_mode}
