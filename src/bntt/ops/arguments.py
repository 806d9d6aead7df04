"""Checks of arguments: numbers, whole numbers, and tensors that layers can read.

Without them torch would complain from deep inside of a layer, or not at all: it would
truncate integers, take True for 1, and 2.0 for a number of time-steps.
"""

import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from ..choices import said

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def number(name: str, value: Any) -> None:
    """Refuse a value that is no real number; ``True`` and tensors are none.

    Raises:
        TypeError: Naming the argument and what came.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number, got {value_and_type(value)}.")


def real(name: str, value: Any) -> float:
    """A real number as a Python float, infinite where an integer exceeds its range.

    Raises:
        TypeError: As :func:`number`.
    """
    number(name, value)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole_number(name: str, value: Any, *, at_least: int | None = None) -> None:
    """Refuse a value that is no whole number, such as ``True``, 2.0 or a tensor.

    Integers of NumPy pass.

    Raises:
        TypeError: Naming the argument and what came.
        ValueError: If it is below ``at_least``.
    """
    whole = isinstance(value, (int, torch.SymInt, numbers.Integral))
    if isinstance(value, bool) or not whole:
        raise TypeError(f"`{name}` must be a whole number, got {value_and_type(value)}.")
    if at_least is not None and value < at_least:
        raise ValueError(f"`{name}` must be at least {at_least}, got {value}.")


def yes_or_no(name: str, value: Any) -> None:
    """Refuse a value that is neither ``True`` nor ``False``.

    Raises:
        TypeError: Naming the argument and what came.
    """
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False, got {value_and_type(value)}.")


def floats(
    reader: str, value: Any, axes: str, at_least: int, most: int | None = None
) -> None:
    """Refuse a value that is no dense floating-point tensor with the axes a layer reads.

    Args:
        reader: The layer or function that reads it, as the message names it.
        value: The tensor, or whatever came in its place.
        axes: How its axes are read, such as ``"(T, N, ...)"``, for the message.
        at_least: The smallest number of axes.
        most: The largest number of axes; no limit if omitted.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If its type, layout or number of axes does not fit.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{reader} takes a tensor {axes}, got {value_and_type(value)}.")
    if value.dtype not in FLOATS:
        raise ValueError(
            f"{reader} takes floating-point numbers (float32, float64, bfloat16 or "
            f"float16), got {value.dtype}. Convert them with .float() first; bytes of "
            f"images are normalised by net.normalize."
        )
    if value.layout is not torch.strided or value.is_nested:
        raise ValueError(
            f"{reader} takes dense tensors, got one of layout {value.layout}. Convert it "
            f"with .to_dense() first."
        )
    if value.ndim < at_least or (most is not None and value.ndim > most):
        raise ValueError(f"{reader} reads {axes}, got shape {tuple(value.shape)}.")


def has_values(x: Tensor) -> bool:
    """Whether the numbers in ``x`` can be looked at.

    They cannot be while a graph is traced or exported, under ``torch.func.vmap``, and on
    the meta device. A branch on them would end the trace. Inside :func:`on_trust` they are
    not to be.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
        return False
    return not (_trusting.get() or is_mapped(x) or x.is_meta or isinstance(x, FakeTensor))


_trusting: ContextVar[bool] = ContextVar("bntt.on_trust", default=False)


@contextmanager
def on_trust() -> Iterator[None]:
    """Let nobody look at the numbers in tensors, for which a GPU would have to wait.

    This is for a caller who knows that there is no NaN or infinity in them, such as one
    whose images were bytes.
    """
    before = _trusting.set(True)
    try:
        yield
    finally:
        _trusting.reset(before)


def is_mapped(x: Tensor) -> bool:
    """Whether ``x`` is one of many that ``torch.func.vmap`` computes on together."""
    if torch.compiler.is_compiling():
        return False
    functorch = torch._C._functorch  # pyright: ignore - torch has no public way to ask
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            return True
        x = functorch.get_unwrapped(x)
    return False


def value_and_type(value: Any) -> str:
    """A value of any kind and its type as a message says them; a tensor's shape instead."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    return f"{said(value)}, which is of type {type(value).__name__}"
