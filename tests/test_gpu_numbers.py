"""Triton's kernels on numbers that are none, or nearly: as the reference has them.

``BNTT_FUZZ=5000`` in the environment draws so many cases.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false
import random

import pytest
import torch
from fuzzing import CASES
from on_gpu import DEVICE, DTYPES
from test_fuzz_ops import HUGE, SETTINGS, SPECIAL, SURROGATES, assert_alike, scan, strange

from bntt import backend
from bntt.ops import affine_lif, moments, reference
from bntt.ops.gpu import operators as gpu

# the interpreter calculates with NumPy, which warns of what these tests are about
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

INF = float("inf")
ROUNDING = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def drawn(seed, dtype):
    """The arguments of one neuron, what its outputs hear, and whether some are huge."""
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    T, M, C = draw.choice((1, 3, 8, 9)), draw.choice((1, 2, 5, 40)), draw.choice((1, 3, 17))
    huge = draw.random() < 0.5

    def some(*shape, dtype=torch.float32):
        special = SPECIAL + HUGE if huge else SPECIAL
        return strange(draw, generator, shape, dtype, special).to(DEVICE)

    inputs = {"z": some(T, M, C, dtype=dtype), "a": some(T, C), "b": some(T, C)}
    inputs["v0"] = some(M, C) if draw.random() < 0.7 else None
    heard = [some(T, M, C, dtype=dtype), some(M, C)]
    neuron = {
        "leak": draw.choice((0.0, 0.5, 0.95, 1.0)),
        "v_threshold": draw.choice((0.5, 1.0, 2.0, 1e-3, 1e3)),
        "surrogate": draw.choice(SURROGATES),
    }
    return inputs, heard, neuron, draw.choice(("both", "both", "spikes", "v")), huge


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("reset", "detached"), SETTINGS)
def test_no_number_is_where_the_reference_has_none(reset, detached, dtype):
    for seed in range(max(4, CASES // 4)):
        inputs, heard, neuron, read, huge = drawn(seed, dtype)
        neuron |= {"reset": reset, "detach_reset": detached}
        want, truth = scan("reference", inputs, heard, neuron, read)
        got, learned = scan("gpu", inputs, heard, neuron, read)
        assert torch.equal(got[0], want[0])
        torch.testing.assert_close(got[1], want[1], rtol=0, atol=0, equal_nan=True)
        for k, (ours, theirs) in enumerate(zip(learned, truth, strict=True)):
            # whether a sum of huge numbers leaves the range depends on its order
            if not (huge and k in (1, 2)):
                assert_alike(ours, theirs, ROUNDING[dtype], ROUNDING[dtype])


@pytest.mark.parametrize(("reset", "detached"), SETTINGS)
def test_what_a_neuron_learns_from_what_is_no_number(reset, detached):
    for seed in range(max(8, CASES // 3)):
        inputs, heard, neuron, read, huge = drawn(seed, torch.float32)
        neuron |= {"reset": reset, "detach_reset": detached, "learns": True}
        ds, dv = heard[0] if read != "v" else None, heard[1] if read != "spikes" else None
        arguments = [x if x is None else x.contiguous() for x in (*inputs.values(), ds, dv)]
        want = reference.affine_lif_backward(*arguments, **neuron)[-1]
        got = gpu.affine_lif_backward(*arguments, **neuron)[-1]
        if not huge:
            assert_alike(got, want, 1e-3, 1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_of_what_is_no_number(dtype):
    for seed in range(2 * CASES):
        draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        shape = draw.randint(1, 4), draw.choice((1, 2, 9, 60)), draw.choice((1, 3, 17))
        special = SPECIAL + HUGE if draw.random() < 0.5 else SPECIAL
        z = strange(draw, generator, shape, dtype, special).to(DEVICE)
        with backend("reference"):
            _, *want = moments(z)
        with backend("gpu"):
            _, *got = moments(z)
        # huge numbers of both signs cancel each other to their last digit at best
        digit = 1e-6 * z.nan_to_num(0, 0, 0).abs().max().item()
        assert_alike(got[0], want[0], 1e-4, 1e-4 + digit)
        assert_alike(got[1], want[1], 1e-4, 1e-4)
        if z.isfinite().all():
            truth = torch.var(z.double(), 1, correction=0).float()
            assert_alike(got[1], truth, 1e-4, 1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_moments_pass_back_of_what_is_no_number(dtype):
    for seed in range(CASES):
        draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        T, M, C = draw.randint(1, 4), draw.choice((1, 2, 9, 60)), draw.choice((1, 3, 17))

        def some(*shape, dtype=torch.float32, draw=draw, generator=generator):
            x = strange(draw, generator, shape, dtype, SPECIAL + HUGE)
            return x.to(DEVICE).contiguous()

        z, dz = some(T, M, C, dtype=dtype), some(T, M, C, dtype=dtype)
        sums = [some(T, C) for _ in range(3)]
        want = reference.moments_backward(z, dz, *sums)
        got = gpu.moments_backward(z, dz, *sums)
        torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)


def test_moments_are_out_of_range_only_where_they_are():
    z = torch.tensor([1e20, -1e20, 1e20, 1e20], device=DEVICE).reshape(1, 4, 1)
    with backend("gpu"):
        _, mean, var = moments(z)
        assert mean.item() == pytest.approx(0.5e20)
        assert var.item() == INF
        _, mean, var = moments(torch.full((1, 9000, 1), 3e38, device=DEVICE))
        assert mean.item() == pytest.approx(3e38)
        assert var.item() == pytest.approx(0, abs=1e64)
        # one square exceeds float32, its share of the variance does not
        lone = torch.zeros(1, 9000, 1, device=DEVICE)
        lone[0, 0] = 3e19
        assert moments(lone)[2].item() == pytest.approx(1e35, rel=1e-3)
        lone[0, 0] = INF
        _, mean, var = moments(lone)
        assert mean.item() == INF
        assert var.isnan()


def test_a_row_that_does_not_exist_adds_nothing():
    # its membrane would be NaN: infinity times the 0 that stands for its current
    z = torch.ones(2, 3, 1, device=DEVICE)
    a, b = torch.tensor([[[INF], [1.0]], [[0.0], [0.0]]], device=DEVICE)
    results = []
    for name in ("reference", "gpu"):
        shift = b.clone().requires_grad_()
        leak = torch.tensor(0.5, device=DEVICE, requires_grad=True)
        with backend(name):
            spikes, v = affine_lif(z, a, shift, leak=leak)
        heard = [torch.ones_like(spikes), torch.ones_like(v)]
        results.append(torch.autograd.grad([spikes, v], [shift, leak], heard))
    (want, from_inf), (got, learned) = results
    assert torch.equal(got, want)
    assert got.isfinite().all()
    assert learned == from_inf == INF


@pytest.mark.parametrize(("reset", "detached"), SETTINGS)
def test_a_spike_that_nobody_reads_makes_no_gradient_nan(reset, detached):
    z = torch.zeros(9, 4, 2, device=DEVICE)
    z[1, 2, 0] = float("nan")
    a, b = torch.ones(2, 9, 2, device=DEVICE)
    found = []
    for name in ("reference", "gpu"):
        shift = b.clone().requires_grad_()
        with backend(name):
            _, v = affine_lif(z, a, shift, leak=0.5, reset=reset, detach_reset=detached)
        found += torch.autograd.grad(v, shift, torch.ones_like(v))
    assert_alike(found[1], found[0], 1e-5, 1e-5)
    if detached and reset != "hard":
        assert found[1].isfinite().all()


def test_a_hard_reset_of_infinity_is_no_number():
    z = torch.tensor([INF, 1.0, 1.0], device=DEVICE).reshape(3, 1, 1)
    one, zero = z.new_ones(3, 1), z.new_zeros(3, 1)
    with backend("gpu"):
        spikes, v = affine_lif(z, one, zero, leak=0.5, reset="hard")
    assert spikes.flatten().tolist() == [1, 0, 0]
    assert v.isnan().all()
