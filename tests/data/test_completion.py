import numpy as np
import pandas as pd
import pytest

from pyro_gnr.data.completion import Fill, complete

STRINGS = np.array(["p", "q"], dtype=object)


def test_columns_of_a_frame_with_repeated_names_are_written_by_position():
    X = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "a"], index=[5, 5])
    out = complete(X, {1: Fill(np.array([0]), np.array([9.0]))})
    assert out.to_numpy().tolist() == [[1.0, 9.0], [3.0, 4.0]]
    assert out.index.tolist() == [5, 5]
    assert X.to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_attributes_of_a_frame_survive():
    X = pd.DataFrame({"a": [1.0, None]})
    X.attrs["source"] = "survey"
    assert complete(X, {0: Fill(np.array([1]), np.array([9.0]))}).attrs == {"source": "survey"}


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_strings_are_written_in_the_callers_dtype(dtype):
    X = pd.DataFrame({"a": pd.Series(["u", None, None], dtype=dtype)})
    out = complete(X, {0: Fill(np.array([1, 2]), STRINGS)})
    assert out["a"].tolist() == ["u", "p", "q"]
    if dtype != "category":
        assert out["a"].dtype == X["a"].dtype
    else:
        assert out["a"].cat.categories.tolist() == ["u", "p", "q"]
