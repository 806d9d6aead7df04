"""What layers refuse: in our words, before anything has moved."""

# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from bntt import BNTT, LIF, ATan, NoNorm, NormLIF, Rectangle, SharedBN, Triangle, backend
from bntt.networks import build

pytestmark = pytest.mark.usefixtures("as_user")

NORMS = {
    "bntt": lambda: BNTT(3, num_steps=4),
    "window": lambda: BNTT(3, num_steps=4, window=2),
    "shared": lambda: SharedBN(3, num_steps=4),
    "none": lambda: NoNorm(3, num_steps=4),
}
LAYERS = NORMS | {
    "lif": lambda: LIF(0.9),
    "fused": lambda: NormLIF(BNTT(3, num_steps=4), LIF(0.9)),
}
NESTED = torch.nested.nested_tensor([torch.ones(2, 3)] * 4, layout=torch.jagged)
EVERY = pytest.mark.parametrize("name", LAYERS)


@EVERY
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.cfloat])
@pytest.mark.parametrize("training", [True, False])
def test_integers_are_not_truncated_but_refused(name, dtype, training):
    layer = LAYERS[name]().train(training)
    with pytest.raises(ValueError, match=f"floating-point numbers .*, got {dtype}"):
        layer(torch.ones(4, 2, 3).to(dtype))


@EVERY
@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (torch.ones(4), ValueError, r"\(T, N, .*\), time first, got shape \(4,\)"),
        (torch.tensor(1.0), ValueError, r"time first, got shape \(\)"),
        (np.ones((4, 2, 3)), TypeError, "takes a tensor"),
        ([[[1.0]]], TypeError, "takes a tensor"),
        (None, TypeError, "takes a tensor"),
        (torch.ones(4, 2, 3).to_sparse(), ValueError, "takes dense tensors"),
        (
            torch.nested.nested_tensor([torch.ones(2, 3)] * 4, layout=torch.jagged),
            ValueError,
            "dense tensors",
        ),
    ],
    ids=str,
)
def test_refuses_what_is_no_sequence(name, x, error, said):
    with pytest.raises(error, match=said):
        LAYERS[name]()(x)


@pytest.mark.parametrize("name", [*NORMS, "fused"])
@pytest.mark.parametrize("training", [True, False])
def test_refuses_a_sequence_without_channels(name, training):
    layer = LAYERS[name]().train(training)
    with pytest.raises(ValueError, match=r"\(T, N, C, ...\), time first, got shape \(4, 3"):
        layer(torch.ones(4, 3))
    with pytest.raises(ValueError, match="built for 3 channels, got 2"):
        layer(torch.ones(4, 3, 2))


@pytest.mark.parametrize("name", [*NORMS, "fused"])
@pytest.mark.parametrize("start", [2.0, True, "0", torch.tensor(0)])
def test_refuses_a_start_that_is_no_whole_number(name, start):
    with pytest.raises(TypeError, match="`start` must be a whole number, got"):
        LAYERS[name]()(torch.ones(2, 2, 3), start=start)


def test_whole_numbers_of_numpy_are_taken():
    layer = NormLIF(BNTT(np.int64(3), num_steps=np.int32(4)), LIF(np.float32(0.5)))
    x = torch.randn(2, 5, 3)
    want = NormLIF(BNTT(3, num_steps=4), LIF(0.5))(x, start=2)
    assert torch.equal(layer(x, start=np.int64(2)), want)


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"momentum": None}, TypeError, "`momentum` must be a number, got None"),
        ({"momentum": -0.1}, ValueError, "momentum=-0.1"),
        ({"momentum": True}, TypeError, "`momentum` must be a number, got True"),
        ({"eps": float("inf")}, ValueError, "eps=inf"),
        ({"eps": -1e-5}, ValueError, "eps=-1e-05"),
        ({"eps": "1e-4"}, TypeError, "`eps` must be a number"),
        ({"num_features": 2.0}, TypeError, "`num_features` must be a whole number"),
        ({"num_features": True}, TypeError, "`num_features` must be a whole number"),
        ({"num_steps": "3"}, TypeError, "`num_steps` must be a whole number"),
    ],
)
def test_refuses_numbers_that_no_norm_has(kind, change, error, said):
    with pytest.raises(error, match=said):
        kind(**{"num_features": 2, "num_steps": 3} | change)


@pytest.mark.parametrize("window", [2.0, True, None])
def test_refuses_a_window_that_is_no_whole_number(window):
    with pytest.raises(TypeError, match="`window` must be a whole number"):
        BNTT(3, num_steps=4, window=window)


@pytest.mark.parametrize(
    ("attribute", "value", "error"),
    [("momentum", None, TypeError), ("eps", -1.0, ValueError), ("momentum", 2, ValueError)],
)
def test_numbers_set_later_are_looked_at_too(attribute, value, error):
    for layer in (BNTT(3, num_steps=4), NormLIF(BNTT(3, num_steps=4), LIF(0.9))):
        setattr(layer if isinstance(layer, BNTT) else layer.norm, attribute, value)
        with pytest.raises(error, match=f"`{attribute}`"):
            layer(torch.randn(4, 2, 3))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"surrogate": Triangle}, TypeError, "an instance of a class"),
        ({"surrogate": "Triangle"}, TypeError, "`surrogate` must be one such as Triangle"),
        ({"detach_reset": "no"}, TypeError, "`detach_reset` must be True or False"),
        ({"v_threshold": float("inf")}, ValueError, "`v_threshold` "),
        ({"v_threshold": float("nan")}, ValueError, "`v_threshold` must be"),
        ({"leak": float("nan")}, ValueError, "`leak` must lie in"),
        ({"reset": "subtract"}, ValueError, "Unknown `reset`"),
    ],
)
def test_refuses_what_no_neuron_has(change, error, said):
    with pytest.raises(error, match=said):
        LIF(**{"leak": 0.9} | change)
    lif = LIF(0.9)
    for name, value in change.items():
        setattr(lif, name, value)
    norm = BNTT(3, num_steps=4)
    for layer in (lif, NormLIF(norm, lif)):
        with pytest.raises(error, match=said):
            layer(torch.randn(4, 2, 3))
    assert not norm.running_mean.any(), "refused before the norm has moved"


@pytest.mark.parametrize("make", [lambda: LIF(0.9), LAYERS["fused"], LAYERS["none"]])
@pytest.mark.parametrize(
    ("v", "error", "said"),
    [
        (torch.zeros(2, 3, dtype=torch.long), ValueError, "floating-point numbers"),
        (torch.zeros(3), ValueError, "shape of one time-step"),
        (torch.zeros(2, 3, device="meta"), ValueError, r"on cpu, got \(2, 3\) on meta"),
        (0.0, TypeError, "`v` takes a tensor"),
    ],
)
def test_refuses_a_membrane_that_is_none(make, v, error, said):
    layer = make()
    layer = NormLIF(layer, LIF(0.9)) if isinstance(layer, NoNorm) else layer
    with pytest.raises(error, match=said):
        layer(torch.randn(4, 2, 3), v)


@pytest.mark.parametrize("name", ["bntt", "shared", "window", "fused"])
def test_refuses_an_input_on_another_device(name):
    layer = LAYERS[name]().eval()
    with pytest.raises(ValueError, match="statistics on cpu, but the input is on meta"):
        layer(torch.randn(4, 2, 3, device="meta"))


@pytest.mark.parametrize(
    "parts",
    [(LIF(0.9), BNTT(3, 4)), (nn.BatchNorm2d(3), LIF(0.9)), (BNTT(3, 4), nn.ReLU())],
)
def test_refuses_to_join_other_layers(parts):
    with pytest.raises(TypeError, match="NormLIF joins a temporal norm .*, in this order"):
        NormLIF(*parts)


@pytest.mark.parametrize("backend_name", ["reference", "cpu"])
@pytest.mark.parametrize("shape", [(4, 2, 0), (4, 0, 3), (4, 0), (4, 2, 3, 0, 5)])
def test_a_neuron_without_elements_has_no_spikes(backend_name, shape):
    current = torch.zeros(shape, requires_grad=True)
    with backend(backend_name):
        spikes, v = LIF(0.9)(current, return_state=True)
        (spikes.sum() + v.sum()).backward()
    assert spikes.shape == shape
    assert v.shape == shape[1:]
    assert current.grad.shape == shape


NETWORK = {"num_classes": 3, "num_steps": 2, "leak": 0.9, "image_size": 8}


@pytest.mark.parametrize("norm", ["bntt", "shared", "none"])
@pytest.mark.parametrize("arch", ["vgg5", "vgg9", "seq"])
def test_a_refused_batch_moves_no_statistic_of_a_network(arch, norm):
    encoder = "rows" if arch == "seq" else "direct"
    net = build(arch, in_channels=1, encoder=encoder, norm=norm, **NETWORK)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    image = torch.randn(1, 1, 8, 8)
    if norm == "bntt":
        with pytest.raises(ValueError, match="Train with batch_size of at least 2"):
            net(image)
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name]), name
    else:  # two time-steps are pooled, or none is averaged
        assert net(image).shape == (1, 3)
    net.eval()
    assert net(image).shape == (1, 3)


@pytest.mark.parametrize("arch", ["vgg5", "seq"])
@pytest.mark.parametrize(
    ("part", "attribute", "value"),
    [
        ("lif", "leak", 1.5),
        ("lif", "surrogate", Triangle),
        ("lif", "reset", "subtract"),
        ("norm", "momentum", None),
        ("norm", "eps", 0.0),
        ("norm", "process_group", "world"),
    ],
)
def test_a_setting_of_the_last_layer_is_refused_before_the_first_moves(
    arch, part, attribute, value
):
    encoder = "rows" if arch == "seq" else "direct"
    net = build(arch, in_channels=1, encoder=encoder, **NETWORK)
    setattr(getattr(net.layers[-1], part), attribute, value)
    with pytest.raises((TypeError, ValueError), match=f"`{attribute}`"):
        net(torch.randn(4, 1, 8, 8))
    assert not any(layer.norm.running_mean.any() for layer in net.layers)


@pytest.mark.parametrize("num_steps", [1.0, True, "1", torch.tensor(1)])
def test_refuses_time_steps_that_are_no_whole_number(num_steps):
    net = build("vgg5", in_channels=1, encoder="direct", **NETWORK)
    for x in (torch.randn(4, 1, 8, 8), torch.randn(2, 4, 1, 8, 8)):
        with pytest.raises(TypeError, match="`num_steps` must be a whole number"):
            net(x, num_steps=num_steps)


def test_a_frozen_last_layer_takes_a_batch_of_one():
    net = build("vgg5", in_channels=1, encoder="direct", **NETWORK)
    net.layers[-1].norm.eval()
    assert net(torch.randn(1, 1, 8, 8)).shape == (1, 3)
    assert net.layers[0].norm.running_mean.any()


@pytest.mark.parametrize("surrogate", [ATan(3.0), Rectangle(0.5)])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_layers_survive_copying(surrogate, again):
    layer = NormLIF(BNTT(3, num_steps=4, window=2), LIF(0.9, 0.5, "hard", surrogate))
    layer.train()(torch.randn(4, 5, 3))
    twin, x = again(layer), torch.randn(4, 5, 3)
    assert twin.lif.surrogate == surrogate
    assert torch.equal(twin(x), layer(x))
    for name, value in layer.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value)


@pytest.mark.parametrize(
    "value", [[0.1] * 9999, "x" * 9999, np.zeros((99, 99)), "a\nb"], ids=type
)
def test_what_came_is_said_in_one_short_line(value):
    for call in (LIF, lambda value: LIF(0.5)(value), lambda value: BNTT(2, value)):
        with pytest.raises(TypeError) as raised:
            call(value)
        assert len(str(raised.value)) < 200
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_numbers_past_all_range_are_refused_like_others(huge):
    with pytest.raises(ValueError, match="`v_threshold` must be"):
        LIF(0.5, huge)
    with pytest.raises(ValueError, match=r"`leak` must lie in \[0, 1\]"):
        LIF(huge)


def test_a_start_before_the_first_step_is_no_advice_to_build_layers_of_no_steps():
    with pytest.raises(ValueError, match="`start` must be at least 0, got -1"):
        BNTT(3, num_steps=2)(torch.ones(1, 2, 3), start=-1)


def test_learned_neurons_are_printed_by_their_values():
    lif = LIF(nn.Parameter(torch.tensor(0.5)), torch.tensor(2.0))
    assert repr(lif).startswith("LIF(leak=0.5, learned, v_threshold=2, reset='soft'")
    assert "leak=?, learned, v_threshold=2" in repr(lif.to("meta"))
