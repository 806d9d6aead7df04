"""Checkpoints: safetensors with the network's description in the header, without pickle.

docs/checkpoints.md describes the format, and how other programs read it.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from ..machine.files import replacing
from . import build, header
from .config import LAYER_KEYS, NetworkConfig
from .network import Network
from .twin import first_difference, same_kind


def write(
    path: str | Path,
    net: Network,
    extra: Mapping[str, Tensor] | None = None,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a network and what training needs besides; the file is replaced at once.

    Args:
        path: Ends in ``.safetensors`` by custom.
        net: The network, whose weights, running statistics and description are written.
        extra: Further tensors, such as an optimiser's, under names that contain ``/``.
        info: Further plain values, as JSON can hold them.

    Raises:
        ValueError: If the network is none that a description has words for, so that
            loading would give another one; or if a tensor holds NaN or infinity. A file
            that was there stays.
        OSError: If the folder cannot be written or the disk is full.
    """
    config = described(net)
    tensors = {**net.state_dict(), **(extra or {})}
    tensors = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    if (name := first_nonfinite(tensors)) is not None:
        raise ValueError(
            f"{name} holds NaN or infinity, so the network was not saved to {path}: "
            f"training has diverged. Go back to an earlier checkpoint, and lower the "
            f"learning rate."
        )
    # as bytes: safetensors' own file would be readable by its owner only
    content = serialize(tensors, metadata={"bntt": header.written(config, info or {})})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def save(net: Network, path: str | Path) -> None:
    """Write a network into a file that :func:`bntt.load` reads.

    Written are its weights, its running statistics, and a description of everything else
    (docs/checkpoints.md), read from the layers as they are now. The file is replaced at
    once, or not at all.

    Args:
        net: The network; on any device, of any floating-point type.
        path: Ends in ``.safetensors`` by custom.

    Raises:
        ValueError: If the network is none that a description has words for, so that
            loading would give another one; or if a tensor holds NaN or infinity.
        OSError: If the folder cannot be written or the disk is full.
    """
    write(path, net)


def described(net: Network) -> NetworkConfig:
    """The description of a network, after a check that it describes all of it.

    Raises:
        ValueError: Naming what the description has no words for.
    """
    if not isinstance(net, Network):
        raise ValueError(
            f"Only a bntt.Network can be saved as a checkpoint (bntt.save(net, path)), got "
            f"a {type(net).__name__}. If that wraps one (DistributedDataParallel: .module, "
            f"torch.compile: ._orig_mod), save what is inside."
        )
    config = net.description
    names = {*(entry.name for entry in fields(config)), *config.options}
    if (difference := first_difference(net, blank(config), names)) is not None:
        raise ValueError(
            f"This {net.arch} cannot be saved as a checkpoint, which describes networks by "
            f"the arguments that build them: {difference}. Undo the change, save "
            f"net.state_dict() instead, or write a network of your own and register it "
            f"(bntt.register)."
        )
    return config


def blank(config: NetworkConfig) -> Network:
    """The network of a description on the meta device, without memory for its weights.

    Raises:
        ValueError: If the values of the description contradict each other.
    """
    with torch.device("meta"):
        return build(**config.to_config())


def load(path: str | Path) -> Network:
    """The network that :func:`save` wrote, on the CPU and in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of this library, is incomplete, or holds NaN
            or infinity; or if its network is of a class that was not registered.
    """
    return read(path)[0]


def read(path: str | Path) -> tuple[Network, dict[str, Tensor], dict[str, Any]]:
    """The network, the extra tensors and the extra values that :func:`write` was given.

    Raises:
        FileNotFoundError: As :func:`load`.
        ValueError: As :func:`load`.
    """
    path = Path(path)
    tensors, config, info = _read(path)
    extra = {name: value for name, value in tensors.items() if "/" in name}
    weights = {name: value for name, value in tensors.items() if "/" not in name}
    with torch.random.fork_rng(devices=[]):  # to load a file is not to draw from the RNG
        net = build(**config.to_config())
    net.load_state_dict(weights, assign=True)
    # wide enough for all that the buffers of any network can have held
    wide = reduce(torch.promote_types, (v.dtype for v in weights.values()), torch.float32)
    for name in ("mean", "std"):
        values = torch.tensor(getattr(config, name), dtype=wide)
        setattr(net, name, values.reshape(-1, 1, 1))
    return net.eval(), extra, info


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None if all are numbers."""
    for name, value in tensors.items():
        if value.is_floating_point() and not _finite(value.detach()):
            return name
    return None


def _read(path: Path) -> tuple[dict[str, Tensor], NetworkConfig, dict[str, Any]]:
    """All that is in the file, after a check that nothing in it contradicts the rest."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no checkpoint {path}. A run folder holds best.safetensors and "
            f"last.safetensors once its first epoch is over."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "bntt" not in metadata:
                raise ValueError(
                    f"{path} is a safetensors file, but not one that bntt wrote: its "
                    f"header describes no network. Plain weights are loaded into a "
                    f"network that is built first: net.load_state_dict("
                    f"safetensors.torch.load_file(path))."
                )
            config, info = header.parsed(metadata["bntt"], path)
            names = list(file.keys())
            shapes = {n: tuple(file.get_slice(n).get_shape()) for n in names}
            twin = _twin(config, path)
            _check_shapes(shapes, twin, path)
            # copies, so that the file is not kept open and can be replaced
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}). It may be cut short or "
            f"of another format; checkpoints of the authors' code go through "
            f"bntt.load_reference."
        ) from error
    _check_values(tensors, twin, path)
    return tensors, config, info


def _twin(config: NetworkConfig, path: Path) -> Network:
    """The network of the file's description, without memory for its weights."""
    try:
        twin = blank(config)
        built = replace(config, **twin.built_values())
    except Exception as error:  # values that do not go together fail anywhere
        raise ValueError(
            f"{path} describes a network that cannot be built: {error}"
        ) from error
    for name in (*LAYER_KEYS, "options"):
        wanted, got = getattr(config, name), getattr(built, name)
        if wanted is not None and wanted != got:
            raise ValueError(
                f"{path} describes a {config.arch} with {name}={wanted!r}, but such a "
                f"network has {got!r}. It was changed; take another checkpoint."
            )
    return twin


def _check_shapes(shapes: dict[str, tuple[int, ...]], twin: Network, path: Path) -> None:
    needed = {name: tuple(value.shape) for name, value in twin.state_dict().items()}
    weights = {name for name in shapes if "/" not in name}
    if weights != needed.keys():
        odd = sorted(weights ^ needed.keys())[:3]
        raise ValueError(
            f"{path} does not hold the tensors of the {twin.arch} that it describes: "
            f"{', '.join(odd)}. It was changed or cut; take another checkpoint."
        )
    for name, shape in needed.items():
        if shapes[name] != shape:
            raise ValueError(
                f"{path} holds a tensor of the wrong shape: {name} has {shapes[name]}, and "
                f"the {twin.arch} that it describes has {shape}. It was changed; take "
                f"another checkpoint."
            )


def _check_values(tensors: dict[str, Tensor], twin: Network, path: Path) -> None:
    for name, value in twin.state_dict().items():
        if not same_kind(tensors[name], value):
            raise ValueError(
                f"{path} holds {name} as {tensors[name].dtype}, where a network has "
                f"floating-point numbers. It was changed; take another checkpoint."
            )
    if (name := first_nonfinite(tensors)) is not None:
        raise ValueError(
            f"{path}: {name} holds NaN or infinity. The training that wrote it had "
            f"diverged; take an earlier checkpoint."
        )


def _finite(value: Tensor) -> bool:
    """Whether all numbers are finite, which a sum shows at once unless it overflows."""
    return bool(value.sum(dtype=torch.float32).isfinite() or value.isfinite().all())
