import pytest

from pyro_gnr.data import Kind, Schema
from pyro_gnr.data.columns import as_bounds, as_kind


@pytest.mark.parametrize(
    "kind, text",
    [
        ("bounded(20, 1)", "'bounded.20, 1.' for column 'col', expected two"),
        ("bounded(0, inf)", "for column 'col', expected two finite"),
        ("bounded(a, b)", "for column 'col', expected two finite"),
        ("bounded 0 20", "expected one of .*'bounded', 'count'.*bounded.0, 20"),
    ],
)
def test_what_is_no_kind(frames_of, kind, text):
    for X in frames_of([0.5, 30.0, 2.0]):
        with pytest.raises(ValueError, match=text):
            Schema.learn(X, {"col": kind})


def test_words_for_every_kind():
    assert [as_kind(str(kind), "col") for kind in Kind] == list(Kind)
    assert [as_bounds(kind, "col") for kind in Kind] == [None] * len(Kind)
