"""Warnings with the name of what gives rise to them, for the filters that the caller has."""

import warnings

import pytest
from sklearn.exceptions import InconsistentVersionWarning

from pyro_gnr.imputation.sensitivity.said import named_warnings


def shown(*texts, said=(), **filters):
    """What is shown of these warnings, under one more filter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if filters:
            warnings.filterwarnings("ignore", **filters)
        with named_warnings("one", set(said)):
            for text in texts:
                warnings.warn(text, UserWarning, stacklevel=2)
    return [str(warning.message) for warning in caught]


def test_each_text_is_shown_once_with_the_name():
    assert shown("a", "b", "a", said=["b"]) == ["one: a"]


def test_filters_see_warnings_as_they_are():
    assert shown("a", "b", message="a") == ["one: b"]
    assert shown("a", module=__name__) == []


def test_a_warning_that_is_an_error_is_raised_where_it_arises():
    reached = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="^a$"), named_warnings("one", set()):
            warnings.warn("a", UserWarning, stacklevel=1)
            reached.append(1)
    assert not reached


def test_warnings_that_are_not_made_of_a_text_pass():
    odd = InconsistentVersionWarning(
        estimator_name="A", current_sklearn_version="2", original_sklearn_version="1"
    )
    with (
        pytest.warns(InconsistentVersionWarning, match="Trying to unpickle"),
        named_warnings("one", set()),
    ):
        warnings.warn(odd, stacklevel=1)


def test_what_was_there_before_is_there_after():
    before = warnings.showwarning
    with pytest.raises(KeyError), named_warnings("one", set()):
        raise KeyError
    assert warnings.showwarning is before
