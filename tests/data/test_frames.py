import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from pyro_gnr.data.frames import as_frame, column_names


@pytest.mark.parametrize(
    "X, error, text",
    [
        (pl.LazyFrame({"a": [1]}), TypeError, r"LazyFrame.*\.collect\(\)"),
        (pd.Series([1.0]), TypeError, "got Series, expected a pandas or polars DataFrame"),
        (scipy.sparse.eye(3).tocsr(), TypeError, r"toarray\(\)"),
        (np.ma.masked_array([[1.0]]), TypeError, "got MaskedArray"),
        ("table.csv", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
        (np.zeros(3), ValueError, "Expected 2D array, got 1D array instead.*Reshape your data"),
        (np.zeros((2, 2, 2)), ValueError, "got 3D"),
        (np.zeros((2, 2), complex), ValueError, "Complex data not supported"),
        ([["a", 1.0], ["b", 2.0]], ValueError, "other things than numbers"),
        (np.array([["a", 1.0]], dtype=object), ValueError, "other things than numbers.*'a'"),
        (np.array([[{}, 1.0]], dtype=object), TypeError, "argument must be .* string.* number"),
        (np.zeros((2, 2), "M8[D]"), TypeError, "dtype datetime64"),
    ],
)
def test_what_is_no_table(X, error, text):
    with pytest.raises(error, match=text):
        as_frame(X)


def test_objects_and_lists_become_numbers():
    X = np.array([[1, None], [pd.NA, 2.5]], dtype=object)
    np.testing.assert_array_equal(as_frame(X), [[1.0, np.nan], [np.nan, 2.5]])
    assert as_frame([[1, 2], [3, 4]]).dtype.kind == "i"
    assert column_names(as_frame([[1, 2]])) == ("x0", "x1")


def test_frames_are_passed_on():
    for X in (pd.DataFrame({1: [1]}), pl.DataFrame({"a": [1]}), np.zeros((2, 2))):
        assert as_frame(X) is X


def test_polars_stays_optional():
    """Importing the package for a pandas user must not import polars."""
    import subprocess
    import sys

    program = (
        "import sys, pyro_gnr.data; sys.exit('polars' in sys.modules or 'torch' in sys.modules)"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=path).returncode == 0
