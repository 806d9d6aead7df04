"""Checks of what operators are given: values of neurons, tensors that belong together.

The registered operators check as well, since ``torch.ops.bntt`` is open to everybody and a
kernel that reads the wrong shape or type reads memory that is not its own.
"""

from typing import Any

import torch
from torch import Tensor

from ..choices import one_of
from .arguments import floats, real
from .reference import accumulator

RESETS = ("soft", "hard", "none")
AXES = "(T, M, C): time-steps, elements, channels"


def check_neuron(leak: float | Tensor, v_threshold: float | Tensor, reset: str) -> None:
    """Refuse values that no neuron has.

    ``leak`` and ``v_threshold`` may be tensors of one number, to be learned. What cannot be
    read, while ``torch`` traces or on the meta device, is taken on trust.

    Raises:
        TypeError: If ``leak`` or ``v_threshold`` is no number.
        ValueError: If ``leak``, ``v_threshold`` or ``reset`` is out of range.
    """
    share, level = readable("leak", leak), readable("v_threshold", v_threshold)
    if share is not None and not 0 <= share <= 1:
        hint = "a time constant tau converts to 1 - 1/tau"
        if isinstance(leak, Tensor):
            hint = "clamp a learned one after each step, or learn w in torch.sigmoid(w)"
        raise ValueError(
            f"`leak` must lie in [0, 1], got {share}. It is the fraction of membrane "
            f"potential kept per time-step; {hint}."
        )
    limits = torch.finfo(torch.float32)
    if level is not None and not level > 0:
        raise ValueError(f"`v_threshold` must be positive, got {level}.")
    if level is not None and not limits.tiny <= level <= 1 / limits.tiny:
        raise ValueError(
            f"`v_threshold` must be finite, and within what float32 can divide by, "
            f"{limits.tiny:g} to {1 / limits.tiny:g}, got {level}."
        )
    one_of("`reset`", reset, RESETS)


def readable(name: str, value: Any) -> float | None:
    """The value of a number or of a tensor of shape (); None if it cannot be read now.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is a tensor of several, or of no floating-point type.
    """
    if isinstance(value, torch.SymFloat):  # torch.compile has lifted a float out of a layer
        return None
    if not isinstance(value, Tensor):
        return real(name, value)
    if value.ndim != 0 or not value.is_floating_point():
        raise ValueError(
            f"`{name}` must be a number or a floating-point tensor of shape (), one number "
            f"for all neurons, got shape {tuple(value.shape)} and type {value.dtype}."
        )
    if torch.compiler.is_compiling():
        return None
    try:
        return value.item()
    except RuntimeError:  # on the meta device, or inside of vmap
        return None


def check_currents(z: Tensor) -> None:
    """Refuse currents that are not floating-point numbers ``[T, M, C]``.

    Raises:
        TypeError: If they are no tensor.
        ValueError: If they are of another type or shape.
    """
    floats("An operator", z, AXES, at_least=3, most=3)


def check_moments(z: Tensor) -> None:
    """Refuse currents without elements, which have no moments.

    Raises:
        ValueError: If there is no element to average.
    """
    check_currents(z)
    if z.shape[1] == 0 or z.shape[2] == 0:
        raise ValueError(
            f"Batch statistics need at least one element, but the current has shape "
            f"{tuple(z.shape)}, read as (T, M, C). Drop empty batches, or call .eval()."
        )


def check_scan(z: Tensor, a: Tensor, b: Tensor, v0: Tensor | None) -> None:
    """Refuse currents, scales, shifts and membranes that do not fit together.

    Raises:
        ValueError: If there is no time-step, or a shape or device does not fit.
    """
    check_currents(z)
    T, M, C = z.shape
    if T == 0:
        raise ValueError(
            f"A neuron needs at least one time-step, but the current has shape "
            f"{tuple(z.shape)}, read as (T, M, C) with T=0."
        )
    for name, value in (("a", a), ("b", b)):
        if value.shape != (T, C):
            raise ValueError(
                f"`{name}` must hold one number per time-step and channel, "
                f"{(T, C)}, got {tuple(value.shape)}."
            )
    if v0 is not None and v0.shape != (M, C):
        raise ValueError(
            f"`v0` must have the shape of one time-step, {(M, C)}, got {tuple(v0.shape)}."
        )
    for name, value in (("a", a), ("b", b), ("v0", v0)):
        if value is not None and (
            value.device != z.device or not value.is_floating_point()
        ):
            raise ValueError(
                f"`{name}` must be floating-point numbers on the device of the current, "
                f"{z.device}, got {value.dtype} on {value.device}."
            )


def check_like(z: Tensor, wide: bool, **tensors: Tensor | None) -> None:
    """Refuse tensors whose type or device does not belong to that of the currents ``z``.

    Args:
        z: The currents.
        wide: Whether they have the type of statistics and membranes, or that of ``z``.
        **tensors: The tensors by their names; None is not checked.

    Raises:
        ValueError: Naming the tensor, the type expected and what came.
    """
    dtype = accumulator(z.dtype) if wide else z.dtype
    for name, value in tensors.items():
        if value is not None and (value.dtype != dtype or value.device != z.device):
            raise ValueError(
                f"`{name}` must be {dtype} on {z.device} where the current is {z.dtype}, "
                f"got {value.dtype} on {value.device}."
            )


def check_shapes(shape: torch.Size, **tensors: Tensor | None) -> None:
    """Refuse tensors that do not have this shape; None is not checked.

    Raises:
        ValueError: Naming the tensor, the shape expected and what came.
    """
    for name, value in tensors.items():
        if value is not None and value.shape != shape:
            raise ValueError(
                f"`{name}` must have shape {tuple(shape)}, got {tuple(value.shape)}."
            )
