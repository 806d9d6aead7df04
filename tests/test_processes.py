"""Several processes learn what one would: real collectives in threads, and torchrun."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import command
import pytest
import torch
import torch.distributed as dist
from small_runs import log, tensors
from torch.nn import functional as F

from bntt import BNTT, LIF, NormLIF, SharedBN
from bntt.machine import processes
from bntt.machine.processes import merge_moments
from bntt.networks import build

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="torch without gloo")


class Ranks(threading.local):
    """What ``bntt.machine.processes`` asks of ``torch.distributed``, for threads in place
    of processes: each thread has a rank, and the collectives are gloo's own."""

    gloo: Any = None

    def join(self, store, rank, size):
        self.gloo = dist.ProcessGroupGloo(store, rank, size, timedelta(seconds=60))

    def is_available(self):
        return True

    def is_initialized(self):
        return self.gloo is not None

    ProcessGroup = dist.ProcessGroupGloo
    GroupMember = dist.GroupMember

    def get_world_size(self, group=None):
        return (group or self.gloo).size()

    def get_rank(self, group=None):
        return (group or self.gloo).rank()

    def all_gather(self, every, mine, group=None):
        (group or self.gloo).allgather([every], [mine]).wait()

    def all_reduce(self, tensor, group=None):
        (group or self.gloo).allreduce([tensor]).wait()


@pytest.fixture
def in_ranks(monkeypatch):
    """Call a function once per argument, at the same time, each in a rank of its own."""

    def call(function, arguments):
        ranks, store, size = Ranks(), dist.HashStore(), len(arguments)

        def work(rank, argument):
            ranks.join(store, rank, size)
            return function(argument)

        with monkeypatch.context() as patch, ThreadPoolExecutor(size) as threads:
            patch.setattr(processes, "dist", ranks)
            return list(threads.map(work, range(size), arguments))

    return call


def close(got, want, tolerance=1e-12):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def moments(x):
    return x.mean(1), x.var(1, correction=0)


@pytest.mark.parametrize("sizes", [(5,), (5, 5), (3, 9), (1, 4, 7)])
def test_moments_are_those_of_all_elements_together(in_ranks, sizes):
    T, C = 3, 4
    x = torch.randn(T, sum(sizes), C, dtype=torch.float64) + 100
    pull = [torch.randn(len(sizes), T, C, dtype=torch.float64) for _ in range(2)]
    whole = x.clone().requires_grad_()
    want = moments(whole)
    # every process pulls at the moments in a way of its own
    total = sum((m * p.sum(0)).sum() for m, p in zip(want, pull, strict=True))
    (gradient,) = torch.autograd.grad(total, whole)

    def one(given):
        rank, share = given
        share = share.clone().requires_grad_()
        mean, var, count = merge_moments(*moments(share), share.shape[1])
        own = (mean * pull[0][rank]).sum() + (var * pull[1][rank]).sum()
        return mean.detach(), var.detach(), count, torch.autograd.grad(own, share)[0]

    results = in_ranks(one, list(enumerate(x.split(sizes, 1))))
    for mean, var, count, _ in results:
        assert count == sum(sizes)
        close(mean, want[0].detach())
        close(var, want[1].detach())
    close(torch.cat([result[3] for result in results], 1), gradient)


def test_alone_moments_are_ones_own():
    mean, var = torch.randn(3, 4), torch.rand(3, 4)
    got = merge_moments(mean, var, 7)
    assert got[0] is mean
    assert got[1] is var
    assert got[2] == 7


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_every_process_keeps_the_statistics_of_the_whole_batch(in_ranks, kind):
    x = torch.randn(3, 6, 4, 2, 2, dtype=torch.float64)

    def one(share):
        norm = kind(4, 3).double()
        return norm(share), norm

    want, whole = one(x)
    (left, one_norm), (right, other_norm) = in_ranks(one, [x[:, ::2], x[:, 1::2]])
    close(torch.stack([left, right], 2).flatten(1, 2), want)
    for name, buffer in whole.named_buffers():
        close(one_norm.get_buffer(name), buffer)
        assert torch.equal(one_norm.get_buffer(name), other_norm.get_buffer(name)), name


@pytest.mark.parametrize("norm", ["bntt", "shared"])
def test_a_network_has_the_gradients_of_the_whole_batch(in_ranks, norm):
    images, labels = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.arange(8) % 3
    sizes = {"num_classes": 3, "num_steps": 2, "in_channels": 1, "image_size": 8}
    net = build("vgg5", leak=0.9, norm=norm, encoder="direct", **sizes).double()
    state = {name: value.clone() for name, value in net.state_dict().items()}

    def one(share):
        twin = build(**net.config).double()
        twin.load_state_dict(state)
        loss = F.cross_entropy(twin(images[share]), labels[share])
        return torch.autograd.grad(loss, list(twin.parameters()))

    want = one(slice(None))
    halves = in_ranks(one, [slice(0, None, 2), slice(1, None, 2)])
    for left, right, whole in zip(*halves, want, strict=True):
        assert whole.abs().max() > 0
        close((left + right) / 2, whole, 1e-9)


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
@pytest.mark.parametrize("sizes", [(0, 6), (6, 0), (0, 0, 5), (1, 0, 1)])
def test_a_process_without_samples_takes_part(in_ranks, kind, sizes):
    x = torch.randn(3, sum(sizes), 4, dtype=torch.float64)
    weight = torch.randn_like(x)

    def one(given):
        share, pull = given
        share = share.clone().requires_grad_()
        layer = NormLIF(kind(4, 3), LIF(0.9)).double()
        spikes = layer(share)
        return spikes, torch.autograd.grad((spikes * pull).sum(), share)[0], layer

    want, gradient, whole = one((x, weight))
    results = in_ranks(
        one, list(zip(x.split(sizes, 1), weight.split(sizes, 1), strict=True))
    )
    assert torch.equal(torch.cat([spikes for spikes, _, _ in results], 1), want)
    close(torch.cat([slope for _, slope, _ in results], 1), gradient)
    for _, _, layer in results:
        for name, buffer in whole.named_buffers():
            close(layer.get_buffer(name), buffer)


@pytest.mark.parametrize(
    ("sizes", "said"), [((0, 0), "no sample came"), ((1, 0), "single")]
)
def test_processes_refuse_together_and_move_nothing(in_ranks, sizes, said):
    x = torch.randn(3, sum(sizes), 4)

    def one(share):
        norm = BNTT(4, 3)
        with pytest.raises(ValueError, match=said):
            norm(share)
        return norm

    for norm in in_ranks(one, list(x.split(sizes, 1))):
        assert not norm.running_mean.any()
        assert (norm.running_var == 1).all()


def test_a_count_beyond_float32_is_kept(in_ranks):
    counts = [2**24 + 1, 2**25 + 3]
    mean, var = torch.ones(1, 1), torch.ones(1, 1)
    for _, _, count in in_ranks(lambda count: merge_moments(mean, var, count), counts):
        assert count == sum(counts)


@pytest.mark.parametrize("kind", [BNTT, SharedBN])
def test_a_group_of_ones_own_keeps_statistics_apart(in_ranks, kind):
    x, size = torch.randn(3, 6, 4, dtype=torch.float64), 3
    stores = [dist.HashStore() for _ in range(size)]

    def one(given):
        rank, share = given
        alone = dist.ProcessGroupGloo(stores[rank], 0, 1, timedelta(seconds=60))
        norms = [kind(4, 3, process_group=alone).double(), kind(4, 3).double()]
        norms[1].process_group = alone
        return [norm(share) for norm in norms], norms[0]

    for share, (outputs, norm) in zip(
        x.chunk(size, 1), in_ranks(one, list(enumerate(x.chunk(size, 1)))), strict=True
    ):
        own = kind(4, 3).double()
        want = own(share)
        assert all(torch.equal(got, want) for got in outputs)
        assert torch.equal(norm.running_mean, own.running_mean)


def test_halves_of_the_processes_may_merge_among_themselves(in_ranks):
    x = torch.randn(3, 8, 4, dtype=torch.float64)
    stores = [dist.HashStore() for _ in range(2)]

    def one(given):
        rank, share = given
        half = dist.ProcessGroupGloo(stores[rank // 2], rank % 2, 2, timedelta(seconds=60))
        norm = BNTT(4, 3, process_group=half).double()
        return norm.running_mean, *learn(norm, share)

    def learn(norm, x):
        x = x.clone().requires_grad_()
        y = norm(x)
        loss = (y * torch.linspace(0, 1, 4)).exp().sum()
        return y, torch.autograd.grad(loss, x)[0]

    results = in_ranks(one, list(enumerate(x.chunk(4, 1))))
    for half, pair in zip(x.chunk(2, 1), (results[:2], results[2:]), strict=True):
        whole = BNTT(4, 3).double()
        outputs, gradients = learn(whole, half)
        close(torch.cat([y for _, y, _ in pair], 1), outputs)
        close(torch.cat([slope for _, _, slope in pair], 1), gradients)
        for running, *_ in pair:
            close(running, whole.running_mean)


def test_outside_its_group_a_process_is_alone(in_ranks):
    mean, var = torch.randn(3, 4), torch.rand(3, 4)
    outside = dist.GroupMember.NON_GROUP_MEMBER
    for got in in_ranks(lambda count: merge_moments(mean, var, count, outside), [7, 9]):
        assert got[0] is mean
        assert got[2] in (7, 9)


@pytest.mark.parametrize("group", [0, "world", True])
def test_refuses_what_is_no_group(in_ranks, group):
    def one(x):
        with pytest.raises(TypeError, match="`process_group` must be a group of torch"):
            BNTT(4, 3, process_group=group)(x)

    in_ranks(one, [torch.randn(3, 2, 4)] * 2)


SETTINGS = {
    "epochs": 1,
    "batch_size": 320,  # four steps
    "num_steps": 2,
    "precision": "float32",
    "optimizer": "sgd",
    "lr": 0.01,
    "schedule": "cosine",
}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    words = ["train", "digits", "--device", "cpu", "--json"]
    words += [w for k, v in SETTINGS.items() for w in ("--set", f"{k}={v}")]
    alone = command.bntt_process(*words, "--out", tmp_path / "one", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    both = subprocess.run(
        [sys.executable, *TORCHRUN, "-m", "bntt", *words, "--out", "two"],
        cwd=tmp_path,
        env=command.ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert both.returncode == 0, both.stderr
    assert "Warning" not in both.stderr
    (answer,) = both.stdout.splitlines()  # one of them talks
    assert json.loads(answer)["status"] == "finished"
    about = json.loads((tmp_path / "two" / "run.json").read_text())
    assert about["processes"] == 2
    one, two = (tensors(tmp_path / run / "last.safetensors") for run in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    steps = [entry["step"] for entry in log(tmp_path / "two") if "loss" in entry]
    assert steps == [1, 2, 3, 4], "each step is logged once"
