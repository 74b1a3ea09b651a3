import numpy as np
import pytest

from pyro_gnr.data.amputation import MCAR, ampute


def test_every_cell_has_the_same_chance(normal):
    holes = ampute(normal(), rate=0.2, random_state=0)
    assert (holes.probabilities == 0.2).all()
    assert abs(np.corrcoef(holes.observed.T)[np.triu_indices(4, 1)]).max() < 0.2


def test_a_block_goes_missing_together_and_others_do_not(normal):
    mechanism = MCAR(blocks=[["x0", "x2"], ["x1", "x3"]])
    observed = ampute(normal(5000, 5), mechanism, rate=0.4, random_state=0).observed
    assert (observed[:, 0] == observed[:, 2]).all()
    assert (observed[:, 1] == observed[:, 3]).all()
    correlation = np.corrcoef(observed[:, [0, 1, 4]].T)[np.triu_indices(3, 1)]
    assert abs(correlation).max() < 0.05
    np.testing.assert_allclose((~observed).mean(axis=0), 0.4, atol=0.03)


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([["x0", "x1"], ["x1", "x2"]], "each in one block"),
        ([["x0", "x3"]], r"\['x3'\] lose none"),
        ([["x0", "y"]], r"unknown columns \['y'\]"),
    ],
)
def test_blocks_that_cannot_be(normal, blocks, text):
    with pytest.raises(ValueError, match=text):
        ampute(normal(), MCAR(blocks=blocks), columns=["x0", "x1", "x2"])
