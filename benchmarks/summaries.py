"""Means over seeds, and sums over replications, of what the benchmarks wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

SUMS = ["error", "squares", "se", "hits", "width"]  # of a chunk of replications


def summarise(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Give mean, standard error and number of seeds of every run and metric, and its failures.

    Args:
        frame: rows of a results file: keys, seed, metric, value.
        keys: columns that tell runs apart, without the seed.

    Returns:
        Indexed by keys and metric: mean, se (NaN of one seed), n and failed (seeds that did).
    """
    runs = frame.groupby([*keys, "metric"], sort=False)["value"]
    found = pd.DataFrame({"mean": runs.mean(), "se": runs.sem(), "n": runs.size()})
    failed = {i[:-1]: int(n) for i, n in found["n"].items() if i[-1] == "failed"}
    return found.assign(failed=[failed.get(i[:-1], 0) for i in found.index])


def coverage_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Add chunks up: bias, empirical and average standard error, coverage, width, by estimand.

    Returns:
        Indexed by generator, n, method and estimand: count, failed, seconds, bias, sd, se,
        coverage, width; low and high, Wilson's 95 % interval of coverage.
    """
    keys = ["generator", "n", "method", "estimand"]
    found = frame.groupby(keys, sort=False)[["count", "failed", *SUMS]].sum()
    found["seconds"] = frame.groupby(keys, sort=False)["seconds"].mean()
    n = found["count"].clip(lower=1)
    means = found[SUMS].div(n, axis=0)
    found["bias"] = means["error"]
    spread = (means["squares"] - means["error"] ** 2).clip(lower=0) * n / (n - 1).clip(lower=1)
    found["sd"] = np.sqrt(spread)
    found["se"], found["width"], p = means["se"], means["width"], means["hits"]
    centre, half = (p + 1.92 / n) / (1 + 3.84 / n), 1.96 * np.sqrt(p * (1 - p) / n + 0.96 / n**2)
    found["low"], found["high"] = centre - half / (1 + 3.84 / n), centre + half / (1 + 3.84 / n)
    found = found.join(_against_complete(frame, keys))
    return found.assign(coverage=p).drop(columns=["error", "squares", "hits"])


def _against_complete(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Bias beside the same tables without holes (`moved`), and its error from chunk to chunk.

    Much of an estimate's error is the table's, and the complete one's bias is next to none.
    """
    chunks = frame.set_index(["generator", "n", "first", "estimand"])
    without = chunks[chunks["method"] == "complete"]
    mean = chunks["error"] / chunks["count"].clip(lower=1)
    complete = without["error"] / without["count"].clip(lower=1)
    moved = frame.assign(moved=mean.to_numpy() - complete.reindex(chunks.index).to_numpy())
    moved = moved[moved["count"] > 0].groupby(list(keys), sort=False)["moved"]
    return pd.DataFrame({"moved": moved.mean(), "moved_error": moved.sem()})


def over_generators(frame: pd.DataFrame, right: Mapping[str, str]) -> pd.DataFrame:
    """Compare the right mechanisms with complete tables, by estimand, over all generators.

    Generators take cells from the same complete tables, so that their results are no independent
    replications: the error is that of chunks of ten tables, generators averaged.

    Args:
        frame: chunks, as for `coverage_of`, of tables of one size.
        right: the right method of each generator.

    Returns:
        By estimand: right and complete, coverage in the chunks that both have; difference and
        its standard error; n, the number of those chunks.
    """
    small = frame[frame["count"] > 0]
    small = small.assign(covered=small["hits"] / small["count"])
    own = small[small["method"] == small["generator"].map(right)]
    without = small[small["method"] == "complete"]
    keys = ["estimand", "first"]
    both = pd.DataFrame({
        "right": own.groupby(keys, sort=False)["covered"].mean(),
        "complete": without.groupby(keys, sort=False)["covered"].mean(),
    }).dropna()  # fmt: skip
    both["difference"] = both["right"] - both["complete"]
    by_estimand = both.groupby("estimand", sort=False)
    found = by_estimand.mean().assign(error=by_estimand["difference"].sem(), n=by_estimand.size())
    return found.loc[[e for e in dict.fromkeys(frame["estimand"]) if e in found.index]]
