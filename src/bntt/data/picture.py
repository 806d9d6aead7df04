"""One image file: its pixels, upright, opaque and of the size wanted."""

from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from .jpeg import plain_pixels

MODES = {1: "L", 3: "RGB"}
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""Values of that EXIF tag that exchange height and width."""


def decode(path: Path, channels: int, size: int = 0) -> UInt8[np.ndarray, "C H W"]:
    """Read an image file, turned upright as the camera noted.

    Whatever it holds, palette, grey, CMYK or 16 bits, is converted. Transparent parts
    become black where what is visible is light, and white where it is dark. A file cut
    short is refused; a byte that is wrong in the middle of a JPEG changes pixels and cannot
    be told.

    Args:
        path: JPEG, PNG or whatever else Pillow opens; of several frames the first.
        channels: 1 for grey, 3 for red, green and blue.
        size: Side in pixels. The shorter side is scaled to it and the middle is kept, as
            `bntt.predict` does it: the mean over the pixels that become one, or a smooth
            enlargement. 0 leaves the pixels as they are.

    Raises:
        ValueError: If the file is damaged, cut short or no image.
        OSError: If it cannot be read.
        ImportError: If Pillow is needed and not installed.
    """
    with path.open("rb", buffering=0) as file:  # fewer system calls than read_bytes
        data = file.read()
    pixels = plain_pixels(data, MODES[channels], size)
    if pixels is None:
        pixels = _opened(path, data, channels, size)
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def _opened(path: Path, data: bytes, channels: int, size: int) -> np.ndarray:
    pillow = _pillow()
    try:
        with pillow.Image.open(BytesIO(data)) as opened:
            pillow.ImageOps.exif_transpose(opened, in_place=True)
            picture = _opaque(_eight_bits(opened))
            picture = _square(picture, size) if size else picture
            return np.asarray(_converted(picture, MODES[channels]))
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise _unreadable(path, error) from error


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


def _opaque(picture: Any) -> Any:
    """The picture on a ground that what is visible stands out from."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture
    picture = picture.convert("RGBA")
    light = np.asarray(picture.convert("RGB").convert("L"), dtype=np.float64)
    alpha = np.asarray(picture.getchannel("A"), dtype=np.float64)
    is_light = (alpha * light).sum() > 127.5 * alpha.sum()
    ground = picture.copy()
    ground.paste("black" if is_light else "white", (0, 0, *picture.size))
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def _converted(picture: Any, mode: str) -> Any:
    if picture.mode == mode:
        return picture
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a range")
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
    if isinstance(error, _pillow().Image.DecompressionBombError):
        return ValueError(f"{path} has too many pixels: {error} Scale it down.")
    unknown = isinstance(error, _pillow().UnidentifiedImageError)
    why = "it is in no format that Pillow knows" if unknown else error
    return ValueError(
        f"{path} cannot be read as an image ({why}): it has {path.stat().st_size} bytes. "
        f"Damaged, cut short or something else? Fetch or save it again, or take it out."
    )
