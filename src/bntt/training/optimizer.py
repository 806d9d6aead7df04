"""Optimisers, and their state as tensors for a checkpoint."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..choices import one_of
from ..layers.norms import TemporalNorm


def make_optimizer(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
    *,
    name: str = "sgd",
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW, fused, in which all parameters decay, gains included.

    Args:
        parameters: What is to be trained, such as ``net.parameters()``; or groups of it
            with settings of their own, such as :func:`gains_apart` makes.
        name: ``"sgd"`` or ``"adamw"``.
        lr: The learning rate that it begins with.
        momentum: Of ``"sgd"``, in [0, 1); ``"adamw"`` does not read it.
        weight_decay: At least 0.

    Raises:
        ValueError: If ``name`` is neither.
    """
    one_of("optimizer", name, ("sgd", "adamw"))
    settings = {"lr": lr, "weight_decay": weight_decay, "fused": True}
    if name == "sgd":
        return torch.optim.SGD(parameters, momentum=momentum, **settings)
    return torch.optim.AdamW(parameters, **settings)


def gains_apart(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups, of which the second are the gains (M26).

    Args:
        net: Any module with temporal norms in it; a gain is the ``weight`` of one. A shift
            (``bias``) stays with the other parameters.
        decay: The weight decay of the gains, at least 0.

    Raises:
        ValueError: If there is no gain, or ``decay`` is negative.
    """
    norms = [module for module in net.modules() if isinstance(module, TemporalNorm)]
    gains = [norm.weight for norm in norms if "weight" in norm._parameters]
    if not gains or not decay >= 0:
        raise ValueError(
            f"A weight decay of gains must not be negative, and needs a network that has "
            f"gains, got {decay} for {len(gains)} layers with gains. Use norm='bntt', or "
            f"the same weight decay for all parameters."
        )
    apart = {id(gain) for gain in gains}
    others = [p for p in net.parameters() if id(p) not in apart]
    return [{"params": others}, {"params": gains, "weight_decay": decay}]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in its place on the device if it lies there."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimiser's state as tensors named ``optimizer/PARAMETER/KEY``, by number."""
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:
                yield f"optimizer/{index}/{key}", value


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], path: Path
) -> None:
    """Put :func:`optimizer_tensors` back, in the memory layout of the parameters.

    Args:
        optimizer: A new one, which has not stepped yet.
        tensors: The state by name, as it was saved after at least one step.
        path: The file that they came from, for messages.

    Raises:
        ValueError: If the tensors are not this optimiser's, all of them and no others.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    expected = {
        f"optimizer/{index}/{key}": like if key in LIKE_PARAMETERS else None
        for index, like in enumerate(parameters)
        for key in _state_keys(optimizer)
    }
    odd = sorted(expected.keys() ^ tensors.keys())
    if odd:
        raise ValueError(
            f"{path} does not hold the state of the recipe's optimiser: "
            f"{', '.join(odd[:3])} {'are' if len(odd) > 1 else 'is'} missing or too many. "
            f"It was changed; start again in another folder."
        )
    state: dict[int, dict[str, Tensor]] = {}
    for name, like in expected.items():
        _, index, key = name.split("/")
        value, shape = tensors[name], () if like is None else tuple(like.shape)
        if tuple(value.shape) != shape or not value.is_floating_point():
            raise ValueError(
                f"{name} in {path} must be floating-point of shape {shape}, got "
                f"{value.dtype} of shape {tuple(value.shape)}. The file was changed; start "
                f"again in another folder."
            )
        # fused optimisers walk through memory, so the layouts must agree
        value = value if like is None else to_device(value, like)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


LIKE_PARAMETERS = ("momentum_buffer", "exp_avg", "exp_avg_sq")
"""State that has the shape of its parameter; any other state is a single number."""


def _state_keys(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """The names of what the optimiser keeps of every parameter after its first step."""
    if isinstance(optimizer, torch.optim.AdamW):
        return ("step", "exp_avg", "exp_avg_sq")
    return ("momentum_buffer",) if optimizer.param_groups[0]["momentum"] else ()


def to_device(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy of ``tensor`` with the device, type and memory layout of ``like``."""
    return torch.empty_like(like).copy_(tensor)
