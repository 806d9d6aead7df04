"""Random changes of training images: whole batches at once, on the device they are on.

Every image draws its own change, and of a recording every frame gets the same one. The
pixels are those before normalisation, so what is filled in is black, as in the authors'
code; in frames of events it is where nothing happened.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor


def crop(
    images: Shaped[Tensor, "N *F H W"], padding: int, generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Shift each image by up to `padding` pixels along each axis, filling in zeros.

    Args:
        images: Any dtype; ``*F`` is channels, or frames and channels.
        padding: Zeros added on every side, of which each image then keeps a random window
            of its own size. Pixels, at least 0 and fewer than the images have.
        generator: On the images' device.

    Raises:
        ValueError: If `padding` lies outside, or the generator is on another device.
    """
    count, height, width = len(images), *images.shape[-2:]
    if padding < 0:
        raise ValueError(f"`padding` must not be negative, got {padding}.")
    if padding >= min(height, width):
        raise _too_far(f"a random crop shifts by up to {padding}", height, width)
    top, left = integers(2 * padding + 1, (2, count), images, generator)
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    # a view of every window there is; indexing then copies one per image
    windows = padded.unfold(-2, height, 1).unfold(-2, width, 1).movedim((-4, -3), (1, 2))
    return windows[torch.arange(count, device=images.device), top, left]


def flip(
    images: Shaped[Tensor, "N *F H W"], generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Mirror each image left to right, or not, with equal probability.

    Args:
        images: Any dtype; ``*F`` is channels, or frames and channels.
        generator: On the images' device.

    Raises:
        ValueError: If the generator is on another device.
    """
    shape = (len(images), *(1,) * (images.ndim - 1))
    mirrored = integers(2, shape, images, generator).bool()
    return torch.where(mirrored, images.flip(-1), images)


def cutout(
    images: Shaped[Tensor, "N *F H W"], size: int, generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Black out one square in each image (DeVries & Taylor 2017).

    The square's centre is any pixel, so that part of the square may lie outside.

    Args:
        images: Any dtype; ``*F`` is channels, or frames and channels.
        size: Side of the square, in pixels, at least 0 and no more than the images'.
        generator: On the images' device.

    Raises:
        ValueError: If `size` lies outside, or the generator is on another device.
    """
    count, height, width = len(images), *images.shape[-2:]
    if size < 0:
        raise ValueError(f"`size` must not be negative, got {size}.")
    if size > min(height, width):
        raise _too_far(f"`cutout` blacks out {size} by {size}", height, width)
    rows = _covered(height, size, count, images, generator)
    columns = _covered(width, size, count, images, generator)
    square = rows[:, :, None] & columns[:, None, :]
    shape = (count, *(1,) * (images.ndim - 3), height, width)
    return images.masked_fill(square.view(shape), 0)


def integers(
    below: int, shape: tuple[int, ...], images: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw whole numbers from 0 to below `below`, where the images are.

    Raises:
        ValueError: If the generator is on another device.
    """
    _check_device(images, generator)
    return torch.randint(below, shape, generator=generator, device=images.device)


def uniform(shape: tuple[int, ...], images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw numbers in [0, 1), where the images are.

    Raises:
        ValueError: If the generator is on another device.
    """
    _check_device(images, generator)
    return torch.rand(shape, generator=generator, device=images.device)


def _covered(
    length: int, size: int, count: int, images: Tensor, generator: torch.Generator
) -> Tensor:
    """Mark, per image, the `size` positions of an axis around a random centre."""
    start = integers(length, (count, 1), images, generator) - size // 2
    position = torch.arange(length, device=images.device)
    return (start <= position) & (position < start + size)


def _too_far(what: str, height: int, width: int) -> ValueError:
    return ValueError(
        f"The images have {height} x {width} pixels, but {what}, which may leave nothing "
        f"of them. Take less, or larger images."
    )


def _check_device(images: Tensor, generator: torch.Generator) -> None:
    if generator.device.type != images.device.type:
        raise ValueError(
            f"`generator` must be on the images' device, {images.device}, got one on "
            f"{generator.device}. Make it with torch.Generator({str(images.device)!r})."
        )
