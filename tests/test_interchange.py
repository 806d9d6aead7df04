"""Checkpoints of the authors' code: read in full, refused when odd, never run."""

import os
import re
import struct
import sys
import zipfile

import numpy as np
import pytest
import torch
from per_step import PerStepVGG

from bntt import Triangle
from bntt.interchange import load_reference

T, CLASSES = 2, 5


@pytest.fixture(scope="module")
def weights():
    """The state dict of a VGG9 for 16x16 images, every number different."""
    torch.manual_seed(1)
    net = PerStepVGG("vgg9", CLASSES, T, image_size=16, leak=0.9)
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return net.state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pth.tar"


def saved(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def like_theirs(weights):
    return {"state_dict": dict(weights), "epoch": 99, "accuracy": np.mean([90.0, 91.0])}


def rename_numpy(path, module):
    """Name numpy's module as another version of numpy would have."""

    def renamed(data):
        return re.sub(rb"numpy\._?core\.multiarray", module.encode(), data)

    if not zipfile.is_zipfile(path):
        path.write_bytes(renamed(path.read_bytes()))
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, renamed(data) if name.endswith("data.pkl") else data)


def test_every_tensor_lands_in_its_place(path, weights):
    net = load_reference(saved(path, like_theirs(weights)))
    state = net.state_dict()
    for i in range(7):
        assert torch.equal(state[f"convs.{i}.weight"], weights[f"conv{i + 1}.weight"])
    for i, layer in enumerate([*(f"bntt{i}" for i in range(1, 8)), "bntt_fc"]):
        for part in ("weight", "running_mean", "running_var"):
            steps = [weights[f"{layer}.{t}.{part}"] for t in range(T)]
            assert torch.equal(state[f"layers.{i}.norm.{part}"], torch.stack(steps))
    assert torch.equal(state["hidden.weight"], weights["fc1.weight"])
    assert torch.equal(state["output.weight"], weights["fc2.weight"])
    assert len(state) == 7 + 8 * 3 + 2


def test_the_shapes_say_what_the_network_is(path, weights):
    net = load_reference(saved(path, like_theirs(weights)))
    config = net.config
    assert (config["arch"], config["num_steps"], config["num_classes"]) == (
        "vgg9",
        T,
        CLASSES,
    )
    assert (config["image_size"], config["in_channels"]) == (16, 3)
    assert (config["norm"], config["encoder"], config["v_threshold"]) == (
        "bntt",
        "poisson",
        1,
    )
    assert (config["leak"], net.surrogate) == (0.95, Triangle(0.3))
    assert config["mean"] == pytest.approx([0.4914, 0.4822, 0.4465])
    assert config["std"] == pytest.approx([0.2023, 0.1994, 0.2010])
    assert not net.training
    assert all(value.dtype == torch.float32 for value in net.state_dict().values())


def test_a_vgg11_fits_the_image_size_that_is_asked_for(path):
    theirs = PerStepVGG("vgg11", 7, 3, image_size=16, leak=0.9)
    saved(path, theirs.state_dict())
    assert load_reference(path).image_size == 32
    net = load_reference(path, leak=0.99, image_size=48)
    assert (net.arch, net.num_classes, net.num_steps) == ("vgg11", 7, 3)
    assert (net.image_size, net.leak) == (48, 0.99)


def test_what_the_file_does_not_say_can_be_said(path, weights):
    names = tuple("abcde")
    saved(path, like_theirs(weights))
    net = load_reference(
        path, 0.5, class_names=names, mean=(0, 0, 0), std=(1, 1, 1), v_threshold=2.0
    )
    assert (net.class_names, net.leak, net.v_threshold) == (names, 0.5, 2.0)
    assert net.mean.flatten().tolist() == [0, 0, 0]


def test_grey_images_take_no_colour_statistics(path):
    saved(path, PerStepVGG("vgg9", 4, 2, 8, 0.9, in_channels=1).state_dict())
    assert load_reference(path).config["mean"] == [0]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_files_of_any_torch_and_numpy_load(path, weights, zipped, module):
    saved(path, like_theirs(weights), zipped)
    rename_numpy(path, module)
    assert module.encode() in path.read_bytes()
    with pytest.raises(Exception, match="multiarray"):
        torch.load(path, weights_only=True)  # the numpy scalar, without our allowance
    net = load_reference(path)
    assert torch.equal(net.output.weight, weights["fc2.weight"])


def test_a_bare_state_dict_loads(path, weights):
    net = load_reference(saved(path, weights))
    assert torch.equal(net.hidden.weight, weights["fc1.weight"])


def test_the_prefix_of_data_parallel_is_dropped(path, weights):
    prefixed = {f"module.{name}": value for name, value in weights.items()}
    net = load_reference(saved(path, {"state_dict": prefixed}))
    assert torch.equal(net.hidden.weight, weights["fc1.weight"])


def test_an_optimizer_beside_the_weights_does_no_harm(path, weights):
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.3, momentum=0.9)
    parameter.sum().backward()
    optimizer.step()
    content = like_theirs(weights) | {"optimizer": optimizer.state_dict()}
    assert load_reference(saved(path, content)).num_steps == T


def test_loading_draws_no_random_number(path, weights):
    saved(path, weights)
    before = torch.get_rng_state()
    load_reference(path)
    assert torch.equal(torch.get_rng_state(), before)


class MakesFolder:
    """A pickle that, once loaded, has run a command."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_hostile_file_is_refused_and_nothing_runs(path, weights, zipped, tmp_path):
    marker = tmp_path / "was_here"
    saved(path, like_theirs(weights) | {"accuracy": MakesFolder(marker)}, zipped)
    torch.load(path, weights_only=False)
    assert marker.is_dir(), "the file is harmless, so this test would prove nothing"
    marker.rmdir()
    with pytest.raises(ValueError, match=r"mkdir.* refused and not run"):
        load_reference(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "value", [np.ones(2), np.float32(1), MakesFolder], ids=["array", "float32", "class"]
)
def test_nothing_beyond_the_scalar_is_allowed(path, weights, value):
    saved(path, like_theirs(weights) | {"accuracy": value})
    with pytest.raises(ValueError, match=r"_reconstruct|Float32DType|MakesFolder"):
        load_reference(path)


def test_the_allowance_ends_with_the_call(path, weights):
    load_reference(saved(path, like_theirs(weights)))
    allowed = torch.serialization.get_safe_globals()
    assert np.dtype not in [
        entry[0] if isinstance(entry, tuple) else entry for entry in allowed
    ]


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_reference(path)


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_reference(tmp_path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_file(path, weights, zipped, kept):
    whole = saved(path, like_theirs(weights), zipped).read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match="cut short, damaged or of another kind"):
        load_reference(path)


@pytest.mark.parametrize(
    "content", [b"accuracy,epoch\n90.1,3\n", b"\x89PNG\r\n", b"\x80\x02."]
)
def test_a_file_of_another_kind(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cut short, damaged or of another kind"):
        load_reference(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "type list, not a state dict"),
        ({"state_dict": 3}, "type int, not a state dict"),
        ({0: torch.ones(1)}, "type dict, not a state dict"),
        ({"epoch": 3}, "type int under 'epoch'"),
        ({}, "holds no 'fc1.weight'.* It holds nothing"),
        ({"features.0.weight": torch.ones(1)}, r"It holds features\.0\.weight"),
    ],
)
def test_no_state_dict_of_theirs(path, content, message):
    with pytest.raises(ValueError, match=message):
        load_reference(saved(path, content))


def ones(*shape):
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bntt3.1.running_var": None},
            r"missing bntt3\.1\.running_var; unexpected nothing",
        ),
        ({"conv4.weight": None}, r"widths \[64, 64, 128\]"),
        ({"fc2.weight": None}, "holds no 'fc2.weight'"),
        ({"bntt8.0.weight": ones(3)}, "bntt8: 1, bntt_fc: 2"),
        ({"fc3.weight": ones(3, 3)}, r"missing nothing; unexpected fc3\.weight"),
        (
            {"bntt_fc.0.bias": ones(1024)},
            r"biases \(bntt_fc\.0\.bias\).*norm of the linear",
        ),
        (
            {"conv1.weight": ones(32, 3, 3, 3)},
            r"widths \[32, 64.* none of vgg5, vgg7, vgg9, vgg11",
        ),
        ({"conv2.weight": ones(64, 3, 3, 3)}, r"shape \(64, 64, 3, 3\).*\(64, 3, 3, 3\)"),
        ({"conv1.weight": ones(64)}, r"should have 4 axes, but its shape is \(64,\)"),
        ({"fc1.weight": ones(1024, 768)}, "not 256 times the area of a square"),
        ({"fc1.weight": ones(512, 1024)}, "hidden layer of 512"),
        ({"fc2.weight": ones(5, 512)}, r"shape \(5, 1024\).*\(5, 512\)"),
        ({"bntt2.1.weight": ones(32)}, r"'bntt2.1.weight' should have shape \(64,\)"),
        ({"bntt4.2.weight": ones(128)}, "bntt3: 2, bntt4: 3"),
        ({"bntt2.1.weight": ones(64) * float("nan")}, "'bntt2.1.weight' holds NaN"),
    ],
)
def test_a_state_dict_that_is_not_quite_theirs(path, weights, change, message):
    changed = dict(weights) | change
    kept = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_reference(saved(path, {"state_dict": kept}))


def test_a_network_without_bntt(path, weights):
    kept = {name: value for name, value in weights.items() if "bntt" not in name}
    with pytest.raises(ValueError, match="it holds none.*trained without BNTT"):
        load_reference(saved(path, kept))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"image_size": 32}, "with image_size=16, got image_size=32"),
        ({"num_steps": 4}, "with num_steps=2, got num_steps=4"),
        ({"norm": "shared"}, "with norm='bntt', got norm='shared'"),
        ({"leak": 25.0}, r"`leak` must lie in \[0, 1\], got 25"),
    ],
)
def test_what_contradicts_the_file(path, weights, override, message):
    saved(path, weights)
    with pytest.raises(ValueError, match=message):
        load_reference(path, **override)


def bomb(path, weights):
    """Four megabytes that unpack to 3.3 gigabytes."""
    saved(path, {"epoch": 3})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        with archive.open("archive/data/0", "w", force_zip64=True) as member:
            for _ in range(16):
                member.write(bytes(1 << 22))


def repeated(path, weights):
    saved(path, weights | {"fc1.weight": torch.zeros(1).expand(1024, 256 << 20)})


def named_twice(path, weights):
    saved(path, {f"bntt1.{n}.weight": weights["fc1.weight"] for n in range(100)})


def many_classes(path, weights):
    saved(path, weights | {"fc2.weight": torch.zeros(1_000_000, 1)})


def many_steps(path, weights):
    steps = {f"bntt{n}.9999.weight": torch.ones(1) for n in (*range(1, 8), "_fc")}
    saved(path, weights | steps)


def endless_steps(path, weights):
    saved(path, weights | {"bntt1." + "9" * 5000 + ".weight": torch.ones(1)})


def large_images(path, weights):
    saved(path, weights | {"fc1.weight": torch.zeros(1024, 0).expand(1024, 0)})


def sparse(path, weights):
    saved(path, weights | {"fc2.weight": weights["fc2.weight"].to_sparse()})


def nested(path, weights):
    saved(path, {"state_dict": {"state_dict": dict(weights)}})


def whole_numbers(path, weights):
    saved(path, weights | {"fc2.weight": weights["fc2.weight"].long()})


def meta(path, weights):
    saved(path, weights | {"fc2.weight": weights["fc2.weight"].to("meta")})


def coded(path, weights):
    grown = b"c_codecs\nencode\n(" + b"c_codecs\nencode\n(X\x01\0\0\0aX\x06\0\0\0latin1tR"
    grown += b"X\x03\0\0\0hextR."
    pickled(path, b"\x80\x02" + grown)


def zeros(path, weights):
    pickled(path, b"\x80\x02c__builtin__\nbytearray\n(J\0\0\0\x70tR.")


def pickled(path, content):
    saved(path, {"epoch": 3})
    pickled_anew(path, content)


DOCTORED = {
    bomb: "unpacks to",
    repeated: "but tensors of",
    named_twice: "but tensors of",
    many_classes: r"'fc2.weight' should have shape \(1000000, 1024\)",
    many_steps: "names a time-step 9999",
    endless_steps: "unexpected",
    large_images: "not 256 times the area",
    sparse: "'fc2.weight' is no dense tensor",
    nested: "type dict under 'state_dict'",
    whole_numbers: "should hold floating-point numbers, but it holds torch.int64",
    meta: "'fc2.weight' is no dense tensor",
    coded: "the coding 'hex'",
    zeros: "bytearray",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no such measure there")
@pytest.mark.parametrize("doctor", DOCTORED, ids=lambda doctor: doctor.__name__)
def test_a_doctored_file_is_refused_before_it_takes_memory(path, weights, doctor):
    doctor(path, weights)
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=DOCTORED[doctor]) as caught:
        load_reference(path)
    assert str(path) in str(caught.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, "kilobytes"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_storage_that_is_said_to_be_larger_than_it_is(path, weights, zipped):
    saved(path, dict(weights), zipped)
    content = path.read_bytes()
    numel = weights["fc2.weight"].numel()  # as a pickle writes it, and ten thousand times
    small, large = (struct.pack("<cH", b"M", numel), struct.pack("<ci", b"J", numel << 14))
    assert small in content
    if zipped:
        with zipfile.ZipFile(path) as archive:
            data = archive.read("model.pth/data.pkl")
        pickled_anew(path, data.replace(small, large))
        # nothing beyond the file is read, and the tensor itself is as large as it was
        assert torch.equal(load_reference(path).output.weight, weights["fc2.weight"])
    else:
        path.write_bytes(content.replace(small, large))
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_reference(path)


def pickled_anew(path, content):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, content if name.endswith("data.pkl") else data)
