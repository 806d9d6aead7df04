"""Random changes of training images: whole batches at once, on the device they are on.

Every image draws its own change. The pixels are those before normalisation, so what is
filled in is black, as in the authors' code.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor


def crop(
    images: Shaped[Tensor, "N C H W"], padding: int, generator: torch.Generator
) -> Shaped[Tensor, "N C H W"]:
    """Shift each image by up to `padding` pixels along each axis, filling in zeros.

    Args:
        images: Any dtype.
        padding: Zeros added on every side, of which each image then keeps a random window
            of its own size. Pixels, at least 0.
        generator: On the images' device.

    Raises:
        ValueError: If `padding` is negative or the generator is on another device.
    """
    if padding < 0:
        raise ValueError(f"`padding` must not be negative, got {padding}.")
    count, _, height, width = images.shape
    top, left = _integers(2 * padding + 1, (2, count), images, generator)
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    # a view of every window there is; indexing then copies one per image
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, top, left]


def flip(
    images: Shaped[Tensor, "N C H W"], generator: torch.Generator
) -> Shaped[Tensor, "N C H W"]:
    """Mirror each image left to right, or not, with equal probability.

    Args:
        images: Any dtype.
        generator: On the images' device.

    Raises:
        ValueError: If the generator is on another device.
    """
    mirrored = _integers(2, (len(images), 1, 1, 1), images, generator).bool()
    return torch.where(mirrored, images.flip(-1), images)


def cutout(
    images: Shaped[Tensor, "N C H W"], size: int, generator: torch.Generator
) -> Shaped[Tensor, "N C H W"]:
    """Black out one square in each image (DeVries & Taylor 2017).

    The square's centre is any pixel, so that part of the square may lie outside.

    Args:
        images: Any dtype.
        size: Side of the square, in pixels, at least 0.
        generator: On the images' device.

    Raises:
        ValueError: If `size` is negative or the generator is on another device.
    """
    if size < 0:
        raise ValueError(f"`size` must not be negative, got {size}.")
    count, _, height, width = images.shape
    rows = _covered(height, size, count, images, generator)
    columns = _covered(width, size, count, images, generator)
    square = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(square, 0)


def _covered(
    length: int, size: int, count: int, images: Tensor, generator: torch.Generator
) -> Tensor:
    """Mark, per image, the `size` positions of an axis around a random centre."""
    start = _integers(length, (count, 1), images, generator) - size // 2
    position = torch.arange(length, device=images.device)
    return (start <= position) & (position < start + size)


def _integers(
    below: int, shape: tuple[int, ...], images: Tensor, generator: torch.Generator
) -> Tensor:
    if generator.device.type != images.device.type:
        raise ValueError(
            f"`generator` must be on the images' device, {images.device}, got one on "
            f"{generator.device}. Make it with torch.Generator({str(images.device)!r})."
        )
    return torch.randint(below, shape, generator=generator, device=images.device)
