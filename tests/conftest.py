"""Fixtures shared by the tests of model and inference: a world whose answers are closed forms."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_gnr.data import Column, Kind
from pyro_gnr.model.assemble import assemble
from pyro_gnr.model.gnr import GNR
from pyro_gnr.model.guide import Guide
from pyro_gnr.model.likelihoods import Gaussian
from pyro_gnr.model.linear import LinearModel


@pytest.fixture
def double():
    """Double precision and a local seed inside the test, everything as it was after it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        yield
    torch.set_default_dtype(before)


def make_columns(*, continuous: int = 0, binary: int = 0, levels: tuple[int, ...] = (), holes=5):
    """Columns c0, c1, ..., b0, ..., k0, ... with 5 holes each (of 10 rows, by convention)."""
    numbers = [Column(f"c{j}", Kind.CONTINUOUS, "float64", holes=holes) for j in range(continuous)]
    coins = [
        Column(f"b{j}", Kind.BINARY, "bool", levels=(False, True), holes=holes)
        for j in range(binary)
    ]
    many = [
        Column(f"k{j}", Kind.CATEGORICAL, "str", levels=tuple("abcdefgh"[:n]), holes=holes)
        for j, n in enumerate(levels)
    ]
    return [*numbers, *coins, *many]


def make_mixed(*, latent_dim=2, hidden=6, seed=0, wild=1.0, **options):
    """Assemble 2 continuous, 1 binary and 2 categorical columns, all parameters random."""
    torch.manual_seed(seed)
    model, guide = assemble(
        make_columns(continuous=2, binary=1, levels=(3, 4)),
        n_rows=10,
        latent_dim=latent_dim,
        hidden=hidden,
        **options,
    )
    with torch.no_grad():
        # Zero-started parts too: a term that is zero at the start could be wrong unnoticed.
        for p in {id(p): p for p in [*model.parameters(), *guide.parameters()]}.values():
            p.add_(0.3 * wild * torch.randn_like(p))
    return model, guide


def make_rows(model: GNR, n_rows: int, *, seed=0):
    """Simulate rows as a table gives them: x is 0 where not observed."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        x, m = model(size=n_rows)
    observed = m.bool()
    return torch.where(observed, x, 0.0), observed


@dataclass(frozen=True)
class LinearGaussian:
    """x = W z + mu + e, z ~ N(0, I), e_j ~ N(0, s_j^2), m_j ~ Bernoulli(rate_j); all known."""

    model: GNR
    guide: Guide
    loadings: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    rates: np.ndarray
    x: Tensor
    observed: Tensor

    def log_likelihood(self, visible: Tensor | None = None) -> np.ndarray:
        """log p(x_visible, m) of each row, by scipy."""
        seen = (self.observed if visible is None else visible).numpy()
        rows = []
        for x, v, m in zip(self.x.numpy(), seen, self.observed.numpy(), strict=True):
            w = self.loadings[v]
            total = stats.bernoulli(self.rates).logpmf(m).sum()
            if v.any():
                covariance = w @ w.T + np.diag(self.scale[v] ** 2)
                total += stats.multivariate_normal(self.mean[v], covariance).logpdf(x[v])
            rows.append(total)
        return np.array(rows)

    def posterior(self, visible: Tensor | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, L) and covariance (N, L, L) of z given what is visible: textbook regression."""
        seen = (self.observed if visible is None else visible).numpy()
        n_latent = self.loadings.shape[1]
        means, covariances = [], []
        for x, v in zip(self.x.numpy(), seen, strict=True):
            w = self.loadings[v]
            gain = w.T @ np.linalg.inv(w @ w.T + np.diag(self.scale[v] ** 2))
            means.append(gain @ (x[v] - self.mean[v]))
            covariances.append(np.eye(n_latent) - gain @ w)
        return np.array(means), np.array(covariances)

    def spoil(self) -> Guide:
        """Make the guide imperfect: shifted and too wide, so that weights are bounded."""
        with torch.no_grad():
            self.guide.encoder.centre.add_(0.3)
            self.guide.encoder.log_precision.sub_(0.6)
        return self.guide


def make_linear_gaussian(n_rows=6, n_columns=4, latent_dim=2, *, seed=0) -> LinearGaussian:
    """Build the world, its exact guide, and rows with all sorts of patterns of holes."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n_columns, latent_dim))
    mean = rng.normal(size=n_columns)
    scale = rng.uniform(0.4, 0.9, size=n_columns)
    rates = rng.uniform(0.4, 0.8, size=n_columns)
    columns = make_columns(continuous=n_columns)
    homoscedastic = partial(Gaussian, floor=0.05, heteroscedastic=False)
    model, guide = assemble(
        columns,
        n_rows=10,
        latent_dim=latent_dim,
        hidden=0,
        likelihoods={c.name: homoscedastic for c in columns},
    )
    w, mu, s = (torch.tensor(a) for a in (loadings, mean, scale))
    with torch.no_grad():
        head = model.x_given_u.likelihoods[0].head
        head.weight[:n_columns] = w
        head.bias.copy_(torch.cat([mu, torch.logit((s - 0.05) / (1.0 - 0.05))]))
        model.m_given_ux.head.bias.copy_(torch.logit(torch.tensor(rates)))
        guide.encoder.start(LinearModel(w, mu, s.square()))
    z = rng.normal(size=(n_rows, latent_dim))
    x = z @ loadings.T + mean + scale * rng.normal(size=(n_rows, n_columns))
    observed = rng.uniform(size=(n_rows, n_columns)) < 0.6
    observed[0] = True  # a fully observed row
    observed[-1] = False  # and a fully missing one
    values = torch.tensor(np.where(observed, x, 0.0))
    return LinearGaussian(
        model, guide, loadings, mean, scale, rates, values, torch.tensor(observed)
    )


@pytest.fixture
def columns_of():
    """`make_columns`."""
    return make_columns


@pytest.fixture
def mixed():
    """`make_mixed`."""
    return make_mixed


@pytest.fixture
def simulate_rows():
    """`make_rows`."""
    return make_rows


@pytest.fixture
def linear_gaussian():
    """`make_linear_gaussian`."""
    return make_linear_gaussian
