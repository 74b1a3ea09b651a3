import json

import numpy as np
import pytest

from pyro_gnr.data import Column


def test_intervals_survive_json(learn):
    column = learn(["1", "<0.5", ">9", "2-3"])
    text = json.dumps(column.to_dict(), allow_nan=False)
    assert Column.from_dict(json.loads(text)) == column
    old = {k: v for k, v in learn([1.0, 2.0]).to_dict().items() if k != "intervals"}
    assert Column.from_dict(old) == learn([1.0, 2.0])


@pytest.mark.filterwarnings("ignore:column .* limits of detection")
def test_to_units_undoes_standardising(learn):
    for kind in ("censored", "censored_log"):
        column = learn(["1", "3", "<0.5"], kind)
        x = np.array([0.1, 1.0, 7.0])
        np.testing.assert_allclose(column.to_units(column.standardised(x)), x)
