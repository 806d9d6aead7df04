"""Images that are whole in memory: their moments, and a border of zeros."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from .images.cached import Moments, mean_and_deviation

CHUNK = 1024
"""Images counted at a time."""


def moments(images: UInt8[Tensor, "N C H W"], where: object, hint: str = "") -> Moments:
    """Return each channel's mean and deviation of pixels / 255, rounded to 4 digits.

    Args:
        images: All to train on.
        where: As `mean_and_deviation`.
        hint: Likewise.

    Raises:
        ValueError: If the pixels are the same in all channels.
    """
    levels = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for chunk in images.split(CHUNK):
        for channel, counts in enumerate(levels):
            counts += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    values = torch.arange(256)
    sums = np.stack([(levels @ values).numpy(), (levels @ values.square()).numpy()])
    pixels = len(images) * images[0, 0].numel()
    return mean_and_deviation(sums[None], pixels, where, hint)


def pad(images: UInt8[Tensor, "N C H W"], size: int, title: str) -> Tensor:
    """Put images in the middle of squares of zeros.

    Args:
        images: Any size.
        size: Side of the squares, in pixels; 0 leaves the images as they are. Of an odd
            border the smaller half is above and to the left.
        title: Of the set, for the message.

    Raises:
        ValueError: If a square is smaller than the images.
    """
    height, width = images.shape[2:]
    if not size:
        return images
    if size < max(height, width):
        raise ValueError(
            f"`image_size` must be 0, for the {height} x {width} pixels of {title}, or at "
            f"least {max(height, width)}, for a border of zeros around them, got {size}. "
            f"They are never cut or scaled."
        )
    top, left = (size - height) // 2, (size - width) // 2
    border = (left, size - width - left, top, size - height - top)
    return torch.nn.functional.pad(images, border)
