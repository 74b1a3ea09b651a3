"""Results that outlive an interruption: one row a run and metric, written as they come."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tables import RESULTS

__all__ = ["Results"]

# What a method may fail with; anything else is a mistake in a benchmark.
FAILURES = (ValueError, FloatingPointError, np.linalg.LinAlgError)


class Results:
    """Rows of results/NAME.csv: keys of a run, then metric, value and note.

    A run that is there already is not run again; one that failed is there, too, with the metric
    "failed", value 1 and the error as its note.

    Args:
        name: of the file, without its ending.
        keys: names of the columns that tell runs apart.
        folder: where it is.
    """

    def __init__(self, name: str, keys: Sequence[str], *, folder: Path = RESULTS) -> None:
        self.path = folder / f"{name}.csv"
        self.keys = tuple(keys)
        self.done: set[tuple[str, ...]] = set()
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.done = {tuple(row[k] for k in self.keys) for row in csv.DictReader(file)}

    def run(self, key: Mapping[str, object], work: Callable[[], Mapping[str, float]]) -> bool:
        """Do a run unless it is done; write its metrics, and the seconds it took.

        Args:
            key: a value of each of the keys.
            work: gives the metrics.

        Returns:
            Whether it was run now.
        """
        values = tuple(str(key[k]) for k in self.keys)
        if values in self.done:
            return False
        start, note = time.perf_counter(), ""
        try:
            metrics = dict(work())
        except FAILURES as error:
            metrics, note = {"failed": 1.0}, str(error).partition("\n")[0]
        metrics.setdefault("seconds", time.perf_counter() - start)
        self._write(values, metrics, note)
        self.done.add(values)
        return True

    def _write(self, values: tuple[str, ...], metrics: Mapping[str, float], note: str) -> None:
        new = not self.path.exists()
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow([*self.keys, "metric", "value", "note"])
            writer.writerows([*values, m, f"{v:.6g}", note] for m, v in metrics.items())
        shown = {m: round(float(v), 4) for m, v in metrics.items()}
        print(*values, shown, note, flush=True)
