"""Which backend computes: chosen by device, overridden aloud, reported on request."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import torch
from torch import Tensor

from ..choices import one_of
from . import cpu, reference
from .cpu import kernels

CPU_DTYPES = {torch.float32, torch.bfloat16, torch.float64}
BACKENDS = ("auto", "reference", "cpu")

# the blocks that this thread, or task, is inside of: each a list, to be found by identity
_blocks: ContextVar[tuple[list[str], ...]] = ContextVar("bntt.backend", default=())


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run the operators inside the block on one backend.

    The environment variable ``BNTT_BACKEND`` does the same for a whole process; the
    context manager wins over it, with ``"auto"`` too. Other threads and tasks choose for
    themselves. A backward pass runs on the backend of its forward pass, wherever it is
    called; a function from ``torch.compile`` asks anew at every call.

    Args:
        name: ``"reference"`` (plain PyTorch, any device), ``"cpu"`` (compiled kernels) or
            ``"auto"`` (the fastest that runs on the tensor's device and type).

    Raises:
        ValueError: If there is no such backend.

    Example:
        >>> with backend("reference"):
        ...     print(backend_report()["override"])
        reference
    """
    one_of("backend", name, BACKENDS)
    block = [name]
    _blocks.set((*_blocks.get(), block))
    try:
        yield
    finally:  # blocks in generators may end in any order: each takes itself away
        _blocks.set(tuple(other for other in _blocks.get() if other is not block))


def backend_report() -> dict[str, str]:
    """What runs on each device, and why: short sentences by device."""
    return {
        "override": wanted(),
        "cpu": _reason("cpu"),
        "cuda": "reference: this version has no GPU kernels",
    }


def wanted() -> str:
    """The backend asked for, by the context manager or else by ``BNTT_BACKEND``."""
    if _blocks.get():
        return _blocks.get()[-1][0]
    name = os.environ.get("BNTT_BACKEND") or "auto"
    one_of("backend in the environment variable BNTT_BACKEND", name, BACKENDS)
    return name


def backend_name(z: Tensor) -> str:
    """The backend that computes on ``z``: ``"reference"`` or ``"cpu"``.

    Raises:
        RuntimeError: If the backend that was asked for cannot.
    """
    name = wanted()
    # tensors without numbers, for shapes alone, take the way that those with numbers take
    fits = z.device.type in ("cpu", "meta") and z.dtype in CPU_DTYPES and kernels.COMPILED
    if name == "cpu" and not kernels.COMPILED:
        raise RuntimeError(
            'backend "cpu" is compiled by Numba, which NUMBA_DISABLE_JIT=1 forbids. Unset '
            'that variable, or use backend "auto" or "reference".'
        )
    if name == "cpu" and not fits:
        raise RuntimeError(
            f'backend "cpu" computes float32, bfloat16 and float64 on the CPU, but the '
            f"tensor is {z.dtype} on {z.device}. Move or convert it, or use "
            f'backend "auto" or "reference".'
        )
    if name == "auto":
        return "cpu" if fits else "reference"
    return name


def backend_module(z: Tensor, asked: str = "") -> ModuleType:
    """The module that computes on ``z``: the one ``asked`` for, or else the one chosen."""
    name = asked or backend_name(z)
    return cpu if name == "cpu" and z.numel() > 0 else reference


def _reason(device: str) -> str:
    if wanted() == "reference":
        return "reference: asked for"
    if not kernels.COMPILED:
        return "reference: NUMBA_DISABLE_JIT is set, so there are no compiled kernels"
    threads = torch.get_num_threads()
    return f"cpu: compiled kernels for float32, bfloat16 and float64, {threads} threads"
