"""Small, plain JPEG data straight to libjpeg-turbo, past what opening an image costs.

Pillow takes longer to open a picture of 64x64 pixels than to decode it, and opening holds
the interpreter's lock. Sets of a hundred thousand such files are why this exists.
"""

from functools import cache
from types import ModuleType

import numpy as np
from jaxtyping import UInt8

START_OF_IMAGE = b"\xff\xd8"
FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of frames that are baseline, extended or progressive, with Huffman codes."""
SKIPPED = (0xC4, 0xDB, 0xDD, 0xE0, *range(0xE2, 0xF0), 0xFE)
"""Tables, comments, and applications' segments but APP1, which may say which side is up."""
MOST_PIXELS = 256 * 256
"""The most pixels of a picture that goes this way; of larger ones the opening takes a small
part of the time."""


def plain_pixels(data: bytes, mode: str, size: int) -> UInt8[np.ndarray, "H W C"] | None:
    """Return what opening and converting an image gives, or None where that might differ.

    Args:
        data: A whole file of any kind.
        mode: "L" for a grey image, which the file must be too; "RGB" for either.
        size: Side that the image must have; 0 for any.
    """
    found, simplejpeg = _frame(data), _simplejpeg()
    if found is None or simplejpeg is None:
        return None
    height, width, components = found
    fits = size in (0, height) and size in (0, width) and height * width <= MOST_PIXELS
    if not fits or components not in ((1,) if mode == "L" else (1, 3)):
        return None
    try:
        return simplejpeg.decode_jpeg(data, "GRAY" if mode == "L" else mode)
    except ValueError:  # damaged: the long way says how
        return None


@cache
def _simplejpeg() -> ModuleType | None:
    # a library that is missing would be looked for anew for every image
    try:
        import simplejpeg
    except ImportError:  # no matter: all images can go the long way
        return None
    return simplejpeg


def _frame(data: bytes) -> tuple[int, int, int] | None:
    """Height, width and components of a plain JPEG, from its frame's header."""
    if data[:2] != START_OF_IMAGE:
        return None
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in FRAMES:
            return _header(data[at + 4 : at + 10])
        if data[at + 1] not in SKIPPED:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _header(frame: bytes) -> tuple[int, int, int] | None:
    bits, components = frame[0], frame[5]
    height, width = (int.from_bytes(frame[k : k + 2], "big") for k in (1, 3))
    return (height, width, components) if bits == 8 and height and width else None
