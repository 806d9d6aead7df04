"""The operators on a GPU, in Triton; this file only tells where they can run.

Triton belongs to PyTorch's builds for GPUs and may be missing. So it is imported when
currents on a GPU ask for it for the first time, and never by ``import bntt``.
"""

import os
from functools import cache

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""What the kernels read and write; they calculate in float32."""

OLDEST_TRITON = (3, 3)
"""The first that compiles the kernels."""

CAPABILITY = (8, 0)
"""The oldest NVIDIA architecture that Triton supports and that knows bfloat16."""


def refusal(z: Tensor) -> str | None:
    """Why the kernels cannot run on ``z``, as a clause; None if they can."""
    if z.dtype not in DTYPES:
        return f"its kernels take float32, bfloat16 and float16, not {z.dtype}"
    if interpreted() and z.dtype == torch.bfloat16:
        return "Triton's interpreter (TRITON_INTERPRET=1) rounds bfloat16 as no GPU does"
    return device_refusal(z.device)


def device_refusal(device: torch.device) -> str | None:
    """Why the kernels cannot run on a device, as a clause; None if they can."""
    if device.type == "meta":  # shapes alone take the way that numbers would take
        return None
    if device.type != "cuda" and not (interpreted() and device.type == "cpu"):
        return f"its kernels run on CUDA devices, and the tensor is on {device}"
    return triton_fault() or (_too_old(device) if device.type == "cuda" else None)


def interpreted() -> bool:
    """Whether Triton interprets the kernels, on any device: slow, and made for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def triton_fault() -> str | None:
    """Why Triton cannot be had here, as a clause; None if it can."""
    try:
        import triton
    except ImportError as error:
        return f"Triton cannot be imported ({error}; `pip install triton` on Linux)"
    if tuple(map(int, triton.__version__.split(".")[:2])) < OLDEST_TRITON:
        return (
            f"Triton {triton.__version__} is too old: the kernels need 3.3, or PyTorch 2.7"
        )
    return None


@cache
def _too_old(device: torch.device) -> str | None:
    if torch.version.hip:  # AMD numbers its architectures otherwise; Triton will say
        return None
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) >= CAPABILITY:
        return None
    return (
        f"{torch.cuda.get_device_name(device)} has compute capability {major}.{minor}, and "
        f"Triton's kernels need {CAPABILITY[0]}.{CAPABILITY[1]}"
    )
