"""Memory that ran out: what was asked for, what there is, which key to lower."""

import errno
import re

import command
import numpy as np
import pytest
import torch

from bntt.machine import shortage
from bntt.machine.shortage import described, fitting, free_memory, ran_out

trained, run, refusal = command.trained, command.run, command.refusal

CUDA = (
    "CUDA out of memory. Tried to allocate 20.50 GiB. GPU 0 has a total capacity of 79.10 "
    "GiB of which 3.25 GiB is free. Including non-PyTorch memory, this process has ..."
)
WINDOWS = (
    "[enforce fail at alloc_cpu.cpp:115] data. DefaultCPUAllocator: not enough memory: you "
    "tried to allocate 1099511627776 bytes."
)


def raised_by(action):
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("that much memory was there")


@pytest.fixture
def huge():
    return 2**52


def test_what_libraries_raise_is_told_from_all_else(huge):
    errors = [
        raised_by(lambda: torch.empty(huge)),
        raised_by(lambda: torch.empty(2**62, 2**62)),
        raised_by(lambda: np.empty(huge)),
        raised_by(lambda: bytearray(2**62)),
        torch.OutOfMemoryError(CUDA),
        RuntimeError(WINDOWS),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ]
    assert [ran_out(error) for error in errors] == [True] * len(errors)
    others = [RuntimeError("shapes differ"), ValueError("out of memory"), OSError(2, "no")]
    assert not any(map(ran_out, others))


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (RuntimeError(WINDOWS), "1 TiB were asked for, 3 GiB are free"),
        (torch.OutOfMemoryError(CUDA), "20.5 GiB were asked for, 3.25 GiB are free on the"),
        (MemoryError(), "Out of memory: 3 GiB are free. Lower batch_size, num_steps or"),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), "Out of memory. Lower batch_size"),
    ],
)
def test_what_was_asked_for_and_what_there_is(monkeypatch, error, facts):
    monkeypatch.setattr(shortage, "free_memory", lambda: 3 * 2**30)
    assert facts in described(error)


def test_torch_and_numpy_say_how_much(huge):
    for make in (torch.empty, np.empty):
        said = described(raised_by(lambda make=make: make(huge)))
        assert re.search(r": (16|32) PiB were asked for, [\d.]+ [KMGT]iB are free\.", said)


def test_it_is_described_once():
    with (
        pytest.raises(
            MemoryError, match=r"^Out of memory: .*free\. Take less\.$"
        ) as caught,
        fitting("Take more"),
        fitting("Take less"),
    ):
        raise MemoryError
    assert described(caught.value) == str(caught.value)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="^shapes differ$"), fitting("Take less"):
        raise RuntimeError("shapes differ")


def test_the_least_of_all_limits_counts(monkeypatch):
    for name, size in (("machine", 50), ("group", None), ("limit", 7)):
        monkeypatch.setattr(
            shortage,
            f"_free_{'in' if name != 'machine' else 'on'}_{name}",
            lambda size=size: size,
        )
    assert free_memory() == 7


def test_free_memory_is_told_here():
    free = free_memory()
    assert free is None or 0 <= free < 2**50


def test_a_network_that_cannot_fit_names_the_keys(refusal, tmp_path, monkeypatch, huge):
    monkeypatch.setattr("bntt.networks.vgg.VGG.draw_weights", lambda _: torch.empty(huge))
    line = refusal("train", "digits", "--out", tmp_path / "run")
    assert line.startswith("bntt: Out of memory: ")
    assert "were asked for" in line
    assert "free" in line
    assert "batch_size" in line
    assert "num_steps" in line
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_fit(refusal, run, monkeypatch):
    def too_large(*_, **__):
        torch.empty(2**52)

    monkeypatch.setattr("bntt.analysis.accuracy.count_correct", too_large)
    line = refusal("evaluate", run)
    assert line.startswith("bntt: Out of memory: 16 PiB were asked for")
    assert "--num-steps" in line
