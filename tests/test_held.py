"""What outsiders tried to break and could not."""

import copy
import io

import pytest
import torch
from present import present

import bntt
from bntt import backend
from bntt.ops import moments


def trained(T=2):
    """A small network whose running statistics are not those that it began with."""
    torch.manual_seed(0)
    net = bntt.vgg5(
        num_classes=3, num_steps=T, leak=0.9, in_channels=1, image_size=8, encoder="direct"
    )
    for _ in range(40):
        net(torch.randn(4, 1, 8, 8))
    return net.eval()


def pickled(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_whole_networks_are_copied_and_pickled(copied):
    net, images = trained(), torch.randn(4, 1, 8, 8)
    twin = copied(net)
    assert torch.equal(twin(images), net(images))
    assert twin.description == net.description
    with torch.no_grad():
        twin.output.weight.zero_()
    assert net(images).any()


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_a_million_elements_have_the_moments_of_float64(name):
    z = 3 + 0.1 * torch.randn(1, 1_000_000, 2)
    with backend(name):
        _, mean, var = moments(z)
    want_var, want_mean = torch.var_mean(z.double(), 1, correction=0)
    torch.testing.assert_close(mean.double(), want_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), want_var, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_dead_neurons_stay_silent_and_pass_finite_gradients(name):
    z = torch.full((3, 4, 2, 5, 5), 0.25, requires_grad=True)  # a variance of exactly 0
    norm = bntt.BNTT(num_features=2, num_steps=3)
    layer = bntt.NormLIF(norm, bntt.LIF(leak=0.95))
    with backend(name):
        spikes = layer(z)
        (spikes.sum() + norm.weight.sum()).backward()
    assert not spikes.any()
    assert present(z.grad).isfinite().all()
    assert present(norm.weight.grad).isfinite().all()
    torch.testing.assert_close(norm.running_mean, torch.full((3, 2), 0.1 * 0.25))


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_one_time_step_trains(name):
    net, images = trained(T=1).train(), torch.randn(4, 1, 8, 8)
    with backend(name):
        net(images).square().sum().backward()
    gradients = [p.grad for p in net.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g.any() for g in gradients if g is not None)
