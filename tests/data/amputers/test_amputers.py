"""What holds for every mechanism; a new one adds a line to MECHANISMS_HERE."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal

from pyro_gnr.data.amputation import (
    MAR,
    MCAR,
    MECHANISMS,
    AboveMean,
    GeneralMNAR,
    HardSelfMasking,
    NoSelfCensoring,
    SelfMasking,
    SharedLatent,
    ampute,
)

KINDS = {"ward": "categorical"}
WITH_RATE = {
    "mcar": MCAR(),
    "mcar in blocks": MCAR(blocks=[["income", "age"], ["ward", "smokes"]]),
    "mar": MAR(predictors=["age", "region"]),
    "mar low": MAR(predictors=["dose"], direction="low", slope=5.0),
    "self": SelfMasking(),
    "self probit": SelfMasking(direction="low", link="probit", slope=0.5),
    "self random": SelfMasking(direction="random"),
    "hard": HardSelfMasking(),
    "hard low": HardSelfMasking(direction="low"),
    "latent": SharedLatent(latents=2),
    "latent high": SharedLatent(noise=0.0, direction="high", positivity=0.1),
    "others": NoSelfCensoring(),
    "others high": NoSelfCensoring(direction="high", noise=0.0, slope=4.0),
    "general": GeneralMNAR(),
}
EVERY = {**WITH_RATE, "above": AboveMean()}


def made(mechanism, frame, **options):
    """Holes; above_mean has no rate and needs numbers."""
    if isinstance(mechanism, AboveMean):
        options = {"columns": ["income", "age"], **options, "rate": None}
    return ampute(frame, mechanism, kinds=KINDS, **options)


def test_every_registered_mechanism_is_tested():
    assert {type(m) for m in EVERY.values()} == set(MECHANISMS.values())


@pytest.mark.parametrize("rate", [0.12, 0.5, 0.85])
@pytest.mark.parametrize("name", WITH_RATE)
def test_the_expected_rate_is_the_one_asked_for(name, rate, mixed):
    holes = made(WITH_RATE[name], mixed(), rate=rate, random_state=0)
    lose = holes.probabilities.any(axis=0)
    assert lose.sum() == 7 - len(getattr(WITH_RATE[name], "predictors", None) or ())
    np.testing.assert_allclose(holes.probabilities[:, lose].mean(axis=0), rate, rtol=0, atol=1e-9)
    assert holes.observed[:, ~lose].all()


@pytest.mark.parametrize("name", WITH_RATE)
def test_the_simulated_rate_is_the_expected_one(name, mixed):
    """Over many seeds, with the standard error of the cells as they are drawn."""
    shares, chances = [], []
    for seed in range(40):
        holes = made(WITH_RATE[name], mixed(100), rate=0.3, random_state=seed)
        lose = holes.probabilities.any(axis=0)
        shares.append((~holes.observed[:, lose]).mean())
        chances.append(holes.probabilities[:, lose].mean())
    np.testing.assert_allclose(chances, 0.3, atol=1e-9)
    error = max(np.std(shares) / np.sqrt(40), 1e-4)
    assert abs(np.mean(shares) - 0.3) < 4 * error


@pytest.mark.parametrize("name", EVERY)
def test_cells_go_missing_with_their_probability(name, mixed):
    """Among cells of like probability, a like share is missing (pooled over seeds)."""
    frame = mixed(1500)
    parts = [made(EVERY[name], frame, random_state=seed) for seed in range(8)]
    p = np.concatenate([part.probabilities.ravel() for part in parts])
    missing = np.concatenate([~part.observed.ravel() for part in parts])
    assert missing[p == 1.0].all() and not missing[p == 0.0].any()
    for low in np.arange(0.0, 1.0, 0.1):
        cells = (p > low) & (p < low + 0.1) & (p < 1.0)
        if cells.sum() > 500:
            # Rows share a draw in some mechanisms: far fewer independent draws than cells.
            error = np.sqrt(p[cells].mean() * (1 - p[cells].mean()) / (cells.sum() / 7))
            assert abs(missing[cells].mean() - p[cells].mean()) < 4 * error


@pytest.mark.parametrize("name", EVERY)
def test_a_frame_comes_back_as_it_was(name, mixed):
    frame = mixed()
    before = frame.copy(deep=True)
    holes = made(EVERY[name], frame, random_state=0)
    assert_frame_equal(frame, before)
    assert holes.table.index.equals(frame.index) and holes.table.columns.equals(frame.columns)
    assert (holes.table.notna().to_numpy() == holes.observed).all()
    for j, column in enumerate(frame):
        kept = holes.observed[:, j]
        assert holes.table[column][kept].tolist() == frame[column][kept].tolist()
    assert holes.table["region"].dtype == frame["region"].dtype


@pytest.mark.parametrize("name", EVERY)
def test_the_seed_decides_and_nothing_global(name, mixed):
    frame = mixed(100)
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, three = (made(EVERY[name], frame, random_state=s) for s in (5, 5, 6))
    assert np.array_equal(one.observed, two.observed)
    assert np.array_equal(one.probabilities, two.probabilities)
    assert np.array_equal(one.observed, three.observed) is isinstance(EVERY[name], AboveMean)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    four, five = (
        made(EVERY[name], frame, random_state=np.random.default_rng(9)).observed for _ in "ab"
    )
    assert np.array_equal(four, five)


@pytest.mark.parametrize("name", EVERY)
def test_polars_and_pandas_lose_the_same_cells(name, mixed):
    frame = mixed(100)
    frame["region"] = frame["region"].astype(str)
    first = made(EVERY[name], frame, random_state=1)
    second = made(EVERY[name], pl.from_pandas(frame), random_state=1)
    assert np.array_equal(first.observed, second.observed)
    assert isinstance(second.table, pl.DataFrame)
    assert second.table.schema == pl.from_pandas(frame).schema
    nulls = np.column_stack([second.table[c].is_null() for c in second.table.columns])
    assert np.array_equal(nulls, ~second.observed)


@pytest.mark.parametrize("name", [n for n in EVERY if "blocks" not in n and "mar" not in n[:3]])
def test_arrays_in_arrays_out(name, normal):
    X = normal()
    holes = ampute(X, EVERY[name], random_state=0)
    assert isinstance(holes.table, np.ndarray) and holes.table.dtype == np.float64
    assert (np.isnan(holes.table) == ~holes.observed).all()
    assert (holes.table[holes.observed] == X[holes.observed]).all()
    assert 0 < (~holes.observed).sum() < X.size


@pytest.mark.parametrize("name", [n for n in EVERY if "blocks" not in n and "mar" not in n[:3]])
def test_chosen_columns_alone_lose_cells(name, mixed):
    holes = made(EVERY[name], mixed(), columns=["dose", "age"], random_state=0)
    assert holes.probabilities.any(axis=0).tolist() == [
        False,
        True,
        False,
        False,
        False,
        True,
        False,
    ]
    assert holes.observed[:, [0, 2, 3, 4, 6]].all()


READ_VALUES = {n: m for n, m in EVERY.items() if not isinstance(m, (MCAR, MAR))}


@pytest.mark.parametrize("name", READ_VALUES)
def test_constant_columns(name):
    X = np.full((10, 2), 3.0)
    with pytest.raises(ValueError, match="constant|principal component"):
        ampute(X, EVERY[name], random_state=0)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_units_do_not_matter(name, scale, mixed):
    frame = mixed(100)
    frame["age"] = frame["age"].astype(float)
    scaled = frame.assign(income=frame["income"] * scale, age=frame["age"] * scale + scale)
    one, two = (made(EVERY[name], X, random_state=0) for X in (frame, scaled))
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MAR(direction="up"), r"direction 'up', expected one of \['high', 'low', 'rand"),
        (lambda: SelfMasking(direction="up"), "direction 'up'"),
        (lambda: HardSelfMasking(direction="up"), "direction 'up'"),
        (lambda: SharedLatent(direction="up"), "direction 'up'"),
        (lambda: NoSelfCensoring(direction="up"), "direction 'up'"),
        (lambda: MAR(slope=0.0), "slope 0.0, expected a positive number"),
        (lambda: SelfMasking(slope=-1.0), "direction says which end"),
        (lambda: SelfMasking(slope=np.inf), "hard_self_masking"),
        (lambda: SelfMasking(link="cauchit"), "link 'cauchit'"),
        (lambda: SharedLatent(slope=np.nan), "slope nan"),
        (lambda: SharedLatent(noise=-0.1), "noise -0.1"),
        (lambda: SharedLatent(latents=0), "latents 0"),
        (lambda: SharedLatent(positivity=0.5), "positivity 0.5"),
        (lambda: NoSelfCensoring(noise=np.inf), "noise inf"),
        (lambda: AboveMean(offset=np.nan), "offset nan"),
    ],
)
def test_options_are_checked_where_they_enter(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_categorical_column_that_is_read_as_text_is_refused_with_a_way_out():
    X = pd.DataFrame({"note": [f"note {i}" for i in range(300)], "x": np.arange(300.0)})
    with pytest.raises(ValueError, match="kinds={'note': 'ignore'}"):
        ampute(X, "self_masking")
    holes = ampute(X, "self_masking", kinds={"note": "ignore"}, random_state=0)
    assert holes.observed[:, 0].all() and not holes.observed[:, 1].all()
    assert not ampute(X, "mcar", random_state=0).observed[:, 0].all()
