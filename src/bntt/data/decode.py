"""Image files as bytes of pixels: one file, or a list of them through the cache."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from .cache import cached

DECODER = 1
"""Version of what makes pixels of a file; part of the key of every cache of images."""
MODES = {1: "L", 3: "RGB"}
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""Values of that EXIF tag that exchange height and width."""
CHUNK = 8 << 20
"""Bytes of pixels that a thread decodes before it writes them."""
BLOCK = 16
"""Images summed up at a time."""


def decode(path: Path, channels: int, size: int = 0) -> UInt8[np.ndarray, "C H W"]:
    """Read an image file, turned upright as the camera noted.

    Whatever it holds, palette, grey, CMYK or 16 bits, is converted; an alpha channel is
    left out. A file cut short is refused; a byte that is wrong in the middle of a JPEG
    changes pixels and cannot be told.

    Args:
        path: JPEG, PNG or whatever else Pillow opens; of several frames the first.
        channels: 1 for grey, 3 for red, green and blue.
        size: Side in pixels. The shorter side is scaled to it and the middle is kept, as
            `bntt.predict` does it: the mean over the pixels that become one, or a smooth
            enlargement. 0 leaves the pixels as they are.

    Raises:
        ValueError: If the file is damaged, cut short or no image.
        OSError: If it cannot be read.
        ImportError: If Pillow is not installed.
    """
    pillow = _pillow()
    with path.open("rb", buffering=0) as file:  # fewer system calls than read_bytes
        data = file.read()
    try:
        with pillow.Image.open(BytesIO(data)) as opened:
            pillow.ImageOps.exif_transpose(opened, in_place=True)
            picture = _eight_bits(opened)
            picture = _square(picture, size) if size else picture
            pixels = np.asarray(_converted(picture, MODES[channels]))
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise _unreadable(path, error) from error
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def header(path: Path) -> tuple[int, int, bool]:
    """Return the height and width of an image, upright, and whether it is grey.

    Its pixels are not decoded.

    Raises:
        ValueError: If the file is no image.
        OSError: If it cannot be read.
        ImportError: If Pillow is not installed.
    """
    pillow = _pillow()
    with path.open("rb") as file:
        try:
            with pillow.Image.open(file) as opened:
                width, height = opened.size
                turned = opened.getexif().get(ORIENTATION) in TURNED
                grey = opened.mode in GREY or opened.mode.startswith("I")
        except Exception as error:  # as above
            raise _unreadable(path, error) from error
    return (width, height, grey) if turned else (height, width, grey)


def cached_images(
    name: str,
    folder: Path,
    files: Sequence[str],
    key: Mapping[str, Any],
    shape: tuple[int, int, int],
    *,
    size: int,
    what: str,
    quiet: bool,
) -> tuple[UInt8[torch.Tensor, "N C H W"], Int64[np.ndarray, "N 2 C"]]:
    """Return the pixels of image files from the cache, decoded now if it lacks them.

    Args:
        name: What the cache's folder starts with.
        folder: Where the files lie.
        files: Their names relative to it, in the order of the rows.
        key: Everything that decides the content apart from `shape`, `size` and this code.
        shape: Channels, height and width that every image must have.
        size: See `decode`.
        what: Label of the progress bar.
        quiet: Whether to show none.

    Returns:
        The images, and of each image and channel the sum of the values and that of their
        squares, for `mean_and_deviation`.

    Raises:
        ValueError: If a file is damaged or its image has another shape; see `cached`.
        OSError: If a file cannot be read; see `cached`.
    """
    channels = shape[0]

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, file in enumerate(files[first:last]):
            pixels = decode(folder / file, channels, size)
            if pixels.shape != shape:
                raise _of_another_shape(folder / file, pixels.shape, shape)
            views["images"][row] = pixels
        _sum_up(views["images"], views["sums"])

    count = len(files)
    arrays = {
        "images": ((count, *shape), "uint8"),
        "sums": ((count, 2, channels), "int64"),
    }
    made = cached(
        name,
        {**key, "size": size, "decoder": DECODER},
        arrays,
        fill,
        chunk=max(1, CHUNK // math.prod(shape)),
        what=what,
        quiet=quiet,
    )
    return torch.from_numpy(made["images"]), np.asarray(made["sums"])


def mean_and_deviation(
    sums: Int64[np.ndarray, "N 2 C"], pixels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and deviation of values / 255, rounded to 4 digits.

    Args:
        sums: Of the values and of their squares, per image.
        pixels: In each channel of each image.

    Raises:
        ValueError: If the pixels of a channel are all the same.
    """
    values, squares = sums.sum(axis=0) / (len(sums) * pixels)
    std = _rounded(np.sqrt(np.maximum(squares - values**2, 0)) / 255)
    if 0 in std:
        raise ValueError(
            f"The pixels of channel {std.index(0)} are the same in all training images. "
            f"There is nothing to learn from them; are these the right files?"
        )
    return _rounded(values / 255), std


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _sum_up(images: np.ndarray, sums: np.ndarray) -> None:
    """Write each image's sums, a few images at a time: they fit the processor's cache."""
    for first in range(0, len(images), BLOCK):
        block = images[first : first + BLOCK]
        squares = np.square(block, dtype=np.uint16)  # 255² fits
        sums[first : first + BLOCK, 0] = block.sum((2, 3), dtype=np.int64)
        sums[first : first + BLOCK, 1] = squares.sum((2, 3), dtype=np.int64)


def _pillow() -> ModuleType:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError(
            "Image files are read with Pillow, which is not installed: pip install "
            "bntt[data]"
        ) from error
    return PIL


def _eight_bits(picture: Any) -> Any:
    if not picture.mode.startswith("I"):
        return picture
    # 16 bits, which `convert` would clip to 8
    levels = (np.asarray(picture) // 256).clip(0, 255).astype(np.uint8)
    return _pillow().Image.fromarray(levels)


def _converted(picture: Any, mode: str) -> Any:
    if picture.mode == mode:
        return picture
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a range")
    picture.info.pop("transparency", None)  # an alpha channel in other words
    return picture.convert(mode)


def _square(picture: Any, size: int) -> Any:
    """The largest square in the middle, scaled to `size`."""
    side = min(picture.size)
    if picture.size == (size, size):
        return picture
    left, top = ((length - side) // 2 for length in picture.size)
    colours = _converted(picture, "L" if picture.mode in GREY else "RGB")
    square = colours.crop((left, top, left + side, top + side))
    filters = _pillow().Image.Resampling
    return square.resize((size, size), filters.BOX if side >= size else filters.BICUBIC)


def _unreadable(path: Path, error: Exception) -> ValueError:
    unknown = isinstance(error, _pillow().UnidentifiedImageError)
    why = "it is in no format that Pillow knows" if unknown else error
    return ValueError(
        f"{path} cannot be read as an image ({why}): it has {path.stat().st_size} bytes. "
        f"Damaged, cut short or something else? Fetch or save it again, or take it out."
    )


def _of_another_shape(
    path: Path, got: tuple[int, ...], expected: tuple[int, ...]
) -> ValueError:
    return ValueError(
        f"{path} is {got[2]} pixels wide and {got[1]} high, expected {expected[2]} and "
        f"{expected[1]}. Another file? To have all images scaled, set image_size."
    )
