"""How it is measured: seconds of a pass, peak of resident memory."""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from .job import Job

WARM_UP = 3
"""Passes after which the allocator has all the memory that it will ever need."""


def passes(job: Job, network) -> dict[str, Callable[[], None]]:
    """What can be timed of an implementation: ``inference`` and ``training``."""
    images, labels = job.images(), job.labels()

    def inference() -> None:
        network.train(False)
        with torch.inference_mode(), job.autocast():
            network(images)

    def training() -> None:
        network.train(True)
        with job.autocast():
            loss = F.cross_entropy(network(images).to(job.wide), labels)
        loss.backward()
        for weight in network.net.parameters():
            weight.grad = None

    return {"inference": inference, "training": training}


def seconds(one_pass: Callable[[], None], at_least: float) -> tuple[list[float], float]:
    """Time passes, after some that warm up, until they have taken long enough.

    Args:
        one_pass: What is timed.
        at_least: Seconds that all passes together take; even with 0 there is one pass.

    Returns:
        The seconds of every pass, and the share of the machine's processors, in [0, 1],
        that other processes took meanwhile. Where that is not near 0, the seconds are not
        this implementation's.
    """
    for _ in range(WARM_UP):
        one_pass()
    samples: list[float] = []
    busy, own = busy_seconds(), time.process_time()
    while not samples or sum(samples) < at_least:
        start = time.perf_counter()
        one_pass()
        samples.append(time.perf_counter() - start)
    others = busy_seconds() - busy - (time.process_time() - own)
    return samples, max(0.0, others / (sum(samples) * (os.cpu_count() or 1)))


def busy_seconds() -> float:
    """Processor time that the whole machine has spent so far; 0 where it is not told."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq = path.read_text(
        encoding="ascii"
    ).split()[1:8]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, in huge pages: the same for every implementation."""
    if sys.platform != "linux":
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def peak_bytes() -> int:
    """The largest resident memory of this process so far.

    Raises:
        RuntimeError: If the system does not say.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        raise RuntimeError(
            "Peak memory is read from /proc/self/status, which this system does not have. "
            "Measure memory on Linux."
        )
    lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    line = next(x for x in lines if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
