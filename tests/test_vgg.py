"""The networks: their sizes, an independent loop over time, what travels in a config."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportOptionalMemberAccess=false
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from per_step import Step
from torch import nn
from torch.nn import functional as F

from bntt import ATan, NormLIF, vgg5, vgg9, vgg11
from bntt.layers.pool import average_pool
from bntt.networks import build
from bntt.networks.vgg import VGG

SMALL = {"num_classes": 10, "num_steps": 3, "leak": 0.9, "image_size": 8}


def small(arch="vgg5", **config):
    return VGG(arch, **SMALL | config)


def inputs(net, N=2, T=None):
    """Ternary spikes, or images."""
    shape = (N, net.in_channels, net.image_size, net.image_size)
    if T is None:
        return torch.randn(shape)
    return torch.randint(-1, 2, (T, *shape)).to(net.output.weight)


def per_step_loop(net, spikes, convs):
    """The network written a second time: one time-step, one layer after the other."""
    weights = [c.weight for c in net.convs] + [net.hidden.weight]
    gains = [layer.norm.weight for layer in net.layers]
    v, total = [0.0] * len(weights), 0.0
    for t, x in enumerate(spikes):
        for i, w in enumerate(weights):
            conv = i < len(convs)
            x = F.conv2d(x, w, padding=1) if conv else F.linear(x.flatten(1), w)
            x = F.batch_norm(x, None, None, gains[i][t], None, training=True, eps=1e-4)
            u = net.leak * v[i] + x
            x = Step.apply(u - 1)
            v[i] = u - x.detach()
            if conv and convs[i].endswith("A"):
                x = F.avg_pool2d(x, 2)
        total = total + F.linear(x, net.output.weight)
    return total / len(spikes)


def test_agrees_with_a_loop_over_time():
    net = small(num_steps=4).double()
    for layer in net.layers:
        layer.norm.weight.data.uniform_(0.5, 2)
    spikes, labels = inputs(net, N=3, T=4), torch.tensor([1, 2, 3])
    results = []
    for logits in (net(spikes), per_step_loop(net, spikes, ["64A", "128", "128A"])):
        loss = F.cross_entropy(logits, labels)
        results.append([logits, *torch.autograd.grad(loss, list(net.parameters()))])
    assert results[1][1].abs().sum() > 0  # the first convolution learns at all
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@given(
    shape=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(2, 7)] * 2),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_pooling_is_torchs_and_keeps_nothing(shape, layout):
    x = torch.randn(shape, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda x: x):
        y = average_pool(x)
    assert not kept
    want, weight = F.avg_pool2d(x, 2), torch.randn_like(y)
    assert torch.equal(y, want)
    got, truth = (torch.autograd.grad((out * weight).sum(), x) for out in (y, want))
    assert torch.equal(*got, *truth)


def test_pooling_is_differentiated_twice_and_by_functions_of_functions():
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(average_pool, x)

    def loss(image):
        return average_pool(image[None]).square().sum()

    (want,) = torch.autograd.grad(average_pool(x).square().sum(), x)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(x.detach()), want)


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (torch.ones(1, 1, 4, 4, dtype=torch.uint8), ValueError, "got torch.uint8"),
        (torch.ones(4, 4), ValueError, r"\(N, C, H, W\), got shape \(4, 4\)"),
        (torch.ones(1, 1, 1, 4), ValueError, "2x2 pixels.*shape .1, 1, 1, 4."),
        (None, TypeError, "Pooling takes a tensor"),
    ],
)
def test_pooling_refuses_what_has_no_squares(as_user, x, error, said):
    with pytest.raises(error, match=said):
        average_pool(x)


def count(net, *names):
    return sum(p.numel() for n, p in net.named_parameters() if n.split(".")[0] in names)


@pytest.mark.parametrize(
    ("make", "classes", "T", "weights", "gains"),
    [(vgg9, 10, 25, 5_938_880, 54_400), (vgg11, 100, 30, 11_724_480, 205_440)],
)
def test_is_the_size_of_the_published_network(make, classes, T, weights, gains):
    net = make(num_classes=classes, num_steps=T, leak=0.95)
    assert count(net, "convs", "hidden", "output") == weights
    assert count(net, "layers") == gains
    assert sum(p.numel() for p in net.parameters()) == weights + gains


def test_state_has_the_names_that_checkpoints_rely_on():
    net, stats = small(), ("weight", "running_mean", "running_var")
    want = {f"convs.{i}.weight" for i in range(3)} | {"hidden.weight", "output.weight"}
    want |= {f"layers.{i}.norm.{name}" for i in range(4) for name in stats}
    assert set(net.state_dict()) == want


def test_weights_start_xavier_uniform_with_gain_two():
    net = vgg9(num_classes=10, num_steps=1, leak=0.9)
    for weight in (net.convs[3].weight, net.hidden.weight):
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
        bound = 2 * (6 / (fan_in + fan_out)) ** 0.5
        assert 0.99 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("norm", ["bntt", "shared", "none"])
@pytest.mark.parametrize("encoder", ["poisson", "direct"])
def test_config_builds_the_same_network(norm, encoder):
    config = {"norm": norm, "encoder": encoder, "v_threshold": 0.5, "surrogate": ATan(3.0)}
    images = {
        "in_channels": 1,
        "mean": (0.25,),
        "std": (0.5,),
        "class_names": list("abcdefghij"),
    }
    net = small(**config, **images).eval()
    again = build(**json.loads(json.dumps(net.config))).eval()
    assert again.config == net.config
    again.load_state_dict(net.state_dict())
    x = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    logits = [
        n(n.normalize(x), generator=torch.Generator().manual_seed(0)) for n in (net, again)
    ]
    assert torch.equal(*logits)
    assert again.class_names == tuple("abcdefghij")


def test_normalize_is_in_units_of_the_training_images():
    net = small(in_channels=2, mean=(0.0, 0.5), std=(1.0, 0.25))
    x = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 2, 1, 1).expand(1, 2, 8, 8)
    assert net.normalize(x)[0, :, 0, 0].tolist() == [0.0, 2.0]
    assert small().normalize(x[:, :1].expand(1, 3, 8, 8)).max() == 0  # no mean, no change


@pytest.mark.parametrize("training", [True, False])
def test_every_answer_before_the_last_comes_along(training):
    net = small(num_steps=5).double().train(training)
    spikes = inputs(net, T=5)
    answers = net(spikes, per_step=True)
    assert answers.shape == (5, 2, 10)
    torch.testing.assert_close(net(spikes), answers[-1])
    single = net.read(spikes)
    torch.testing.assert_close(
        answers, single.cumsum(0) / torch.arange(1.0, 6)[:, None, None]
    )


def test_running_on_would_not_have_changed_the_answer_so_far():
    net, x = small(num_steps=5).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    net(x)
    net.eval()

    def answer(**options):
        return net(x, generator=torch.Generator().manual_seed(0), **options)

    answers = answer(per_step=True)
    spikes = net.encoder(x, 5, torch.Generator().manual_seed(0))
    for k in range(5):
        torch.testing.assert_close(answer(num_steps=k + 1), answers[k])
        torch.testing.assert_close(net(spikes, num_steps=k + 1), answers[k])


def test_training_may_stop_early_where_it_says_so():
    net = small(num_steps=5)
    net(torch.randn(2, 3, 8, 8), num_steps=2).sum().backward()
    heard = net.layers[0].norm.weight.grad.abs().sum(1) > 0
    assert heard.tolist() == [True, True, False, False, False]


def test_images_are_encoded_and_spikes_fed_as_they_are():
    net = small().eval()
    images = inputs(net)
    spikes = net.encoder(images, 3, torch.Generator().manual_seed(0))
    assert torch.equal(net(images, generator=torch.Generator().manual_seed(0)), net(spikes))


def test_pooling_averages_spikes():
    net, seen = small(), []
    net.convs[1].register_forward_hook(lambda module, x, y: seen.append(x[0]))
    net(inputs(net))
    assert set(seen[0].unique().tolist()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert 0.25 in seen[0]


def test_the_global_pool_averages_spikes():
    net, seen = small("vgg11", image_size=32, num_steps=1), []
    net.layers[-2].register_forward_hook(lambda module, x, spikes: seen.append(spikes[0]))
    net.hidden.register_forward_hook(lambda module, x, y: seen.append(x[0]))
    net(inputs(net))
    spikes, pooled = seen
    assert torch.equal(pooled, spikes.mean((2, 3)))
    assert 0.25 in pooled


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_narrows_the_spikes_and_nothing_that_adds_up(dtype):
    net, seen = small(), []
    for module in (*net.convs, *net.layers):
        module.register_forward_hook(lambda module, x, y: seen.append(y.dtype))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = net(inputs(net))
        layer = NormLIF(net.layers[0].norm, net.layers[0].lif)
        _, v = layer(torch.randn(3, 2, 64, 8, 8).to(dtype), return_state=True)
    assert set(seen) == {dtype}
    assert logits.dtype == v.dtype == torch.float32
    logits.sum().backward()
    tensors = [*net.parameters(), *net.buffers(), *(p.grad for p in net.parameters())]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


@pytest.mark.parametrize("image_size", [16, 20, 33])
def test_a_global_pool_takes_any_image(image_size):
    net = small("vgg11", image_size=image_size, num_classes=7).eval()
    assert net(inputs(net)).shape == (2, 7)


@pytest.mark.parametrize("image_size", [8, 24])
def test_vgg9_takes_multiples_of_eight(image_size):
    net = small("vgg9", image_size=image_size, in_channels=1).eval()
    assert net.hidden.in_features == 256 * (image_size // 8) ** 2
    assert net(inputs(net, N=1)).shape == (1, 10)


def test_an_empty_batch_passes_in_evaluation():
    net = small().eval()
    assert net(torch.zeros(0, 3, 8, 8)).shape == (0, 10)


def test_prints_what_it_is():
    net = small()
    total = sum(p.numel() for p in net.parameters())
    want = f"vgg5: 3x8x8 -> 10 classes in 3 time-steps, poisson input, {total:,} parameters"
    assert want in repr(net)
    assert "BNTT(64, num_steps=3" in repr(net)
    assert isinstance(vgg5(**SMALL), VGG)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"arch": "vgg16"},
            "Unknown architecture 'vgg16'. Did you mean 'vgg11'.* vgg5, vgg7, vgg9,",
        ),
        (
            {"arch": "vgg9", "image_size": 28},
            "3 times.* multiple of 8, got 28",
        ),
        ({"arch": "vgg11", "image_size": 8}, "multiple of 16, got 8"),
        ({"num_classes": 0}, "`num_classes` must be at least 1, got 0"),
        ({"num_steps": 0}, "`num_steps` must be at least 1, got 0"),
        ({"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
        ({"norm": "tebn"}, "Unknown norm 'tebn'"),
        ({"encoder": "rank"}, "Unknown encoder 'rank'"),
        ({"leak": 1.5}, r"`leak` must lie in \[0, 1\], got 1.5"),
        ({"surrogate": {"name": "Sign"}}, "Unknown surrogate 'Sign'"),
        ({"mean": (0.5,)}, r"`mean` needs one number per input channel, 3, got \[0.5\]"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` must be positive"),
        ({"class_names": ("cat", "dog")}, "`class_names` .* 10, got 2"),
    ],
)
def test_refuses_what_it_cannot_build(config, message):
    with pytest.raises(ValueError, match=message):
        build(**{"arch": "vgg5"} | SMALL | config)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            torch.zeros(2, 1, 8, 8),
            r"images \(N, 3, 8, 8\) .* got shape \(2, 1, 8, 8\)",
        ),
        (torch.zeros(2, 3, 16, 16), r"got shape \(2, 3, 16, 16\)"),
        (torch.zeros(3, 8, 8), r"got shape \(3, 8, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "got torch.uint8. Call net.normalize"),
        (torch.full((2, 3, 8, 8), float("nan")), "The images hold NaN"),
        (torch.zeros(4, 2, 3, 8, 8), "statistics for 3 time-steps, .* steps 0 to 4"),
        (torch.zeros(2, 2, 3, 8, 8), "Training needs all 3"),
    ],
)
def test_refuses_what_it_cannot_read(as_user, x, message):
    with pytest.raises(ValueError, match=message):
        small()(x)


@pytest.mark.parametrize("num_steps", [0, -1])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 2, 3, 8, 8)])
def test_no_time_steps_are_not_all_of_them(shape, num_steps):
    message = f"`num_steps` must be at least 1, got {num_steps}"
    with pytest.raises(ValueError, match=message):
        small().eval()(torch.zeros(shape), num_steps=num_steps)
