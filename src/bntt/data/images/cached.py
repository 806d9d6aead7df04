"""The pixels of a list of image files, through the cache."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, Int64, UInt8

from ..cache import cached
from ..originals import SHA256, Originals, fingerprint, read_unchanged, sha256_of_names
from ..tree import Stamp
from .file import read as decode

DECODER = 2
"""Version of what makes pixels of a file. It is part of the key of every cache of
images."""
CHUNK = 8 << 20
"""Bytes of pixels that a thread decodes before it writes them."""
BLOCK = 16
"""Number of images that are summed up at a time."""


class CachedImages(NamedTuple):
    """The pixels of image files, and what was read to have them."""

    images: UInt8[torch.Tensor, "N C H W"]
    sums: Int64[np.ndarray, "N 2 C"]
    """Sums of the values and of their squares, per image and channel, of which
    `statistics.mean_and_deviation` makes mean and deviation."""
    deep: Int32[np.ndarray, "N 2"]
    """The highest value of an image of more than 8 bits a sample, and the one that became
    255; 0 and 255 of any other."""
    originals: Originals


def cached_images(
    name: str,
    folder: Path,
    files: Mapping[str, Stamp],
    key: Mapping[str, Any],
    shape: tuple[int, int, int],
    *,
    size: int,
    what: str,
    quiet: bool,
    white: int = 0,
    at_work: int = 0,
) -> CachedImages:
    """Return the pixels of image files from the cache, decoded now if it lacks them.

    Args:
        name: What the cache's folder starts with.
        folder: Where the files lie.
        files: By their names relative to it, in the order of the rows.
        key: Everything that decides the content apart from the files, `shape`, `size` and
            this code.
        shape: Channels, height and width that every image must have.
        size: Side to which images are scaled; 0 leaves them as they are.
        what: Label of the progress bar.
        quiet: Whether to show none.
        white: See `bntt.data.images.file.read`.
        at_work: Bytes that decoding one of the files may take.

    Raises:
        ValueError: If a file is damaged, changes while it is read, or its image has another
            shape; see `cached`.
        OSError: If a file cannot be read; see `cached`.
    """
    channels, names = shape[0], list(files)
    sides = (size, size) if size else None

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, file in enumerate(names[first:last]):
            data = read_unchanged(folder / file, files[file])
            sha256 = hashlib.sha256(data).digest()
            views["sha256"][row] = np.frombuffer(sha256, dtype=np.uint8)
            found = decode(folder / file, channels, sides, data, white=white)
            if found.pixels.shape != shape:
                raise _of_another_shape(folder / file, found.pixels.shape, shape)
            views["images"][row] = found.pixels
            views["deep"][row] = found.peak, found.white
        _sum_up(views["images"], views["sums"])

    count = len(files)
    arrays = {
        "images": ((count, *shape), "uint8"),
        "sums": ((count, 2, channels), "int64"),
        "deep": ((count, 2), "int32"),
        "sha256": ((count, SHA256), "uint8"),
    }
    made = cached(
        name,
        {
            **key,
            "files": fingerprint(files),
            "order": sha256_of_names(names),
            "size": size,
            "white": white,
            "decoder": DECODER,
        },
        arrays,
        fill,
        chunk=max(1, CHUNK // math.prod(shape)),
        what=what,
        quiet=quiet,
        at_work=at_work,
    )
    originals = Originals(folder, names, np.asarray(made["sha256"]))
    images, sums, deep = (made[name] for name in ("images", "sums", "deep"))
    return CachedImages(torch.from_numpy(images), sums, deep, originals)


def _sum_up(images: np.ndarray, sums: np.ndarray) -> None:
    """Write each image's sums, a few images at a time: they fit the processor's cache."""
    for first in range(0, len(images), BLOCK):
        block = images[first : first + BLOCK]
        squares = np.square(block, dtype=np.uint16)  # 255² fits
        sums[first : first + BLOCK, 0] = block.sum((2, 3), dtype=np.int64)
        sums[first : first + BLOCK, 1] = squares.sum((2, 3), dtype=np.int64)


def _of_another_shape(
    path: Path, got: tuple[int, ...], expected: tuple[int, ...]
) -> ValueError:
    return ValueError(
        f"{path} is {got[2]} pixels wide and {got[1]} high, expected {expected[2]} and "
        f"{expected[1]}. Another file? To have all images scaled, set image_size."
    )
