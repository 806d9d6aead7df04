"""Pictures of more than 8 bits a sample, of which Pillow itself would keep 8 or clip.

Grey ones are opened as whole numbers. Of colour, Pillow reads the upper byte alone; told
that the bytes stand the other way round, it reads the lower one.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .levels import MOST, Unsuited, as_bytes

ROWS = 64
"""Rows of a picture that are turned into numbers at a time."""
SWAPPED = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
SWAPPED |= {other: one for one, other in SWAPPED.items()}
SWAPPED |= {"RGB;16N": "RGB;16B", "RGBA;16N": "RGBA;16B"}
"""How Pillow is to unpack colours of 16 bits to read their lower bytes; N is the
processor's own order, of which only the usual one, the lower byte first, is known here."""
OF_16_BITS = ("PNG", "PPM", "JPEG2000")
"""Formats in which grey of more than 8 bits arrives scaled to 16."""
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
"""Tags of TIFF."""
UNSIGNED, SIGNED = 1, 2


class Shallow(NamedTuple):
    """A picture of 8 bits a sample, and of what it was made."""

    picture: Any
    peak: int
    """The highest value that it had, of more than 8 bits; 0 if it had 8 to begin with."""
    white: int
    """The value that became 255."""


def in_eight_bits(
    opened: Any, again: Callable[[], Any], upright: Callable[[Any], None], white: int
) -> Shallow:
    """Turn a picture upright and into 8 bits a sample.

    Args:
        opened: By Pillow, and nothing read of it yet.
        again: Opens the same once more.
        upright: Turns a picture in place.
        white: The value that means white if it has more than 8 bits; 0 for what the file
            itself says.

    Raises:
        Unsuited: If a value lies above white or below 0, or nothing says what is white.
    """
    tags = getattr(opened, "tag_v2", {})
    if opened.mode == "L" and SIGNED in tags.get(SAMPLE_FORMAT, ()):
        raise Unsuited("its pixels are signed numbers, of which none says what is black")
    if opened.mode.startswith("I"):
        white = _white_of_grey(opened, tags, white)
        inverted = tags.get(PHOTOMETRIC) == 0
        upright(opened)
        return _grey(opened, white, inverted)
    way = _unpacking(opened)
    if ";16" in way:
        low = None
        if white not in (0, MOST):
            low = _lower_bytes(again(), way)
            upright(low)
        upright(opened)
        return _colour(opened, low, white or MOST)
    upright(opened)
    return Shallow(opened, 0, 255)


def _white_of_grey(opened: Any, tags: Any, white: int) -> int:
    own = 0
    if opened.format in OF_16_BITS:
        own = MOST
        if opened.tile and opened.tile[0][0].startswith("ppm"):
            return own  # it names its white, and Pillow has scaled it
    elif set(tags.get(SAMPLE_FORMAT, (UNSIGNED,))) == {UNSIGNED}:
        bits = max(tags.get(BITS, (0,)))
        own = (1 << bits) - 1 if bits <= 16 else 0
    if not (white or own):
        raise Unsuited(
            "its pixels are whole numbers of a kind that does not say which one is white; "
            "name it in the recipe, such as white=4095, or save it with 8 or 16 bits"
        )
    return white or own


def _grey(opened: Any, white: int, inverted: bool) -> Shallow:
    image, peak = _pillow().Image, 0
    result = image.new("L", opened.size)
    for box in strips(opened):
        values = np.asarray(opened.crop(box))
        if inverted:
            values = white - values.astype(np.int64)
        result.paste(image.fromarray(as_bytes(values, white)), box[:2])
        peak = max(peak, int(values.max()))
    if "transparency" in opened.info:
        result.info["transparency"] = opened.info["transparency"] * 256 // (white + 1)
    return Shallow(result, peak, white)


def _unpacking(opened: Any) -> str:
    """How Pillow unpacks the pixels of an opened file; empty if that is not said."""
    if not opened.tile:
        return ""
    arguments = opened.tile[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _lower_bytes(opened: Any, way: str) -> Any:
    if way not in SWAPPED:
        raise Unsuited(
            f"its {way.split(';')[0]} samples have 16 bits, of which the lower 8 cannot be "
            f"read, so that no other value than {MOST} can mean white; save it as RGB"
        )
    opened.tile = [_swapped(tile, way) for tile in opened.tile]
    return opened


def _swapped(tile: tuple, way: str) -> tuple:
    *where, arguments = tile
    if isinstance(arguments, tuple):
        fields = (*where, (SWAPPED[way], *arguments[1:]))
    else:
        fields = (*where, SWAPPED[way])
    # older ones of Pillow's are plain tuples, newer ones have names
    return fields if type(tile) is tuple else type(tile)(*fields)


def _colour(opened: Any, low: Any, white: int) -> Shallow:
    if "transparency" in opened.info:
        clear = (value * 256 // (white + 1) for value in opened.info["transparency"])
        opened.info["transparency"] = tuple(clear)
    bands = [k for k, band in enumerate(opened.getbands()) if band != "A"]
    if low is None:  # the upper byte is what there is to know
        extremes = opened.getextrema()
        extremes = extremes if isinstance(extremes[0], tuple) else (extremes,)
        return Shallow(opened, 256 * max(extremes[k][1] for k in bands) + 255, white)
    peak, image = 0, _pillow().Image
    result = image.new(opened.mode, opened.size)
    for box in strips(opened):
        upper = np.asarray(opened.crop(box)).copy()
        values = 256 * upper[..., bands].astype(np.int32)
        values += np.asarray(low.crop(box))[..., bands]
        upper[..., bands] = as_bytes(values, white)
        peak = max(peak, int(values.max()))
        result.paste(image.fromarray(upper), box[:2])
    result.info = opened.info
    return Shallow(result, peak, white)


def strips(picture: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield the edges of one strip of a picture after another: left, top, right, bottom."""
    width, height = picture.size
    for top in range(0, height, ROWS):
        yield 0, top, width, min(top + ROWS, height)


def _pillow() -> ModuleType:
    import PIL.Image

    return PIL
