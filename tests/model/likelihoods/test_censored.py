import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from pyro_gnr.data import Column, Kind, Schema
from pyro_gnr.data.censoring import CODE_BASE
from pyro_gnr.model.likelihoods import Censored, Columnwise
from pyro_gnr.model.likelihoods.block import Block
from pyro_gnr.model.likelihoods.censored import CensoredNormal
from pyro_gnr.model.transport import restrict, transport
from pyro_gnr.model.truncation import NO_LIMIT, TruncatedNormal

# In units of mean 2 and standard deviation 4: below 0, 2 to 6, above 4; the second has none.
COLUMNS = [
    Column(
        "a",
        Kind.CENSORED,
        "str",
        location=2.0,
        scale=4.0,
        intervals=((-np.inf, 0.0), (2.0, 6.0), (4.0, np.inf)),
    ),
    Column("b", Kind.CENSORED, "str"),
    Column("c", Kind.CENSORED_LOG, "str", location=0.0, scale=2.0, intervals=((0.0, np.e**2),)),
]
LIMITS = [[(-np.inf, -0.5), (0.0, 1.0), (0.5, np.inf)], [], [(-np.inf, 1.0)]]
K, N = 3, 4


def made(**options):
    likelihood = Censored(**options)
    likelihood.build(COLUMNS, u_dim=2)
    return likelihood


def code(i):
    return CODE_BASE + i


def rows():
    """(N, C): every interval, and numbers beside them."""
    return torch.tensor(
        [[code(0), 0.3, code(0)], [code(1), 0.0, 0.5], [code(2), 1.0, code(0)], [-0.2, -1.0, 0.0]]
    )


def test_numbers_have_densities_and_intervals_probabilities():
    d = made()(torch.randn(K, N, 2))
    x = rows()
    log_p = d.log_prob(x).detach().numpy()
    for k in range(K):
        for n in range(N):
            for j in range(3):
                normal = stats.norm(d.mean[k, n, j].item(), d.scale[k, n, j].item())
                value = x[n, j].item()
                if value < CODE_BASE:
                    expected = normal.logpdf(value)
                else:
                    low, high = LIMITS[j][int(value - CODE_BASE)]
                    expected = np.log(normal.cdf(high) - normal.cdf(low))
                assert log_p[k, n, j] == pytest.approx(expected, rel=1e-9)


def test_all_there_is_to_observe_has_probability_one():
    """The density where numbers are seen, plus the probabilities of what is not seen."""
    limits = torch.tensor([[[-NO_LIMIT], [1.0]], [[-0.5], [NO_LIMIT]]])
    d = CensoredNormal(torch.tensor([0.3]), torch.tensor([0.8]), limits=limits)
    grid = torch.linspace(-0.5, 1.0, 20_001)[:, None]
    seen = torch.trapezoid(d.log_prob(grid).exp(), grid, dim=0)
    unseen = d.log_prob(torch.tensor([[code(0)], [code(1)]])).exp().sum()
    assert (seen + unseen).item() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [-1e6, -40.0, 0.0, 40.0, 1e6])
def test_far_from_every_interval_values_and_gradients_are_finite(dtype, shift):
    likelihood = made().to(dtype)
    parameters = torch.full((N, 6), -5.0, dtype=dtype)
    parameters[:, :3] = shift
    parameters.requires_grad_()
    log_p = likelihood.distribution(parameters).log_prob(rows().to(dtype))
    assert log_p.dtype == dtype and log_p.isfinite().all()
    log_p.sum().backward()
    assert parameters.grad.isfinite().all()
    if shift:  # an interval pulls the mean towards itself, as its nearest limit would
        assert parameters.grad[2, 0] > 0 if shift < 0 else parameters.grad[0, 0] < 0


def test_gradients_reach_all_parameters_through_intervals_alone():
    likelihood = made()
    u = torch.randn(N, 2, requires_grad=True)
    x = torch.tensor([[code(0)], [code(1)], [code(2)], [code(0)]]).expand(N, 3).clone()
    x[:, 1:] = 0.0
    likelihood(u).log_prob(x)[:, 0].sum().backward()
    assert u.grad.abs().min() > 0
    assert likelihood.head.weight.grad[[0, 3]].abs().min() > 0
    assert likelihood.head.bias.grad[[0, 3]].abs().min() > 0


def test_masked_cells_change_nothing():
    u = torch.randn(K, N, 2)
    likelihood = made()
    seen = torch.tensor([True, False, True])
    results = []
    for filler in (0.0, code(0), 123.0):
        x = torch.where(seen, rows(), filler)
        likelihood.zero_grad()
        total = likelihood(u).mask(seen).log_prob(x).sum()
        total.backward()
        results.append((total.detach(), likelihood.head.weight.grad.clone()))
    for value, slope in results[1:]:
        assert torch.equal(value, results[0][0]) and torch.equal(slope, results[0][1])


def test_restricted_it_is_the_normal_within_the_interval():
    d = made()(torch.randn(K, N, 2))
    x = rows()
    within = restrict(d, x)
    assert isinstance(within, TruncatedNormal)
    drawn = transport(within, torch.rand(K, N, 3, dtype=torch.float64))
    for n in range(N):
        for j in range(3):
            if x[n, j] >= CODE_BASE:
                low, high = LIMITS[j][int(x[n, j] - CODE_BASE)]
                assert (drawn[:, n, j] >= low).all() and (drawn[:, n, j] <= high).all()
            else:  # a number or nothing: the normal itself
                torch.testing.assert_close(within.mean[:, n, j], d.mean[:, n, j])
    u = torch.rand(K, N, 3, dtype=torch.float64)
    free = torch.zeros(N, 3)
    torch.testing.assert_close(transport(restrict(d, free), u), transport(d, u))


def test_restricted_draws_have_their_distribution():
    d = CensoredNormal(
        torch.zeros(20_000, 1),
        torch.ones(20_000, 1),
        limits=torch.tensor([[[0.5]], [[2.0]]]),
    )
    x = torch.full((20_000, 1), code(0))
    drawn = transport(restrict(d, x), torch.rand(20_000, 1, dtype=torch.float64))
    assert stats.kstest(drawn[:, 0].numpy(), stats.truncnorm(0.5, 2.0).cdf).pvalue > 1e-3


def test_columnwise_restricts_each_block():
    d = made()(torch.randn(K, N, 2))
    normal = torch.distributions.Normal(torch.zeros(K, N, 1), 1.0)
    blocks = [Block(normal, torch.tensor([1])), Block(d, torch.tensor([0, 2, 3]))]
    columns = Columnwise(blocks, torch.tensor([1, 0, 2, 3]))
    x = torch.cat([rows()[:, :1], torch.full((N, 1), 5.0), rows()[:, 1:]], 1)
    within = restrict(columns, x)
    assert within.blocks[0].distribution is normal
    torch.testing.assert_close(within.blocks[1].distribution.mean, restrict(d, rows()).mean)


def test_fitting_recovers_what_half_the_limit_gets_wrong():
    x = np.random.default_rng(0).normal(6.0, 2.0, size=4000)
    limit = 5.5  # 40 % lie below
    text = [f"{v!r}" if v > limit else f"<{limit}" for v in x.tolist()]
    frame = pd.DataFrame({"a": text})
    table = Schema.learn(frame, {"a": "censored"}).encode(frame)
    column = table.schema.modelled[0]
    likelihood = Censored(ceiling=3.0, heteroscedastic=False)
    likelihood.build([column], u_dim=1)
    data = torch.tensor(table.values)
    optimiser = torch.optim.LBFGS(likelihood.parameters(), max_iter=100)

    def closure():
        optimiser.zero_grad()
        loss = -likelihood(torch.zeros(1, 1)).log_prob(data).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    d = likelihood(torch.zeros(1, 1))
    mean = column.to_units(d.mean.detach().numpy()).item()
    sd = d.scale.item() * column.scale
    assert (mean, sd) == pytest.approx((6.0, 2.0), abs=0.1)
    naive = np.where(x > limit, x, limit / 2)
    assert abs(naive.std() - 2.0) > 0.15 and abs(naive.mean() - 6.0) > 0.2
