"""Spikes counted by the operators against those that come out, on every way there is."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportIndexIssue=false, reportOptionalMemberAccess=false
# pyright: reportOptionalOperand=false, reportOperatorIssue=false
import json

import pytest
import torch
from hypothesis import given, settings

import bntt
from bntt import BNTT, LIF, NormLIF, Triangle, backend, spike_statistics
from bntt.analysis.energy import energy
from bntt.layers.neuron import spike_counts
from bntt.networks.network import Network
from bntt.ops import affine_lif, affine_lif_counting, to_elements
from bntt.ops.surrogate import Surrogate
from strategies import DTYPES, SHAPES, affine_lif_inputs

NEURON = {"detach_reset": True, "surrogate": Triangle(), "keep_state": True}


def fired(spikes):
    """Per step and channel, by hand."""
    return (spikes != 0).movedim(2, 1).flatten(2).sum(2)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", DTYPES)
@given(inputs=affine_lif_inputs())
@settings(max_examples=15)
def test_operators_count_what_they_fire(backend_name, dtype, inputs):
    z, v0 = to_elements(inputs["z"]).to(dtype), to_elements(inputs["v0"][None])[0]
    inputs = inputs | {"z": z, "v0": v0}
    with backend(backend_name):
        want, last = affine_lif(**inputs)
        spikes, v, counts = affine_lif_counting(**inputs, **NEURON)
    assert torch.equal(spikes, want)
    assert torch.equal(v, last)
    assert counts.dtype == torch.int64
    assert torch.equal(counts, (want == 1).sum(1))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (2, 5000, 33)])
def test_nothing_is_lost_between_tiles_and_blocks(shape, dtype, reset, threads):
    torch.set_num_threads(threads)
    z, neuron = (4 * torch.randn(shape)).to(dtype), {"leak": 0.9, "v_threshold": 0.7}
    wide = torch.promote_types(dtype, torch.float32)
    a, b = 0.5 + torch.rand(2, shape[0], shape[2], dtype=wide)
    spikes, _, counts = affine_lif_counting(z, a, b, None, reset=reset, **neuron, **NEURON)
    assert 0 < counts.sum() < spikes.numel()
    assert torch.equal(counts, (spikes != 0).sum(1))


def test_nan_never_fires_and_is_not_counted():
    z = torch.full((2, 3, 2), float("nan"))
    z[:, 0] = 5.0
    one, zero = torch.ones(2, 2), torch.zeros(2, 2)
    for name in ("reference", "cpu"):
        with backend(name):
            _, _, counts = affine_lif_counting(
                z, one, zero, None, leak=1.0, v_threshold=1.0, reset="soft", **NEURON
            )
        assert counts.tolist() == [[1, 1], [1, 1]]


def gradients(operator, learns):
    torch.manual_seed(3)
    z, (a, b), v0 = torch.randn(4, 6, 3), torch.rand(2, 4, 3), torch.randn(6, 3)
    leak = torch.tensor(0.9, requires_grad=learns)
    leaves = [x.requires_grad_() for x in (z, a, b, v0)] + ([leak] if learns else [])
    spikes, v, *counts = operator(
        *(z, a, b, v0), leak=leak, v_threshold=1.0, reset="soft", **NEURON
    )
    assert not any(x.requires_grad for x in counts)
    weight = torch.linspace(-1, 1, spikes.numel()).view_as(spikes)
    return torch.autograd.grad((spikes * weight).sum() + v.square().sum(), leaves)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_counting_changes_no_gradient(backend_name, learns):
    with backend(backend_name):
        want, got = (gradients(f, learns) for f in (affine_lif, affine_lif_counting))
    assert all(torch.equal(*pair) for pair in zip(got, want, strict=True))


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_vmap_counts_each(backend_name):
    z, (a, b) = torch.randn(5, 3, 4, 2), torch.rand(2, 3, 2)

    def counts(z):
        neuron = {"leak": 0.9, "v_threshold": 0.5, "reset": "soft"}
        return affine_lif_counting(z, a, b, None, **neuron, **NEURON)[2]

    with backend(backend_name):
        want = torch.stack([counts(part) for part in z])
        assert torch.equal(torch.vmap(counts)(z), want)


class Mine(Surrogate):
    """A slope of one's own, which runs on the reference."""

    def derivative(self, x):
        return torch.ones_like(x)


def layers():
    torch.manual_seed(1)
    norm = BNTT(3, num_steps=4).eval()
    hooked = NormLIF(norm, LIF(0.9))
    hooked.lif.register_forward_hook(lambda _, args, out: None)
    return {
        "fused": NormLIF(norm, LIF(0.9)),
        "apart": hooked,
        "own surrogate": NormLIF(norm, LIF(0.9, surrogate=Mine())),
        "neuron": LIF(0.9),
        "own scan": OwnScan(0.9),
    }


class OwnScan(LIF):
    """Neurons that fire the other way round."""

    def scan(self, *args):
        spikes, v = super().scan(*args)
        return 1 - spikes, v


@pytest.mark.parametrize("space", [(), (2, 2)])
@pytest.mark.parametrize("name", layers())
def test_layers_count_what_comes_out(name, space):
    layer, z = layers()[name], 2 * torch.randn(4, 5, 3, *space)
    want, last = layer(z, return_state=True)
    spikes, counts = layer(z, count_spikes=True)
    assert torch.equal(spikes, want)
    assert torch.equal(counts, fired(want))
    spikes, v, counts = layer(z, last, return_state=True, count_spikes=True)
    again, then = layer(z, last, return_state=True)
    assert torch.equal(spikes, again)
    assert torch.equal(v, then)
    assert torch.equal(counts, fired(again))
    assert v.shape == z.shape[1:]


def test_without_an_axis_of_channels_there_is_one():
    spikes, counts = LIF(0.9)(2 * torch.randn(4, 50), count_spikes=True)
    assert torch.equal(counts[:, 0], (spikes != 0).sum(1))
    assert torch.equal(spike_counts(spikes), counts)


def test_whether_to_count_is_yes_or_no(as_user):
    for layer in (LIF(0.9), layers()["fused"]):
        with pytest.raises(TypeError, match="`count_spikes` must be True or False, got 1"):
            layer(torch.randn(4, 5, 3), count_spikes=1)


def images(count=7, channels=2, size=8):
    torch.manual_seed(5)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8)


def vgg(**config):
    torch.manual_seed(2)
    config = {"num_classes": 3, "num_steps": 3, "leak": 0.9, "image_size": 8} | config
    return bntt.vgg5(in_channels=2, **config)


def seen(net, x, **options):
    """The spikes of every layer, kept by hooks: what counting is spared."""
    kept = {}
    hooks = [
        layer.register_forward_hook(lambda m, a, out, n=n: kept.setdefault(n, out))
        for n, layer in net.named_modules()
        if isinstance(layer, NormLIF)
    ]
    net.eval()(net.normalize(x), generator=torch.Generator().manual_seed(0), **options)
    for hook in hooks:
        hook.remove()
    return kept


@pytest.mark.parametrize("num_steps", [None, 2])
@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
def test_statistics_are_those_of_the_spikes(backend_name, num_steps):
    net, x = vgg(), images()
    with backend(backend_name):
        kept = seen(net, x, num_steps=num_steps)
        found = spike_statistics(net.train(), x, num_steps=num_steps, by_neuron=True)
    assert net.training
    assert [layer.name for layer in found.layers] == list(kept)
    assert (found.images, found.num_steps) == (7, num_steps or 3)
    for layer in found.layers:
        spikes = kept[layer.name]
        assert torch.equal(layer.spikes, fired(spikes))
        assert torch.equal(layer.by_neuron, (spikes != 0).sum((0, 1)))
        assert layer.neurons == spikes[0, 0].numel()
        firing = spikes.double().movedim(2, 1).flatten(2)
        torch.testing.assert_close(layer.channel_rates, firing.mean(2))
        torch.testing.assert_close(layer.rates, firing.mean((1, 2)))
        assert layer.rate == pytest.approx(firing.mean().item())
        assert layer.silent == (~spikes.bool()).all(0).all(0).sum()
        assert layer.saturated == spikes.bool().all(0).all(0).sum()


def test_as_many_as_the_energy_is_paid_for():
    net, x = vgg().double(), images()
    counted = spike_statistics(net, x).layers
    paid = [layer for layer in energy(net, x).layers if layer.steps[0].neurons]
    for layer, other in zip(counted, paid, strict=True):
        assert layer.spikes.sum(1).tolist() == [step.spikes for step in other.steps]


def test_batches_add_up():
    net, x = vgg(encoder="direct").double(), images()
    done = []
    whole = spike_statistics(net, x, by_neuron=True)
    parts = spike_statistics(net, x, by_neuron=True, batch_size=3, advance=done.append)
    assert done == [3, 3, 1]
    for ours, theirs in zip(parts.layers, whole.layers, strict=True):
        assert torch.equal(ours.spikes, theirs.spikes)
        assert torch.equal(ours.by_neuron, theirs.by_neuron)
        assert ours.images == 7


def test_distributions_count_each_once():
    net = vgg()
    with torch.no_grad():
        net.layers[0].norm.weight[:, :3] = 0  # three channels that hear nothing
    found = spike_statistics(net, images(), by_neuron=True).layers[0]
    channels = found.distribution(4)
    edges = (found.channel_rates * 4).floor().clamp(max=3)
    for k in range(4):
        assert torch.equal(channels[:, k], (edges == k).sum(1))
    assert found.silent >= 3 * found.neurons // 64
    assert found.distribution_of_neurons(5).sum() == found.neurons
    assert found.distribution_of_neurons(1000)[0] == found.silent


def test_who_always_fires_is_saturated_and_in_the_last_bin():
    net = vgg(norm="none", reset="none", encoder="direct")
    with torch.no_grad():
        net.convs[0].weight.fill_(1.0)
    x = torch.full((5, 2, 8, 8), 255, dtype=torch.uint8)
    found = spike_statistics(net, x, by_neuron=True).layers[0]
    assert found.saturated == found.neurons
    assert found.silent == 0
    assert found.distribution(3).tolist() == [[0, 0, 64]] * 3
    assert found.distribution_of_neurons(3).tolist() == [0, 0, found.neurons]


def test_answers_are_plain():
    found = spike_statistics(vgg(), images())
    again = json.loads(json.dumps(found.to_dict(by_channel=True)))
    first = found.layers[0]
    assert again["layers"][0]["spikes"] == first.spikes.sum(1).tolist()
    assert again["layers"][0]["channel_rates"] == first.channel_rates.tolist()
    assert again["layers"][0]["silent"] is first.silent is first.saturated is None
    assert "channel_rates" not in found.to_dict()["layers"][0]


class Own(Network):
    """A network of a user's own: one layer twice, a neuron alone, and a loop over time."""

    def __init__(self, arch="own", **config):
        super().__init__(arch, **config)
        self.wide = torch.nn.Linear(64 * self.in_channels, 6, bias=False)
        self.layers = torch.nn.ModuleList([self.layer(6)])
        self.alone, self.looped, self.counted = LIF(0.5), LIF(0.5, 0.3), LIF(0.5)
        self.output = torch.nn.Linear(6, self.num_classes, bias=False)
        self.kept = {}
        self.draw_weights()

    def read(self, spikes, start=None):
        x = self.layers[0](self.wide(spikes.flatten(2)), start=start)
        x = self.kept["layers.0"] = x
        x = self.kept["layers.0:1"] = self.layers[0](2 * x, start=start)
        x = self.kept["alone"] = self.alone(3 * x)
        parts, v = [], None
        for step in x:
            part, v = self.looped(step[None], v, return_state=True)
            parts.append(part)
        x = self.kept["looped"] = torch.cat(parts)
        x, counts = self.counted(x * 2, count_spikes=True)
        assert torch.equal(counts, fired(x))
        self.kept["counted"] = x
        return self.output(x)


def own():
    torch.manual_seed(4)
    return Own(num_classes=3, num_steps=4, leak=0.9, in_channels=2, image_size=8)


def test_a_network_of_ones_own():
    net, x, told = own(), images(), []
    net.alone.register_forward_hook(lambda m, args, out: told.append(type(out)))
    found = spike_statistics(net, x)
    assert [layer.name for layer in found.layers] == [
        "layers.0", "layers.0:1", "alone", "looped", "counted",
    ]  # fmt: skip
    for layer in found.layers:
        assert torch.equal(layer.spikes, fired(net.kept[layer.name])), layer.name
        assert layer.images == 7
    assert sum(layer.spikes.sum() for layer in found.layers) > 0
    assert told == [torch.Tensor]
    net(net.normalize(x))
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert sum(hooks) == 1, "only the user's own stay"


class Inverted(LIF):
    """A forward of one's own, which knows nothing of counting."""

    def forward(self, current, v=None, *, return_state=False):
        return 1 - super().forward(current, v)


def test_a_layer_with_a_forward_of_its_own_is_counted_by_what_comes_out():
    net = own()
    net.alone = Inverted(0.5)
    found = {layer.name: layer for layer in spike_statistics(net, images()).layers}
    assert torch.equal(found["alone"].spikes, fired(net.kept["alone"]))


class Twice(Own):
    """Time in parts of which nobody says where they lie."""

    def read(self, spikes, start=None):
        x = self.layers[0](self.wide(spikes.flatten(2)), start=start)
        x, v = self.alone(x, return_state=True)
        return self.output(self.alone(x, v))


class Late(Own):
    """A pass that begins in the middle of time."""

    def read(self, spikes, start=None):
        x = self.layers[0](self.wide(spikes.flatten(2))[:1], start=2)
        return self.output(x)


def made(kind):
    return kind(num_classes=3, num_steps=4, leak=0.9, in_channels=2, image_size=8)


def compiled_in_place():
    net = vgg()
    net.compile(backend="eager")
    return net


class Dull(Own):
    """Nobody fires."""

    def __init__(self, **config):
        super().__init__(**config)
        self.layers = torch.nn.ModuleList()
        self.alone = self.looped = self.counted = None


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: spike_statistics(vgg(), images(0)), "no image on which spikes"),
        (lambda: spike_statistics(vgg(), images(), num_steps=4), "for 3 time-steps"),
        (lambda: spike_statistics(vgg(), images(), batch_size=0), "must be at least 1"),
        (lambda: spike_statistics(made(Twice), images()), "alone ran for 8 time-steps of"),
        (lambda: spike_statistics(made(Late), images()), "called for time-step 2, but"),
        (lambda: spike_statistics(made(Dull), images()), "Dull has no layer that fires"),
        (lambda: spike_statistics(compiled_in_place(), images()), "compiled in place"),
        (
            lambda: spike_statistics(vgg(), images()).layers[0].distribution_of_neurons(),
            r"Ask for it with spike_statistics\(..., by_neuron=True\)",
        ),
        (
            lambda: spike_statistics(vgg(), images()).layers[0].distribution(0),
            "`bins` must be at least 1, got 0",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(what, message):
    with pytest.raises(ValueError, match=message):
        what()


def test_only_networks_are_counted(as_user):
    with pytest.raises(TypeError, match=r"of a bntt.Network, got LIF\("):
        spike_statistics(LIF(0.9), images())


def test_an_error_leaves_no_hook_behind():
    net = made(Twice)
    with pytest.raises(ValueError, match="ran for"):
        spike_statistics(net, images())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
