"""Speed and memory beside baselines: an eager loop, SpikingJelly, convolutions only.

Every number comes from a fresh process that runs alone; implementations take turns, and are
compared before they are timed. SpikingJelly is measured if the Python of an environment
that holds it is given, since its declared dependencies would replace torch in ours::

    python -m venv baselines
    baselines/bin/pip install torch==2.13.0 numpy tqdm loguru packaging
    baselines/bin/pip install --no-deps spikingjelly==2.0.0
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..choices import one_of
from ..machine import strict_json
from ..machine.files import replacing
from ..machine.hardware import processor
from ..networks.vgg import VGG
from ..runs.provenance import commit
from .implementations.versions import versions
from .memory import run_memory
from .plan import Setting
from .scaling import run_scaling
from .speed import run_speed
from .tables import profile_table, table

__all__ = ["profile_table", "run", "table"]

WHAT: dict[str, Callable[..., dict[str, Any]]] = {
    "speed": run_speed,
    "memory": run_memory,
    "scaling": run_scaling,
}
ALLOCATORS = ("keep", "system")


def run(
    what: str,
    *,
    batch_size: int = 32,
    num_steps: int = 25,
    arch: str = "vgg9",
    image_size: int = 32,
    repeats: int = 5,
    baseline_python: Path | None = None,
    out: Path | None = None,
    quick: bool = False,
    allocator: str = "keep",
    console: Any = None,
) -> dict[str, Any]:
    """Measure speed, memory or scaling, and say what the numbers were measured on.

    Args:
        what: ``"speed"`` (training and inference, in images per second), ``"memory"``
            (bytes per neuron and step in training) or ``"scaling"`` (seconds over ``T`` and
            over the batch size).
        batch_size: Images per pass; for memory the largest of four batch sizes.
        num_steps: ``T``. Scaling chooses its own sizes.
        arch: Name of the network.
        image_size: Side in pixels.
        repeats: Rounds; medians are over them.
        baseline_python: Python of the environment that holds SpikingJelly.
        out: File for the result as JSON, raw samples included.
        quick: Tiny sizes and one round, to see that everything runs; numbers mean nothing.
        allocator: ``"keep"`` lets every implementation keep the memory it frees (much
            faster, and what this package's programs do); ``"system"`` leaves glibc as it
            is.
        console: Where progress is printed: anything with ``print``.

    Returns:
        The result, for :func:`table`: plain values, also the machine's, the versions' and
        the commit's, and how busy the machine was before.

    Raises:
        ValueError: If a value is out of range.
        FileNotFoundError: If there is no such Python.
        OSError: If ``out`` cannot be written.
        RuntimeError: If implementations disagree, or a measurement fails.
    """
    if quick:
        batch_size, num_steps, image_size, repeats = 4, 3, 8, 1
    _check(what, batch_size, repeats, allocator, baseline_python)
    VGG(arch, num_classes=10, num_steps=num_steps, leak=0.95, image_size=image_size)
    setting = Setting(
        arch=arch,
        num_steps=num_steps,
        batch_size=batch_size,
        image_size=image_size,
        repeats=repeats,
        baseline_python=baseline_python,
        quick=quick,
        allocator=allocator if what != "memory" else "system",
    )
    if out is not None:  # found out now rather than after an hour
        out.parent.mkdir(parents=True, exist_ok=True)
        out.open("ab").close()
    say = console.print if console is not None else (lambda *_: None)
    result = {"what": what, **_about(setting)}
    result |= WHAT[what](setting, say)
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(
                strict_json.dumps(result, indent=1) + "\n", encoding="utf-8"
            )
    return result


def _about(setting: Setting) -> dict[str, Any]:
    """What the numbers are measured on."""
    chosen = asdict(setting)
    # where a baseline is installed says nothing about the numbers
    del chosen["baseline_python"]
    return {
        "setting": chosen,
        "machine": processor(),
        "versions": versions(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }


def _check(
    what: str, batch_size: int, repeats: int, allocator: str, baseline_python: Path | None
) -> None:
    for name, value, known in (("what", what, WHAT), ("allocator", allocator, ALLOCATORS)):
        one_of(f"`{name}`", value, known)
    for name, value, least in (("batch_size", batch_size, 2), ("repeats", repeats, 1)):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value}.")
    if baseline_python is not None and not baseline_python.is_file():
        raise FileNotFoundError(
            f"There is no Python at {baseline_python}. Give the `bin/python` of the "
            f"environment that SpikingJelly is installed in, or leave it out."
        )
