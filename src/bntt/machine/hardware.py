"""What the processor and the GPU can do, and how the program uses them.

The hardware's own flags decide: torch also says that bfloat16 is supported where it is
emulated, and there it is slower than float32.
"""

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path

import torch

FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")
"""Instruction sets on which the speed depends, as Linux calls them."""


@cache
def processor() -> dict[str, str | int | list[str]]:
    """What the system says of the processor.

    Returns:
        ``model``, its name; ``cores``, how many threads it runs at once; ``flags``, those
        of `FLAGS` that it has, which only Linux tells.
    """
    entries = _cpuinfo()
    flags = entries.get("flags", entries.get("Features", "")).split()
    return {
        "model": entries.get("model name", platform.processor() or platform.machine()),
        "cores": os.cpu_count() or 1,
        "flags": [flag for flag in FLAGS if flag in flags],
    }


def bf16_in_hardware(device: torch.device | str = "cpu") -> bool:
    """Whether bfloat16 convolutions run in hardware rather than emulated.

    Args:
        device: A GPU has it from compute capability 8.0 on, a processor with AMX or
            AVX512-BF16.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "mps":  # what its generations do with bfloat16 is not known here
        return False
    flags = processor()["flags"]
    return isinstance(flags, list) and bool({"amx_bf16", "avx512_bf16"} & set(flags))


def precision(wanted: str, device: torch.device | str = "cpu") -> tuple[str, str]:
    """The precision in which a network runs, and why.

    Args:
        wanted: A recipe's ``precision``: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        device: Where it runs.

    Returns:
        ``"float32"`` or ``"bfloat16"``, and the reason as half a sentence.
    """
    if wanted != "auto":
        return wanted, "asked for"
    if bf16_in_hardware(device):
        return "bfloat16", "the processor has bfloat16 in hardware"
    return "float32", "the processor would emulate bfloat16"


def device(wanted: str = "auto") -> torch.device:
    """The device called ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``: CUDA, else the CPU.

    Raises:
        ValueError: If there is no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if wanted == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if there.get(wanted):
        return torch.device(wanted)
    raise ValueError(
        f"No device {wanted!r} here: expected auto, cpu or, where torch finds a GPU, cuda "
        f"or mps."
    )


def _has_mps() -> bool:
    """Whether this is a Mac whose GPU torch can use."""
    return torch.backends.mps.is_available()


def keep_freed_memory() -> None:
    """Let the allocator keep what is freed, where the system's is glibc, in huge pages.

    Layers allocate and free hundreds of megabytes at every step; handed back to the system,
    each page is cleared and mapped again, which costs more than the arithmetic. For
    programs, not for libraries: it holds for the whole process. PyTorch asks for huge pages
    only if it is told so before the first tensor is made.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch's own
    try:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    except OSError:  # a program that is linked statically has no library to ask
        return
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries in ``/proc/cpuinfo``; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # another system, or one that does not tell
        return {}
    first = text.split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
