"""The user's own pictures, cut and scaled to what a network looks at."""

import warnings
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from .data.picture import MODES, decode
from .data.places import check_file


def read_picture(
    path: str | Path, channels: int, size: int, *, invert: bool = False
) -> UInt8[Tensor, "C H W"]:
    """Read a picture (PNG, JPEG, whatever Pillow opens) for a network.

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
    path = Path(path)
    if channels not in MODES:
        raise ValueError(
            f"A picture has 1 channel (grey) or 3 (colour), but this network takes "
            f"{channels}. Feed it tensors from Python instead."
        )
    around = path if path.is_dir() else path.parent
    check_file(path, "a picture", f"Name PNG or JPEG files, such as {around}/*.png.")
    with warnings.catch_warnings():
        # of Pillow, about a large photo
        warnings.filterwarnings("ignore", "Image size .* exceeds limit")
        pixels = torch.from_numpy(decode(path, channels, size).copy())
    return 255 - pixels if invert else pixels
