"""The user's own pictures, cut and scaled to what a network looks at."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

MODES = {1: "L", 3: "RGB"}


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
    if not path.is_file():
        what = "is a folder, not a picture" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"{path} {what}. Name PNG or JPEG files, such as "
            f"{path if path.is_dir() else path.parent}/*.png."
        )
    picture = _square(_opaque(_open(path)), size).convert(MODES[channels])
    pixels = np.array(picture).reshape(size, size, channels)
    return torch.from_numpy(255 - pixels if invert else pixels).movedim(-1, 0)


def _open(path: Path) -> Any:
    """The decoded picture, upright, with 8 bits per channel."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            "Pictures are read with Pillow, which is not installed: pip install bntt[data]"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a large photo
            with Image.open(path) as opened:
                opened.load()
                picture = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} has too many pixels: {error} Scale it down.") from error
    except Image.UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not a picture in a format that Pillow knows. Convert it to PNG or "
            f"JPEG, or check that it arrived whole: it has {path.stat().st_size} bytes."
        ) from error
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise ValueError(
            f"{path} cannot be read ({error}). It is damaged or cut short: copy or save it "
            f"again."
        ) from error
    if picture.mode.startswith("I"):  # 16 bits, which `convert` would clip to 8
        return Image.fromarray((np.asarray(picture) // 256).clip(0, 255).astype(np.uint8))
    return picture


def _opaque(picture: Any) -> Any:
    """The picture on a ground that what is visible stands out from."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture if picture.mode == "L" else picture.convert("RGB")
    picture = picture.convert("RGBA")
    light = np.asarray(picture.convert("RGB").convert("L"), dtype=np.float64)
    alpha = np.asarray(picture.getchannel("A"), dtype=np.float64)
    is_light = (alpha * light).sum() > 127.5 * alpha.sum()
    ground = picture.copy()
    ground.paste("black" if is_light else "white", (0, 0, *picture.size))
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def _square(picture: Any, size: int) -> Any:
    """The largest square in the middle, scaled to ``size``."""
    from PIL.Image import Resampling

    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    picture = picture.crop((left, top, left + side, top + side))
    shrinks = side >= size
    return picture.resize((size, size), Resampling.BOX if shrinks else Resampling.BICUBIC)
