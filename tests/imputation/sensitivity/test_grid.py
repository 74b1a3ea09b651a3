"""A grid is what one gets by adjusting and pooling at each of its points."""

import json

import numpy as np
import pytest
from scipy import stats

from pyro_gnr import Delta


def test_every_point_is_an_adjusted_pooled_analysis(imputation):
    grid = imputation.delta_grid(
        "age ~ score", {"age": [-2.0, 0.0], Delta("score", where="group == 'a'"): [0.0, 1.0, 2.0]}
    )
    assert grid.shape[0] == 2 * 3 * 2
    score = "delta score where group == 'a'"
    assert grid.columns[:3].tolist() == ["delta age", score, "term"]
    assert grid.units == {"delta age": "the column's own unit", score: "log-odds"}
    point = grid[(grid["delta age"] == -2.0) & (grid[score] == 2.0)].set_index("term")
    alone = (
        imputation.adjusted(Delta("age", -2.0), Delta("score", 2.0, where="group == 'a'"))
        .pool("age ~ score")
        .summary()
    )
    np.testing.assert_array_equal(point[alone.columns], alone)
    still = grid[(grid["delta age"] == 0.0) & (grid[score] == 0.0)].set_index("term")
    np.testing.assert_array_equal(still[alone.columns], imputation.pool("age ~ score").summary())


def test_two_departures_of_one_column_have_their_own_names(imputation):
    a, b = Delta("age", where="group == 'a'"), Delta("age", where="group == 'b'")
    grid = imputation.delta_grid("age ~ 1", {a: [1.0], b: [-1.0]}, level=0.9)
    assert grid.columns[:2].tolist() == [
        "delta age where group == 'a'", "delta age where group == 'b'",
    ]  # fmt: skip
    assert grid.level == 0.9
    c, d = (Delta("age", where=lambda t, g=g: t["group"] == g) for g in "ab")
    grid = imputation.delta_grid("age ~ 1", {c: [1.0], d: [-1.0]})
    assert grid.columns[:2].tolist() == ["delta age", "delta age (2)"]


def test_units_say_of_what_the_numbers_are_multiples(imputation):
    grid = imputation.delta_grid("age ~ 1", {Delta("age", -10.0): [1.0]})
    assert grid.units == {"delta age": "multiples of -10, in the column's own unit"}
    by_table = Delta("age", np.arange(imputation.m))
    grid = imputation.delta_grid("age ~ 1", {by_table: [1.0]})
    assert grid.units["delta age"].startswith("multiples of the numbers by table, in the column's")


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({}, TypeError, "expected a dict of numbers by column name"),
        ([1.0], TypeError, "expected a dict of numbers by column name"),
        ({"age": []}, ValueError, "for column 'age', expected a row of finite numbers"),
        ({"age": [np.nan]}, ValueError, "for column 'age'"),
        ({"age": ["a"]}, TypeError, r"got \['a'\] for column 'age', expected a row of finite num"),
        ({"age": ["2"]}, TypeError, "for column 'age', expected a row of finite numbers"),
        ({"age": [True, 2.0]}, TypeError, "for column 'age', expected a row of finite numbers"),
        ({"agee": [1.0]}, ValueError, "got column 'agee'"),
        ({Delta("age", stats.norm(0, 1)): [1.0]}, TypeError, "got a prior for column 'age'"),
    ],
)
def test_bad_grids(imputation, grid, error, message):
    with pytest.raises(error, match=message):
        imputation.delta_grid("age ~ 1", grid)


def test_it_carries_its_ledger(imputation):
    some = Delta("score", where=lambda table: (table["group"] == "a").to_numpy())
    grid = imputation.delta_grid("age ~ 1", {"age": [-2.0, 0.0], some: [0.0, 1.0]})
    found = grid.ledger()
    assert found.checks == imputation.ledger().checks
    age, score = json.loads(json.dumps(found.to_dict()))["departures"]
    assert (age["column"], age["times"], age["rows"]) == ("age", [-2.0, 0.0], None)
    assert (score["by"], score["times"], score["rows"]) == (1.0, [0.0, 1.0], 45)
    assert score["unit"] == "log-odds"
    assert "Departure: 'age' + 1 times -2, 0\n" in str(found)


def test_it_prints_whole_with_its_units(imputation, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    grid = imputation.delta_grid("age ~ score", {"dose": [-1.0], "score": [0.5]}, level=0.9)
    lines = str(grid).splitlines()
    assert lines[0] == "one analysis under departures from the model, 90% intervals"
    assert lines[1].split("delta ")[1].strip() == "dose"
    assert lines[1].split()[4:] == list(grid.columns[2:])
    assert "..." not in str(grid)
    assert lines[4:] == [
        "- delta dose: in log (0.1 is about 10 % more)",
        "- delta score: in log-odds",
    ]
    assert repr(grid) == str(grid)


def test_in_a_notebook_it_shows_its_units(imputation):
    where = "group < 'b' and age < 999"
    grid = imputation.delta_grid(
        "age ~ 1", {"dose": [-1.0], Delta("score", where=where): [0.5]}, level=0.9
    )
    page = grid._repr_html_()
    assert "one analysis under departures from the model, 90% intervals" in page
    assert "<li>delta dose: in log (0.1 is about 10 % more)</li>" in page
    assert "age &lt; 999: in log-odds</li>" in page
    assert "< " not in page
