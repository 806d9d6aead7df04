"""What the speed of training on a device is made of: operators, whole steps, a profile.

For ``gpu_measure.py``. Times are medians of milliseconds, on a GPU by its own clock.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F

from bntt import Triangle, backend
from bntt.benchmark.implementations.__main__ import make
from bntt.benchmark.implementations.convolutions_only import Layers
from bntt.benchmark.implementations.job import PRECISIONS, Job
from bntt.networks.vgg import PLANS
from bntt.ops.arguments import on_trust
from bntt.ops.backends import backend_module

WARM_UP = 3
OPERATORS = ("moments", "forward", "backward", "moments_backward")
NEURON = {
    "leak": 0.95,
    "v_threshold": 1.0,
    "reset": "soft",
    "detach_reset": True,
    "surrogate": Triangle(),
}


def job(tiny: bool, num_steps: int, precision: str) -> Job:
    """VGG9 on a batch of 256, or a network so small that anything can run it."""
    arch, batch_size, image_size = ("vgg5", 4, 8) if tiny else ("vgg9", 256, 32)
    plan = PLANS[arch]
    return Job(
        implementation="bntt",
        arch=arch,
        convs=plan.convs,
        hidden=plan.hidden,
        global_pool=plan.global_pool,
        num_steps=num_steps,
        precision=precision,
        batch_size=batch_size,
        image_size=image_size,
    )


def milliseconds(run: Callable[[], object], device: str, seconds: float) -> float:
    """The median over as many calls as fit into the time, after some that warm up."""
    for _ in range(WARM_UP):
        run()
    samples: list[float] = []
    start = time.perf_counter()
    while not samples or time.perf_counter() - start < seconds:
        samples.append(_timed(run, device))
    return median(samples)


def _timed(run: Callable[[], object], device: str) -> float:
    if device != "cuda":
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last)


def bytes_moved(name: str, T: int, itemsize: int) -> float:
    """Bytes that an operator must move per neuron and step, its sums left out."""
    again = (T - 8) / T if T > 8 else 0  # the first pass over all but the last segment
    heads = 8 * max(0, T // 8 - 1) / T
    return {
        "moments": itemsize,
        "forward": 2 * itemsize,
        "backward": (3 + again) * itemsize + heads,
        "moments_backward": 3 * itemsize,
    }[name]


def operators(
    name: str, shape: tuple[int, int, int], precision: str, device: str, seconds: float
) -> dict[str, Any]:
    """Each operator of one backend on currents of one shape."""
    (T, _, C), dtype = shape, PRECISIONS[precision]
    z, ds = (torch.randn(shape, device=device, dtype=dtype) for _ in range(2))
    a, b = torch.ones(T, C, device=device), torch.zeros(T, C, device=device)
    with backend(name):
        module = backend_module(z)
    calls = {
        "moments": lambda: module.moments(z),
        "forward": lambda: module.affine_lif_forward(
            z, a, b, None, keep_state=False, **NEURON
        ),
        "backward": lambda: module.affine_lif_backward(z, a, b, None, ds, None, **NEURON),
        "moments_backward": lambda: module.moments_backward(z, ds, b, a, a),
    }
    row: dict[str, Any] = {"backend": module.__name__.split(".")[2], "precision": precision}
    row["shape"] = list(shape)
    for operator in OPERATORS:
        taken = milliseconds(calls[operator], device, seconds)
        moved = bytes_moved(operator, T, z.element_size()) * z.numel()
        row[operator] = {"ms": round(taken, 4), "GB_per_s": round(moved / taken / 1e6, 1)}
    return row


def training_step(
    implementation: str, case: Job, device: str
) -> tuple[Callable[[], object], torch.nn.Module | None]:
    """Forward, loss and backward of an implementation, and its network."""
    with torch.device(device):
        if implementation == "convolutions_only":
            return Layers(case).training, None
        network = make(replace(case, implementation=implementation))
        size = case.image_size
        images = torch.randn(case.batch_size, case.in_channels, size, size)
        images = images.contiguous(memory_format=case.memory_format)
        labels = torch.arange(case.batch_size) % case.num_classes
    network.train(True)
    narrow = torch.autocast(device, torch.bfloat16, enabled=case.precision == "bfloat16")

    def step() -> None:
        # new tensors, such as a membrane at rest, belong where the images are
        with torch.device(device), narrow, on_trust():
            value = F.cross_entropy(network(images).float(), labels)
        value.backward()
        for parameter in network.net.parameters():
            parameter.grad = None

    return step, network.net


def network(
    implementation: str, case: Job, device: str, seconds: float, name: str = "auto"
) -> dict[str, Any]:
    """A training step of one implementation: time, images a second, memory."""
    with backend(name) if implementation == "bntt" else nullcontext():
        step, _ = training_step(implementation, case, device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        taken = milliseconds(step, device, seconds)
    row = {
        "implementation": implementation,
        "backend": name,
        "precision": case.precision,
        "num_steps": case.num_steps,
        "ms": round(taken, 3),
        "images_per_s": round(1000 * case.batch_size / taken, 1),
    }
    if device == "cuda":
        row["peak_GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return row


def profile(case: Job, device: str, lines: int = 30) -> str:
    """The table of what one training step goes to, dearest first."""
    step, _ = training_step("bntt", case, device)
    for _ in range(WARM_UP):
        step()
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as seen:
        step()
        if device == "cuda":
            torch.cuda.synchronize()
    order = "device_time_total" if device == "cuda" else "cpu_time_total"
    return seen.key_averages().table(sort_by=order, row_limit=lines)
