"""Weights lie as PyTorch's own do, so that tools made for those take them."""

import socket
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed as dist
from torch.nn import functional as F

from bntt import build, vgg9

SMALL: dict[str, Any] = {
    "num_classes": 3,
    "num_steps": 2,
    "leak": 0.9,
    "image_size": 16,
    "encoder": "direct",
}


@pytest.mark.parametrize("arch", ["vgg5", "vgg7", "vgg9", "vgg11", "seq"])
def test_every_tensor_is_contiguous_and_safetensors_takes_it(tmp_path, arch):
    encoder = "rows" if arch == "seq" else "direct"
    net = build(arch, **{**SMALL, "encoder": encoder})
    assert all(value.is_contiguous() for value in net.state_dict().values())
    save_file(net.state_dict(), tmp_path / "a")
    net.load_state_dict(load_file(tmp_path / "a"))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_layout_of_the_weights_decides_no_bit(channels):
    answers = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        net = vgg9(**SMALL, in_channels=channels)
        net.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        x = torch.randn(4, channels, 16, 16)
        logits = net(x)
        F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
        answers.append([logits.detach(), *(p.grad for p in net.parameters())])
    for left, right in zip(*answers, strict=True):
        assert torch.equal(left, right)


@pytest.fixture
def one_process():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch says of itself here changes often
def test_fully_shard_takes_a_network_and_it_learns_alike(one_process):
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    mesh = pytest.importorskip("torch.distributed.device_mesh")
    if not hasattr(fsdp, "fully_shard"):
        pytest.skip("this torch has no fully_shard")
    losses = []
    for sharded in (False, True):
        torch.manual_seed(0)
        net = vgg9(**SMALL)
        if sharded:
            fsdp.fully_shard(net, mesh=mesh.init_device_mesh("cpu", (1,)))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        x, y = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])
        for _ in range(2):
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]
