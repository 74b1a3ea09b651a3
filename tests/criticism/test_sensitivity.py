"""Pictures show the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pyro_gnr.criticism.sensitivity import plot_grid, plot_ladder
from pyro_gnr.imputation.sensitivity.grid import DeltaGrid
from pyro_gnr.imputation.sensitivity.ladder import Ladder

AT = np.linspace(-2.0, 2.0, 9)


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    plt.close("all")  # those of others
    yield
    plt.close("all")


def grid_of(*names):
    points = np.stack(np.meshgrid(*[AT] * len(names), indexing="ij"), -1).reshape(-1, len(names))
    grid = pd.DataFrame(points, columns=list(names)).assign(term="b")
    grid["estimate"] = points.sum(1)
    grid = DeltaGrid(
        grid.assign(**{"conf.low": grid["estimate"] - 1, "conf.high": grid["estimate"] + 1})
    )
    grid.units, grid.level = dict.fromkeys(names, "log-odds"), 0.95
    return grid


def test_one_departure_is_a_line_with_a_band():
    ax = plot_grid(grid_of("delta a"))
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(x, AT)
    np.testing.assert_allclose(y, AT)
    assert ax.get_xlabel() == "delta a, log-odds"


def test_two_are_a_map_whose_contour_is_where_the_interval_touches():
    ax = plot_grid(grid_of("delta a", "delta b"))
    mesh = ax.collections[0].get_array().reshape(9, 9)
    np.testing.assert_allclose(mesh, AT[:, None] + AT)
    contour = ax.collections[1]
    points = np.concatenate([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(np.abs(points.sum(1)), 1.0, atol=1e-6)


def test_more_are_refused_and_so_are_unknown_terms():
    with pytest.raises(ValueError, match="expected one or two"):
        plot_grid(grid_of("a", "b", "c"))
    with pytest.raises(ValueError, match=r"got term='x', expected one of \['b'\]"):
        plot_grid(grid_of("a"), "x")
    assert plt.get_fignums() == []


def test_the_ladder_is_a_line_a_mechanism():
    index = pd.MultiIndex.from_tuples([("one", "b"), ("two", "b")], names=["mechanism", "term"])
    found = Ladder({"estimate": [1.0, 2.0], "conf.low": [0, 1], "conf.high": [2, 5]}, index=index)
    found.level = 0.9
    found.fit = pd.DataFrame(
        {"held_out_values": [np.nan] * 2, "se_difference_values": np.nan}, index=["one", "two"]
    )
    ax = plot_ladder(found)
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), [1.0, 2.0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    found.fit = found.fit.assign(held_out_values=[-9.27, -9.25], se_difference_values=[0.013, 0])
    labels = [label.get_text() for label in plot_ladder(found).get_yticklabels()]
    assert labels == [
        "one\nheld-out fit -0.02 \N{PLUS-MINUS SIGN} 0.013",
        "two\nbest held-out fit",
    ]
    assert ax.get_xlabel() == "b (90% interval)"


def test_a_notebook_shows_the_figure_unless_axes_are_given():
    ax = plot_grid(grid_of("delta a"))
    assert plt.gcf() is ax.figure
    assert plt.gca() is ax
    plt.close("all")
    own = Figure().add_subplot()
    assert plot_grid(grid_of("delta a"), ax=own) is own
    assert plt.get_fignums() == []


@pytest.mark.parametrize("value", [-5.0, 5.0])
def test_where_all_estimates_lie_on_one_side_colours_still_differ(value):
    mesh = plot_grid(grid_of("delta a", "delta b"), value=value).collections[0]
    assert mesh.get_clim() == (mesh.get_array().min(), mesh.get_array().max())
    both = plot_grid(grid_of("delta a", "delta b")).collections[0]
    assert both.get_clim() == (-2.0 * AT.max(), 2.0 * AT.max())
    assert both.get_cmap().name != mesh.get_cmap().name
    plt.close("all")
