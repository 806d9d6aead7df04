"""Hooks on the norm and the neuron inside a fused layer fire, and change no spike."""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize

from bntt import BNTT, LIF, NoNorm, NormLIF, SharedBN, backend, vgg5

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
NORMS = [BNTT, SharedBN, NoNorm]


def run(layer, z, start=None):
    """Spikes, membrane, gradients and statistics of one training step."""
    z = z.clone().requires_grad_()
    spikes, v = layer(z, return_state=True, start=start)
    loss = (spikes.double() * torch.linspace(-1, 1, spikes.numel()).view_as(spikes)).sum()
    gradients = torch.autograd.grad(loss + v.sum(), [z, *layer.parameters()])
    return [spikes, v], [*gradients, *(buffer.clone() for buffer in layer.buffers())]


def twins(kind, steps=4):
    made = [NormLIF(kind(3, num_steps=steps), LIF(0.9)) for _ in range(2)]
    for layer in made:
        for weight in layer.parameters():
            weight.data.copy_(torch.linspace(0.5, 2, weight.numel()).view_as(weight))
    return made


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("part", ["norm", "lif"])
def test_a_hook_sees_what_it_should_and_changes_nothing(part, kind, dtype, backend_name):
    if backend_name == "cpu" and dtype == torch.float16:
        pytest.skip("the kernels compute no float16")
    fused, watched = twins(kind)
    z, seen = torch.randn(4, 5, 3, 2, 2).to(dtype), []
    child = getattr(watched, part)
    handle = child.register_forward_hook(lambda _, args, out: seen.append((args, out)))
    with backend(backend_name):
        want, wanted = run(fused, z)
        got, given = run(watched, z)
        handle.remove()
        run(watched, z)
    assert len(seen) == 1, "fires once, and not once it is gone"
    assert all(torch.equal(*pair) for pair in zip(got, want, strict=True))
    assert [x.dtype for x in got] == [x.dtype for x in want]
    rounding = {"rtol": 0.05, "atol": 0.05} if dtype.itemsize < 4 else {}
    for ours, theirs in zip(given, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, **rounding)
    (args, out) = seen[0]
    assert torch.equal(args[0].to(dtype), z) or part == "lif"
    spikes = out if part == "norm" else out[0]
    assert spikes.shape == z.shape
    if part == "lif":
        assert torch.equal(spikes.to(dtype), want[0])
    elif kind is BNTT:
        mean = spikes.mean((1, 3, 4)).abs().max().item()
        assert mean < 1e-2, "the current is normalised"


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
@pytest.mark.parametrize("part", ["norm", "lif"])
def test_every_kind_of_hook_fires(register, part):
    layer = twins(BNTT)[0]
    fired = []
    getattr(getattr(layer, part), register)(lambda *args: fired.append(len(args)))
    run(layer, torch.randn(4, 5, 3))
    assert len(fired) == 1


def test_a_hook_for_all_modules_fires_too():
    layer, seen = twins(BNTT)[0], []
    handle = register_module_forward_hook(lambda m, *_: seen.append(type(m).__name__))
    layer(torch.randn(4, 5, 3))
    handle.remove()
    layer(torch.randn(4, 5, 3))
    assert seen == ["BNTT", "LIF", "NormLIF"]


def test_a_hook_may_change_what_passes():
    layer = twins(BNTT)[0]
    layer.norm.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
    assert not layer(torch.randn(4, 5, 3)).any()


def test_a_learnt_leak_learns_the_same_when_watched():
    fused, watched = (
        NormLIF(BNTT(3, num_steps=4), LIF(nn.Parameter(torch.tensor(0.9))))
        for _ in range(2)
    )
    watched.lif.register_forward_hook(lambda *_: None)
    z = torch.randn(4, 5, 3, 2, 2)
    (want, wanted), (got, given) = run(fused, z), run(watched, z)
    assert all(torch.equal(*pair) for pair in zip(got, want, strict=True))
    assert wanted[2].abs() > 0, "the leak learns at all"
    for ours, theirs in zip(given, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@given(seed=st.integers(0, 2**31), cut=st.integers(1, 3))
def test_a_watched_sequence_may_come_in_parts(seed, cut):
    fused, watched = twins(BNTT)
    watched.lif.register_forward_hook(lambda *_: None)
    z = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(seed))
    want, want_v = fused(z, return_state=True)
    early, v = watched(z[:cut], start=0, return_state=True)
    late, v = watched(z[cut:], v, start=cut, return_state=True)
    assert torch.equal(torch.cat([early, late]), want)
    assert torch.equal(v, want_v)


def test_a_monitor_counts_the_spikes_of_a_whole_network():
    net = vgg5(num_classes=3, num_steps=2, leak=0.9, image_size=8, encoder="direct").eval()
    images, rates = torch.randn(4, 3, 8, 8), {}
    want = net(images)
    for name, module in net.named_modules():
        if isinstance(module, LIF):
            module.register_forward_hook(
                lambda _, __, spikes, name=name: rates.update({name: spikes.mean().item()})
            )
    assert torch.equal(net(images), want)
    assert sorted(rates) == [f"layers.{k}.lif" for k in range(len(net.layers))]
    assert all(0 <= rate <= 1 for rate in rates.values())
    assert any(rates.values())


class Doubled(LIF):
    def forward(self, current, v=None, *, return_state=False):
        """A neuron that hears everything twice."""
        return super().forward(2 * current, v, return_state=return_state)


class Halved(BNTT):
    def forward(self, x, start=None):
        """A norm that says everything at half size."""
        return super().forward(x, start) / 2


def test_a_forward_of_ones_own_is_called():
    z, norm = torch.randn(4, 5, 3), BNTT(3, num_steps=4)
    want = LIF(0.9)(2 * norm(z))
    assert torch.equal(NormLIF(norm, Doubled(0.9))(z), want)
    assert torch.equal(
        NormLIF(Halved(3, num_steps=4), LIF(0.9))(4 * z), LIF(0.9)(norm(4 * z) / 2)
    )
    lif = LIF(0.9)
    lif.forward = lambda current, v=None, return_state=False: current * 0 + 7
    assert torch.equal(NormLIF(norm, lif)(z), torch.full_like(z, 7))


def test_a_parametrised_gain_is_the_one_that_serves():
    layer = twins(BNTT)[0]

    class Positive(nn.Module):
        def forward(self, weight):
            """Gains that cannot be negative."""
            return weight.abs()

    layer.norm.weight.data.neg_()
    parametrize.register_parametrization(layer.norm, "weight", Positive())
    z = torch.randn(4, 5, 3)
    assert torch.equal(layer(z), twins(BNTT)[0](z))
