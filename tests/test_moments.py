"""Means and variances, their gradients, and how bfloat16 is rounded on the way."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt import backend, ops
from bntt.ops import cpu, moments, reference
from strategies import DTYPES, SHAPES


@given(shape=st.sampled_from(SHAPES), dtype=st.sampled_from(DTYPES))
@settings(max_examples=12)
def test_moments_are_mean_and_biased_variance(shape, dtype):
    z = torch.randn(shape, dtype=torch.float64).to(dtype)
    through, mean, var = moments(z)
    assert torch.equal(through, z)
    assert mean.dtype == var.dtype == reference.accumulator(dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    want = torch.var_mean(z.double(), 1, correction=0)
    for got, truth in zip((var, mean), want, strict=True):
        torch.testing.assert_close(got.double(), truth, rtol=tolerance, atol=tolerance)


def test_the_example_beside_the_operators_differentiates_through_the_statistics():
    text = (Path(ops.__file__).parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    gradients = []
    for name in ("reference", "cpu"):
        torch.manual_seed(0)
        names = {}
        with backend(name):
            exec(code, names)
        gradients.append(names["z"].grad)
    assert gradients[0].abs().sum() > 0
    assert gradients[0].sum(1).abs().max() < 1e-5  # a shift of z changes nothing
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("M", [50, 7001])
def test_a_large_mean_costs_no_digits(M):
    z = 1e4 + torch.randn(2, M, 3)
    _, mean, var = moments(z)
    want_var, want_mean = torch.var_mean(z.double(), 1, correction=0)
    torch.testing.assert_close(mean.double(), want_mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), want_var, rtol=1e-4, atol=0)


@pytest.mark.parametrize("outlier", [1e2, 1e4])
def test_a_first_element_far_from_the_others_costs_no_digits(outlier):
    z = torch.randn(1, 3 * cpu.BLOCK, 1)
    z[0, 0] = outlier
    _, _, var = moments(z)
    want = torch.var(z.double(), 1, correction=0)
    torch.testing.assert_close(var.double(), want, rtol=1e-4, atol=0)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_moments_are_differentiable(backend_name):
    z = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def through_all(z):
        with backend(backend_name):
            return tuple(x.square() for x in moments(z))

    assert torch.autograd.gradcheck(through_all, [z])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_moments_backward_written_by_hand_is_that_of_autograd(shape):
    z = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    mean, var = reference.moments(z)
    dz, (dmean, dvar) = torch.randn_like(z), torch.randn(2, *mean.shape, dtype=z.dtype)
    (want,) = torch.autograd.grad([z * 1, mean, var], z, [dz, dmean, dvar])
    for module in (reference, cpu):
        got = module.moments_backward(z.detach(), dz, mean.detach(), dmean, dvar)
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
def test_bfloat16_is_rounded_as_torch_rounds(seed):
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(-(2**31), 2**31, (1, 4096), generator=generator).to(torch.int32)
    value = bits.view(torch.float32)
    inf, ties = float("inf"), (1.00390625, 1.01171875)
    edges = [inf, -inf, float("nan"), 3.4e38, 1e-45, *ties]
    value[0, : len(edges)] = torch.tensor(edges)
    bits[0, len(edges)] = 0x7F80_0001  # a NaN whose upper half is that of infinity
    nothing = torch.zeros(1, 1, 4096, dtype=torch.bfloat16)
    zero = torch.zeros_like(value)
    got = cpu.moments_backward(nothing, nothing, zero, value, zero)
    torch.testing.assert_close(
        got.flatten(), value.bfloat16().flatten(), rtol=0, atol=0, equal_nan=True
    )
