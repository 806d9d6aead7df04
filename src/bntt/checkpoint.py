"""Checkpoints: safetensors with the network's description in the header; never pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from .architectures import build
from .files import replacing
from .network import Network

FORMAT = 1
"""Raised when a file of today could no longer be read as it was meant."""


def save(
    path: str | Path,
    net: Network,
    extra: Mapping[str, Tensor] | None = None,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a network, atomically: a reader finds the old file or the new one, whole.

    Args:
        path: Ends in ``.safetensors`` by custom.
        net: Its weights, running statistics and configuration are kept.
        extra: Further tensors, such as an optimiser's, under names that contain ``/``.
        info: Further plain values.

    Raises:
        OSError: If the folder cannot be written or the disk is full.
    """
    tensors = {**net.state_dict(), **(extra or {})}
    tensors = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    header = {"format": FORMAT, "config": net.config, "info": dict(info or {})}
    # as bytes: safetensors' own file would be readable by its owner only
    content = serialize(tensors, metadata={"bntt": json.dumps(header)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | Path) -> Network:
    """The network that :func:`save` wrote, on the CPU and in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of this library, or incomplete.
    """
    return read(path)[0]


def read(path: str | Path) -> tuple[Network, dict[str, Tensor], dict[str, Any]]:
    """The network, the extra tensors and the extra values of a checkpoint."""
    tensors, header = _read(Path(path))
    net = build(**header["config"])
    names = set(net.state_dict())
    extra = {name: value for name, value in tensors.items() if "/" in name}
    weights = {name: value for name, value in tensors.items() if "/" not in name}
    if set(weights) != names:
        odd = sorted(set(weights) ^ names)[:3]
        raise ValueError(
            f"{path} does not hold the tensors of the {header['config']['arch']} that it "
            f"describes: {', '.join(odd)}. It was changed or cut; take another checkpoint."
        )
    net.to(weights["output.weight"].dtype)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} holds tensors of the wrong shape: {error}") from error
    return net.eval(), extra, header["info"]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no checkpoint {path}. A run folder holds best.safetensors and "
            f"last.safetensors once its first epoch is over."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}). It may be cut short or "
            f"of another format; checkpoints of the authors' code go through "
            f"bntt.load_reference."
        ) from error
    if "bntt" not in metadata:
        raise ValueError(
            f"{path} is a safetensors file, but not one that bntt wrote: its header "
            f"describes no network."
        )
    header = json.loads(metadata["bntt"])
    if header["format"] > FORMAT:
        raise ValueError(
            f"{path} was written by a newer bntt (format {header['format']}, this one "
            f"reads up to {FORMAT}). Take a newer clone of bntt."
        )
    return tensors, header


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None if all are numbers."""
    for name, value in tensors.items():
        if value.is_floating_point() and not _finite(value.detach()):
            return name
    return None


def _finite(value: Tensor) -> bool:
    """Whether all is finite. A sum shows it in one pass, but can itself grow too large."""
    return bool(value.sum(dtype=torch.float32).isfinite() or value.isfinite().all())


def to_device(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy of ``tensor`` with the device, type and memory layout of ``like``."""
    return torch.empty_like(like).copy_(tensor)
