"""A network step by step answers as one call on the whole sequence does."""

# pyright: reportCallIssue=false, reportOptionalMemberAccess=false

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bntt
from bntt.networks.network import Network
from bntt.networks.stream import stream

T = 6


def made(arch="vgg5", dtype=torch.float64, **config):
    """A network with statistics of its own at every time-step, in evaluation mode."""
    config = {"num_classes": 3, "num_steps": T, "leak": 0.75, "image_size": 8} | config
    torch.manual_seed(3)
    net = bntt.build(arch, in_channels=2, **config).to(dtype).eval()
    for name, buffer in net.named_buffers():
        if "running_mean" in name:
            buffer.normal_(0, 0.1)
        if "running_var" in name:
            buffer.uniform_(0.05, 0.3)
    for name, parameter in net.named_parameters():
        if ".norm." in name:
            parameter.data.uniform_(0.5, 1.5)
    return net


def dyadic(net):
    """Give a network numbers with few binary digits, so that no sum of them is rounded."""
    for name, parameter in net.named_parameters():
        steps = 1 if ".norm." in name else 8
        parameter.data = (parameter.data * steps).round().clamp(-4, 4) / steps
    for name, buffer in net.named_buffers():
        if "running_mean" in name:
            buffer.copy_((buffer * 8).round() / 8)
        if "running_var" in name:
            buffer.fill_(1 - 1e-4)
    for layer in net.layers:
        layer.norm.eps = 2.0**-30
        layer.norm.running_var.fill_(1 - 2.0**-30)
    return net


def spikes_for(net, N=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    shape = (T, N, *net.step_shape)
    return torch.randint(-1, 2, shape, generator=random).to(net.dtype)


cuts = st.lists(st.integers(1, T - 1), unique=True, max_size=T - 1).map(sorted)


def streamed(net, x, at):
    run = stream(net)
    bounds = [0, *at, len(x)]
    parts = [x[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    return torch.cat([run.steps(part) for part in parts])


@pytest.mark.parametrize("arch", ["vgg5", "seq", "seq-long"])
@given(at=cuts)
@settings(max_examples=20, deadline=None)
def test_any_cut_is_the_whole_bit_for_bit_in_float64(arch, at):
    net = made(arch, encoder="poisson" if arch == "vgg5" else "pixels")
    x = spikes_for(net)
    with torch.no_grad():
        assert torch.equal(streamed(net, x, at), net(x, per_step=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(at=cuts)
@settings(max_examples=10, deadline=None)
def test_any_cut_is_the_whole_bit_for_bit_where_nothing_is_rounded(dtype, at):
    net = dyadic(made(leak=0.5, dtype=dtype))
    x = spikes_for(net)
    with torch.no_grad():
        assert torch.equal(streamed(net, x, at), net(x, per_step=True))


def test_the_networks_of_these_tests_fire_in_every_layer():
    for arch, encoder in (("vgg5", "poisson"), ("seq", "pixels"), ("seq-long", "pixels")):
        net = made(arch, encoder=encoder)
        rates = []
        for layer in net.layers:
            layer.register_forward_hook(lambda *a, r=rates: r.append(a[2].mean()))
        net(spikes_for(net))
        assert all(0.02 < rate < 0.9 for rate in rates), rates


def test_images_are_coded_with_the_random_numbers_of_one_call():
    net = made()
    images = torch.randn(4, 2, 8, 8, dtype=torch.float64)
    whole = net(images, per_step=True, generator=torch.Generator().manual_seed(5))
    run = stream(net, images, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.stack([run.step() for _ in range(T)]), whole)
    with pytest.raises(ValueError, match="coded for 6 time-steps, which are over"):
        run.step()


@pytest.mark.parametrize("arch", ["vgg5", "seq-long"])
@given(leaving=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), max_size=T - 1))
@settings(max_examples=20, deadline=None)
def test_who_stays_is_not_touched_by_who_leaves(arch, leaving):
    net = made(arch, encoder="poisson" if arch == "vgg5" else "pixels")
    images = torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    images = images.clamp(-2, 2)
    seeded = torch.Generator().manual_seed(7)
    with torch.no_grad():
        whole = net(images, per_step=True, generator=seeded)
        run = stream(net, images, generator=torch.Generator().manual_seed(7))
        here = torch.arange(5)
        for t in range(T):
            assert torch.equal(run.step(), whole[t, here])
            mask = torch.tensor(leaving[t] if t < len(leaving) else [True] * 5)[here]
            if not mask.any():
                break
            run.keep(mask)
            here = here[mask]
            assert run.size == len(here)
            assert all(v.shape[0] == len(here) for v in run.membranes.values())


def test_kept_membranes_keep_the_channel_fastest_in_memory():
    net = made()
    run = stream(net)
    run.step(spikes_for(net)[0])
    before = run.membranes
    run.keep(torch.tensor([True, False, True, True]))
    for name, v in run.membranes.items():
        assert torch.equal(v, before[name][[0, 2, 3]])
        assert v.movedim(1, -1).is_contiguous()


class Twice(Network):
    """A network of a user's own, which calls one layer twice and has a neuron apart."""

    def __init__(self, arch="twice", **config):
        super().__init__(arch, **config)
        (features,) = self.step_shape
        self.first = nn.Linear(features, 8, bias=False)
        self.middle = nn.Linear(8, 8, bias=False)
        self.layers = nn.ModuleList([self.layer(8)])
        self.norm = bntt.BNTT(8, self.num_steps)
        self.lif = bntt.LIF(0.5)
        self.output = nn.Linear(8, self.num_classes, bias=False)
        self.draw_weights()

    @property
    def step_shape(self):
        return (self.in_channels * self.image_size**2,)

    def read(self, spikes, start=None):
        x = self.layers[0](self.first(spikes), start=start)
        x = self.layers[0](self.middle(x), start=start)
        return self.output(self.lif(self.norm(self.middle(x), start)))


@given(at=cuts)
@settings(max_examples=10, deadline=None)
def test_a_network_of_ones_own_needs_no_line_for_it(at):
    torch.manual_seed(0)
    net = Twice(num_classes=3, num_steps=T, leak=0.8, image_size=4).double().eval()
    x = spikes_for(net)
    with torch.no_grad():
        assert torch.equal(streamed(net, x, at), net(x, per_step=True))
    run = stream(net)
    run.step(x[0])
    assert set(run.membranes) == {"layers.0", "layers.0:1", "lif"}


def test_streams_side_by_side_and_whole_calls_between_do_not_meet():
    net = made()
    x, y = spikes_for(net), spikes_for(net, N=2, seed=1)
    one, other = stream(net), stream(net)
    said = []
    for t in range(T):
        said.append((one.step(x[t]), other.step(y[t])))
        net(x)
    for number, whole in enumerate((net(x, per_step=True), net(y, per_step=True))):
        assert torch.equal(torch.stack([pair[number] for pair in said]), whole)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_hooks_of_a_user_see_spikes_and_nothing_of_the_state():
    net = made()
    seen = []
    net.layers[0].register_forward_hook(lambda *a: seen.append(type(a[2])))
    stream(net).step(spikes_for(net)[0])
    assert seen == [torch.Tensor]


def test_a_single_precision_cut_differs_in_few_spikes_if_in_any():
    net = made(dtype=torch.float32)
    x = spikes_for(net, N=8)
    rates = {}
    for name, run in (("whole", lambda: net(x)), ("cut", lambda: streamed(net, x, [1, 4]))):
        spikes = []
        hooks = [
            layer.register_forward_hook(lambda *a, s=spikes: s.append(a[2]))
            for layer in net.layers
        ]
        with torch.no_grad():
            run()
        for hook in hooks:
            hook.remove()
        count = len(net.layers)
        rates[name] = [torch.cat(spikes[k::count]) for k in range(count)]
    differing = [
        (a != b).double().mean().item()
        for a, b in zip(rates["whole"], rates["cut"], strict=True)
    ]
    assert differing[0] < 1e-5
    assert max(differing) < 0.02


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda net, x: stream(nn.Linear(1, 1)), "of a bntt.Network, got a Linear"),
        (lambda net, x: stream(net.train()).step(x[0]), "in training mode.*net.eval"),
        (lambda net, x: stream(net).step(), "needs the input of this time-step"),
        (lambda net, x: stream(net).step(x), r"One time-step of vgg5 is \('N', 2, 8, 8\)"),
        (lambda net, x: stream(net, x), "takes images"),
        (lambda net, x: stream(net, x[0], num_steps=9), "trained for 6 time-steps"),
        (lambda net, x: stream(net, x[0]).step(x[0]), "takes no input"),
        (lambda net, x: stream(net).steps(torch.cat([x, x])), "statistics for 6"),
        (lambda net, x: after_one(net, x).step(x[1, :3]), "4 samples .* of 3"),
        (
            lambda net, x: after_one(net, x).keep(torch.ones(3) > 0),
            r"got shape \(3,\) for 4",
        ),
        (lambda net, x: stream(net).keep(torch.ones(3) > 0), "for none yet"),
        (lambda net, x: after_one(net, x).keep(torch.ones(4)), "truth values"),
        (lambda net, x: nobody_left(net, x), "No sample is left"),
        (lambda net, x: compiled(net, x), "compiled by itself"),
    ],
)
def test_what_does_not_fit_is_refused(what, message):
    net = made()
    with pytest.raises((TypeError, ValueError), match=message):
        what(net, spikes_for(net))


def after_one(net, x):
    run = stream(net)
    run.step(x[0])
    return run


def nobody_left(net, x):
    run = after_one(net, x)
    run.keep(torch.zeros(4, dtype=torch.bool))
    run.step(x[1, :0])


def compiled(net, x):
    net.layers[0].compile()
    stream(net).step(x[0])


def test_a_gradient_goes_back_through_the_steps():
    net = made(encoder="direct")
    images = torch.randn(3, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    net(images, per_step=True)[-1].square().sum().backward()
    (whole,) = (images.grad,)
    images.grad = None
    run = stream(net, images)
    last = [run.step() for _ in range(T)][-1]
    last.square().sum().backward()
    torch.testing.assert_close(images.grad, whole)


def test_the_sum_of_the_read_outs_is_carried_wide():
    net = made(dtype=torch.float32)
    x = spikes_for(net)
    run = stream(net)
    said = torch.stack([run.step(step) for step in x])
    assert said.dtype == torch.float32
    torch.testing.assert_close(said, net(x, per_step=True), rtol=1e-5, atol=1e-5)
