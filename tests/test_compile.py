"""What ``torch.compile`` sees: four operators with shapes, and no break in the graph."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import bntt
from bntt import BNTT, LIF, NormLIF, SharedBN, backend, vgg5
from bntt.layers.pool import average_pool
from bntt.ops.surrogate import Surrogate, Triangle

OPS = torch.ops.bntt
# checkers of shapes break graphs, so what compiles runs in a process without them
COMPILES = pytest.mark.skipif(
    os.environ.get("JAXTYPING_DISABLE") != "1",
    reason="run by test_compiled_is_eager in a process without shape checks",
)


def calls(dtype):
    """Every operator with arguments that it meets: with a membrane and without."""
    T, M, C = 3, 5, 2
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    z, ds = torch.randn(2, T, M, C).to(dtype)
    a, b = torch.rand(2, T, C, dtype=wide)
    v0, dv = torch.randn(2, M, C, dtype=wide)
    slope = (True, Triangle.kind, *Triangle().parameters)
    return [
        (OPS.moments, (z,)),
        (OPS.moments_backward, (z, ds, a, b, b)),
        (OPS.affine_lif, (z, a, b, v0, 0.5, 1.0, "soft", True)),
        (OPS.affine_lif, (z, a, b, None, 0.5, 1.0, "hard", False)),
        (OPS.affine_lif_counting, (z, a, b, v0, 0.5, 1.0, "soft", False)),
        (OPS.affine_lif_backward, (z, a, b, v0, ds, dv, 0.5, 1.0, "soft", *slope)),
        (OPS.affine_lif_backward, (z, a, b, None, ds, None, 0.5, 1.0, "none", *slope)),
        (OPS.affine_lif_backward, (z, a, b, v0, None, dv, 0.5, 1.0, "hard", *slope)),
        (
            OPS.affine_lif_backward_learning,
            (z, a, b, v0, ds, dv, 0.5, 1.0, "soft", *slope),
        ),
    ]


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("case", range(9))
def test_an_operator_is_what_it_says_it_is(case, dtype, backend_name):
    operator, arguments = calls(dtype)[case]
    with backend(backend_name):
        torch.library.opcheck(operator.default, arguments)


def results(module, make_input, **options):
    """Output and gradients of a module called twice, the second time on another batch."""
    out = []
    for seed in range(2):
        torch.manual_seed(seed)
        x = make_input().requires_grad_()
        y = module(x, **options)
        y = y if isinstance(y, tuple) else (y,)
        loss = sum((part * torch.randn_like(part)).sum() for part in y)
        out += [*y, *torch.autograd.grad(loss, [x, *module.parameters()])]
    return out + list(module.buffers())


def assert_compiled_is_eager(make_module, make_input, **options):
    torch.compiler.reset()
    eager, module = make_module(), make_module()
    module.load_state_dict(eager.state_dict())
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    want = results(eager, make_input, **options)
    got = results(compiled, make_input, **options)
    for ours, truth in zip(got, want, strict=True):
        torch.testing.assert_close(ours, truth)


@COMPILES
@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("return_state", [True, False])
@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_layer(kind, return_state, backend_name):
    with backend(backend_name):
        assert_compiled_is_eager(
            lambda: NormLIF(kind(3, num_steps=4), LIF(0.9)),
            lambda: torch.randn(4, 5, 3, 2, 2),
            return_state=return_state,
        )


@COMPILES
def test_neuron():
    assert_compiled_is_eager(lambda: LIF(0.9), lambda: torch.randn(4, 5, 3))


@COMPILES
@pytest.mark.parametrize("dynamic", [None, True])
def test_network_after_network_whose_numbers_differ(dynamic):
    torch.compiler.reset()
    surrogates = Triangle(), bntt.ATan(), Triangle(0.7), bntt.FastSigmoid()
    for leak, surrogate in zip((0.9, 0.8, 0.7, 0.6), surrogates, strict=True):
        layers = (NormLIF(BNTT(3, 4), LIF(leak, surrogate=surrogate)) for _ in range(2))
        net = torch.nn.Sequential(*layers)
        compiled = torch.compile(net, fullgraph=True, dynamic=dynamic, backend="aot_eager")
        z = torch.randn(4, 5, 3, 2, 2, requires_grad=True)
        (want,) = torch.autograd.grad(net(z).square().sum(), z)
        (got,) = torch.autograd.grad(compiled(z).square().sum(), z)
        assert want.abs().sum() > 0
        torch.testing.assert_close(got, want)


@dataclass(frozen=True)
class Gaussian(Surrogate):
    def derivative(self, x):
        return torch.exp(-x.square())


@COMPILES
def test_neuron_with_a_surrogate_of_ones_own():
    assert_compiled_is_eager(
        lambda: LIF(0.9, surrogate=Gaussian()), lambda: torch.randn(4, 5, 3)
    )


@COMPILES
def test_neuron_that_learns():
    def make():
        return LIF(*(torch.nn.Parameter(torch.tensor(x)) for x in (0.9, 0.8)))

    assert_compiled_is_eager(make, lambda: torch.randn(4, 5, 3), return_state=True)


@COMPILES
@pytest.mark.parametrize("strict", [True, False])
def test_network_is_exported(strict):
    net = torch.nn.Sequential(*(NormLIF(SharedBN(3, 4), LIF(0.9)) for _ in range(2))).eval()
    z = torch.randn(4, 5, 3, 2, 2)
    exported = torch.export.export(net, (z,), strict=strict).module()
    other = torch.randn_like(z)
    assert torch.equal(exported(other), net(other))


@COMPILES
@pytest.mark.parametrize("training", [True, False])
def test_network(training):
    def net():
        made = vgg5(num_classes=3, num_steps=2, leak=0.9, image_size=8, encoder="direct")
        return made.train(training)

    assert_compiled_is_eager(net, lambda: torch.randn(2, 2, 3, 8, 8), per_step=True)


CODINGS = {
    "direct": ("vgg5", {"encoder": "direct"}),
    "poisson": ("vgg5", {"encoder": "poisson"}),
    "rows": ("seq", {"encoder": "rows"}),
    "permuted": ("seq", {"encoder": "permuted", "permutation": 3}),
}


def network(coding, **changes):
    arch, config = CODINGS[coding]
    sizes = {"num_classes": 3, "num_steps": 2, "in_channels": 1, "image_size": 8}
    torch.manual_seed(0)
    return bntt.build(arch, leak=0.9, **sizes, **config, **changes)


@COMPILES
@pytest.mark.parametrize("coding", ["poisson", "permuted"])
def test_network_on_images(coding):
    torch.compiler.reset()
    eager, compiled = network(coding).eval(), network(coding).eval()
    compiled = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    outputs = []
    for net in (eager, compiled):
        images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(2)
        logits = net(images.requires_grad_())
        outputs.append((logits, *torch.autograd.grad(logits.square().sum(), images)))
    for ours, truth in zip(*outputs, strict=True):
        torch.testing.assert_close(ours, truth)


@COMPILES
@pytest.mark.parametrize("coding", CODINGS)
def test_network_that_needs_no_gradient(coding):
    torch.compiler.reset()
    net = network(coding).eval()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    images, answers = torch.randn(4, 1, 8, 8), []
    for run in (net, compiled):
        torch.manual_seed(2)
        with torch.no_grad():
            answers.append(run(images))
    assert torch.equal(*answers)


@COMPILES
def test_layers_after_layers_and_of_any_batch():
    """Neither another surrogate nor another batch size is a surprise."""
    torch.compiler.reset()
    for surrogate in (Triangle(0.7), bntt.ATan(3.0)):
        parts = [NormLIF(BNTT(3, 4), LIF(0.9, surrogate=surrogate)) for _ in range(2)]
        layers = torch.nn.Sequential(*parts).eval()
        compiled = torch.compile(layers, fullgraph=True, backend="eager", dynamic=True)
        for size in (4, 5):
            z = torch.randn(4, size, 3, 2, 2, requires_grad=True)
            got, want = (
                torch.autograd.grad(run(z).square().sum(), z)[0]
                for run in (compiled, layers)
            )
            torch.testing.assert_close(got, want)


@COMPILES
def test_layer_with_a_hook():
    """Where hooks wait, the norm and the neuron are called apart in the graph too."""

    def make():
        layer = NormLIF(BNTT(3, num_steps=4), LIF(0.9))
        layer.lif.register_forward_hook(lambda module, args, spikes: 2 * spikes)
        return layer

    assert_compiled_is_eager(make, lambda: torch.randn(4, 5, 3, 2, 2))


@COMPILES
@pytest.mark.parametrize(
    ("coding", "strict"),
    [("direct", False), ("poisson", False), ("permuted", False), ("permuted", True)],
)
def test_network_exported(coding, strict):
    net, images = network(coding).eval(), torch.randn(4, 1, 8, 8)
    exported = torch.export.export(net, (images,), strict=strict).module()
    answers = []
    for run in (net, exported):
        torch.manual_seed(2)
        answers.append(run(images))
    assert torch.equal(*answers)


@COMPILES
def test_layer_of_pooling_as_a_script():
    x = torch.randn(2, 3, 5, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # by torch, of scripts
        scripts = torch.jit.script(average_pool), torch.jit.trace(average_pool, x)
    for script in scripts:
        assert torch.equal(script(x), average_pool(x))


@pytest.mark.parametrize("coding", CODINGS)
def test_shapes_are_told_without_numbers(coding):
    net = network(coding).to("meta")
    images = torch.randn(4, 1, 8, 8, device="meta")
    assert net(images, per_step=True).shape == (2, 4, 3)


@pytest.mark.parametrize("coding", CODINGS)
def test_many_batches_at_once(coding):
    """What vmap computes is what one batch after the other gives."""
    net, images = network(coding).eval(), torch.randn(3, 4, 1, 8, 8)
    if coding == "poisson":  # the same draws for all
        images = images[:1].expand(3, -1, -1, -1, -1)
    torch.manual_seed(2)
    got = torch.func.vmap(net, randomness="same")(images)
    for logits, batch in zip(got, images, strict=True):
        torch.manual_seed(2)
        torch.testing.assert_close(logits, net(batch))


@pytest.mark.parametrize("coding", ["direct", "rows"])
def test_gradients_of_single_samples(coding):
    net, images = network(coding).eval(), torch.randn(3, 1, 8, 8)
    weights = {name: value.detach() for name, value in net.named_parameters()}

    def loss(weights, image):
        return torch.func.functional_call(net, weights, (image[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, images)
    for k, image in enumerate(images):
        want = torch.autograd.grad(net(image[None]).square().sum(), list(net.parameters()))
        for (name, _), truth in zip(net.named_parameters(), want, strict=True):
            torch.testing.assert_close(each[name][k], truth)


@pytest.mark.slow
def test_compiled_is_eager():
    if os.environ.get("JAXTYPING_DISABLE") == "1":
        pytest.skip("this is the process without shape checks")
    options = ["-q", "-x", "-o", "addopts=", "-p", "no:cacheprovider"]
    path = str(Path(bntt.__file__).parents[1])
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *options,
            __file__,
            "-k",
            "layer or neuron or network",
        ],
        env=os.environ | {"JAXTYPING_DISABLE": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "skipped" not in result.stdout
