"""The user's own pictures, cut and scaled to what a network looks at."""

import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from .data.geometry import Geometry
from .data.images.file import MODES, read
from .data.images.levels import few_levels
from .data.places import check_file


class Picture(NamedTuple):
    """A picture as a network takes it."""

    pixels: UInt8[Tensor, "C H W"]
    note: str
    """What may be wrong with it; empty if nothing is."""


def read_picture(
    path: str | Path, channels: int, size: int, *, invert: bool = False
) -> UInt8[Tensor, "C H W"]:
    """Read a picture (PNG, JPEG, whatever Pillow opens) for a network that has no border.

    It is turned upright as the camera noted, cropped to the square in its middle and scaled
    to the network's size: the mean over the pixels that become one, as the digits of
    scikit-learn were made, or a smooth enlargement. Transparent parts become black where
    what is visible is light, and white where it is dark.

    Args:
        path: The file.
        channels: 1 for grey, 3 for red, green and blue.
        size: Side of the result, in pixels.
        invert: Whether to exchange light and dark.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no picture, a damaged one or a huge one.
        ImportError: If Pillow is not installed.
    """
    geometry = Geometry(channels=channels, image_size=size)
    return read_as_trained(path, geometry, invert=invert).pixels


def read_as_trained(
    path: str | Path, geometry: Geometry, *, invert: bool = False
) -> Picture:
    """Read a picture as those that a network learned from became its images.

    As :func:`read_picture`, but scaled to the size within the border, which is added then.

    Args:
        path: The file.
        geometry: Of the set that the network was trained on.
        invert: Whether to exchange light and dark, within the border.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As :func:`read_picture`, or if the picture has values beyond white.
        ImportError: If Pillow is not installed.
    """
    path = Path(path)
    if geometry.channels not in MODES:
        raise ValueError(
            f"A picture has 1 channel (grey) or 3 (colour), but this network takes "
            f"{geometry.channels}. Feed it tensors from Python instead."
        )
    around = path if path.is_dir() else path.parent
    check_file(path, "a picture", f"Name PNG or JPEG files, such as {around}/*.png.")
    with warnings.catch_warnings():
        # of Pillow, about a large photo
        warnings.filterwarnings("ignore", "Image size .* exceeds limit")
        found = read(path, geometry.channels, geometry.inner, white=geometry.white)
    pixels = torch.from_numpy(found.pixels.copy())
    if invert:
        pixels = 255 - pixels
    note = few_levels("This picture's", found.peak, found.white)
    return Picture(torch.nn.functional.pad(pixels, geometry.border), note)
