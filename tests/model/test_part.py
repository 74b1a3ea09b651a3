import numpy as np
import pytest

from pyro_gnr.model.part import check_numbers


def test_numbers_are_what_python_can_make_a_float_of_but_text_and_truth_values():
    check_numbers(a=1, b=0.5, c=np.float32(0.5), d=np.int64(3), e=float("nan"))
    for value in ("1", None, True, [1.0], 1j):
        with pytest.raises(TypeError, match="got b=.*, expected a number"):
            check_numbers(a=1, b=value)
