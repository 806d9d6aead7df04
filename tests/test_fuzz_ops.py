"""Compiled operators against the reference on numbers that are none, or nearly.

A few cases run by default, the same ones each time; ``BNTT_FUZZ=5000`` in the environment
runs so many of each kind.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false, reportAssignmentType=false
import random

import pytest
import torch
from fuzzing import CASES

from bntt import ATan, FastSigmoid, Rectangle, Triangle, backend
from bntt.ops import affine_lif, cpu, moments, reference
from strategies import DTYPES

INF, NAN = float("inf"), float("nan")
SPECIAL = [NAN, INF, -INF, 1e-40, -1e-45, 0.0, -0.0]
HUGE = [1e20, -1e20, 1e38, -1e38, 3.4e38]
SURROGATES = [Triangle(), Triangle(1.0, 0.5), Rectangle(), ATan(), FastSigmoid(3.0)]
SETTINGS = [
    (reset, detached) for reset in ("soft", "hard", "none") for detached in (True, False)
]


def strange(draw, generator, shape, dtype, special):
    """Random numbers, some of them special, in memory of some order."""
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    flat = x.flatten()
    for _ in range(draw.choice((0, 1, 1, 3, 1 + x.numel() // 8))):
        flat[draw.randrange(len(flat))] = draw.choice(special)
    x = flat.reshape(shape).to(dtype)
    axes = draw.sample(range(x.ndim), x.ndim)
    return x.permute(axes).contiguous().permute([axes.index(k) for k in range(x.ndim)])


def drawn(seed, dtype):
    """The arguments of one neuron and what its outputs hear, all possibly special."""
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    T, C = draw.randint(1, 5), draw.choice((1, 2, 3, 17, 2500))
    M = draw.choice((1, 2, 5, 9, 60)) if C < 100 else draw.randint(1, 8)
    wide = reference.accumulator(dtype)
    huge = draw.random() < 0.5
    special = SPECIAL + HUGE if huge else SPECIAL

    def some(*shape, dtype=wide):
        return strange(draw, generator, shape, dtype, special)

    inputs = {"z": some(T, M, C, dtype=dtype), "a": some(T, C), "b": some(T, C)}
    inputs["v0"] = some(M, C)
    heard = [some(T, M, C, dtype=dtype), some(M, C)]
    if draw.random() < 0.3:
        inputs["v0"] = None
    neuron = {
        "leak": draw.choice((0.0, 0.5, 0.95, 1.0)),
        "v_threshold": draw.choice((0.5, 1.0, 2.0, 1e-3, 1e3)),
        "surrogate": draw.choice(SURROGATES),
    }
    return inputs, heard, neuron, draw.choice(("both", "both", "spikes", "v")), huge


def scan(backend_name, inputs, heard, neuron, read):
    """Spikes, last membrane, and the gradients of z, a, b and v0."""
    leaves = [x if x is None else x.clone().requires_grad_() for x in inputs.values()]
    with backend(backend_name):
        outputs = affine_lif(*leaves, **neuron)
        chosen = {"both": [0, 1], "spikes": [0], "v": [1]}[read]
        present = [x for x in leaves if x is not None]
        gradients = torch.autograd.grad(
            [outputs[k] for k in chosen], present, [heard[k] for k in chosen],
            allow_unused=True, materialize_grads=True,
        )  # fmt: skip
    return [x.detach() for x in outputs], gradients


def assert_alike(got, want, rtol, atol):
    """The same NaN, the same infinities, and the same numbers up to rounding."""
    assert got.dtype == want.dtype
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.isposinf(), want.isposinf())
    assert torch.equal(got.isneginf(), want.isneginf())
    torch.testing.assert_close(got, want, rtol=rtol, atol=atol, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("reset", "detached"), SETTINGS)
def test_no_number_is_where_the_reference_has_none(reset, detached, dtype):
    rounding = {torch.float64: 1e-11, torch.float32: 1e-4, torch.bfloat16: 2e-2}[dtype]
    for seed in range(max(2, CASES // 8)):
        inputs, heard, neuron, read, huge = drawn(seed, dtype)
        neuron |= {"reset": reset, "detach_reset": detached}
        want, truth = scan("reference", inputs, heard, neuron, read)
        got, learned = scan("cpu", inputs, heard, neuron, read)
        assert torch.equal(got[0], want[0])
        torch.testing.assert_close(got[1], want[1], rtol=0, atol=0, equal_nan=True)
        for k, (ours, theirs) in enumerate(zip(learned, truth, strict=True)):
            # whether a sum of huge numbers leaves the range depends on its order
            if not (huge and k in (1, 2)):
                assert_alike(ours, theirs, rounding, rounding)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_of_what_is_no_number(dtype):
    for seed in range(CASES):
        draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        shape = draw.randint(1, 4), draw.choice((1, 2, 9, 60)), draw.choice((1, 3, 17))
        special = SPECIAL + HUGE if draw.random() < 0.5 else SPECIAL
        z = strange(draw, generator, shape, dtype, special)
        with backend("reference"):
            _, *want = moments(z)
        _, *got = moments(z)
        for ours, theirs in zip(got, want, strict=True):
            assert_alike(ours, theirs, 1e-4, 1e-4)
        # and they are what float64, which has the range, says they are
        truth = torch.var_mean(z.double(), 1, correction=0)[0].to(got[1].dtype)
        if z.isfinite().all():
            assert_alike(got[1], truth, 1e-4, 1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_moments_pass_back_of_what_is_no_number(dtype):
    wide = reference.accumulator(dtype)
    for seed in range(CASES):
        draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        T, M, C = draw.randint(1, 4), draw.choice((1, 2, 9, 60)), draw.choice((1, 3, 17))

        def some(*shape, dtype=wide, draw=draw, generator=generator):
            return strange(draw, generator, shape, dtype, SPECIAL + HUGE).contiguous()

        z, dz = some(T, M, C, dtype=dtype), some(T, M, C, dtype=dtype)
        sums = [some(T, C) for _ in range(3)]
        want = reference.moments_backward(z, dz, *sums)
        assert_alike(cpu.moments_backward(z, dz, *sums), want, 1e-5, 1e-5)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_a_current_that_is_no_number_is_heard_of(surrogate, reset):
    z = torch.zeros(3, 4, 2)
    z[1, 2, 0] = NAN
    z.requires_grad_()
    one = torch.ones(3, 2, requires_grad=True)
    spikes, v = affine_lif(z, one, one * 0.3, leak=0.5, reset=reset, surrogate=surrogate)
    (spikes.sum() + v.sum()).backward()
    assert v.isnan().nonzero().tolist() == [[2, 0]]
    # outside of a rectangle the slope is 0, and NaN is not inside
    steps = [1] if isinstance(surrogate, Rectangle) else [0, 1, 2]
    assert one.grad.isnan().nonzero().tolist() == [[t, 0] for t in steps]


def test_a_variance_beyond_float32_is_infinite_and_its_mean_is_not():
    z = torch.tensor([1e20, -1e20, 1e20, 1e20]).reshape(1, 4, 1)
    _, mean, var = moments(z)
    assert mean.item() == pytest.approx(0.5e20)
    assert var.item() == INF
    _, mean, var = moments(torch.full((1, 40, 1), 3e38))
    assert mean.item() == pytest.approx(3e38)
    assert var.item() == pytest.approx(0, abs=1e60)


def test_a_hard_reset_of_infinity_is_no_number():
    z = torch.tensor([INF, 1.0, 1.0]).reshape(3, 1, 1)
    one, zero = torch.ones(3, 1), torch.zeros(3, 1)
    for backend_name in ("reference", "cpu"):
        with backend(backend_name):
            spikes, v = affine_lif(z, one, zero, leak=0.5, reset="hard")
        assert spikes.flatten().tolist() == [1, 0, 0]
        assert v.isnan().all()
