import numpy as np
import pytest
from scipy import special

from pyro_gnr.data.amputation import GeneralMNAR, ampute


def logits_of(X, seed):
    return special.logit(1.0 - ampute(X, GeneralMNAR(), random_state=seed).probabilities)


def test_logits_are_linear_in_all_columns_with_normal_weights():
    """W_kj ~ N(0, 1) and b_j ~ N(0, 0.1^2), recovered exactly by regression."""
    X = np.random.default_rng(0).normal(2.0, 3.0, size=(60, 8))
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    design = np.column_stack([np.ones(len(X)), standard])
    weights, intercepts, own = [], [], []
    for seed in range(60):
        logits = logits_of(X, seed)
        found, *_ = np.linalg.lstsq(design, logits, rcond=None)
        np.testing.assert_allclose(design @ found, logits, atol=1e-6)
        intercepts.append(found[0])
        weights.append(found[1:])
        own.append(np.diag(found[1:]))
    weights, intercepts = np.array(weights), np.array(intercepts)
    assert abs(weights.mean()) < 4 / np.sqrt(weights.size)
    assert weights.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * weights.size))
    assert intercepts.std() == pytest.approx(0.1, abs=0.4 / np.sqrt(2 * intercepts.size))
    assert np.std(own) == pytest.approx(1.0, abs=0.15)  # its own value, too


def test_one_uniform_decides_for_the_whole_row():
    """In a row, a cell goes missing if any with a smaller chance does."""
    X = np.random.default_rng(0).normal(size=(500, 6))
    holes = ampute(X, GeneralMNAR(), random_state=0)
    for p, observed in zip(holes.probabilities, holes.observed, strict=True):
        if observed.any() and not observed.all():
            assert p[observed].max() <= p[~observed].min()


def test_the_rate_is_one_half_on_average_and_solved_for_if_asked():
    X = np.random.default_rng(0).normal(size=(400, 5))
    shares = [(~ampute(X, GeneralMNAR(), random_state=s).observed).mean() for s in range(100)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
    p = ampute(X, GeneralMNAR(), rate=0.2, random_state=0).probabilities
    np.testing.assert_allclose(p.mean(axis=0), 0.2, atol=1e-9)


def test_empty_rows_are_reported_or_dropped():
    X = np.random.default_rng(0).normal(size=(400, 3))
    kept = ampute(X, GeneralMNAR(), random_state=0)
    empty = kept.empty_rows
    assert len(empty) > 20 and np.isnan(kept.table[empty]).all()
    dropped = ampute(X, GeneralMNAR(), drop_empty_rows=True, random_state=0)
    assert np.array_equal(dropped.rows, np.setdiff1d(np.arange(400), empty))
    np.testing.assert_array_equal(dropped.table, kept.table[dropped.rows])
    assert np.array_equal(dropped.probabilities, kept.probabilities[dropped.rows])
    assert dropped.observed.any(axis=1).all() and len(dropped.empty_rows) == 0
