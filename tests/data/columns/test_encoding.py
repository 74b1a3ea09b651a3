import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyro_gnr.data import Schema


@pytest.mark.parametrize(
    "training, batch, text",
    [
        ([1.0, 2.0], ["a", "b"], "'col' came as levels .* expected numbers"),
        (["a", "b"], [1.0, 2.0], "'col' came as numbers .* expected strings"),
        ([0, 1], ["0", "1"], "'col' came as strings .* expected numbers"),
        (["a", "b"], ["a", "z"], "'col' has 1 level.* not seen in training: 'z'; .* 'a', 'b'"),
        ([0, 1], [0, 2], "'col' has 1 level.* not seen in training: 2"),
        ([1.0, 2.0], [1.0, np.inf], "'col' has 1 infinite"),
    ],
)
def test_cells_that_do_not_fit_the_schema(training, batch, text):
    schema = Schema.learn(pd.DataFrame({"col": training}))
    for X in (pd.DataFrame({"col": batch}), pl.DataFrame({"col": batch})):
        with pytest.raises(ValueError, match=text):
            schema.encode(X)


@pytest.mark.parametrize(
    "training, kind, batch, text",
    [
        ([1.0, 2.0], "positive", [1.0, 0.0], "'col' has 1 value.*zero or below"),
        ([1.0, 2.0], "count", [1.5, 2.5], "'col' has 2 value.*not whole"),
        ([0.1, 0.2], "bounded", [0.5, 1.5], "'col' has 1 value.*from 0 to 1"),
        ([1, 2], "ordinal", [1, 3], "'col' has 1 level.* not seen in training: 3"),
        ([1.0, 2.0], "positive", ["a", "b"], "'col' came as levels"),
    ],
)
def test_new_cells_that_do_not_fit_the_kind(frames_of, training, kind, batch, text):
    schema = Schema.learn(pd.DataFrame({"col": training}), {"col": kind})
    for X in frames_of(batch):
        with pytest.raises(ValueError, match=text):
            schema.encode(X)
