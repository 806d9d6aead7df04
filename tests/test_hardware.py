"""What the processor says of itself, and what follows from it."""

# pyright: reportOperatorIssue=false
import os
import sys

import pytest
import torch

from bntt.machine import hardware

CPUINFO = """processor\t: 0
model name\t: Some Processor @ 2.00GHz
flags\t\t: fpu sse2 avx2 avx512f {extra}
bogomips\t: 4000.00

processor\t: 1
model name\t: Another
"""


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Pretend that the system describes its processor in this text."""

    def pretend(text):
        path = tmp_path / "cpuinfo"
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(hardware, "Path", lambda name: path)
        hardware.processor.cache_clear()

    yield pretend
    hardware.processor.cache_clear()


def test_reads_the_first_processor(cpuinfo):
    cpuinfo(CPUINFO.format(extra="amx_bf16 avx512_vnni"))
    report = hardware.processor()
    assert report["model"] == "Some Processor @ 2.00GHz"
    assert report["flags"] == ["amx_bf16", "avx512_vnni", "avx512f", "avx2"]
    assert report["cores"] >= 1


@pytest.mark.parametrize(
    ("extra", "precision", "why"),
    [
        ("amx_bf16", "bfloat16", "has bfloat16 in hardware"),
        ("avx512_bf16", "bfloat16", "has bfloat16 in hardware"),
        ("avx512_vnni amx_int8", "float32", "would emulate bfloat16"),
        ("", "float32", "would emulate bfloat16"),
    ],
)
def test_precision_follows_the_processor_and_says_why(cpuinfo, extra, precision, why):
    cpuinfo(CPUINFO.format(extra=extra))
    chosen, reason = hardware.precision("auto")
    assert chosen == precision
    assert why in reason
    assert hardware.bf16_in_hardware() == (precision == "bfloat16")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_may_be_asked_for(cpuinfo, precision):
    cpuinfo("")
    assert hardware.precision(precision) == (precision, "asked for")


def test_a_system_that_says_nothing_has_no_flags(cpuinfo):
    cpuinfo(None)
    assert hardware.processor()["flags"] == []
    assert hardware.processor()["model"]
    assert not hardware.bf16_in_hardware("cpu")


def test_a_description_that_cannot_be_read_or_is_no_text_tells_nothing(cpuinfo, tmp_path):
    cpuinfo("")
    (tmp_path / "cpuinfo").write_bytes(b"model name\t: \xe9\xff\nflags\t: avx2\n")
    hardware.processor.cache_clear()
    assert hardware.processor()["flags"] == ["avx2"]
    (tmp_path / "cpuinfo").unlink()
    (tmp_path / "cpuinfo").mkdir()
    hardware.processor.cache_clear()
    assert hardware.processor()["flags"] == []


def test_a_gpu_is_asked_for_its_generation(monkeypatch):
    for capability, has in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device, is_=capability: is_
        )
        assert hardware.bf16_in_hardware("cuda") == has


def test_devices_go_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.device("auto") == hardware.device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="No device 'cuda' here: expected auto, cpu or"):
        hardware.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.device("auto") == hardware.device("cuda") == torch.device("cuda")
    with pytest.raises(ValueError, match="No device 'tpu' here"):
        hardware.device("tpu")


def test_the_gpu_of_a_mac_is_taken_where_it_is_and_never_by_itself(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for there in (False, True):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=there: there)
        assert hardware.device("auto") == torch.device("cpu")
        if there:
            assert hardware.device("mps") == torch.device("mps")
            assert hardware.precision("auto", "mps")[0] == "float32"
        else:
            with pytest.raises(ValueError, match="No device 'mps' here.*cuda or mps"):
                hardware.device("mps")


class Libc:
    def __init__(self):
        self.calls = []

    def mallopt(self, name, value):
        self.calls.append((name, value))


def test_freed_memory_is_kept_where_the_allocator_can(monkeypatch):
    libc = Libc()
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "")  # to be put back as it was
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr(sys, "platform", "linux")
    hardware.keep_freed_memory()
    assert libc.calls == [(-4, 0), (-1, 2**31 - 1)]
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: object())  # musl has none
    hardware.keep_freed_memory()

    def linked_statically(name):
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr(hardware.ctypes, "CDLL", linked_statically)
    hardware.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(hardware.ctypes, "CDLL", None)
    hardware.keep_freed_memory()
