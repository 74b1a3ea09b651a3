"""Pictures: one per incomplete column, true to the numbers, and no trace in global state."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from matplotlib.figure import Figure

from pyro_gnr import GNRImputer
from pyro_gnr.criticism.checks import observed_against_imputed
from pyro_gnr.criticism.plots import IMPUTED, OBSERVED, plot_column, plot_imputations


@pytest.fixture
def ax():
    return Figure().add_subplot()


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_one_picture_for_each_incomplete_column(mixed_imputation, tmp_path):
    paths = plot_imputations(mixed_imputation, tmp_path / "new" / "pictures")
    names = ["dose.png", "children.png", "smoker.png", "grade.png", "city_area.png"]
    assert [path.name for path in paths] == names
    assert sorted((tmp_path / "new" / "pictures").iterdir()) == sorted(paths)
    assert all(map(is_png, paths))


def test_bars_are_the_shares(mixed_imputation, ax):
    assert plot_column(mixed_imputation, "grade", ax) is ax
    shares = observed_against_imputed(mixed_imputation, "grade")
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights[0] == pytest.approx(100 * shares.observed)
    assert heights[1] == pytest.approx(100 * shares.imputed.mean(0))
    colours = [
        mpl.colors.to_hex(bars[0].get_facecolor(), keep_alpha=False) for bars in ax.containers
    ]
    assert colours == [OBSERVED.lower(), IMPUTED.lower()]
    ranges = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    expected = 100 * np.column_stack([shares.imputed.min(0), shares.imputed.max(0)])
    assert np.array(ranges) == pytest.approx(expected)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["low", "mid", "high"]


def test_lines_are_the_densities(by_hand, ax):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"dose": [*rng.normal(5, 1, 1234), *[np.nan] * 200]})
    imputation = by_hand(X, rng.normal(6, 1, (5, 200)))
    plot_column(imputation, "dose", ax)
    found = observed_against_imputed(imputation, "dose")
    assert len(ax.lines) == 1 + 5 + 1
    assert np.array_equal(ax.lines[0].get_ydata(), found.observed.density)
    assert np.array_equal(ax.lines[-1].get_ydata(), found.pooled.density)
    assert ax.get_title(loc="left") == "dose"
    assert ax.texts[0].get_text() == "1,234 cells observed, 200 imputed in each of 5 tables"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["observed", "imputed, one table", "all tables"]
    assert ax.get_ylabel() == "density"


def test_few_imputed_cells_get_ticks(by_hand, ax):
    X = pd.DataFrame({"dose": [*np.linspace(0, 1, 50), None, None]})
    plot_column(by_hand(X, [[0.2, 0.4], [0.3, 0.6]]), "dose", ax)
    ticks = [segment[0, 0] for segment in ax.collections[-1].get_segments()]
    assert ticks == pytest.approx([0.2, 0.4, 0.3, 0.6])
    assert ax.texts[0].get_text().endswith("2 imputed in each of 2 tables")


def test_range_of_a_single_cell_is_not_drawn(by_hand, ax):
    X = pd.DataFrame({"g": ["a", "b", "a", None]})
    plot_column(by_hand(X, [[0], [1]]), "g", ax)
    assert not ax.collections
    assert [bar.get_height() for bar in ax.containers[1]] == [50, 50]


def test_what_is_not_shown_is_said(by_hand, ax):
    x = np.concatenate([np.random.default_rng(0).normal(size=2000), [1000.0]])
    plot_column(by_hand(pd.DataFrame({"x": [*x, None]}), [[0.0]]), "x", ax)
    assert "beyond the axis: 1 observed, 0 imputed" in ax.get_xlabel()


def test_many_long_levels(by_hand, tmp_path):
    levels = [f"a rather long name of an occupation, number {k}" for k in range(41)]
    X = pd.DataFrame({"job": [*levels * 3, None, None]})
    imputation = by_hand(X, [[0, 1]], kinds={"job": "categorical"})
    [path] = plot_imputations(imputation, tmp_path)
    ax = plot_column(imputation, "job", Figure().add_subplot())
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert len(labels) == 15 and labels[-1] == "other (27 levels)"
    assert max(map(len, labels)) <= 28
    assert labels[0] == "a rather long name\N{HORIZONTAL ELLIPSIS} number 0"
    assert is_png(path)


def test_awkward_names(by_hand, tmp_path):
    # Collisions, also where case does not count; markup, paths, other scripts, nothing at all.
    names = ["a/b", "a b", "A*B", "$x_1$ and $", "../up", "年齢", "", "." * 300, "n" * 300, "x\ny"]
    X = pd.DataFrame({name: [1.0, 2.0, 4.0, np.nan] for name in names})
    paths = plot_imputations(by_hand(X, [np.full(len(names), 2.5)]), str(tmp_path))
    stems = [path.stem for path in paths]
    assert stems[:5] == ["a_b", "a_b_2", "A_B_3", "x_1_and", "up"]
    assert stems[5:8] == ["年齢", "column", "column_2"]
    assert len({stem.casefold() for stem in stems}) == len(names)
    assert all(path.parent == tmp_path and is_png(path) and len(path.name) < 80 for path in paths)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_any_table(make, by_hand, tmp_path):
    numbers = np.column_stack([np.linspace(0, 1, 30), np.arange(30) % 2])
    numbers[3] = np.nan
    paths = plot_imputations(by_hand(make(numbers), [[0.5, 1], [0.7, 0]]), tmp_path)
    assert len(paths) == 2 and all(map(is_png, paths))


def test_column_observed_nowhere(by_hand, tmp_path):
    train = pd.DataFrame({"x": np.linspace(0, 1, 30), "g": ["a", "b"] * 15})
    train.loc[0] = None
    X = pd.DataFrame({"x": [np.nan, np.nan], "g": [None, None]})
    imputation = by_hand(X, [[0.1, 0, 0.2, 1], [0.3, 1, 0.4, 1]], train=train)
    assert all(map(is_png, plot_imputations(imputation, tmp_path)))
    one = by_hand(X.head(1), [[0.5, 1]], train=train)  # a single draw of a single cell
    assert all(map(is_png, plot_imputations(one, tmp_path)))


def test_small_axes_stay_large(by_hand):
    figure = Figure(figsize=(12, 4), layout="constrained")
    X = pd.DataFrame({"x": [*np.linspace(0, 1, 50), *[np.nan] * 20]})
    for ax in figure.subplots(1, 4):
        plot_column(by_hand(X, np.random.default_rng(0).uniform(size=(3, 20))), "x", ax)
    figure.draw_without_rendering()
    widths = [ax.get_position().width for ax in figure.axes]
    assert min(widths) > 0.17


def test_complete_table_gives_no_picture(by_hand, tmp_path):
    assert (
        plot_imputations(by_hand(pd.DataFrame({"x": [1.0, 2.0]}), np.empty((2, 0))), tmp_path)
        == []
    )


def test_column_without_imputations(mixed_imputation, ax):
    with pytest.raises(ValueError, match="nothing was imputed in column 'id'"):
        plot_column(mixed_imputation, "id", ax)


def test_leaves_global_state_alone(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    X[:5, 0] = np.nan
    imputation = GNRImputer(max_steps=5, random_state=0, verbose=False).fit(X).impute(X, m=2)
    settings = dict(mpl.rcParams)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    plot_imputations(imputation, tmp_path)
    imputation.to_datatree()
    assert dict(mpl.rcParams) == settings
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
