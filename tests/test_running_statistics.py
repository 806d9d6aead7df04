"""Running statistics taken anew: averages over batches, computed by hand."""

import pytest
import torch
from present import layers
from torch import nn

from bntt import backend, update_statistics, vgg5

SMALL = {"num_classes": 3, "num_steps": 4, "leak": 0.9, "image_size": 4, "in_channels": 1}


def small(**config):
    torch.manual_seed(2)
    return vgg5(**SMALL | {"encoder": "direct"} | config).double()


def batches(*sizes):
    return [torch.randn(size, 1, 4, 4, dtype=torch.float64) for size in sizes]


def by_hand(net, data, window=None):
    """Mean and unbiased variance of the first layer's current, averaged over batches."""
    means, variances = [], []
    for x in data:
        z = nn.functional.conv2d(x, net.convs[0].weight, padding=1)
        z = z.expand(4, *z.shape)  # direct coding: every step is the image
        z = z.reshape(-1, (window or 1), *z.shape[1:])
        means.append(z.mean((1, 2, 4, 5)))
        variances.append(z.var((1, 2, 4, 5), correction=1))
    return torch.stack(means).mean(0), torch.stack(variances).mean(0)


@pytest.mark.parametrize("name", ["cpu", "reference"])
@pytest.mark.parametrize("config", [{}, {"window": 2}, {"norm": "shared"}])
def test_every_batch_counts_alike(config, name):
    net, data = small(**config), batches(5, 2, 3)
    window = {"window": config.get("window", 1)}.get("window")
    window = 4 if config.get("norm") == "shared" else window
    mean, var = by_hand(net, data, window)
    with backend(name):
        update_statistics(net, data)
    norm = layers(net)[0].norm
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(norm.running_var, var, rtol=1e-12, atol=1e-14)


def test_what_was_there_before_does_not_matter_and_momentum_comes_back():
    one, other = small(), small()
    for layer in layers(other):
        layer.norm.running_mean.fill_(1e6)
        layer.norm.running_var.fill_(7.0)
    layers(other)[1].norm.momentum = 0.25
    data = batches(3, 4)
    for net in (one, other):
        update_statistics(net, iter(data))
    assert [layer.norm.momentum for layer in layers(other)] == [0.1, 0.25, 0.1, 0.1]
    for left, right in zip(layers(one), layers(other), strict=True):
        assert torch.equal(left.norm.running_mean, right.norm.running_mean)
        assert torch.equal(left.norm.running_var, right.norm.running_var)


def test_every_modules_own_flag_comes_back_and_no_weight_moves():
    net = small().eval()
    layers(net)[2].norm.train()
    flags = [module.training for module in net.modules()]
    weights = {name: p.clone() for name, p in net.named_parameters()}
    update_statistics(net, [(x, torch.zeros(len(x))) for x in batches(3)])
    assert [module.training for module in net.modules()] == flags
    assert all(torch.equal(p, weights[name]) for name, p in net.named_parameters())
    assert all(p.grad is None for p in net.parameters())


def test_bytes_are_normalised():
    net = small(mean=(0.4,), std=(0.3,))
    images = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8)
    update_statistics(net, [images])
    mean, var = by_hand(net, [net.normalize(images)])
    torch.testing.assert_close(layers(net)[0].norm.running_mean, mean)
    torch.testing.assert_close(layers(net)[0].norm.running_var, var)


def test_coding_draws_from_the_generator():
    got = []
    for _ in range(2):
        net = small(encoder="poisson")
        coding = torch.Generator().manual_seed(5)
        update_statistics(net, [torch.ones(4, 1, 4, 4).double()], generator=coding)
        got.append(layers(net)[0].norm.running_mean)
    assert torch.equal(*got)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no batch"),
        ([torch.randn(2, 1, 4, 4), torch.randn(2, 1, 5, 5)], "was built for images"),
        ([torch.randn(3, 1, 4, 4), torch.randn(1, 1, 4, 4)], "at least 2|single element"),
    ],
)
def test_what_fails_changes_nothing(data, said):
    net = small().float()
    net(torch.randn(4, 1, 4, 4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=said):
        update_statistics(net.eval(), data)
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items())
    assert [layer.norm.momentum for layer in layers(net)] == [0.1] * 4
    assert not any(module.training for module in net.modules())


def test_a_network_without_statistics_says_so():
    with pytest.raises(ValueError, match="no norm that keeps running statistics"):
        update_statistics(small(norm="none"), batches(2))


@pytest.mark.usefixtures("as_user")  # to see the library's own errors
def test_refuses_what_holds_a_network_and_what_is_no_batch():
    net = vgg5(num_classes=2, num_steps=2, leak=0.9, image_size=8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(TypeError, match=r"got a Sequential.*\.module"):
        update_statistics(nn.Sequential(net), [torch.rand(2, 3, 8, 8)])  # pyright: ignore
    for batch in ({"image": torch.rand(2, 3, 8, 8)}, [], "images", None):
        with pytest.raises(TypeError, match="The loader must give tensors of images"):
            update_statistics(net, [torch.rand(2, 3, 8, 8), batch])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
