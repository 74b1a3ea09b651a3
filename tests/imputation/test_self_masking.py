"""Short fits of a self-masking column of each kind: the rate of holes, and batches of rows."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from pyro_gnr import GNRImputer
from pyro_gnr.imputation import fitted
from pyro_gnr.model.mechanisms import SelfMasking

N = 300
# A column of each kind, from the number z that it shares with another one, and noise e.
COLUMNS = {
    "gaussian": lambda z, e: z + e,
    "log_normal": lambda z, e: np.exp(0.5 * z + 0.5 * e),
    "gamma": lambda z, e: np.exp(0.4 * z) * stats.gamma(4.0).ppf(stats.norm.cdf(e)),
    "beta": lambda z, e: stats.beta(3.0, 3.0).ppf(stats.norm.cdf((z + e) / 1.5)),
    "poisson": lambda z, e: stats.poisson(np.exp(1.0 + 0.5 * z)).ppf(stats.norm.cdf(e)),
    "ordinal": lambda z, e: np.digitize(z + e, [-1.0, 0.5]),
    "bernoulli": lambda z, e: (z + e > 0.4).astype(int),
}
SMALL = {
    **{"latent_dim": 1, "hidden": 8, "particles": 5, "max_steps": 150, "validation": None},
    **{"random_state": 0, "verbose": False, "device": "cpu"},
}
KINDS = {"gaussian": "continuous", "bernoulli": "binary", "beta": "bounded", "ordinal": "ordinal"}


def fit(name, **options):
    """An imputer fitted to a column that hides its high values and a complete one."""
    z, e, other = np.random.default_rng(3).normal(size=(3, N))
    y = pd.Series(COLUMNS[name](z, e)).astype(float)
    top = y.rank(pct=True, method="dense" if y.nunique() < 5 else "average")
    hidden = np.random.default_rng(4).uniform(size=N) < np.where(top > 0.6, 0.75, 0.1)
    if name == "ordinal":
        levels = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
        y = y.map(dict(enumerate(levels.categories))).astype(levels)
    table = pd.DataFrame({"y": y.mask(hidden), "other": z + 0.5 * other})
    imputer = GNRImputer(
        mechanism=SelfMasking(direction={"y": "high"}),
        kinds={"y": KINDS[name]} if name in KINDS else None,
        likelihoods={"y": name},
        **{**SMALL, **options},
    )
    return imputer.fit(table), table, hidden


@pytest.mark.parametrize("name", COLUMNS)
def test_rate_of_holes_after_a_short_fit(name):
    """The model's own rate, every value integrated out, is that of the table."""
    imputer, _, hidden = fit(name)
    model = imputer._at_work().model
    with torch.no_grad():
        u = model.u_given_z(torch.randn(4000, 1, generator=torch.Generator().manual_seed(1)))
        nothing = torch.zeros(4000, 2)
        m = model.m_given_ux.collapsed(
            u, nothing, visible=nothing.bool(), columns=model.x_given_u(u)
        )
        missing = 1.0 - m.base_dist.base_dist.probs[:, 0].mean().item()
    rate = hidden.mean()
    assert missing == pytest.approx(rate, abs=3.0 * np.sqrt(rate * (1 - rate) / N))


@pytest.mark.parametrize("name", ["gamma", "poisson"])
def test_batches_of_rows_make_room_for_nodes(name, monkeypatch):
    """Whatever the memory, the imputations are the same."""
    imputer, table, _ = fit(name, max_steps=2, imputation_particles=30)
    at_once = imputer.transform(table)
    sizes, infer = [], fitted.infer_recentred

    def counted(model, guide, x, *rest, **options):
        sizes.append(len(x))
        return infer(model, guide, x, *rest, **options)

    monkeypatch.setattr(fitted, "infer_recentred", counted)
    monkeypatch.setattr(fitted, "BATCH_NUMBERS", 30 * 200)
    pd.testing.assert_frame_equal(imputer.transform(table), at_once)
    assert max(sizes) <= 15  # each row has a dozen nodes at least; without them it would be 33


@pytest.mark.parametrize("direction", ["high", "low", "free"])
@pytest.mark.parametrize(("kind", "value"), [("positive", 2.0), ("bounded", 0.5)])
def test_a_column_of_one_value_is_imputed_near_it(kind, value, direction):
    """0, in place of what is missing, is 8e5 of its thresholds away: gradients were NaN."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"a": np.where(rng.random(120) < 0.3, np.nan, value)})
    table["b"] = rng.normal(size=120)
    imputer = GNRImputer(
        mechanism=SelfMasking(direction=direction), kinds={"a": kind}, members=1,
        **SMALL | {"max_steps": 30, "imputation_particles": 50},
    )  # fmt: skip
    completed = imputer.fit_transform(table)
    np.testing.assert_allclose(completed["a"], value, rtol=0.1)
