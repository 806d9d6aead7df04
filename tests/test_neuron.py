"""Neurons as modules, against a network of nn.BatchNorm2d and a loop over time."""

# pyright: reportArgumentType=false, reportCallIssue=false
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from per_step import Step
from torch import nn

from bntt import BNTT, LIF, ATan, NoNorm, NormLIF, Readout, SharedBN, Triangle, backend
from bntt.ops import affine_lif
from strategies import affine_lif_inputs


def lif_of(inputs):
    return LIF(inputs["leak"], inputs["v_threshold"], inputs["reset"])


def loop(z, norms, leak):
    """Batch norm, leak, fire and subtract, one time-step after the other."""
    v, spikes = torch.zeros_like(z[0]), []
    for z_t, norm in zip(z, norms, strict=True):
        u = leak * v + norm(z_t)
        spikes.append(Step.apply(u - 1))
        v = u - spikes[-1].detach()
    return torch.stack(spikes), v


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_is_a_loop_of_batch_norms_and_neurons(backend_name):
    T, N, C, leak = 6, 5, 4, 0.9
    layer = NormLIF(BNTT(C, num_steps=T), LIF(leak)).double()
    layer.norm.weight.data.uniform_(0.5, 3)
    norms = [nn.BatchNorm2d(C, eps=1e-4).double() for _ in range(T)]
    for norm, weight in zip(norms, layer.norm.weight.data, strict=True):
        norm.weight.data.copy_(weight)
        norm.bias = None
    for _ in range(2):
        z = torch.randn(T, N, C, 3, 7, dtype=torch.float64, requires_grad=True)
        ds, dv = torch.randn_like(z), torch.randn_like(z[0])
        with backend(backend_name):
            spikes, v = layer(z, return_state=True)
            got = torch.autograd.grad([spikes, v], [z, layer.norm.weight], [ds, dv])
        want_spikes, want_v = loop(z, norms, leak)
        gains = [norm.weight for norm in norms]
        want = torch.autograd.grad([want_spikes, want_v], [z, *gains], [ds, dv])
        assert torch.equal(spikes, want_spikes)
        torch.testing.assert_close(v, want_v, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(got[0], want[0], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(got[1], torch.stack(want[1:]), rtol=1e-10, atol=1e-10)
    for name in ("running_mean", "running_var"):
        want = torch.stack([getattr(norm, name) for norm in norms])
        torch.testing.assert_close(getattr(layer.norm, name), want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@given(inputs=affine_lif_inputs(), shift=st.integers(-8, 8))
def test_fused_is_the_norm_and_then_the_neuron_exactly(backend_name, inputs, shift):
    T, _, C = inputs["z"].shape[:3]
    # a gain of 2 over a variance of 4 - eps, a mean and a shift of whole eighths: all exact
    norm = SharedBN(C, num_steps=T, eps=2**-10).eval()
    norm.weight.data.fill_(2.0)
    norm.bias.data.fill_(shift / 8)
    norm.running_var.fill_(4 - 2**-10)
    norm.running_mean.fill_(0.125)
    lif = lif_of(inputs)
    with backend(backend_name):
        spikes, v = NormLIF(norm, lif)(inputs["z"], inputs["v0"], return_state=True)
        want_spikes, want_v = lif(norm(inputs["z"]), inputs["v0"], return_state=True)
    assert torch.equal(spikes, want_spikes)
    assert torch.equal(v, want_v)


@given(inputs=affine_lif_inputs())
def test_without_a_norm_it_is_the_neuron(inputs):
    lif, z = lif_of(inputs), inputs["z"]
    layer = NormLIF(NoNorm(z.shape[2], len(z)), lif)
    assert torch.equal(layer(z, inputs["v0"]), lif(z, inputs["v0"]))


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
def test_a_neuron_is_what_its_arguments_say(reset, detach_reset):
    values = {"leak": 0.75, "v_threshold": 0.5, "reset": reset, "surrogate": ATan(3.0)}
    values["detach_reset"] = detach_reset
    z = torch.randn(4, 5, 3, requires_grad=True)
    one, weight = torch.ones(4, 3), torch.randn(4, 5, 3)
    want, _ = affine_lif(z, one, 0 * one, **values)
    for got in (LIF(**values)(z), NormLIF(NoNorm(3, 4), LIF(**values))(z)):
        assert torch.equal(got, want)
        slopes = [
            torch.autograd.grad((y * weight).sum(), z, retain_graph=True)
            for y in (got, want)
        ]
        assert torch.equal(*slopes[0], *slopes[1])


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_fused_learns_like_the_norm_and_then_the_neuron(kind):
    norm, lif = kind(3, num_steps=4).double(), LIF(0.9, 0.5, surrogate=ATan())
    z = torch.randn(4, 5, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(z)

    def gradients(y):
        return torch.autograd.grad((y * weight).sum(), [z, *norm.parameters()])

    fused, apart = NormLIF(norm, lif)(z), lif(norm(z))
    for got, want in zip(gradients(fused), gradients(apart), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)


@given(inputs=affine_lif_inputs(), data=st.data())
def test_time_may_be_cut_anywhere(inputs, data):
    lif, z = lif_of(inputs), inputs["z"]
    cut = data.draw(st.integers(0, len(z) - 1))
    whole, v_end = lif(z, return_state=True)
    v, early = None, z[:0]
    if cut:
        early, v = lif(z[:cut], return_state=True)
    late, v = lif(z[cut:], v, return_state=True)
    assert torch.equal(torch.cat([early, late]), whole)
    assert torch.equal(v, v_end)


def test_a_training_sequence_may_come_in_parts():
    T, cut = 5, 2
    layers = [NormLIF(BNTT(3, num_steps=T), LIF(0.9)).double() for _ in range(2)]
    for layer in layers:
        layer.norm.weight.data.copy_(torch.linspace(0.5, 2, 3 * T).view(T, 3))
    z = torch.randn(T, 4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    want, want_v = layers[0](z, return_state=True)
    early, v = layers[1](z[:cut], start=0, return_state=True)
    late, v = layers[1](z[cut:], v, start=cut, return_state=True)
    assert torch.equal(torch.cat([early, late]), want)
    assert torch.equal(v, want_v)
    assert torch.equal(layers[1].norm.running_var, layers[0].norm.running_var)
    ds = torch.randn_like(want)
    (want_dz,) = torch.autograd.grad([want, want_v], z, [ds, torch.ones_like(v)])
    (dz,) = torch.autograd.grad([torch.cat([early, late]), v], z, [ds, torch.ones_like(v)])
    torch.testing.assert_close(dz, want_dz)


def test_a_call_leaves_nothing_behind():
    layer = NormLIF(BNTT(3, num_steps=4), LIF(0.9)).eval()
    names, z = set(layer.state_dict()), torch.randn(4, 2, 3, 2, 2)
    assert torch.equal(layer(z), layer(z))
    assert names == {"norm.weight", "norm.running_mean", "norm.running_var"}
    assert set(layer.state_dict()) == names
    assert not LIF(0.9).state_dict()


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4), (3, 2, 4, 5, 5), (3, 0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_neurons_take_any_shape(shape, dtype):
    current = torch.randn(shape).to(dtype)
    spikes, v = LIF(0.5)(current, return_state=True)
    assert spikes.shape == shape
    assert spikes.dtype == dtype
    assert v.shape == shape[1:]
    assert v.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_the_layout_of_memory_does_not_matter():
    layer = NormLIF(BNTT(4, num_steps=3), LIF(0.9)).eval()
    z = torch.randn(6, 4, 5, 5)
    last = z.to(memory_format=torch.channels_last).unflatten(0, (3, 2))
    assert torch.equal(layer(last), layer(z.unflatten(0, (3, 2))))
    # and channels_last goes out as it came in, so that the next convolution need not copy
    assert layer(last).flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_an_empty_batch_passes_in_evaluation():
    layer = NormLIF(BNTT(4, num_steps=3), LIF(0.9)).eval()
    spikes, v = layer(torch.zeros(3, 0, 4, 5, 5), return_state=True)
    assert spikes.shape == (3, 0, 4, 5, 5)
    assert v.shape == (0, 4, 5, 5)


@given(T=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_the_read_out_is_a_running_mean(T, seed):
    generator = torch.Generator().manual_seed(seed)
    o = torch.randn(T, 3, 2, generator=generator, dtype=torch.float64)
    y = Readout()(o)
    for t in range(T):
        torch.testing.assert_close(y[t], o[: t + 1].mean(0))


def test_the_read_out_adds_up_in_float32():
    o = torch.full((1000, 1, 1), 1.0078125).bfloat16()
    assert torch.equal(Readout()(o)[-1], torch.tensor([[1.0078125]]))


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 2, 3), (4, 2, 3, 5, 1), (1, 0, 3)])
def test_the_read_out_is_a_running_mean_over_time_whatever_follows(shape):
    o = torch.randn(shape, dtype=torch.float64)
    y = Readout()(o)
    assert y.shape == o.shape
    for t in range(len(o)):
        torch.testing.assert_close(y[t], o[: t + 1].mean(0), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (0, 2, 3)])
def test_a_read_out_of_no_time_step_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(T, ...\), got|at least one time-step"):
        Readout()(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_a_read_out_averages_no_integers(dtype):
    with pytest.raises(ValueError, match=f"floating-point numbers .* got {dtype}"):
        Readout()(torch.ones(2, 1, 1, dtype=dtype))


@pytest.mark.parametrize("shape", [(4, 2, 3), (2, 3, 1), (3, 2)])
def test_refuses_a_membrane_of_another_shape(as_user, shape):
    z, v = torch.randn(5, 2, 3), torch.zeros(shape)
    for layer in (LIF(0.9), NormLIF(NoNorm(3, 5), LIF(0.9))):
        with pytest.raises(ValueError, match="`v` must have the shape of one time-step"):
            layer(z, v)


@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3), (0, 2, 3, 4, 4)])
def test_refuses_a_sequence_without_time(as_user, shape):
    with pytest.raises(ValueError, match="at least one time-step"):
        LIF(0.9)(torch.zeros(shape))
    if len(shape) > 2:
        with pytest.raises(ValueError, match="at least one time-step"):
            NormLIF(BNTT(3, 4), LIF(0.9)).eval()(torch.zeros(shape))


def test_prints_what_it_is():
    text = repr(NormLIF(BNTT(64, num_steps=25), LIF(0.95, 2.0, "hard", Triangle(0.5))))
    for word in ("64", "num_steps=25", "eps=0.0001", "leak=0.95", "v_threshold=2", "hard"):
        assert word in text
    assert "Triangle(height=0.5, width=1.0)" in text
