"""Compiled operators against the reference; the reference against autograd and theory."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt import ATan, FastSigmoid, Rectangle, Triangle, backend
from bntt.ops import affine_lif, cpu, moments, reference, to_elements
from bntt.ops.cpu import kernels
from strategies import DTYPES, SHAPES, affine_lif_inputs

SURROGATES = [
    Triangle(0.3),
    Triangle(1.0, width=0.5),
    Rectangle(),
    ATan(),
    FastSigmoid(3.0),
]


def elements(inputs):
    """The drawn inputs as the operators see them."""
    v0 = to_elements(inputs["v0"][None])[0]
    return inputs | {"z": to_elements(inputs["z"]), "v0": v0}


def normal(T, M, C, dtype=torch.float64):
    """Random arguments that never meet the threshold."""
    wide = reference.accumulator(dtype)
    z = torch.randn(T, M, C, dtype=torch.float64).to(dtype)
    a, b = 1 + torch.randn(2, T, C, dtype=wide) / 4
    return {"z": z, "a": a, "b": b - 0.5, "v0": torch.randn(M, C, dtype=wide)}


def gradients(backend_name, inputs, dtype=None, **neuron):
    """Of a loss that reads the spikes and the last membrane, for z, a, b and v0."""
    inputs = neuron | inputs
    leaves = [inputs.pop(name).to(dtype).requires_grad_() for name in ("z", "a", "b", "v0")]
    with backend(backend_name):
        spikes, v = affine_lif(*leaves, **inputs)
    weight = torch.linspace(-1, 1, spikes.numel(), dtype=spikes.dtype).view_as(spikes)
    return torch.autograd.grad((spikes * weight).sum() + v.square().sum(), leaves)


@pytest.mark.parametrize("dtype", DTYPES)
@given(inputs=affine_lif_inputs(), with_v0=st.booleans())
def test_fires_exactly_like_the_reference(dtype, inputs, with_v0):
    inputs = elements(inputs)
    inputs |= {"z": inputs["z"].to(dtype), "v0": inputs["v0"] if with_v0 else None}
    with backend("reference"):
        want_spikes, want_v = affine_lif(**inputs)
    with backend("cpu"):
        spikes, v = affine_lif(**inputs)
    assert torch.equal(spikes, want_spikes)
    assert spikes.dtype == dtype
    assert v.dtype == reference.accumulator(dtype)
    assert torch.equal(v, want_v)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rounds_like_the_reference(shape, dtype, reset):
    inputs = normal(*shape, dtype) | {"leak": 0.95, "v_threshold": 0.7, "reset": reset}
    with backend("reference"):
        want_spikes, want_v = affine_lif(**inputs)
    spikes, v = affine_lif(**inputs)
    assert 0 < spikes.float().mean() < 1
    assert torch.equal(spikes, want_spikes)
    assert torch.equal(v, want_v)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@given(inputs=affine_lif_inputs(), detach_reset=st.booleans())
@settings(max_examples=15)
def test_learns_what_the_reference_learns(surrogate, inputs, detach_reset):
    inputs = elements(inputs) | {"surrogate": surrogate, "detach_reset": detach_reset}
    want = gradients("reference", inputs, torch.float64)
    for got, truth in zip(gradients("cpu", inputs, torch.float64), want, strict=True):
        torch.testing.assert_close(got, truth, rtol=1e-12, atol=1e-12)
    for got, truth in zip(gradients("cpu", inputs, torch.float32), want, strict=True):
        torch.testing.assert_close(got.double(), truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_learns_the_same_at_every_size(shape, reset, detach_reset):
    neuron = {"leak": 0.9, "v_threshold": 0.7, "reset": reset, "detach_reset": detach_reset}
    inputs = normal(*shape)
    want = gradients("reference", inputs, **neuron)
    for got, truth in zip(gradients("cpu", inputs, **neuron), want, strict=True):
        torch.testing.assert_close(got, truth, rtol=1e-11, atol=1e-11)


@given(inputs=affine_lif_inputs(), kind=st.sampled_from(SURROGATES), detached=st.booleans())
def test_the_backward_written_by_hand_is_that_of_autograd(inputs, kind, detached):
    inputs = elements(inputs)
    names = ("z", "a", "b", "v0")
    leaves = [inputs.pop(name).double().requires_grad_() for name in names]
    neuron = inputs | {"surrogate": kind, "detach_reset": detached}
    spikes, v = reference.affine_lif_forward(*leaves, **neuron)
    ds, dv = torch.randn_like(spikes), torch.randn_like(v)
    want = torch.autograd.grad([spikes, v], leaves, [ds, dv])
    values = [leaf.detach() for leaf in leaves]
    got = reference.affine_lif_backward(*values, ds, dv, **neuron)
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_the_membrane_is_differentiable(backend_name):
    inputs = normal(4, 3, 2)
    neuron = {"leak": 0.9, "v_threshold": 0.7}
    leaves = [x.requires_grad_() for x in inputs.values()]
    for reset in ("soft", "hard", "none"):

        def last_v(*leaves, reset=reset):
            with backend(backend_name):
                return affine_lif(*leaves, **neuron, reset=reset)[1]

        assert torch.autograd.gradcheck(last_v, leaves)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@given(inputs=affine_lif_inputs(), data=st.data())
def test_stopping_and_resuming_changes_nothing(backend_name, inputs, data):
    inputs = elements(inputs)
    z, a, b = (inputs.pop(name) for name in ("z", "a", "b"))
    v0 = inputs.pop("v0").requires_grad_()
    cut = data.draw(st.integers(1, len(z)))
    with backend(backend_name):
        spikes, v = affine_lif(z, a, b, v0, **inputs)
        early, v_cut = affine_lif(z[:cut], a[:cut], b[:cut], v0, **inputs)
        assert torch.equal(early, spikes[:cut])  # the future does not reach the past
        if cut == len(z):
            return
        late, v_end = affine_lif(z[cut:], a[cut:], b[cut:], v_cut, **inputs)
    assert torch.equal(late, spikes[cut:])
    assert torch.equal(v_end, v)
    (whole,) = torch.autograd.grad(spikes.sum() + v.sum(), v0)
    (parts,) = torch.autograd.grad(early.sum() + late.sum() + v_end.sum(), v0)
    torch.testing.assert_close(parts, whole)


def test_leaves_its_arguments_alone():
    inputs = normal(3, 5, 2)
    before = {name: value.clone() for name, value in inputs.items()}
    gradients("cpu", inputs, leak=0.9)
    assert all(torch.equal(inputs[name], before[name]) for name in inputs)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("reset", "spikes", "v"),
    [  # leak 1/2, threshold 1, inputs 3/4 3/4 1 1/4: exactly at threshold stays silent
        ("soft", [0, 1, 1, 0], [0.75, 0.125, 0.0625, 0.28125]),
        ("hard", [0, 1, 0, 0], [0.75, 0.0, 1.0, 0.75]),
        ("none", [0, 1, 1, 1], [0.75, 1.125, 1.5625, 1.03125]),
    ],
)
def test_trace_worked_by_hand(backend_name, reset, spikes, v):
    z = torch.tensor([0.75, 0.75, 1.0, 0.25]).reshape(4, 1, 1)
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    with backend(backend_name):
        for T in range(1, 5):
            args = (z[:T], one[:T], zero[:T])
            got, v_last = affine_lif(*args, leak=0.5, reset=reset)
            assert got.flatten().tolist() == spikes[:T]
            assert v_last.item() == v[T - 1]


@given(leak=st.floats(0, 1), steps=st.integers(1, 30))
def test_below_threshold_the_membrane_is_a_geometric_sum(leak, steps):
    z = torch.full((steps, 1, 1), 0.5, dtype=torch.float64)
    one, zero = z.new_ones(steps, 1), z.new_zeros(steps, 1)
    spikes, v = affine_lif(z, one, zero, leak=leak, v_threshold=100.0)
    assert not spikes.any()
    assert v.item() == pytest.approx(0.5 * sum(leak**k for k in range(steps)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_number_depends_on_the_threads(dtype):
    T, M, C = 2, 2600, 33  # more than five blocks
    inputs = normal(T, M, C, dtype)
    assert cpu._blocks(M, C) > 5

    def everything():
        z = inputs["z"].clone().requires_grad_()
        rest = [inputs[name].clone().requires_grad_() for name in ("a", "b", "v0")]
        through, mean, var = moments(z)
        spikes, v = affine_lif(through, *rest, leak=0.9)
        loss = (spikes * spikes.detach().cos()).sum() + v.sum() + (mean * var).sum()
        return [mean, var, spikes, v, *torch.autograd.grad(loss, [z, *rest])]

    torch.set_num_threads(1)
    alone = everything()
    for threads in (2, 3):
        torch.set_num_threads(threads)
        for got, want in zip(everything(), alone, strict=True):
            assert torch.equal(got, want)


def plain_loop(z, a, b, leak):
    """What a user would write, in whatever type the arguments have."""
    v, spikes = torch.zeros_like(z[0]), []
    for z_t, a_t, b_t in zip(z, a, b, strict=True):
        u = leak * v + (a_t * z_t + b_t)
        spikes.append(Triangle().fire(u, 1.0))
        v = u - spikes[-1].detach()
    return torch.stack(spikes), v


def test_bfloat16_is_no_worse_than_the_plain_loop():
    T, M, C = 16, 500, 8
    inputs = normal(T, M, C, torch.float32)
    z, a, b = inputs["z"], inputs["a"], inputs["b"]
    weight = torch.randn(T, M, C)

    def results(scan, z, a, b):
        z, a, b = (x.clone().requires_grad_() for x in (z, a, b))
        spikes, v = scan(z, a, b, leak=0.95)
        loss = (spikes.float() * weight).sum() + v.float().sum()
        gradients = torch.autograd.grad(loss, [z, a, b])
        return [x.detach().float() for x in (spikes, v, *gradients)]

    truth = results(plain_loop, z, a, b)
    plain = results(plain_loop, z.bfloat16(), a.bfloat16(), b.bfloat16())
    ours = results(affine_lif, z.bfloat16(), a, b)
    for got, rough, want in zip(ours, plain, truth, strict=True):
        assert (got - want).abs().mean() <= 2 * (rough - want).abs().mean()


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_any_layout_of_memory_will_do(backend_name):
    inputs = normal(3, 35, 6, torch.float32)
    tight = {name: value.clone() for name, value in inputs.items()}
    loose = {"z": inputs["z"].transpose(1, 2).contiguous().transpose(1, 2)}
    for name in ("a", "b", "v0"):
        loose[name] = inputs[name].T.contiguous().T
    assert not any(value.is_contiguous() for value in loose.values())
    want, got = (gradients(backend_name, x, leak=0.9) for x in (tight, loose))
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth)
    with backend(backend_name):
        for got, want in zip(moments(loose["z"]), moments(tight["z"]), strict=True):
            torch.testing.assert_close(got, want)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_no_element_gives_no_spike(backend_name):
    with backend(backend_name):
        spikes, v = affine_lif(
            torch.zeros(3, 0, 2), torch.ones(3, 2), torch.zeros(3, 2), leak=0.9
        )
    assert spikes.shape == (3, 0, 2)
    assert v.shape == (0, 2)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_the_membrane_is_kept_on_request_only(backend_name):
    args = [torch.ones(2, 3, 4, requires_grad=True), torch.ones(2, 4), torch.zeros(2, 4)]
    with backend(backend_name):
        spikes, v = affine_lif(*args, leak=1.0, v_threshold=4.0, keep_state=False)
        assert v is None
        spikes.sum().backward()
    # u is 1, then 2: the triangle's slopes are 0.3 (1 - 3/4) / 4 and 0.3 (1 - 2/4) / 4
    want = torch.tensor([0.01875 + 0.0375, 0.0375])[:, None, None].expand(2, 3, 4)
    torch.testing.assert_close(args[0].grad, want)


@pytest.mark.skipif(sys.platform == "win32", reason="the file would not be sparse")
def test_elements_past_the_range_of_int32_are_found(tmp_path):
    M, C = 2**31 // 64 + 300, 64  # 4 GB of bfloat16 in a file of holes
    z, spikes = (
        np.memmap(tmp_path / name, np.uint16, "w+", shape=(1, M * C)) for name in "zs"
    )
    z[0, -3:] = 0x4000  # 2.0
    one, zero, nothing = np.ones((1, C), "f4"), np.zeros((1, C), "f4"), np.empty(0, "f4")
    rows, blocks = cpu._rows(C), cpu._blocks(M, C)
    counts = np.zeros((1, C), np.int64)
    kernels.forward(
        *(blocks - 1, blocks, z, one, zero, nothing, rows),
        *(np.array([0.5, 1.0], "f4"), 0, spikes, nothing, counts),
    )
    fired = spikes[0, -rows * C :].nonzero()[0]
    assert len(fired) == 3
    assert (spikes[0, -3:] == 0x3F80).all()
    assert counts[0].nonzero()[0].tolist() == [C - 3, C - 2, C - 1]
