"""Real tables with their own holes through the command line: time, memory, and what comes back.

Runs `pyro-gnr impute TABLE --m 20` as a user would, checks that observed cells come back
bit-equal and that imputed cells are levels or whole numbers where the column's are, and writes
wall time and peak memory of the whole process, and how many rows have a Pareto k above 0.7.

    PYRO_GNR_DATA=folder python benchmarks/bench_real_tables.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from tables import LEVELS, folder, save


def run(table: Path, out: Path, levels: list[str]) -> tuple[float, float]:
    """Impute one table; give seconds and peak MiB of the process."""
    kinds = [word for name in levels for word in ("--kind", f"{name}=categorical")]
    script = Path(sys.executable).with_name("pyro-gnr")
    command = [str(script), "impute", str(table), "--output", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--seed", "0", *kinds])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{table.name}: exit status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def check(table: Path, out: Path, levels: list[str]) -> int:
    """Compare every completed table with the original; give the number of imputed cells."""
    original = pd.read_csv(table, dtype_backend="numpy_nullable")
    holes = original.isna()
    files = sorted(out.glob("imputation_*.csv"))
    assert len(files) == 20, files
    for file in files:
        completed = pd.read_csv(file, dtype_backend="numpy_nullable")
        assert list(completed) == list(original) and len(completed) == len(original)
        assert not completed.isna().any(axis=None)
        for name in original:
            seen = ~holes[name]
            assert (completed.loc[seen, name] == original.loc[seen, name]).all(), name
            if name in levels or set(original[name].dropna().unique()) == {0, 1}:
                assert set(completed[name]) <= set(original[name].dropna()), name
            if pd.api.types.is_integer_dtype(original[name]):
                assert pd.api.types.is_integer_dtype(completed[name]), name
    return int(holes.to_numpy().sum())


def main() -> None:
    """Run all tables; write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", default=list(LEVELS))
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name in arguments.tables:
        table = folder() / f"{name}.csv"
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "out"
            seconds, memory = run(table, out, LEVELS[name])
            cells = check(table, out, LEVELS[name])
            manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        incomplete = int(pd.read_csv(table).isna().any(axis=1).sum())
        n_rows, n_columns = pd.read_csv(table).shape
        rows.append(
            {
                "table": name, "rows": n_rows, "columns": n_columns, "imputed_cells": cells,
                "incomplete_rows": incomplete,
                "high_pareto_k": manifest["rows_with_high_pareto_k"],
                "seconds": round(seconds, 1), "peak_mib": round(memory),
            }
        )  # fmt: skip
    print(save(rows, "real_tables").to_string(index=False))


if __name__ == "__main__":
    main()
