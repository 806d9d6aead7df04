"""Operations against counting by brute force, and joules against hand arithmetic."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bntt
from bntt.analysis.energy import KNOWN, constants_of, energy
from bntt.analysis.energy.estimate import bits_of
from bntt.analysis.energy.operations import _dense, counting, coverage
from bntt.networks.network import Network
from bntt.networks.stream import stream


def by_brute_force(conv, x):
    """Operations on inputs that are not 0, one by one."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (
        *(conv.kernel_size, conv.stride, conv.padding, conv.dilation),
    )
    height, width = conv(x).shape[2:]
    count = 0
    for _, _, i, j in (x != 0).nonzero().tolist():
        for out_i in range(height):
            for out_j in range(width):
                for a in range(kh):
                    for b in range(kw):
                        here = (out_i * sh - ph + a * dh, out_j * sw - pw + b * dw)
                        count += here == (i, j)
    return count * (conv.out_channels // conv.groups)


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 1)),
    st.integers(1, 2),
    st.sampled_from([1, 2]),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=40)
def test_what_a_pixel_reaches(kernel, stride, padding, dilation, groups, seed):
    torch.manual_seed(seed)
    conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups, bias=False)
    x = (torch.rand(2, 2, 5, 6) < 0.3).float()
    reached = coverage(conv, 5, 6)
    assert _dense(conv, x) == conv(x).numel() * conv.weight[0].numel()
    assert (x.sum((0, 1)) * reached).sum().item() == by_brute_force(conv, x)


class Small(Network):
    """A convolution with a stride, one without a border, and two linear layers."""

    def __init__(self, arch="small", **config):
        super().__init__(arch, **config)
        self.one = nn.Conv2d(self.in_channels, 3, 3, stride=2, padding=1, bias=False)
        self.two = nn.Conv2d(3, 4, 2, bias=False)
        self.hidden = nn.Linear(4 * 9, 5, bias=False)
        self.layers = nn.ModuleList([self.layer(3), self.layer(4), self.layer(5)])
        self.output = nn.Linear(5, self.num_classes, bias=False)
        self.draw_weights()

    def read(self, spikes, start=None):
        T, N = spikes.shape[:2]
        x = self.one(spikes.flatten(0, 1)).unflatten(0, (T, N))
        x = self.layers[0](x, start=start)
        x = self.layers[1](self.two(x.flatten(0, 1)).unflatten(0, (T, N)), start=start)
        x = self.layers[2](self.hidden(x.flatten(2)), start=start)
        return self.output(x)


def small(encoder="poisson", **config):
    torch.manual_seed(2)
    config = {"num_classes": 2, "num_steps": 3, "leak": 0.9, "image_size": 8} | config
    net = Small(in_channels=2, encoder=encoder, mean=(0.5, 0.5), std=(0.2, 0.2), **config)
    for layer in net.layers:
        layer.norm.running_var.fill_(0.05)
    return net.eval()


def images(count=4, channels=2, side=8):
    random = torch.Generator().manual_seed(0)
    shape = (count, channels, side, side)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)


def seen(net, x, steps):
    """What every layer is fed and fires, time-step by time-step, in a whole call."""
    inputs, outputs, hooks = {}, {}, []
    for name in ("one", "two", "hidden", "output"):
        keep = lambda m, a, name=name: inputs.update({name: a[0]})  # noqa: E731
        hooks.append(getattr(net, name).register_forward_pre_hook(keep))
    for name, layer in zip(("one", "two", "hidden"), net.layers, strict=True):
        keep = lambda m, a, o, name=name: outputs.update({name: o})  # noqa: E731
        hooks.append(layer.register_forward_hook(keep))
    with torch.no_grad():
        net(net.normalize(x), generator=torch.Generator().manual_seed(0))
    for hook in hooks:
        hook.remove()
    for name in ("one", "two"):
        inputs[name] = inputs[name].unflatten(0, (steps, len(x)))
    return inputs, outputs


def test_a_network_is_counted_as_brute_force_counts_it():
    net, x = small(), images()
    inputs, outputs = seen(net, x, 3)
    found = {layer.name: layer for layer in energy(net, x, batch_size=4).layers}
    assert list(found) == ["one", "two", "hidden", "output"]
    for name in ("one", "two"):
        for t, step in enumerate(found[name].steps):
            assert step.ac == by_brute_force(getattr(net, name), inputs[name][t]) > 0
            assert step.inputs == (inputs[name][t] != 0).sum()
            assert step.mac == step.ac_of_quarters == 0
            assert step.spikes == outputs[name][t].sum()
            assert step.neurons == outputs[name][t].numel()
    for name, width in (("hidden", 5), ("output", 2)):
        for t, step in enumerate(found[name].steps):
            assert step.ac == int(inputs[name][t].sum()) * width
    assert found["output"].steps[0].neurons == 0
    dense = {"one": 16 * 3 * 18, "two": 9 * 4 * 12, "hidden": 36 * 5, "output": 10}
    assert {n: layer.steps[0].dense for n, layer in found.items()} == {
        name: 4 * count for name, count in dense.items()
    }


def test_an_image_that_is_fed_directly_is_multiplied():
    net, x = small("direct"), images()
    first, *others = energy(net, x).layers
    normalised = net.normalize(x)
    for step in first.steps:
        assert step.mac == by_brute_force(net.one, normalised)
        assert step.ac == step.ac_of_quarters == 0
    assert all(step.mac == 0 for layer in others for step in layer.steps)


def test_pooled_spikes_count_either_way():
    torch.manual_seed(0)
    net = bntt.vgg5(num_classes=3, num_steps=2, leak=0.9, in_channels=2, image_size=8)
    for layer in net.layers:
        layer.norm.running_var.fill_(0.05)
    found = energy(net, images())
    pooled = found.layers[1]
    assert pooled.name == "convs.1"
    for step in pooled.steps:
        assert 0 < step.mac < step.ac_of_quarters <= 4 * step.mac
    unpooled = found.layers[2]
    assert all(step.ac and not step.mac for step in unpooled.steps)
    by_mac, by_ac = found.lines[:2], found.lines_of_quarters[:2]
    assert by_mac[1].operations > 0
    assert by_ac[1].operations == 0
    more = sum(s.ac_of_quarters for layer in found.layers for s in layer.steps) / 4
    assert by_ac[0].operations == pytest.approx(by_mac[0].operations + more)


def test_delays_hear_a_spike_again():
    torch.manual_seed(0)
    net = bntt.SequenceNet(
        "seq", num_classes=3, num_steps=8, leak=0.9, in_channels=1, image_size=8,
        encoder="rows",
    )  # fmt: skip
    x = images(channels=1)
    first = energy(net, x).layers[0]
    rows = net.normalize(x).permute(2, 0, 1, 3).flatten(2)
    active = (rows != 0).sum((1, 2)).tolist()
    for t, step in enumerate(first.steps):
        heard = sum(active[max(0, t - 4) : t + 1])
        assert step.mac == heard * 256


def test_who_leaves_costs_no_more():
    net, x = small(), images(6)
    with counting(net) as counter, torch.no_grad():
        run = stream(net, net.normalize(x), generator=torch.Generator().manual_seed(0))
        counter.restart(6)
        counter.next_step(6)
        run.step()
        mask = torch.tensor([True, False, False, True, False, False])
        run.keep(mask)
        counter.keep(mask)
        counter.next_step(2)
        run.step()
    first, second = counter.layers[0].steps
    assert first.neurons == 3 * second.neurons
    assert first.dense == 3 * second.dense


def test_joules_by_hand():
    found = energy(small(), images())
    steps = [s for layer in found.layers for s in layer.steps]
    ac = sum(s.ac for s in steps) / 4
    neurons = 3 * (16 * 3 + 9 * 4 + 5)
    spikes = sum(s.spikes for s in steps) / 4
    expected = {
        "accumulates": ac * 0.9,
        "multiply-accumulates": 0,
        "membranes": neurons * (3.7 + 0.9) + spikes * 0.9,
        "norms": neurons * 4.6,
    }
    assert {line.name: line.joules for line in found.lines} == pytest.approx(
        {name: pj * 1e-12 for name, pj in expected.items()}
    )
    assert found.joules == pytest.approx(sum(expected.values()) * 1e-12)
    assert found.synops == pytest.approx(ac)


def test_vgg9_takes_195_million_multiply_accumulates():
    net = bntt.vgg9(num_classes=10, num_steps=1, leak=0.95)
    found = energy(net, images(1, 3, 32))
    by_hand = (
        32 * 32 * 9 * (3 * 64 + 64 * 64)
        + 16 * 16 * 9 * (64 * 128 + 128 * 128)
        + 8 * 8 * 9 * (128 * 256 + 2 * 256 * 256)
        + 4 * 4 * 256 * 1024
        + 1024 * 10
    )
    assert found.dense_macs == by_hand
    assert round(by_hand / 1e6, 1) == 194.7
    ann = found.against[0]
    assert ann.against == "ANN"
    assert ann.joules == pytest.approx(by_hand * 4.6e-12)


def test_the_formula_of_the_paper():
    found = energy(small(), images())
    layers = {layer.name: layer for layer in found.layers}
    rate = {
        name: sum(s.spikes for s in layer.steps) / layer.steps[0].neurons
        for name, layer in layers.items()
        if name != "output"
    }
    dense = {name: layer.steps[0].dense / 4 for name, layer in layers.items()}
    own = sum(dense[n] * rate[n] for n in rate) + dense["output"] * rate["hidden"]
    assert found.by_paper["output"] == pytest.approx(own * 0.9e-12)


def test_break_even_is_where_both_take_the_same():
    found = energy(small(), images())
    for one in found.against:
        assert 0 < one.measured < 1
        if one.rate is None:
            continue
        scale = one.rate / one.measured
        lines = found.lines_of_quarters
        total = lines[0].joules * scale + sum(line.joules for line in lines[1:])
        assert total == pytest.approx(one.joules)
        assert one.spiking_wins == (scale > 1)


def test_the_measured_rate_is_a_share_of_spikes_behind_pooling_too():
    torch.manual_seed(4)
    net = bntt.vgg5(num_classes=3, num_steps=2, leak=0.9, image_size=8, encoder="direct")
    for layer in net.layers:
        layer.norm.running_var.fill_(0.05)
    found = energy(net, images(4, 3))
    rates = [
        sum(s.spikes for s in layer.steps) / sum(s.neurons for s in layer.steps)
        for layer in found.layers[:-1]
    ]
    assert sum(s.ac_of_quarters for layer in found.layers for s in layer.steps) > 0
    assert 0 < found.against[0].measured < max(rates)


@pytest.mark.parametrize(("T", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (25, 5), (31, 5)])
def test_bits_that_say_as_much_as_a_count_of_spikes(T, bits):
    assert bits_of(T) == bits


def test_answers_are_plain_and_whole():
    found = energy(small(), images())
    again = json.loads(json.dumps(found.to_dict()))
    assert again["layers"][0]["steps"][0]["ac"] == found.layers[0].steps[0].ac
    assert again["total"]["joules"] == found.joules


def test_batches_add_up():
    net = small("direct")
    whole, parts = energy(net, images(6)), energy(net, images(6), batch_size=4)
    assert whole.layers == parts.layers


class Odd(Small):
    def __init__(self, **config):
        super().__init__(**config)
        self.extra = nn.Conv1d(1, 1, 3)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: energy(small(), images(0)), "no image"),
        (lambda: energy(small(), images(), num_steps=4), "trained for 3 time-steps"),
        (lambda: energy(odd(), images()), "extra is a Conv1d, whose operations are not kn"),
        (lambda: energy(padded(), images()), "pads by 'reflect'"),
        (lambda: constants_of("7nm"), "Unknown energy constants '7nm'. .*45nm"),
    ],
)
def test_what_cannot_be_counted_is_refused(what, message):
    with pytest.raises(ValueError, match=message):
        what()


def odd():
    return Odd(num_classes=2, num_steps=3, leak=0.9, in_channels=2, image_size=8)


def padded():
    net = small()
    net.one.padding_mode = "reflect"
    return net


def test_constants_of_ones_own(tmp_path):
    own = {
        "name": "mine", "source": "measured", "ac_pj": 0.5, "mac_pj": 2, "mult_pj": 1.5,
        "int8_mult_pj": 0.1, "int_add_pj": 0.05, "read_pj_per_byte": 1.0,
    }  # fmt: skip
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(own))
    assert constants_of(str(path)).mac_pj == 2
    for change, message in (
        ({"ac_pj": -1}, "`ac_pj` must be a positive energy in picojoules, got -1"),
        ({"ac_pj": "1 nJ"}, "`ac_pj` in .* must be a number, got '1 nJ'"),
        ({"ac_nj": 1}, "must hold one object with name, source, ac_pj"),
        ({"name": 3}, "must be text"),
    ):
        path.write_text(json.dumps(own | change))
        with pytest.raises(ValueError, match=message):
            constants_of(str(path))
    path.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        constants_of(str(path))


def test_fewer_bits_take_less():
    table = KNOWN["45nm"]
    assert table.mac_of_bits(8) == pytest.approx(0.3)
    assert table.mac_of_bits(4) == pytest.approx(0.2 / 4 + 0.1)
    assert math.isclose(table.mac_pj, table.ac_pj + table.mult_pj)
