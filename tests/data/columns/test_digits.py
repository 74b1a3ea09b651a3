import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyro_gnr.data.columns.digits import exact, outward
from pyro_gnr.data.columns.kinds import as_bounds

FLOATS = st.floats(-1e300, 1e300)


@given(FLOATS)
def test_exact_is_read_back_as_itself(number):
    assert float(exact(number)) == number


@example([5e-324])
@given(st.lists(FLOATS | st.integers(10**9, 10**9 + 60), min_size=1, max_size=5))
def test_what_is_rounded_outwards_holds_all_numbers(numbers):
    low, high = outward(min(numbers), max(numbers))
    bounds = as_bounds(f"bounded({low}, {high})", "col")
    assert bounds[0] <= min(numbers) and max(numbers) <= bounds[1]


@pytest.mark.parametrize(
    "numbers, texts",
    [
        ((0.5, 130.0), ("0.5", "130")),
        ((1.090884e12, 8.406756e12), ("1e+12", "8.5e+12")),
        ((-8.406756, -1.090884), ("-8.5", "-1")),
        ((1e9 - 30, 1e9 + 30), ("999999970", "1000000030")),
        ((0.0, 7.123e-12), ("0", "7.2e-12")),
        ((150.0, 150.0), ("140", "160")),
        ((0.0, 0.0), ("-0.1", "0.1")),
    ],
)
def test_as_many_digits_as_tell_two_numbers_apart_and_one_more(numbers, texts):
    assert outward(*numbers) == texts
