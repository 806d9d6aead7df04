"""2x2 average pooling of spikes that does not hold on to them for backward."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def average_pool(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Mean of every 2x2 square, so that spikes become multiples of 1/4 (M15).

    The gradient needs no input: each pixel of a square gets a quarter of it. PyTorch's own
    pooling keeps its input, which here is a quarter of what training has to remember.
    """
    return _AveragePool.apply(x)  # pyright: ignore[reportReturnType]


class _AveragePool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.odd = (x.shape[2] % 2, x.shape[3] % 2)
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx, grad):
        N, C, H, W = grad.shape
        # channels last, so that every copy is a run of C numbers
        quarter = (grad / 4).permute(0, 2, 3, 1)[:, :, None, :, None]
        spread = quarter.expand(N, H, 2, W, 2, C).reshape(N, 2 * H, 2 * W, C)
        spread = spread.permute(0, 3, 1, 2)
        return F.pad(spread, (0, ctx.odd[1], 0, ctx.odd[0])) if any(ctx.odd) else spread
