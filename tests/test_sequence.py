"""Networks for sequences: delays, pieces of images, any order of pixels."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

import pytest
import torch
from torch.nn import functional as F

from bntt import BNTT, LIF, SequenceNet, build
from bntt.layers.encode import Pixels, make
from bntt.networks import checkpoint
from bntt.networks.sequence import Delayed


def small(arch="seq", **config):
    settings = {"num_classes": 4, "num_steps": 6, "leak": 0.9, "in_channels": 1}
    return SequenceNet(arch, **settings | {"image_size": 6, "encoder": "rows"} | config)


def test_a_delayed_layer_is_a_causal_convolution():
    layer, x = Delayed(3, 4, taps=3, every=2), torch.randn(9, 2, 3)
    weights = layer.weight.unflatten(1, (3, 3)).transpose(1, 2)  # [out, in, taps]
    padded = F.pad(x.permute(1, 2, 0), (4, 0))
    expected = F.conv1d(padded, weights, dilation=2).permute(2, 0, 1)
    torch.testing.assert_close(layer(x), expected)


def test_no_answer_depends_on_what_comes_later():
    net, x = small().eval(), torch.randn(6, 3, 6)
    y = net(x, per_step=True)
    x[4:] = 9.0
    torch.testing.assert_close(net(x, per_step=True)[:4], y[:4])
    assert not torch.equal(net(x), y[-1])


def test_agrees_with_norm_and_neuron_layer_by_layer():
    net, x = small(), torch.randn(6, 3, 6)
    for layer in net.layers:
        layer.norm.weight.data.uniform_(0.5, 2)
    out = x
    for linear, layer in zip(net.linears, net.layers, strict=True):
        norm = BNTT(256, 6)
        norm.load_state_dict(layer.norm.state_dict())
        out = LIF(0.9)(norm(linear(out)))
    expected = (out @ net.output.weight.T).mean(0)
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("encoder", ["rows", "pixels", "permuted"])
def test_images_are_fed_piece_by_piece(encoder):
    steps = 6 if encoder == "rows" else 36
    net = small(encoder=encoder, num_steps=steps, in_channels=2).eval()
    images = torch.randn(3, 2, 6, 6)
    pieces = net.encoder(images, steps)
    assert pieces.shape == (steps, 3, *net.step_shape)
    assert sorted(pieces.flatten().tolist()) == sorted(images.flatten().tolist())
    torch.testing.assert_close(net(images), net(pieces))


def test_rows_come_from_the_top_and_pixels_as_one_reads():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    assert make("rows")(image, 2).flatten().tolist() == list(range(8))
    assert make("pixels")(image, 5).flatten().tolist() == [0, 1, 2, 3, 4]


def test_a_permutation_is_named_by_its_seed():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    assert make("permuted", 0)(image, 9).flatten().tolist() == [7, 2, 1, 4, 8, 6, 3, 0, 5]
    assert not torch.equal(Pixels(1).order(9), Pixels(0).order(9))


def test_the_order_of_the_pixels_travels_in_a_checkpoint(tmp_path):
    net = small(encoder="permuted", num_steps=36, permutation=5, window=6).eval()
    checkpoint.write(tmp_path / "net.safetensors", net)
    again = checkpoint.load(tmp_path / "net.safetensors")
    assert (again.permutation, again.window) == (5, 6)
    images = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(again(images), net(images))


def test_784_time_steps_learn_with_windows():
    net = small(
        "seq-long", encoder="permuted", image_size=28, num_steps=784, window=28, leak=0.99
    )
    assert net.layers[0].norm.weight.shape == (28, 128)
    images, labels = torch.randn(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_bad_sequences_are_named():
    with pytest.raises(ValueError, match="has 6 rows, but num_steps is 7"):
        small(num_steps=7)
    with pytest.raises(ValueError, match="encoder='direct' gives it whole"):
        small(encoder="direct")
    with pytest.raises(ValueError, match="Known: seq, seq-long"):
        SequenceNet("seq-short", num_classes=2, num_steps=2, leak=0.9)
    with pytest.raises(ValueError, match=r"images \(N, 1, 6, 6\) or spikes \(T, N, 6\)"):
        small()(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="encoder='rows' cuts them up"):
        build("vgg5", num_classes=2, num_steps=2, leak=0.9, encoder="rows")
