"""Which provider computes: chosen by device, overridden aloud, reported on request."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor

from . import cpu, reference

CPU_DTYPES = {torch.float32, torch.bfloat16, torch.float64}
BACKENDS = ("auto", "reference", "cpu")
_override = ["auto"]


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run the operators inside the block on one provider.

    The environment variable ``BNTT_BACKEND`` does the same for a whole process; the
    context manager wins over it.

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
    _known(name, "backend")
    before, _override[0] = _override[0], name
    try:
        yield
    finally:
        _override[0] = before


def backend_report() -> dict[str, str]:
    """What runs on each device, and why: short sentences by device."""
    return {
        "override": wanted(),
        "cpu": _reason("cpu"),
        "cuda": "reference: this version has no GPU kernels",
    }


def wanted() -> str:
    """The backend asked for, by the context manager or else by ``BNTT_BACKEND``."""
    if _override[0] != "auto":
        return _override[0]
    name = os.environ.get("BNTT_BACKEND", "auto")
    _known(name, "backend in the environment variable BNTT_BACKEND")
    return name


def provider_name(z: Tensor) -> str:
    """The provider that computes on ``z``: ``"reference"`` or ``"cpu"``.

    Raises:
        RuntimeError: If the backend that was asked for cannot.
    """
    name = wanted()
    fits = z.device.type == "cpu" and z.dtype in CPU_DTYPES
    if name == "cpu" and not fits:
        raise RuntimeError(
            f'backend "cpu" computes float32, bfloat16 and float64 on the CPU, but the '
            f"tensor is {z.dtype} on {z.device}. Move or convert it, or use "
            f'backend "auto" or "reference".'
        )
    if name == "auto":
        return "cpu" if fits else "reference"
    return name


def provider(z: Tensor) -> ModuleType:
    """The module that computes on ``z``."""
    return cpu if provider_name(z) == "cpu" else reference


def _reason(device: str) -> str:
    if wanted() == "reference":
        return "reference: asked for"
    threads = torch.get_num_threads()
    return f"cpu: compiled kernels for float32, bfloat16 and float64, {threads} threads"


def _known(name: str, what: str) -> None:
    if name not in BACKENDS:
        raise ValueError(f"Unknown {what} {name!r}. Known: {', '.join(BACKENDS)}.")
