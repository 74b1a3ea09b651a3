import numpy as np
import pytest
import torch
from scipy import special

from pyro_gnr.model.normal_cdf import log_ndtr

X = [-1e9, -1e6, -1e5, -1e4, -1e3, -100.0, -31.0, -30.0, -29.0, -5.0, 0.0, 5.0, 40.0, 1e6]


@pytest.mark.parametrize(
    ("dtype", "rtol", "slack"), [(torch.float32, 3e-6, 5e-5), (torch.float64, 1e-9, 1e-8)]
)
def test_value_and_gradient_in_both_tails(dtype, rtol, slack):
    x = torch.tensor(X, dtype=dtype, requires_grad=True)
    value = log_ndtr(x)
    gradient = torch.autograd.grad(value.sum(), x)[0]
    exact = np.array(X)
    np.testing.assert_allclose(value.detach(), special.log_ndtr(exact), rtol=rtol, atol=1e-30)
    # phi / Phi, by the scaled complementary error function.
    with np.errstate(over="ignore"):
        ratio = np.sqrt(2 / np.pi) / special.erfcx(-exact / np.sqrt(2))
    np.testing.assert_allclose(gradient, ratio, rtol=slack, atol=1e-30)
