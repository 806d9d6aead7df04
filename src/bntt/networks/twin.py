"""The differences between a network and the one that its description builds."""

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from ..ops.arguments import FLOATS

UNDESCRIBED = {"training", "process_group"}
"""Attributes that have no influence on what a network computes in evaluation."""


def first_difference(
    net: nn.Module, twin: nn.Module, described: Collection[str]
) -> str | None:
    """The first difference between two networks in words; None if only numbers differ.

    Modules are compared by name, class and public attributes; tensors by name, shape and
    kind.

    Args:
        net: The network.
        twin: The network that its description builds, which may be on the meta device.
        described: Attributes of the network itself that are not compared, because the
            description holds them in another form.
    """
    ours, theirs = (dict(n.named_modules(remove_duplicate=False)) for n in (net, twin))
    for name, module in ours.items():
        if name in theirs:
            known = UNDESCRIBED if name else UNDESCRIBED.union(described)
            difference = _of_module(module, theirs[name], known)
            if difference is not None:
                return f"{name or 'it'}{difference}"
    for name in sorted(ours.keys() ^ theirs.keys()):
        return f"{name} {'was added' if name in ours else 'is missing'}"
    return _of_tensors(net.state_dict(), twin.state_dict())


def _of_module(module: nn.Module, twin: nn.Module, known: set[str]) -> str | None:
    kind, needed = type(module), type(twin)
    if kind is not needed:
        return (
            f" is a {kind.__module__}.{kind.__qualname__} in place of a {needed.__name__}"
        )
    ours, theirs = vars(module), vars(twin)
    for name in theirs.keys() - known:
        if not name.startswith("_") and not _equal(ours.get(name, ...), theirs[name]):
            return f".{name} was changed"
    for name in ours.keys() - theirs.keys():
        if hasattr(kind, name) and not _wrapped(name, ours):
            return f".{name} was replaced"
    return None


def _wrapped(name: str, attributes: dict[str, Any]) -> bool:
    """Whether a tool has replaced a method by one that computes the same.

    Accelerate wraps ``forward`` in its autocast and keeps the wrapped one, and
    ``module.compile()`` leaves a compiled call behind.
    """
    if name == "forward":
        return "_original_forward" in attributes
    return name == "_compiled_call_impl"


def _equal(left: Any, right: Any) -> bool:
    if left is right:
        return True
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return False  # on the meta device there is no value to compare
    try:
        return bool(left == right)
    except Exception:  # whatever cannot be compared is not known to be equal
        return False


def _of_tensors(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> str | None:
    for name in sorted(ours.keys() ^ theirs.keys()):
        return f"the tensor {name} {'was added' if name in ours else 'is missing'}"
    for name, value in ours.items():
        if value.shape != theirs[name].shape:
            return f"{name} has shape {tuple(value.shape)}, not {tuple(theirs[name].shape)}"
        if type(value) is not Tensor or not same_kind(value, theirs[name]):
            return f"{name} is a {type(value).__name__} of {value.dtype}"
    return None


def same_kind(value: Tensor, other: Tensor) -> bool:
    """Whether both hold floating-point numbers of any width, or numbers of one type."""
    return value.dtype == other.dtype or {value.dtype, other.dtype} <= set(FLOATS)
