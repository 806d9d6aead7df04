"""Which backend computes: chosen by device and type, or by name, and told on request."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import torch
from torch import Tensor

from ..choices import one_of
from . import cpu, gpu, reference
from .cpu import kernels

CPU_DTYPES = {torch.float32, torch.bfloat16, torch.float64}
BACKENDS = ("auto", "reference", "cpu", "gpu")

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
        name: ``"reference"`` (plain PyTorch, any device), ``"cpu"`` (compiled kernels),
            ``"gpu"`` (Triton kernels) or ``"auto"`` (the fastest that runs on the tensor's
            device and type).

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
    """What runs on each device, and why: a short sentence by the name of the device.

    The key ``"override"`` holds the backend that was asked for.
    """
    return {
        "override": wanted(),
        "cpu": _reason("cpu"),
        "cuda": _cuda(),
        "mps": "reference: there are no kernels for Apple's GPUs",
    }


def wanted() -> str:
    """The backend asked for, by the context manager or else by ``BNTT_BACKEND``."""
    if _blocks.get():
        return _blocks.get()[-1][0]
    name = os.environ.get("BNTT_BACKEND") or "auto"
    one_of("backend in the environment variable BNTT_BACKEND", name, BACKENDS)
    return name


def backend_name(z: Tensor) -> str:
    """The backend that computes on ``z``: ``"reference"``, ``"cpu"`` or ``"gpu"``.

    Raises:
        RuntimeError: If the backend that was asked for cannot.
    """
    name = wanted()
    if name == "auto":
        fastest = "gpu" if z.device.type == "cuda" else "cpu"
        return "reference" if _refusal(fastest, z) else fastest
    if why := _refusal(name, z):
        raise RuntimeError(f'backend "{name}" {why} use backend "auto" or "reference".')
    return name


def backend_module(z: Tensor, asked: str = "") -> ModuleType:
    """The module that computes on ``z``: the one ``asked`` for, or else the one chosen."""
    name = asked or backend_name(z)
    if name == "reference" or z.numel() == 0:
        return reference
    if name == "cpu":
        return cpu
    from .gpu import operators  # imports Triton, which may be missing and takes a second

    return operators


def _refusal(name: str, z: Tensor) -> str | None:
    """Why a backend cannot compute on ``z``, and what to do or else; None if it can."""
    if name == "reference":
        return None
    if name == "gpu":
        why = gpu.refusal(z)
        return why and f"cannot compute this: {why}. Move or convert the tensor, or"
    if not kernels.COMPILED:
        return "is Numba's, which NUMBA_DISABLE_JIT=1 forbids. Unset that variable, or"
    # tensors without numbers, for shapes alone, take the way that those with numbers take
    if z.device.type in ("cpu", "meta") and z.dtype in CPU_DTYPES:
        return None
    return (
        f"computes float32, bfloat16 and float64 on the CPU, but the tensor is {z.dtype} "
        f"on {z.device}. Move or convert it, or"
    )


def _reason(device: str) -> str:
    if wanted() == "reference":
        return "reference: asked for"
    if not kernels.COMPILED:
        return "reference: NUMBA_DISABLE_JIT is set, so there are no compiled kernels"
    threads = torch.get_num_threads()
    return f"cpu: compiled kernels for float32, bfloat16 and float64, {threads} threads"


def _cuda() -> str:
    if wanted() == "reference":
        return "reference: asked for"
    if not torch.cuda.is_available():
        return "reference: torch finds no CUDA device"
    device = torch.device("cuda", torch.cuda.current_device())
    if why := gpu.device_refusal(device):
        return f"reference: {why}"
    untested = ", untested on ROCm" if torch.version.hip else ""
    name = torch.cuda.get_device_name(device)
    return f"gpu: Triton kernels for float32, bfloat16 and float16 on {name}{untested}"
