import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data import Schema
from pyro_gnr.data.columns import encode_column, learn_column
from pyro_gnr.data.reading import read


def test_a_long_list_of_levels_is_cut_short():
    schema = Schema.learn(pd.DataFrame({"c": pd.Series(range(50), dtype="category")}))
    with pytest.raises(ValueError, match=r"\(50 in all\)"):
        schema.encode(pd.DataFrame({"c": [99]}))


def test_whole_levels_are_shown_as_whole_numbers():
    schema = Schema.learn(pd.DataFrame({"c": [0.0, 1.0, None, 2.5]}), {"c": "categorical"})
    with pytest.raises(ValueError, match=r"training: 99; expected one of 0, 1, 2\.5\."):
        schema.encode(pd.DataFrame({"c": [99.0]}))


def test_another_number_in_a_constant_column_is_not_silent():
    column = learn_column(read(np.array([5.0, 5.0, np.nan]), "c"))
    assert encode_column(column, read(np.array([5.0, np.nan]), "c")).tolist() == [0.0, 0.0]
    with pytest.warns(UserWarning, match=r"column 'c' was always 5 in training, but 1 cell"):
        encode_column(column, read(np.array([99.0, 5.0]), "c"))
