"""One image file, read into pixels that are upright, opaque and of the size wanted."""

from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ...machine.extras import how_to_install
from ..folders import check_file, read_bounded
from ..originals import LARGEST
from .deep import in_eight_bits, strips
from .jpeg import plain_pixels
from .levels import Unsuited

MODES = {1: "L", 3: "RGB"}
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""Values of that EXIF tag that exchange height and width."""
TIFF_WIDTH, TIFF_HEIGHT = 256, 257
POSTSCRIPT = "EPS"


class Decoded(NamedTuple):
    """The pixels of an image file, and what they were made of."""

    pixels: UInt8[np.ndarray, "C H W"]
    peak: int
    """The highest value of an image of more than 8 bits a sample; 0 for any other."""
    white: int
    """The value that became 255."""


def decode(
    path: Path, channels: int, size: int = 0, data: bytes | None = None, *, white: int = 0
) -> UInt8[np.ndarray, "C H W"]:
    """Return the pixels that `read` gives, of squares of `size`; 0 leaves them as they are.

    Raises:
        ValueError: As `read`; so are the other errors.
    """
    sides = (size, size) if size else None
    return read(path, channels, sides, data, white=white).pixels


def read(
    path: Path,
    channels: int,
    sides: tuple[int, int] | None = None,
    data: bytes | None = None,
    *,
    white: int = 0,
) -> Decoded:
    """Read an image file, turned upright as the camera noted.

    Whatever it holds, palette, grey, CMYK or 16 bits, is converted. Transparent parts
    become black where what is visible is light, and white where it is dark. A file cut
    short is refused; a byte that is wrong in the middle of a JPEG changes pixels and cannot
    be told.

    Args:
        path: JPEG, PNG or whatever else Pillow opens; of several frames the first.
        channels: 1 for grey, 3 for red, green and blue.
        sides: Height and width in pixels. The largest part in the middle that has their
            shape is scaled to them: the mean over the pixels that become one, or a smooth
            enlargement. None leaves the pixels as they are.
        data: What is in the file, if that was read already.
        white: The value that becomes 255 if a sample has more than 8 bits; 0 for what the
            file itself says. Bytes are taken as they are.

    Raises:
        ValueError: If the file is damaged, cut short or no image, or if its values go
            beyond white, are signed, or say nothing of what is white.
        OSError: If it cannot be read.
        ImportError: If Pillow is needed and not installed.
    """
    if data is None:
        check_file(path, "a picture", "Name PNG or JPEG files.")
        data = read_bounded(path, LARGEST, "picture")
    if sides is None or sides[0] == sides[1]:
        pixels = plain_pixels(data, MODES[channels], sides[0] if sides else 0)
        if pixels is not None:
            return Decoded(_channels_first(pixels, channels), 0, 255)
    return _opened(path, data, channels, sides, white)


def _channels_first(pixels: np.ndarray, channels: int) -> np.ndarray:
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)


def _opened(
    path: Path, data: bytes, channels: int, sides: tuple[int, int] | None, white: int
) -> Decoded:
    pillow = _pillow()

    def again() -> Any:
        return pillow.Image.open(BytesIO(data))

    def upright(picture: Any) -> None:
        pillow.ImageOps.exif_transpose(picture, in_place=True)

    try:
        with again() as opened:
            if opened.format == POSTSCRIPT:
                raise Unsuited("it is PostScript, a program, which is not run")
            picture, peak, white = in_eight_bits(opened, again, upright, white)
            picture = _opaque(picture)
            picture = _middle(picture, sides) if sides else picture
            pixels = np.asarray(_converted(picture, MODES[channels]))
    except Unsuited as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}). Save it as PNG of 8 bits a "
            f"sample, or take it out."
        ) from error
    except MemoryError as error:
        raise MemoryError(f"{path} has too many pixels for the memory. {error}") from error
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise _unreadable(path, error) from error
    return Decoded(_channels_first(pixels, channels), peak, white)


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
                width, height = _stored_size(opened)
                turned = opened.getexif().get(ORIENTATION) in TURNED
                grey = opened.mode in GREY or opened.mode.startswith("I")
        except Exception as error:  # as above
            raise _unreadable(path, error) from error
    return (width, height, grey) if turned else (height, width, grey)


def _stored_size(opened: Any) -> tuple[int, int]:
    """Width and height as they are stored; of TIFF, Pillow has turned its own already."""
    tags = getattr(opened, "tag_v2", {})
    width, height = opened.size
    return int(tags.get(TIFF_WIDTH, width)), int(tags.get(TIFF_HEIGHT, height))


def _pillow() -> ModuleType:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError(
            f"Image files are read with Pillow, which is not installed: "
            f"{how_to_install('data')}"
        ) from error
    return PIL


def _opaque(picture: Any) -> Any:
    """The picture on a ground that what is visible stands out from."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture
    light = visible = 0
    for box in strips(picture):
        strip = picture.crop(box).convert("RGBA")
        alpha = np.asarray(strip.getchannel("A"), dtype=np.int64)
        light += int((alpha * np.asarray(strip.convert("RGB").convert("L"))).sum())
        visible += int(alpha.sum())
    image = _pillow().Image
    ground = "black" if 2 * light > 255 * visible else "white"
    result = image.new("RGB", picture.size)
    for box in strips(picture):
        strip = picture.crop(box).convert("RGBA")
        on_ground = image.new("RGBA", strip.size, ground)
        on_ground.alpha_composite(strip)
        result.paste(on_ground.convert("RGB"), box[:2])
    return result


def _converted(picture: Any, mode: str) -> Any:
    if picture.mode == mode:
        return picture
    if picture.mode == "F":
        raise Unsuited("its pixels are floating-point numbers without a range")
    return picture.convert(mode)


def _middle(picture: Any, sides: tuple[int, int]) -> Any:
    """The largest part in the middle of the shape of `sides`, scaled to them."""
    height, width = sides
    if picture.size == (width, height):
        return picture
    across, down = picture.size
    if across * height > down * width:
        across = max(1, round(down * width / height))
    else:
        down = max(1, round(across * height / width))
    left, top = (picture.width - across) // 2, (picture.height - down) // 2
    colours = _converted(picture, "L" if picture.mode in GREY else "RGB")
    middle = colours
    if middle.size != (across, down):  # or a huge picture would be copied for nothing
        middle = colours.crop((left, top, left + across, top + down))
    shrinks = across >= width and down >= height
    filters = _pillow().Image.Resampling
    return middle.resize((width, height), filters.BOX if shrinks else filters.BICUBIC)


def _unreadable(path: Path, error: Exception) -> ValueError:
    if isinstance(error, _pillow().Image.DecompressionBombError):
        return ValueError(f"{path} has too many pixels: {error} Scale it down.")
    unknown = isinstance(error, _pillow().UnidentifiedImageError)
    why = "it is in no format that Pillow knows" if unknown else error
    return ValueError(
        f"{path} cannot be read as an image ({why}): it has {path.stat().st_size} bytes. "
        f"Damaged, cut short or something else? Fetch or save it again, or take it out."
    )
