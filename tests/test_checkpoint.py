"""Checkpoints: everything comes back, and a failure leaves what was there.

How a user is told of damaged ones: ``test_commands_errors.py``.
"""

import json
import os
import stat
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_runs import same, tensors

from bntt.networks import checkpoint, header
from bntt.networks.vgg import vgg5
from bntt.ops.surrogate import ATan
from bntt.training import optimizer

CONFIG = {
    "num_classes": 3,
    "num_steps": 2,
    "leak": 0.9,
    "in_channels": 1,
    "image_size": 8,
    "encoder": "direct",
    "surrogate": ATan(),
    "mean": (0.3,),
    "std": (0.2,),
    "class_names": ("no", "perhaps", "yes"),
}


@pytest.fixture
def net():
    net = vgg5(**CONFIG)
    net(torch.randn(4, 1, 8, 8))  # so that the running statistics are no longer the first
    return net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_comes_back(net, tmp_path, dtype):
    path = tmp_path / "a.safetensors"
    extra = {
        "optimizer/0/step": torch.tensor(3.0),
        "optimizer/0/m": torch.randn(2, 3, dtype=torch.float64).T,
        "other/half": torch.randn(5).bfloat16(),
    }
    net.to(dtype)
    checkpoint.write(path, net, extra, {"step": 7, "best": 0.5, "note": "é"})
    back, got, info = checkpoint.read(path)
    assert info == {"step": 7, "best": 0.5, "note": "é"}
    assert same(got, extra)
    assert {v.dtype for v in got.values()} == {v.dtype for v in extra.values()}
    assert same(dict(back.state_dict()), dict(net.state_dict()))
    assert back.config == net.config
    assert back.output.weight.dtype == dtype
    assert not back.training
    x = torch.randn(2, 1, 8, 8, dtype=dtype)
    assert torch.equal(back(x), net.eval()(x))


def test_loading_gives_the_network_alone(net, tmp_path):
    checkpoint.write(tmp_path / "a", net, {"optimizer/0/step": torch.tensor(1.0)}, {"n": 1})
    back = checkpoint.load(str(tmp_path / "a"))
    assert same(dict(back.state_dict()), dict(net.state_dict()))
    assert back.class_names == ("no", "perhaps", "yes")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no checkpoint {tmp_path / 'a'}"):
        checkpoint.load(tmp_path / "a")


def test_a_newer_format_is_refused(net, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(header, "FORMAT", header.FORMAT + 1)
        checkpoint.write(tmp_path / "a", net)
    with pytest.raises(
        ValueError, match=r"newer bntt \(format 3, .* up to 2\). Take a newer clone"
    ):
        checkpoint.load(tmp_path / "a")


def test_a_tensor_too_many_is_refused(net, tmp_path):
    checkpoint.write(tmp_path / "a", net)
    text = json.dumps({"format": 2, "config": net.config, "info": {}})
    more = {**tensors(tmp_path / "a"), "hidden.bias": torch.zeros(512)}
    save_file(more, tmp_path / "a", metadata={"bntt": text})
    with pytest.raises(ValueError, match="vgg5 that it describes: hidden.bias. It was"):
        checkpoint.load(tmp_path / "a")


def test_a_failed_write_leaves_the_old_file_and_no_other(net, tmp_path, monkeypatch):
    path, write = tmp_path / "a.safetensors", Path.write_bytes
    checkpoint.write(path, net)
    before = path.read_bytes()

    def half(self, content):
        write(self, content[: len(content) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", half)
    net.output.weight.data.zero_()
    with pytest.raises(OSError, match="the disk is full"):
        checkpoint.write(path, net)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes there")
@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_who_may_read_it_is_the_users_choice(net, tmp_path, mask):
    before = os.umask(mask)
    try:
        checkpoint.write(tmp_path / "a", net)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


def test_a_copy_takes_on_device_type_and_layout():
    like = torch.empty(2, 3, 4, 5, dtype=torch.float64)
    like = like.to(memory_format=torch.channels_last)
    source = torch.arange(120.0).reshape(2, 3, 4, 5)
    copy = optimizer.to_device(source, like)
    assert torch.equal(copy, source.double())
    assert copy.stride() == like.stride()
    assert copy.data_ptr() != like.data_ptr()


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_tensor_that_holds_no_number_is_named(dtype, bad):
    most = torch.finfo(dtype).max
    good = torch.full((3, 5), most, dtype=dtype)
    spoilt = good.clone()
    spoilt[1, 2] = bad
    counts = torch.tensor([2**62, 2**62])
    assert checkpoint.first_nonfinite({"a": good, "n": counts, "b": -good}) is None
    assert checkpoint.first_nonfinite({"a": good, "b": spoilt, "c": spoilt}) == "b"
    assert checkpoint.first_nonfinite({"a": torch.zeros(0, dtype=dtype)}) is None


def test_two_infinities_do_not_cancel():
    both = torch.tensor([float("inf"), -float("inf")])
    assert checkpoint.first_nonfinite({"a": both}) == "a"
