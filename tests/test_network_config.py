"""What a network is, read from its layers: saved as it is now, or not saved at all."""

import copy
import gzip
import json
import math
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from present import layers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import bntt
from bntt import (
    BNTT,
    LIF,
    ATan,
    Direct,
    FastSigmoid,
    NoNorm,
    Poisson,
    Rectangle,
    SharedBN,
    Triangle,
    build,
    vgg5,
)
from bntt.data.geometry import Geometry
from bntt.layers.encode import EventFrames, Pixels, Rows
from bntt.networks import checkpoint

pytestmark = pytest.mark.usefixtures("as_user")  # to see the library's own errors

OLD = Path(__file__).parent / "old_files"
SMALL = {
    "num_classes": 3,
    "num_steps": 2,
    "leak": 0.9,
    "in_channels": 1,
    "image_size": 4,
    "encoder": "direct",
}


def small(**config):
    torch.manual_seed(1)
    net = vgg5(**SMALL | config)
    for layer in layers(net):
        if hasattr(layer.norm, "running_var"):
            layer.norm.running_var.fill_(0.05)
    return net.eval()


def logits(net):
    """Of four images, after every time-step, with a fixed coding."""
    x = torch.randn(4, *net.image_shape, generator=torch.Generator().manual_seed(7))
    coding = torch.Generator().manual_seed(3)
    with torch.no_grad():
        return net(x.to(net.dtype), per_step=True, generator=coding)


def again(net, folder):
    bntt.save(net, folder / "net.safetensors")
    return bntt.load(folder / "net.safetensors")


def same_network(net, folder):
    """Whether what comes back answers bit for bit as what was saved."""
    back = again(net, folder)
    assert back.config == net.config
    assert torch.equal(logits(back), logits(net.eval()))
    return back


def of_numpy(height):
    return Triangle(np.float32(height))  # pyright: ignore[reportArgumentType]


def set_layer(attribute, value, index=1):
    def change(net):
        part = "norm" if attribute in ("eps", "momentum") else "lif"
        setattr(getattr(net.layers[index], part), attribute, value)

    return change


DESCRIBABLE = {
    "encoder": lambda net: setattr(net, "encoder", Poisson()),
    "encoder's parameter": lambda net: setattr(net, "encoder", Poisson(rescale=0.7)),
    "all thresholds": lambda net: setattr(net, "v_threshold", 0.3),
    "all leaks": lambda net: setattr(net, "leak", 0.1),
    "thresholds one by one": lambda net: setattr(net, "v_threshold", [0.1, 0.2, 0.3, 0.4]),
    "all resets": lambda net: setattr(net, "reset", "hard"),
    "all surrogates": lambda net: setattr(net, "surrogate", ATan(3.0)),
    "detachment": lambda net: setattr(net, "detach_reset", False),
    "one leak": set_layer("leak", 0.2),
    "one leak of numpy": set_layer("leak", np.float32(0.2)),
    "one threshold": set_layer("v_threshold", 0.4),
    "one reset": set_layer("reset", "hard", 2),
    "no reset": set_layer("reset", "none", 0),
    "one detachment": set_layer("detach_reset", False),
    "one surrogate": set_layer("surrogate", Rectangle(0.5)),
    "a surrogate of numpy's numbers": lambda net: set_layer("surrogate", of_numpy(0.1))(
        net
    ),
    "one eps": set_layer("eps", 0.5),
    "one momentum": set_layer("momentum", 0.5),
    "the mean": lambda net: net.mean.fill_(0.1),
    "the deviation": lambda net: net.std.fill_(0.1),
    "class names": lambda net: setattr(net, "class_names", ["a", "b", "ü"]),
    "geometry": lambda net: setattr(
        net, "geometry", Geometry(channels=1, image_size=4, height=2, width=3)
    ),
}


@pytest.mark.parametrize("what", DESCRIBABLE)
def test_a_changed_network_comes_back_changed(tmp_path, what):
    net = small()
    before = net.config
    DESCRIBABLE[what](net)
    assert net.config != before
    same_network(net, tmp_path)


@settings(max_examples=12)
@given(
    changes=st.lists(st.sampled_from(sorted(DESCRIBABLE)), max_size=4),
    norm=st.sampled_from(["bntt", "shared", "none"]),
    encoder=st.sampled_from(["poisson", "direct"]),
)
def test_any_changes_together_come_back(tmp_path_factory, changes, norm, encoder):
    net = small(norm=norm, encoder=encoder)
    for what in changes:
        if norm != "none" or what not in ("one eps", "one momentum"):
            DESCRIBABLE[what](net)
    same_network(net, tmp_path_factory.mktemp("net"))


CONFIG = st.fixed_dictionaries(
    {
        "arch": st.just("vgg5"),
        "num_classes": st.integers(1, 5),
        "num_steps": st.just(4),
        "leak": st.floats(0, 1) | st.lists(st.floats(0, 1), min_size=4, max_size=4),
        "image_size": st.sampled_from([4, 8]),
        "in_channels": st.just(2),
        "window": st.sampled_from([1, 2, 4]),
        "eps": st.none() | st.floats(1e-8, 1),
        "momentum": st.none() | st.floats(0, 1),
        "v_threshold": st.floats(0.125, 8),
        "reset": st.sampled_from(["soft", "hard", "none"])
        | st.just(["soft", "hard", "none", "soft"]),
        "detach_reset": st.booleans(),
        "surrogate": st.sampled_from([Triangle(), ATan(1.5), FastSigmoid(), Rectangle(2)]),
        "encoder": st.sampled_from(["direct", Poisson(rescale=1.25)]),
        "mean": st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2),
        "std": st.lists(st.floats(0.125, 4, width=32), min_size=2, max_size=2),
    }
)


@settings(max_examples=25)
@given(config=CONFIG)
def test_what_builds_a_network_is_what_its_layers_say(config):
    net = build(**config)
    told = net.config
    twin = build(**json.loads(json.dumps(told)))
    assert twin.config == told
    for name in ("v_threshold", "detach_reset", "window", "mean", "std", "num_classes"):
        assert told[name] == config[name]
    for name in ("eps", "momentum"):
        own = {"eps": 1e-4, "momentum": 0.1}[name]
        assert told[name] == (own if config[name] is None else config[name])
    leaks = [layer.lif.leak for layer in layers(net)]
    assert leaks == (config["leak"] if isinstance(config["leak"], list) else leaks[:1] * 4)
    assert leaks[0] == config["leak"] or leaks == config["leak"]


class Louder(LIF):
    """A neuron of the user's own."""

    def scan(self, z, a, b, v, keep_state):
        return super().scan(z, 2 * a, b, v, keep_state)


class Odd(Triangle):
    """A surrogate of the user's own."""


class Twice(Poisson):
    """An encoder of the user's own."""


def replace_layer(name, make):
    def change(net):
        setattr(net.layers[1], name, make(net))

    return change


def unequal_steps(net):
    net.layers[1].norm = BNTT(128, 1)


FOREIGN = {
    "neuron": (
        replace_layer("lif", lambda net: Louder(0.9)),
        r"layers\.1\.lif is a Louder",
    ),
    "surrogate": (set_layer("surrogate", Odd()), "surrogate Odd"),
    "all surrogates": (lambda net: setattr(net, "surrogate", Odd()), "surrogate Odd"),
    "encoder": (lambda net: setattr(net, "encoder", Twice()), "`encoder` must be one"),
    "function": (lambda net: setattr(net, "encoder", lambda x, T, g: x[None]), "`encoder`"),
    "wrong encoder": (lambda net: setattr(net, "encoder", Rows()), "Use one of poisson"),
    "norm": (
        replace_layer("norm", lambda net: nn.BatchNorm2d(128)),
        r"layers\.1\.norm is a BatchNorm2d",
    ),
    "layer": (
        lambda net: net.layers.__setitem__(1, nn.Sequential()),
        r"layers\.1 is a .*Sequential in place of a NormLIF|3 more|of which there are",
    ),
    "convolution": (
        lambda net: setattr(net.convs[1], "padding", (0, 0)),
        r"convs\.1\.padding was changed",
    ),
    "pooling": (lambda net: net.pooled.__setitem__(1, True), "pooled was changed"),
    "global pool": (
        lambda net: setattr(net, "global_pool", True),
        "global_pool was changed",
    ),
    "linear": (
        lambda net: setattr(net, "hidden", nn.Linear(128, 512)),
        r"hidden\.bias was added",
    ),
    "activation": (
        lambda net: setattr(net, "hidden", nn.Sequential(net.hidden, nn.ReLU())),
        "hidden is a .*Sequential in place of a Linear",
    ),
    "method": (
        lambda net: setattr(net, "read", lambda s, start=None: s.flatten(2)[..., :3]),
        "read was replaced",
    ),
    "read-out": (lambda net: setattr(net, "readout", nn.Identity()), "readout is a"),
    "steps": (lambda net: setattr(net, "num_steps", 1), "shape|num_steps"),
    "steps of a layer": (unequal_steps, r"layers\.1\.norm"),
    "classes": (lambda net: setattr(net, "num_classes", 4), "`class_names`|shape"),
    "tensor for a number": (set_layer("leak", torch.tensor(0.5)), "leak"),
    "learnable": (
        lambda net: setattr(net.layers[0].lif, "leak", nn.Parameter(torch.tensor(0.5))),
        "leak",
    ),
    "not a number": (set_layer("leak", math.nan), "leak"),
    "no threshold": (set_layer("v_threshold", 0.0), "v_threshold"),
    "no deviation": (lambda net: net.std.zero_(), "std"),
    "names": (lambda net: setattr(net, "class_names", ("a",)), "class_names"),
    "buffer": (lambda net: net.register_buffer("more", torch.ones(1)), "more was added"),
    "weight": (
        lambda net: setattr(net.output, "weight", nn.Parameter(torch.zeros(3, 3))),
        r"output\.weight has shape \(3, 3\)",
    ),
    "type": (lambda net: net.output.to(torch.complex64), r"output\.weight is a"),
    "pruned": (
        lambda net: nn.utils.parametrizations.weight_norm(net.hidden),
        "hidden is a .*ParametrizedLinear",
    ),
    "weights": (
        lambda net: net.hidden.weight.data.fill_(math.nan),
        "hidden.weight holds NaN",
    ),
    "statistics": (
        lambda net: net.layers[2].norm.running_var[1, 3].fill_(math.inf),
        r"layers\.2\.norm\.running_var holds NaN or infinity",
    ),
}


@pytest.mark.filterwarnings("ignore:.*Complex")
@pytest.mark.parametrize("what", FOREIGN)
def test_what_has_no_words_is_not_saved_and_the_old_file_stays(tmp_path, what):
    change, said = FOREIGN[what]
    path = tmp_path / "net.safetensors"
    bntt.save(small(), path)
    before = path.read_bytes()
    net = small()
    change(net)
    with pytest.raises(ValueError, match=said):
        bntt.save(net, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("norm", [SharedBN(128, 2), NoNorm(128, 2), BNTT(128, 2, window=2)])
def test_a_norm_exchanged_for_another_of_this_package(tmp_path, norm):
    net = small()
    net.layers[2].norm = copy.deepcopy(norm)
    back = same_network(net, tmp_path)
    assert type(back.layers[2].norm) is type(norm)
    assert type(back.layers[1].norm) is BNTT


def test_a_note_of_ones_own_is_no_change(tmp_path):
    net = small()
    vars(net)["note"] = {"of": "mine"}
    net.hidden.register_forward_hook(lambda *_: None)
    layers(net)[0].norm.eval()
    same_network(net, tmp_path)


@pytest.mark.parametrize("wrap", [nn.Sequential, nn.DataParallel])
def test_what_is_no_network_is_not_saved(tmp_path, wrap):
    with pytest.raises(
        ValueError, match=r"Only a bntt.Network .* got a \w+. If that wraps"
    ):
        bntt.save(wrap(small()), tmp_path / "a")
    with pytest.raises(ValueError, match=r"bntt.save\(net, path\)"):
        bntt.save(tmp_path / "a", small())  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_type_of_the_weights_comes_back(tmp_path, dtype):
    net = small(mean=(0.4914,), std=(0.2023,)).to(dtype)
    back = same_network(net, tmp_path)
    assert {v.dtype for v in back.state_dict().values()} == {dtype}
    x = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(back.normalize(x), net.normalize(x))


def test_weights_of_several_types_come_back(tmp_path):
    net = small()
    net.layers[0].norm.double()
    net.mean = torch.tensor([0.1], dtype=torch.float64).reshape(1, 1, 1)
    back = again(net, tmp_path)
    assert layers(back)[0].norm.weight.dtype == torch.float64
    assert back.output.weight.dtype == torch.float32
    assert back.config == net.config


def test_a_threshold_that_is_set_is_set_in_every_layer():
    net = small()
    quiet = small(v_threshold=2.0)
    net.v_threshold = 2
    assert [layer.lif.v_threshold for layer in layers(net)] == [2, 2, 2, 2]
    assert torch.equal(logits(net), logits(quiet))
    assert not torch.equal(logits(net), logits(small()))
    layers(net)[0].lif.v_threshold = 0.5
    assert net.v_threshold == (0.5, 2, 2, 2)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("v_threshold", 0.0, ValueError),
        ("v_threshold", math.nan, ValueError),
        ("v_threshold", [1.0, 2.0], ValueError),
        ("v_threshold", torch.tensor(1.0), TypeError),
        ("leak", 1.5, ValueError),
        ("leak", "much", TypeError),
        ("reset", "gentle", ValueError),
        ("surrogate", "ATan", TypeError),
        ("detach_reset", 1, TypeError),
        ("norm_name", "none", AttributeError),
        ("window", 2, AttributeError),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_changes(name, value, error):
    net = small()
    before = net.config
    with pytest.raises(error, match=name):
        setattr(net, name, value)
    assert net.config == before


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"leak": [0.9]}, "`leak` needs one value, or one per layer, of which there are"),
        ({"leak": [0.9] * 5}, "of which there are 4; got 5"),
        ({"leak": []}, "got none"),
        ({"norm": "none", "eps": 1e-4}, "no statistics, so no eps"),
        ({"num_steps": 10**9}, "`num_steps` must be at most 65536"),
        ({"num_classes": 10**400}, "`num_classes` must be at most"),
        ({"permutation": 1 << 32}, "`permutation` must be at most"),
        ({"mean": [math.nan]}, "`mean` must be finite"),
        ({"encoder": "direct", "encoder_parameters": {"rescale": 1.0}}, "unknown key"),
        ({"geometry": {"channels": 3, "image_size": 4}}, "in_channels=3"),
        ({"geometry": {"channels": 1, "image_size": 8}}, "image_size=8"),
    ],
)
def test_values_that_no_network_has(config, said):
    with pytest.raises(ValueError, match=said):
        small(**config)


@pytest.mark.parametrize(
    "encoder",
    [Poisson(rescale=3.0), Direct(), EventFrames()],
)
def test_an_encoder_may_be_given_itself(encoder):
    net = small(encoder=encoder)
    assert net.encoder == encoder
    assert build(**json.loads(json.dumps(net.config))).encoder == encoder


def test_an_order_of_pixels_is_described():
    config = {**SMALL, "num_steps": 16, "encoder": Pixels(9)}
    net = build("seq-long", **config)
    assert (net.encoder_name, net.permutation) == ("permuted", 9)
    assert (net.config["encoder"], net.config["permutation"]) == ("permuted", 9)
    net.encoder = Pixels()
    assert (net.config["encoder"], net.config["permutation"]) == ("pixels", 0)


def old(folder):
    path = folder / "old.safetensors"
    path.write_bytes(gzip.decompress((OLD / "format1.safetensors.gz").read_bytes()))
    return path


def test_a_file_of_the_first_format_answers_as_it_did(tmp_path):
    net, extra, info = checkpoint.read(old(tmp_path))
    x = torch.arange(5 * 16).reshape(5, 1, 4, 4).mul(37).remainder(256).to(torch.uint8)
    want = json.loads((OLD / "format1.json").read_text(encoding="utf-8"))
    assert net(net.normalize(x), per_step=True).tolist() == want["per_step_logits"]
    assert net.surrogate == ATan()
    assert (net.config["eps"], net.config["momentum"], net.reset) == (1e-4, 0.1, "soft")
    assert (net.leak, net.v_threshold, net.geometry) == (0.9, 0.8, None)
    assert net.class_names == ("no", "perhaps", "yes")
    assert (extra["optimizer/0/step"].item(), info) == (3, {"epoch": 4})


def test_a_file_of_the_first_format_is_written_anew(tmp_path):
    net = bntt.load(old(tmp_path))
    bntt.save(net, tmp_path / "new")
    with safe_open(tmp_path / "new", framework="pt") as file:
        assert json.loads(file.metadata()["bntt"])["format"] == 2
    assert torch.equal(logits(bntt.load(tmp_path / "new")), logits(net))


def test_loading_and_saving_draw_no_random_number(tmp_path):
    net = small()
    before = torch.get_rng_state()
    again(net, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_file_is_not_held_open(tmp_path):
    net = small()
    checkpoint.write(tmp_path / "a", net, {"x/y": torch.ones(1000)})
    held = checkpoint.read(tmp_path / "a")
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    except OSError:
        pytest.skip("no list of mapped files here")
    assert str(tmp_path / "a") not in maps
    assert held[1]["x/y"].sum() == 1000


@bntt.register("two-layers")
class TwoLayers(bntt.Network):
    """A network of the user's own."""

    def __init__(self, arch, *, width=8, gains=(1.0,), bad=0, **config):
        super().__init__(arch, **config)
        self.width, self.gains = width, gains
        self.first = nn.Linear(math.prod(self.image_shape), width, bias=False)
        self.neurons = self.layer(width)
        self.output = nn.Linear(width, self.num_classes, bias=False)
        self.draw_weights()
        if bad == 0:
            self.bad = bad

    def read(self, spikes, start=None):
        current = self.first(spikes.flatten(2)) * self.gains[0]
        return self.output(self.neurons(current, start=start))


def two_layers(**options):
    net = build("two-layers", **options, **SMALL)
    assert isinstance(net, TwoLayers)
    return net


def test_a_network_of_ones_own_comes_back(tmp_path):
    net = two_layers(width=5, gains=(8.0, 1.0)).eval()
    net.neurons.lif.leak = 0.25
    back = same_network(net, tmp_path)
    assert (type(back), back.width, back.gains, back.leak) == (TwoLayers, 5, [8, 1], 0.25)


def test_an_option_that_was_changed_comes_back_or_is_refused(tmp_path):
    net = two_layers()
    net.gains = [0.5]
    assert again(net, tmp_path).gains == [0.5]
    net.width = 9  # the weights are still those of 8
    with pytest.raises(ValueError, match="first"):
        again(net, tmp_path)
    net.width = {1, 2}  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="`width` must be a plain value"):
        again(net, tmp_path)
    with pytest.raises(
        ValueError, match=r"takes `bad`, but keeps no attribute .* self.bad ="
    ):
        again(build("two-layers", bad=1, **SMALL), tmp_path)


def test_a_name_that_is_not_registered_says_how_to(tmp_path, monkeypatch):
    bntt.save(build("two-layers", **SMALL), tmp_path / "net.safetensors")
    monkeypatch.delitem(bntt.networks.ARCHITECTURES, "two-layers")
    with pytest.raises(
        ValueError, match=r"net\.safetensors.*@bntt.register\('two-layers'\)"
    ):
        bntt.load(tmp_path / "net.safetensors")


def test_a_class_of_ones_own_under_a_name_of_this_package_is_not_saved(tmp_path):
    class Mine(bntt.VGG):
        def read(self, spikes, start=None):
            return -super().read(spikes, start)

    with pytest.raises(ValueError, match="Mine in place of a VGG.*bntt.register"):
        bntt.save(Mine("vgg5", **SMALL), tmp_path / "a")
    with pytest.raises(ValueError, match="'vgg5' belongs to VGG"):
        bntt.register("vgg5")(Mine)
    with pytest.raises(TypeError, match="subclass bntt.Network"):
        bntt.register("mine")(nn.Linear)  # pyright: ignore[reportArgumentType]


HOSTILE = [
    ({"num_classes": 1_000_000}, "num_classes|class_names"),
    ({"num_classes": "3"}, "`num_classes` must be a whole number"),
    ({"num_classes": 3.0}, "`num_classes` must be a whole number"),
    ({"num_classes": True}, "`num_classes` must be a whole number"),
    ({"num_classes": None}, "`num_classes` must be a whole number"),
    ({"num_classes": -1}, "`num_classes` must be at least 1"),
    ({"image_size": 512}, r"wrong shape: hidden\.weight"),
    ({"image_size": 10**30}, "`image_size` must be at most"),
    ({"num_steps": 50_000}, "wrong shape: layers"),
    ({"num_steps": 1_000_000}, "`num_steps` must be at most"),
    ({"in_channels": 60_000}, "`mean` needs one number per input channel"),
    ({"in_channels": 1_000_000_000}, "`in_channels` must be at most"),
    ({"permutation": 10**12}, "`permutation` must be at most"),
    ({"permutation": -1}, "`permutation` must be at least 0"),
    ({"window": 2**40}, "`window` must be at most"),
    ({"window": 3}, "`window` must be at least 1 and divide"),
    ({"leak": "0.9"}, "`leak` must be a number"),
    ({"leak": 10**400}, "`leak` must be finite"),
    ({"leak": [0.9, 0.9]}, "`leak` needs one value"),
    ({"leak": {"of": 1}}, "`leak` must be a number"),
    ({"eps": -1.0}, "`eps` must be positive"),
    ({"momentum": 2.0}, "`momentum`"),
    ({"reset": ["soft"] * 3 + [["soft"]]}, "`reset` must be a word"),
    ({"reset": "gentle"}, "reset"),
    ({"detach_reset": 0}, "`detach_reset` must be True or False"),
    ({"norm": ["bntt"] * 3 + ["shared"]}, r"layers\.3\.norm\.bias"),
    ({"norm": []}, "`norm` needs one value"),
    ({"norm": "batch"}, "Unknown norm 'batch'"),
    ({"arch": "vgg9", "image_size": 8}, "does not hold the tensors of the vgg9"),
    ({"arch": "seq"}, "seq"),
    ({"arch": "theirs"}, "Unknown architecture 'theirs'"),
    ({"arch": ["vgg5"]}, "`arch` must be a word"),
    ({"encoder": 3}, "`encoder` must be a word"),
    ({"encoder": "morse"}, "Unknown encoder 'morse'"),
    ({"encoder": "rows"}, "cuts them up"),
    ({"encoder_parameters": []}, "`encoder_parameters` must be an object"),
    ({"encoder_parameters": {"speed": 3}}, "unknown key speed"),
    ({"encoder": "poisson", "encoder_parameters": {"rescale": "2"}}, "header"),
    ({"surrogate": "ATan"}, "`surrogate` must be an object"),
    ({"surrogate": {"name": "Sigmoid"}}, "Unknown surrogate"),
    ({"surrogate": {"name": ["ATan"]}}, "header"),
    ({"surrogate": {"name": "ATan", "alpha": "2"}}, "alpha"),
    ({"surrogate": {"name": "ATan", "beta": 2}}, "beta"),
    ({"mean": None}, "`mean` must be a list"),
    ({"mean": [0.1, 0.2]}, "`mean` needs one number per input channel, 1"),
    ({"std": [0.0]}, "`std` must be positive"),
    ({"std": ["1"]}, "`std` must be a number"),
    ({"class_names": ["a"]}, "`class_names` needs one name per class"),
    ({"class_names": [1, 2, 3]}, "`class_names` must be names"),
    ({"class_names": "abc"}, "`class_names` must be a list"),
    ({"geometry": 3}, "geometry"),
    ({"geometry": {"channels": 1}}, "geometry"),
    ({"geometry": {"channels": 3, "image_size": 4}}, "in_channels=3"),
    ({"options": [1]}, "`options` must be an object"),
    ({"options": {"width": 3}}, "width"),
    ({"shape": 3}, "unknown key shape"),
]


def doctored(path, edit):
    """Write the file anew with another header of bntt's; every tensor stays."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    table = json.loads(data[8 : 8 + length])
    table["__metadata__"]["bntt"] = edit(table["__metadata__"]["bntt"])
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data[8 + length :])


def refused(path, said):
    """That loading says so at once, naming the file."""
    start = time.process_time()
    with pytest.raises(ValueError, match=said) as caught:
        bntt.load(path)
    assert time.process_time() - start < 0.5
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("change", "said"), HOSTILE, ids=lambda c: str(c)[:40])
def test_a_doctored_value_is_refused_before_anything_is_built(tmp_path, change, said):
    path = tmp_path / "net.safetensors"
    bntt.save(small(), path)

    def edit(text):
        header = json.loads(text)
        header["config"] |= change
        return json.dumps(header)

    doctored(path, edit)
    refused(path, said)


TEXTS = {
    "": "header",
    "null": "it is no object",
    "[]": "it is no object",
    '"vgg5"': "it is no object",
    "{": "header",
    "{}": "`format` must be",
    '{"format": "2"}': "`format` must be",
    '{"format": 0}': "`format` must be",
    '{"format": 2}': "'config'",
    '{"format": 2, "config": {}}': "'info'",
    '{"format": 2, "config": [], "info": {}}': "`config` must be an object",
    '{"format": 2, "config": {}, "info": {}}': "`config` has no arch",
    '{"format": 1, "config": {}, "info": {}}': "`config` has no arch",
    '{"format": 2, "config": {}, "info": [], "more": 1}': "'more'",
    '{"format": 2, "config": {}, "info": []}': "`info` must be an object",
    '{"format": 2, "format": 2}': "'format' occurs twice",
    '{"format": NaN}': "NaN is no number",
    '{"format": 2, "info": -Infinity}': "-Infinity is no number",
    '{"format": 1' + "0" * 5000 + "}": "header",
    "[" * 100_000: "nested too deeply",
    '{"format": 2, "info": {}, "config": ' + "[" * 900 + "]" * 900 + "}": "config",
    " " * (1 << 22) + "{}": "more than",
    '{"format": 3}': "newer bntt",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:40])
def test_a_header_that_is_none(tmp_path, text):
    path = tmp_path / "net.safetensors"
    bntt.save(small(), path)
    doctored(path, lambda _: text)
    refused(path, TEXTS[text])


@pytest.mark.parametrize("key", [*small().config])
def test_a_key_that_is_missing_is_named(tmp_path, key):
    path = tmp_path / "net.safetensors"
    bntt.save(small(), path)

    def edit(text):
        header = json.loads(text)
        del header["config"][key]
        return json.dumps(header)

    doctored(path, edit)
    refused(path, f"`config` has no {key}")


def test_a_header_without_ours(tmp_path):
    path = tmp_path / "net.safetensors"
    bntt.save(small(), path)
    doctored(path, json.dumps)  # a string within the string
    refused(path, "no object")


def test_a_network_compiled_in_place_is_saved_as_what_it_computes(tmp_path):
    net = vgg5(num_classes=2, num_steps=2, leak=0.9, image_size=8).eval()
    net.compile(backend="eager")
    net.layers[0].compile(backend="eager")
    bntt.save(net, tmp_path / "net.safetensors")
    assert bntt.load(tmp_path / "net.safetensors").config == net.config


def test_plain_weights_are_told_how_to_be_loaded(tmp_path):
    path = tmp_path / "weights.safetensors"
    net = vgg5(num_classes=2, num_steps=2, leak=0.9, image_size=8)
    save_file(net.state_dict(), path)
    with pytest.raises(ValueError, match=r"load_state_dict\(safetensors.torch.load_file"):
        bntt.load(path)
    assert not net.load_state_dict(load_file(path)).missing_keys


@pytest.mark.parametrize("value", [[0.1] * 9999, "x" * 9999, np.zeros((50, 50)), {"a": []}])
def test_what_came_is_said_in_one_short_line(value):
    with pytest.raises((TypeError, ValueError)) as raised:
        vgg5(num_classes=2, num_steps=2, leak=value)
    assert len(str(raised.value)) < 200
    assert "\n" not in str(raised.value)
