"""Triton's kernels against the reference: all that `tests/test_ops*.py` ask of Numba's."""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from on_gpu import DEVICE, DTYPES, SHAPES
from test_compile import calls

from bntt import BNTT, LIF, ATan, FastSigmoid, NormLIF, Rectangle, Triangle, backend
from bntt.ops import affine_lif, affine_lif_counting, moments, reference, to_elements
from bntt.ops.gpu import operators as gpu
from strategies import affine_lif_inputs

SURROGATES = [Triangle(), Triangle(1.0, width=0.5), Rectangle(), ATan(), FastSigmoid(3.0)]
RESETS = [(reset, kept) for reset in ("soft", "hard", "none") for kept in (False, True)]
NAMES = ("z", "a", "b", "v0")


def elements(inputs, dtype=torch.float32):
    """The drawn inputs as the operators see them."""
    v0 = to_elements(inputs["v0"][None])[0]
    inputs = inputs | {"z": to_elements(inputs["z"]).to(dtype), "v0": v0}
    return inputs | {name: inputs[name].to(DEVICE) for name in NAMES}


def normal(T, M, C, dtype=torch.float32):
    """Random arguments that never meet the threshold."""
    z = torch.randn(T, M, C).to(DEVICE, dtype)
    a, b = (1 + torch.randn(2, T, C) / 4).to(DEVICE)
    return {"z": z, "a": a, "b": b - 0.5, "v0": torch.randn(M, C).to(DEVICE)}


def gradients(name, inputs, read="both", **neuron):
    """Of a loss that reads spikes, the last membrane or both, for all that is a tensor."""
    leaves = {key: inputs[key] for key in NAMES if inputs[key] is not None}
    leaves = {key: value.clone().requires_grad_() for key, value in leaves.items()}
    with backend(name):
        spikes, v = affine_lif(**inputs | leaves, **neuron)
    weight = torch.linspace(-1, 1, spikes.numel(), device=DEVICE).view_as(spikes)
    terms = {"spikes": (spikes * weight).sum(), "v": v.square().sum()}
    loss = sum(terms.values()) if read == "both" else terms[read]
    learned = [x for x in neuron.values() if isinstance(x, torch.Tensor)]
    return torch.autograd.grad(loss, [*leaves.values(), *learned])


@pytest.mark.parametrize("dtype", DTYPES)
@given(inputs=affine_lif_inputs(), with_v0=st.booleans())
def test_fires_exactly_like_the_reference(dtype, inputs, with_v0):
    inputs = elements(inputs, dtype)
    inputs |= {"v0": inputs["v0"] if with_v0 else None}
    with backend("reference"):
        want_spikes, want_v = affine_lif(**inputs)
    with backend("gpu"):
        spikes, v = affine_lif(**inputs)
    assert spikes.dtype == dtype
    assert v.dtype == torch.float32
    assert torch.equal(spikes, want_spikes)
    assert torch.equal(v, want_v)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_rounds_like_the_reference(shape, dtype, reset):
    inputs = normal(*shape, dtype) | {"leak": 0.95, "v_threshold": 0.7, "reset": reset}
    with backend("reference"):
        want_spikes, want_v = affine_lif(**inputs)
    with backend("gpu"):
        spikes, v = affine_lif(**inputs)
        again, none = affine_lif(**inputs, keep_state=False)
    assert 0 < spikes.float().mean() < 1
    assert torch.equal(spikes, want_spikes)
    assert torch.equal(v, want_v)
    assert torch.equal(again, want_spikes)
    assert none is None


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@given(
    inputs=affine_lif_inputs(),
    detach_reset=st.booleans(),
    read=st.sampled_from(["both", "both", "spikes", "v"]),
    with_v0=st.booleans(),
)
@settings(max_examples=10)
def test_learns_what_the_reference_learns(surrogate, inputs, detach_reset, read, with_v0):
    inputs = elements(inputs) | {"surrogate": surrogate, "detach_reset": detach_reset}
    inputs |= {"v0": inputs["v0"] if with_v0 else None}
    want = gradients("reference", inputs, read)
    for got, truth in zip(gradients("gpu", inputs, read), want, strict=True):
        torch.testing.assert_close(got, truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("reset", "kept"), RESETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_learns_the_same_at_every_size(shape, reset, kept):
    # leak and threshold learn too; the rectangle is left out, whose slope jumps
    surrogate = SURROGATES[(len(reset) + kept + shape[0]) % 2 * 3]
    neuron = {"reset": reset, "detach_reset": not kept, "surrogate": surrogate}
    for name, value in (("leak", 0.9), ("v_threshold", 0.7)):
        neuron[name] = torch.tensor(value, device=DEVICE, requires_grad=True)
    inputs = normal(*shape)
    want = gradients("reference", inputs, **neuron)
    got = gradients("gpu", inputs, **neuron)
    for ours, truth in zip(got, want, strict=True):
        scale = truth.abs().max().item() + 1
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=3e-6 * scale)


@pytest.mark.parametrize(("reset", "kept"), RESETS)
@pytest.mark.parametrize("T", [9, 16])
def test_only_the_last_reset_is_unheard_where_nobody_reads_the_membrane(T, reset, kept):
    inputs, neuron = normal(T, 6, 2), {"leak": 0.9, "reset": reset}
    neuron |= {"detach_reset": not kept, "surrogate": ATan()}
    want, got = (
        gradients(name, inputs, "spikes", **neuron) for name in ("reference", "gpu")
    )
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-4)


def test_half_precision_is_rounded_once_at_the_end():
    inputs = normal(9, 40, 5, torch.float16) | {"leak": 0.9}
    exact = inputs | {"z": inputs["z"].float()}
    for other in ("gpu", "reference"):
        half, full = gradients("gpu", inputs), gradients(other, exact)
        assert half[0].dtype == torch.float16
        # what the spikes hear comes in float16 to the one and in float32 to the other
        torch.testing.assert_close(half[0].float(), full[0], rtol=2e-3, atol=2e-3)
        for got, want in zip(half[1:], full[1:], strict=True):
            torch.testing.assert_close(got, want, rtol=1e-2, atol=1e-2)


def test_every_sum_is_taken_over_all_blocks():
    # more than 64 blocks of 32 rows, so that what was merged is merged again
    inputs = normal(2, 2100, 20)
    v_threshold = torch.tensor(0.7, device=DEVICE, requires_grad=True)
    neuron = {"leak": 0.9, "v_threshold": v_threshold}
    got, want = (gradients(name, inputs, **neuron) for name in ("gpu", "reference"))
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (2, 2100, 20)])
def test_counts_what_it_fires(shape, dtype):
    neuron = {"leak": 0.9, "v_threshold": 0.7, "reset": "soft", "surrogate": Triangle()}
    inputs = normal(*shape, dtype) | neuron | {"detach_reset": True, "keep_state": False}
    with backend("gpu"):
        want, _ = affine_lif(**inputs)
        spikes, _, counts = affine_lif_counting(**inputs)
    assert torch.equal(spikes, want)
    assert counts.dtype == torch.int64
    assert torch.equal(counts, (want != 0).sum(1))


def test_two_runs_give_the_same_bits():
    inputs = normal(9, 150, 33)

    def everything():
        z = inputs["z"].clone().requires_grad_()
        rest = [inputs[name].clone().requires_grad_() for name in ("a", "b", "v0")]
        with backend("gpu"):
            through, mean, var = moments(z)
            spikes, v = affine_lif(through, *rest, leak=0.9)
        loss = (spikes * spikes.detach().cos()).sum() + v.sum() + (mean * var).sum()
        return [mean, var, spikes, v, *torch.autograd.grad(loss, [z, *rest])]

    for got, want in zip(everything(), everything(), strict=True):
        assert torch.equal(got, want)


def test_leaves_its_arguments_alone():
    inputs = normal(9, 5, 2)
    before = {name: value.clone() for name, value in inputs.items()}
    gradients("gpu", inputs, leak=0.9)
    assert all(torch.equal(inputs[name], before[name]) for name in inputs)


@pytest.mark.parametrize(
    ("reset", "spikes", "v"),
    [  # leak 1/2, threshold 1, inputs 3/4 3/4 1 1/4: exactly at threshold stays silent
        ("soft", [0, 1, 1, 0], [0.75, 0.125, 0.0625, 0.28125]),
        ("hard", [0, 1, 0, 0], [0.75, 0.0, 1.0, 0.75]),
        ("none", [0, 1, 1, 1], [0.75, 1.125, 1.5625, 1.03125]),
    ],
)
def test_trace_worked_by_hand(reset, spikes, v):
    z = torch.tensor([0.75, 0.75, 1.0, 0.25], device=DEVICE).reshape(4, 1, 1)
    one, zero = z.new_ones(4, 1), z.new_zeros(4, 1)
    with backend("gpu"):
        for T in range(1, 5):
            got, v_last = affine_lif(z[:T], one[:T], zero[:T], leak=0.5, reset=reset)
            assert got.flatten().tolist() == spikes[:T]
            assert v_last.item() == v[T - 1]


@given(inputs=affine_lif_inputs(), data=st.data())
@settings(max_examples=20)
def test_stopping_and_resuming_changes_nothing(inputs, data):
    inputs = elements(inputs)
    z, a, b = (inputs.pop(name) for name in ("z", "a", "b"))
    v0 = inputs.pop("v0").requires_grad_()
    cut = data.draw(st.integers(1, len(z)))
    with backend("gpu"):
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (1, 16700, 20)])
def test_moments_are_mean_and_biased_variance(shape, dtype):
    z = torch.randn(shape).to(DEVICE, dtype)
    with backend("gpu"):
        through, mean, var = moments(z)
    assert torch.equal(through, z)
    assert mean.dtype == var.dtype == torch.float32
    want = torch.var_mean(z.double(), 1, correction=0)
    for got, truth in zip((var, mean), want, strict=True):
        torch.testing.assert_close(got.double(), truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("M", [50, 9000])
def test_a_large_mean_costs_no_digits(M):
    z = (1e4 + torch.randn(2, M, 3)).to(DEVICE)
    with backend("gpu"):
        _, mean, var = moments(z)
    want_var, want_mean = torch.var_mean(z.double(), 1, correction=0)
    torch.testing.assert_close(mean.double(), want_mean, rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), want_var, rtol=1e-4, atol=0)


@pytest.mark.parametrize("outlier", [1e2, 1e4])
def test_an_element_far_from_the_others_costs_no_digits(outlier):
    z = torch.randn(1, 20000, 1)
    z[0, 0] = outlier
    with backend("gpu"):
        _, _, var = moments(z.to(DEVICE))
    want = torch.var(z.double(), 1, correction=0)
    torch.testing.assert_close(var.double().cpu(), want, rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_moments_pass_back_exactly_what_the_reference_does(shape, dtype):
    z, dz = torch.randn(2, *shape).to(DEVICE, dtype)
    sums = torch.randn(3, shape[0], shape[2], device=DEVICE)
    want = reference.moments_backward(z, dz, *sums)
    assert torch.equal(gpu.moments_backward(z, dz, *sums), want)


def test_a_layer_learns_what_it_learns_on_the_reference():
    z = torch.randn(9, 3, 4, 5, 5, device=DEVICE)
    results = []
    for name in ("reference", "gpu"):
        layer = NormLIF(BNTT(4, num_steps=9), LIF(0.9)).to(DEVICE)
        x = z.clone().requires_grad_()
        with backend(name):
            spikes, v = layer(x, return_state=True)
            (spikes.sum() + v.square().sum()).backward()
        results.append([spikes, v, x.grad, layer.norm.weight.grad])
    assert torch.equal(results[0][0], results[1][0])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("M", "C"), [(0, 2), (2, 0)])
def test_no_element_gives_no_spike(M, C):
    z = torch.zeros(3, M, C, device=DEVICE)
    with backend("gpu"):
        spikes, v = affine_lif(z, z.new_ones(3, C), z.new_zeros(3, C), leak=0.9)
    assert spikes.shape == (3, M, C)
    assert v.shape == (M, C)


def test_any_layout_of_memory_will_do():
    tight = normal(3, 35, 6)
    loose = {"z": tight["z"].transpose(1, 2).contiguous().transpose(1, 2)}
    loose |= {name: tight[name].T.contiguous().T for name in ("a", "b", "v0")}
    assert not any(value.is_contiguous() for value in loose.values())
    want, got = (gradients("gpu", x, leak=0.9) for x in (tight, loose))
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth)
    with backend("gpu"):
        for ours, truth in zip(moments(loose["z"]), moments(tight["z"]), strict=True):
            assert torch.equal(ours, truth)


def test_vmap_and_func_grad_see_through():
    def number(z, a, b):
        z, mean, var = moments(z)
        spikes, v = affine_lif(z, a, b + mean, leak=0.9)
        return spikes.cos().sum() + v.square().sum() + (mean * var).sum()

    z, (a, b) = torch.randn(4, 3, 5, 2, device=DEVICE), torch.rand(2, 4, 3, 2).to(DEVICE)
    with backend("reference"):
        want = [torch.func.grad(number, (0, 1, 2))(*x) for x in zip(z, a, b, strict=True)]
    with backend("gpu"):
        got = torch.vmap(torch.func.grad(number, (0, 1, 2)))(z, a, b)
    for ours, truth in zip(got, zip(*want, strict=True), strict=True):
        torch.testing.assert_close(ours, torch.stack(truth))


@pytest.mark.parametrize("case", range(9))
def test_an_operator_is_what_it_says_to_the_compiler(case):
    operator, arguments = calls(torch.float32)[case]
    arguments = [x.to(DEVICE) if isinstance(x, torch.Tensor) else x for x in arguments]
    with backend("gpu"):
        torch.library.opcheck(operator.default, arguments)
