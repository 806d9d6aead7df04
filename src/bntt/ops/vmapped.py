"""What ``torch.vmap`` makes of the operators: one more axis becomes more channels.

Channels never mix, so a batch of calls is one call on ``[T, M, B·C]``, for every operator
and every argument. Arguments without the axis are repeated.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def rule(operator: Any) -> Callable[..., Any]:
    """The rule of an operator all of whose tensors have the channels as their last axis."""

    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        size = info.batch_size
        folded = [_fold(x, dim, size) for x, dim in zip(arguments, in_dims, strict=True)]
        out = operator(*folded)
        if isinstance(out, Tensor):
            return _unfold(out, size), out.ndim - 1
        return tuple(_unfold(x, size) for x in out), tuple(x.ndim - 1 for x in out)

    return vmap


def _fold(x: Any, dim: int | None, size: int) -> Any:
    """``[..., C]`` with the axis ``dim`` of length ``B`` as ``[..., B·C]``."""
    if not isinstance(x, Tensor):
        return x
    repeated = x.unsqueeze(-2).expand(*x.shape[:-1], size, x.shape[-1])
    return (repeated if dim is None else x.movedim(dim, -2)).flatten(-2)


def _unfold(x: Tensor, size: int) -> Tensor:
    return x.unflatten(-1, (size, x.shape[-1] // size))
