"""Checkpoints of the authors' code (Kim & Panda 2021), read as networks of this package."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config.sets import AUTHORS
from ..networks.vgg import PLANS, VGG
from ..ops.arguments import FLOATS
from .pickled import state_dict

CIFAR10_MEAN, CIFAR10_STD = AUTHORS
"""Mean and standard deviation by which the authors' code normalises both CIFAR sets."""


def load_reference(path: str | Path, leak: float = 0.95, **overrides: Any) -> VGG:
    """A network trained with the authors' code, from the file that it saved.

    Architecture, time-steps and classes follow from the shapes, and so does the image size
    of a VGG9. The file is unpickled by ``torch.load(weights_only=True)``, which runs
    nothing that it names.

    Args:
        path: What ``torch.save`` wrote: a dict with ``state_dict``, or a bare state dict;
            keys ``conv1.weight``, ``bntt1.0.weight``, ``bntt_fc.0.weight``,
            ``fc1.weight`` and so on, with or without ``module.`` in front.
        leak: The leak that the network was trained with, in ``[0, 1]``, which the file does
            not hold. Their README uses 0.95 for CIFAR-10 and 0.99 for CIFAR-100.
        overrides: Values as for :func:`bntt.vgg9` that the file does not hold:
            ``image_size`` of a VGG11 (32 if omitted), ``mean`` and ``std`` (those of
            CIFAR-10, as in their code, where images have three channels),
            ``class_names``, ``v_threshold``, ``surrogate``, ``encoder``.

    Returns:
        The network on the CPU, in float32 and in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is unreadable, names anything but weights, does not hold
            exactly the tensors of a VGG9 or VGG11 with BNTT, or an override contradicts it.
    """
    path = Path(path)
    tensors = state_dict(path)
    config = _config(tensors, path)
    config |= _agreeing(overrides, config, path) | {"leak": leak}
    _check(_blank(config, path), tensors, path)
    net = _untrained(config)
    _fill(net, tensors)
    return net.eval()


def _config(tensors: dict[str, Tensor], path: Path) -> dict[str, Any]:
    """The arguments of the network that follow from the names and shapes of its tensors."""
    _refuse_biases(tensors, path)
    widths = []
    while f"conv{len(widths) + 1}.weight" in tensors:
        widths.append(_shape(tensors, f"conv{len(widths) + 1}.weight", 4, path)[0])
    hidden, inputs = _shape(tensors, "fc1.weight", 2, path)
    arch = _plan_of(widths, hidden, path)
    config = {
        "arch": arch,
        "in_channels": _shape(tensors, "conv1.weight", 4, path)[1],
        "num_classes": _shape(tensors, "fc2.weight", 2, path)[0],
        "num_steps": _num_steps(tensors, path),
        "norm": "bntt",
    }
    if not PLANS[arch].global_pool:
        config["image_size"] = _image_size(arch, inputs, widths[-1], path)
    return config


def _refuse_biases(tensors: dict[str, Tensor], path: Path) -> None:
    biases = [name for name in tensors if name.endswith(".bias")]
    if biases:
        raise ValueError(
            f"{path} holds biases ({_some(biases)}), and a BNTT network has none. The "
            f"first release of the authors' code left them in the norm of the linear layer "
            f"(bntt_fc), and delayed every spike by one step per layer. Such a network "
            f"computes something else; take one trained since January 2021."
        )


def _shape(tensors: dict[str, Tensor], name: str, ndim: int, path: Path) -> tuple[int, ...]:
    if name not in tensors:
        raise ValueError(
            f"{path} holds no {name!r}, so it is not a network of the authors' code, whose "
            f"layers are conv1, conv2, ..., bntt1, ..., bntt_fc, fc1 and fc2. It holds "
            f"{_some(tensors)}."
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != ndim:
        raise ValueError(
            f"{path}: {name!r} should have {ndim} axes, but its shape is {shape}."
        )
    return shape


def _plan_of(widths: list[int], hidden: int, path: Path) -> str:
    for arch, plan in PLANS.items():
        if (plan.channels, plan.hidden) == (widths, hidden):
            return arch
    raise ValueError(
        f"{path} holds convolutions of widths {widths} and a hidden layer of {hidden}, "
        f"which is none of {', '.join(PLANS)}. A network of another plan cannot be loaded."
    )


def _num_steps(tensors: dict[str, Tensor], path: Path) -> int:
    steps: dict[str, int] = {}
    for name in tensors:
        if found := re.fullmatch(r"(bntt\w+)\.(\d{1,6})\.\w+", name):
            steps[found[1]] = max(steps.get(found[1], 0), int(found[2]) + 1)
    if len(set(steps.values())) != 1:
        counts = ", ".join(f"{layer}: {T}" for layer, T in sorted(steps.items()))
        raise ValueError(
            f"{path} should hold one batch norm per time-step, as many in every layer; it "
            f"holds {counts or 'none'}. It is incomplete, or was trained without BNTT."
        )
    T = next(iter(steps.values()))
    if len(tensors) < T:
        raise ValueError(
            f"{path} is not complete: it names a time-step {T - 1}, but holds no more than "
            f"{len(tensors)} tensors."
        )
    return T


def _image_size(arch: str, inputs: int, channels: int, path: Path) -> int:
    side = math.isqrt(inputs // channels)
    if side < 1 or inputs != channels * side**2:
        raise ValueError(
            f"{path} ends its convolutions in {channels} channels, but 'fc1.weight' takes "
            f"{inputs} inputs, which is not {channels} times the area of a square image."
        )
    return side * PLANS[arch].shrink


def _agreeing(
    overrides: dict[str, Any], config: dict[str, Any], path: Path
) -> dict[str, Any]:
    """``overrides`` and defaults, after a check that none contradicts the shapes."""
    for name in overrides.keys() & config.keys():
        if overrides[name] != config[name]:
            raise ValueError(
                f"{path} holds a network with {name}={config[name]!r}, got "
                f"{name}={overrides[name]!r}. Leave it out: it follows from the file."
            )
    coloured = config["in_channels"] == len(CIFAR10_MEAN)
    defaults = {"mean": CIFAR10_MEAN, "std": CIFAR10_STD} if coloured else {}
    return defaults | overrides


def _blank(config: dict[str, Any], path: Path) -> VGG:
    """The network without memory for its weights, of which shapes are compared first."""
    try:
        with torch.device("meta"):
            return VGG(**config)
    except (RuntimeError, OverflowError) as error:
        raise ValueError(f"{path} describes no network: {error}") from error


def _untrained(config: dict[str, Any]) -> VGG:
    with torch.random.fork_rng(devices=[]):  # to load a file is not to draw from the RNG
        return VGG(**config)


def _check(net: VGG, tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not exactly those of the network, in names and shapes."""
    ours, names = net.state_dict(), _names(net)
    theirs = {name for parts in names.values() for name in parts}
    missing, unexpected = theirs - tensors.keys(), tensors.keys() - theirs
    if missing or unexpected:
        raise ValueError(
            f"{path} is not a complete {net.arch} of {net.num_steps} time-steps: missing "
            f"{_some(missing)}; unexpected {_some(unexpected)}."
        )
    for name, parts in names.items():
        shape = ours[name].shape[1:] if ".norm." in name else ours[name].shape
        for part in parts:
            _check_tensor(part, tensors[part], tuple(shape), path)


def _fill(net: VGG, tensors: dict[str, Tensor]) -> None:
    """Copy the tensors into the network."""
    ours = net.state_dict()
    for name, parts in _names(net).items():
        values = [tensors[part] for part in parts]
        ours[name] = torch.stack(values) if ".norm." in name else values[0]
    net.load_state_dict(ours)


def _names(net: VGG) -> dict[str, list[str]]:
    """The authors' names of each tensor of ``net``; a norm's has one per time-step."""
    names = {"hidden.weight": ["fc1.weight"], "output.weight": ["fc2.weight"]}
    for i in range(len(net.convs)):
        names[f"convs.{i}.weight"] = [f"conv{i + 1}.weight"]
    for i in range(len(net.layers)):
        layer = f"bntt{i + 1}" if i < len(net.convs) else "bntt_fc"
        for part in ("weight", "running_mean", "running_var"):
            parts = [f"{layer}.{t}.{part}" for t in range(net.num_steps)]
            names[f"layers.{i}.norm.{part}"] = parts
    return names


def _check_tensor(name: str, value: Tensor, shape: tuple[int, ...], path: Path) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(
            f"{path}: {name!r} should have shape {shape}, as the other layers have it, but "
            f"its shape is {tuple(value.shape)}."
        )
    if value.dtype not in FLOATS:
        raise ValueError(
            f"{path}: {name!r} should hold floating-point numbers, but it holds "
            f"{value.dtype}."
        )
    if not torch.isfinite(value).all():
        raise ValueError(
            f"{path}: {name!r} holds NaN or infinity. The training that wrote it had "
            f"diverged; take an earlier checkpoint."
        )


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    shown = sorted(names)
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + more or "nothing"
