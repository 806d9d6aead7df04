"""Who computes, when, and where a compiled kernel is kept."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import bntt
from bntt.ops import affine_lif, cpu, moments
from bntt.ops.cpu import threads

SHAPE = (2, 2600, 33)  # more than five blocks


def run(program, **environment):
    """A Python program in a process of its own; what it prints."""
    path = str(Path(bntt.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def step(z):
    z = z.clone().requires_grad_()
    through, mean, var = moments(z)
    a = torch.rsqrt(var + 1e-4)
    spikes, v = affine_lif(through, a, -mean * a, leak=0.9)
    (spikes.sum() + v.sum()).backward()
    return spikes, v, z.grad


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("blocks", [0, 1, 2, 7])
def test_blocks_are_shared_by_as_many_threads_as_torch_uses(count, blocks):
    spans = []
    torch.set_num_threads(count)
    threads.run_blocks(lambda *span: spans.append(span), blocks)
    assert len(spans) == max(1, min(count, blocks))
    assert sorted(k for span in spans for k in range(*span)) == list(range(blocks))


def test_blocks_run_at_the_same_time():
    torch.set_num_threads(3)
    meeting = threading.Barrier(3, timeout=20)  # breaks if one waits for another to end
    threads.run_blocks(lambda first, last: meeting.wait(), 3)


def test_what_fails_in_a_thread_fails_in_the_caller():
    torch.set_num_threads(2)

    def kernel(first, last):
        if first:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads.run_blocks(kernel, 2)


def test_the_shape_alone_decides_the_blocks():
    blocks = cpu._blocks(2600, 33)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert cpu._blocks(2600, 33) == blocks
    assert cpu._blocks(10, 100_000) == 10  # never less than an element
    assert cpu._blocks(0, 5) == 0


def test_two_callers_at_once_get_what_one_gets():
    torch.set_num_threads(2)
    inputs = [torch.randn(SHAPE) for _ in range(4)]
    alone = [step(z) for z in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(step, inputs * 3))
    for got, want in zip(together, alone * 3, strict=True):
        assert all(map(torch.equal, got, want))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_on():
    program = f"""
import os, signal, warnings
import torch
from bntt.ops import moments
warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is the point
torch.set_num_threads(2)
z = torch.arange({SHAPE[0] * SHAPE[1] * SHAPE[2]}.0).reshape{SHAPE} % 7
_, mean, var = moments(z)
child = os.fork()
if child == 0:
    signal.alarm(60)
    _, again, _ = moments(z)
    os._exit(0 if torch.equal(again, mean) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(program).strip() == "0"


def test_kernels_are_compiled_where_nothing_can_be_written(tmp_path):
    package = tmp_path / "installed" / "bntt"
    source = Path(bntt.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    # a file in the place of each folder that numba might write to: root may write anywhere
    for place in (package / "ops" / "cpu" / "__pycache__", tmp_path / "home"):
        place.touch()
    program = """
import torch, bntt
from bntt.ops import moments
print(bntt.__file__, *moments(torch.tensor([[[1.0], [3.0]]]))[1:])
"""
    nowhere = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME")}
    out = run(program, PYTHONPATH=str(package.parent), NUMBA_CACHE_DIR="", **nowhere)
    assert out.split() == [str(package / "__init__.py"), "tensor([[2.]])", "tensor([[1.]])"]


def test_kernels_are_kept_on_disk(tmp_path):
    program = """
import torch
from bntt.ops import moments
from bntt.ops.cpu import kernels
moments(torch.zeros(1, 2, 1))
print(sum(kernels.block_moments.stats.cache_hits.values()))
"""
    hits = [run(program, NUMBA_CACHE_DIR=str(tmp_path)).strip() for _ in range(2)]
    assert hits == ["0", "1"]


def test_kernels_run_after_the_main_thread_has_ended():
    program = f"""
import threading, time
import torch
from bntt.ops import moments
torch.set_num_threads(2)
z = torch.arange({SHAPE[0] * SHAPE[1] * SHAPE[2]}.0).reshape{SHAPE} % 7
_, want, _ = moments(z)

def later():
    threading.main_thread().join()
    torch.set_num_threads(2)
    print(torch.equal(moments(z)[1], want), flush=True)

threading.Thread(target=later).start()
"""
    assert run(program).strip() == "True"


def test_where_the_system_gives_no_more_threads_the_caller_does_it_all(monkeypatch):
    torch.set_num_threads(3)
    spans = []

    def refuse(threads):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", refuse)
    threads.run_blocks(lambda *span: spans.append(span), 7)
    assert spans == [(0, 2), (2, 4), (4, 7)]


def test_a_busy_pool_keeps_nobody_waiting_and_nothing_is_done_twice():
    torch.set_num_threads(2)
    hold = threading.Event()
    busy = [threads._pool(2).submit(hold.wait, 20) for _ in range(2)]
    spans = []
    threads.run_blocks(lambda *span: spans.append(span), 5)  # would wait for ever
    assert spans == [(0, 2), (2, 5)]
    hold.set()
    assert all(future.result() for future in busy)
    assert len(spans) == 2


def test_an_error_in_the_caller_waits_for_its_helpers():
    torch.set_num_threads(2)
    begun, ended = threading.Event(), []

    def kernel(first, last):
        if threading.current_thread() is caller:
            assert begun.wait(20)
            raise ZeroDivisionError
        begun.set()
        time.sleep(0.1)
        ended.append(first)

    caller = threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        threads.run_blocks(kernel, 2)
    assert len(ended) == 1


def test_systems_without_fork_import_the_package():
    program = """
import os, torch, numpy, numba, safetensors.torch, jaxtyping
for name in ("fork", "register_at_fork"):
    if hasattr(os, name):
        delattr(os, name)
import bntt
print(bntt.ops.moments(torch.tensor([[[1.0], [3.0]]]))[1].item())
"""
    assert run(program).strip() == "2.0"


def test_the_first_spike_does_not_import_the_compiler():
    program = """
import sys, torch, bntt
z = torch.randn(2, 3, 4, requires_grad=True)
z2, mean, var = bntt.ops.moments(z)
bntt.ops.affine_lif(z2, mean, var, leak=0.9)[0].sum().backward()
print("torch._dynamo" in sys.modules, z.grad.shape)
"""
    assert run(program).strip() == "False torch.Size([2, 3, 4])"
