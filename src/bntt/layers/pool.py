"""2x2 average pooling of spikes, which keeps none of them for the backward pass."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.arguments import floats
from ..ops.function import Function


def average_pool(x: Tensor) -> Tensor:
    """Mean of every 2x2 square of ``[N, C, H, W]``: spikes become multiples of 1/4 (M15).

    The gradient does not depend on the input: each pixel of a square gets a quarter of it.
    PyTorch's own pooling keeps its input nevertheless, here a quarter of what training has
    to remember. TorchScript cannot differentiate functions of Python, so it gets PyTorch's.

    Raises:
        TypeError: If ``x`` is no tensor.
        ValueError: If it is not ``[N, C, H, W]`` in floating point, at least 2x2 pixels.
    """
    if torch.jit.is_scripting() or torch.jit.is_tracing():  # pyright: ignore
        return F.avg_pool2d(x, 2)
    _check(x)
    return _AveragePool.apply(x)  # pyright: ignore[reportReturnType]


class _AveragePool(Function):
    @staticmethod
    def forward(x):
        return F.avg_pool2d(x, 2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.odd = (x.shape[2] % 2, x.shape[3] % 2)

    @staticmethod
    def backward(ctx, grad):
        N, C, H, W = grad.shape
        # channels last, so that every copy is a run of C numbers
        quarter = (grad / 4).permute(0, 2, 3, 1)[:, :, None, :, None]
        spread = quarter.expand(N, H, 2, W, 2, C).reshape(N, 2 * H, 2 * W, C)
        spread = spread.permute(0, 3, 1, 2)
        return F.pad(spread, (0, ctx.odd[1], 0, ctx.odd[0])) if any(ctx.odd) else spread


@torch.jit.unused
def _check(x: Tensor) -> None:
    floats("Pooling", x, "(N, C, H, W)", 4, 4)
    if min(x.shape[2:]) < 2:
        raise ValueError(
            f"Pooling takes squares of 2x2 pixels, but the images have shape "
            f"{tuple(x.shape)}."
        )
