"""Damaged and doctored checkpoints: a network or a ValueError with the path, at once."""

import json
import random
import re
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import CASES, damaged
from present import layers

import bntt
import bntt.data  # which a geometry needs, and which takes a second
from bntt.interchange import load_reference

pytestmark = pytest.mark.usefixtures("as_user")

DOCS = Path(__file__).parents[1] / "docs"
CONFIG = {"num_classes": 3, "num_steps": 2, "leak": 0.9, "in_channels": 1, "image_size": 4}
ODD = (
    None, True, -1, 0, 1, 2, 3, 1.5, 10**6, 10**9, 10**30, -(10**30), 1e308, "", "1",
    "vgg9", "none", "\ud800", [], [1], [[]], {}, {"name": "ATan"}, {"a": {"b": []}},
    ["soft"] * 9,
)  # fmt: skip


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The bytes of a checkpoint: small, so that damage finds its header."""
    torch.manual_seed(0)
    net = bntt.build("seq", **CONFIG, encoder="rows")
    layers(net)[0].lif.leak = 0.5
    path = tmp_path_factory.mktemp("honest") / "net.safetensors"
    bntt.save(net, path)
    return path.read_bytes()


def tried(load, path, most_seconds=2.0, most_kilobytes=100_000):
    """Whether the file gave a network; that it took neither long nor much memory."""
    start, before = time.process_time(), peak()
    net, said = None, None
    try:
        net = load(path)
    except ValueError as error:
        said = str(error)
    assert said is None or (str(path) in said and len(said) < 2000)
    assert time.process_time() - start < most_seconds
    assert peak() - before < most_kilobytes
    return net


def peak():
    """Kilobytes; 0 where nobody can be asked."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_damaged_files(honest, tmp_path):
    path = tmp_path / "net.safetensors"
    length = 8 + struct.unpack("<Q", honest[:8])[0]
    head, rest = honest[:length], honest[length:]
    for data in damaged(head, CASES):
        path.write_bytes(data + rest)
        tried(bntt.load, path)
    for data in damaged(honest, CASES // 4):
        path.write_bytes(data)
        tried(bntt.load, path)


def doctored(honest, edit):
    (length,) = struct.unpack("<Q", honest[:8])
    table = json.loads(honest[8 : 8 + length])
    header = json.loads(table["__metadata__"]["bntt"])
    table["__metadata__"]["bntt"] = json.dumps(edit(header))
    head = json.dumps(table).encode()
    return struct.pack("<Q", len(head)) + head + honest[8 + length :]


def places(value, where=()):
    """The way to every value within a value."""
    yield where
    entries = value.items() if isinstance(value, dict) else ()
    entries = enumerate(value) if isinstance(value, list) else entries
    for key, entry in entries:
        yield from places(entry, (*where, key))


def mutate(header, draw):
    """A value somewhere in the header exchanged, dropped or doubled."""
    *where, last = draw.choice([place for place in places(header) if place])
    at = header
    for key in where:
        at = at[key]
    match draw.choice(("exchange", "exchange", "drop", "add", "nest")):
        case "exchange":
            at[last] = draw.choice(ODD)
        case "drop":
            del at[last]
        case "add" if isinstance(at, dict):
            at[draw.choice(("more", "leek", "options"))] = draw.choice(ODD)
        case "add":
            at.append(draw.choice(ODD))
        case "nest":
            at[last] = [at[last]] * draw.choice((1, 2, 3))
    return header


def test_doctored_headers(honest, tmp_path):
    draw = random.Random(1)
    path = tmp_path / "net.safetensors"
    path.write_bytes(honest)
    net = bntt.load(path)
    images = torch.randn(2, 1, 4, 4)
    for _ in range(CASES * 3):

        def edit(header):
            for _ in range(draw.choice((1, 1, 2))):
                mutate(header, draw)
            return header

        path.write_bytes(doctored(honest, edit))
        found = tried(bntt.load, path)
        if found is not None:  # then it is a network that computes
            assert found(images).shape[-1] == net.num_classes


def test_damaged_files_of_the_authors(tmp_path):
    path = tmp_path / "model.pth.tar"
    weights = {"conv1.weight": torch.ones(3), "bntt1.0.weight": torch.ones(1)}
    content = {"state_dict": weights, "accuracy": np.mean([1.0])}
    for zipped in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        for data in damaged(path.read_bytes(), CASES, seed=int(zipped)):
            path.write_bytes(data)
            assert tried(load_reference, path) is None


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16]
)
def test_the_lines_of_the_docs_read_a_checkpoint(tmp_path, dtype):
    page = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1]
    assert "bntt." not in code
    assert "torch" not in code
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 25
    names = {}
    exec(code, names)
    net = bntt.vgg5(**CONFIG).to(dtype)
    bntt.save(net, tmp_path / "a")
    config, tensors = names["read"](tmp_path / "a")
    assert config == net.config
    state = net.state_dict()
    assert tensors.keys() == state.keys()
    for name, values in tensors.items():
        assert torch.equal(torch.from_numpy(values.astype("f8")), state[name].double())


def test_the_network_of_the_docs_comes_back(tmp_path):
    page = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    names = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1], names)
    net = bntt.build("shallow", width=3, **CONFIG, encoder="direct").eval()
    bntt.save(net, tmp_path / "a")
    images = torch.randn(2, 1, 4, 4)
    assert torch.equal(bntt.load(tmp_path / "a")(images), net(images))


def test_the_table_of_the_docs_has_every_key():
    page = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    keys = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    assert sorted(keys) == sorted(bntt.vgg5(**CONFIG).config)
