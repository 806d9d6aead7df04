"""Public tensors and what the operators see of the same memory."""

import torch
from jaxtyping import Float
from torch import Tensor


def to_elements(x: Float[Tensor, "T N C *S"]) -> Float[Tensor, "T M C"]:
    """``[T, M, C]``: a view where the channel is fastest in memory (channels_last)."""
    return x.movedim(2, -1).flatten(1, -2)


def from_elements(
    y: Float[Tensor, "T M C"], shape: torch.Size
) -> Float[Tensor, "T N C *S"]:
    """Undo :func:`to_elements`, as a view."""
    T, N, C, *space = shape
    return y.reshape(T, N, *space, C).movedim(-1, 2)
