"""The idx format: a magic number, the sizes, and the values as they are."""

import zlib
from math import prod
from pathlib import Path

import numpy as np

BYTES = 8
"""The format's code for unsigned bytes, the only values read here."""


def gunzip(path: Path, data: bytes, most: int) -> bytes:
    """Unpack a gzip file of one member or several.

    Args:
        path: Of the file, for messages.
        data: Its bytes.
        most: Bytes that it may unpack to.

    Raises:
        ValueError: If it is cut short, damaged or no gzip file, or unpacks to more.
    """
    parts, rest, room = [], data, most
    while rest or not parts:
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            parts.append(unpacker.decompress(rest, room + 1))
        except zlib.error as error:
            raise ValueError(
                f"{path} is not a whole gzip file: {error}. Fetch it again."
            ) from error
        room -= len(parts[-1])
        if room < 0:
            raise ValueError(
                f"{path} unpacks to more than {most} bytes, as no such file does. Another "
                f"set's file, or damaged?"
            )
        if not unpacker.eof:
            raise ValueError(
                f"{path} is cut short: its {len(data)} bytes unpack to {most - room}, and "
                f"then the end of the gzip file is missing. Fetch it again."
            )
        rest = unpacker.unused_data.lstrip(b"\0")  # tapes and disks fill up with zeros
    return b"".join(parts)


def read_idx(path: Path, data: bytes, dimensions: int) -> np.ndarray:
    """Return the array of bytes in an idx file; it shares `data` and cannot be written to.

    Args:
        path: Of the file, for messages.
        data: Its bytes, unpacked.
        dimensions: How many axes there must be.

    Raises:
        ValueError: If the header is another one, or does not go with the size of the file.
    """
    magic = bytes([0, 0, BYTES, dimensions])
    if data[:4] != magic:
        raise ValueError(
            f"{path} must start with the bytes {magic.hex(' ')}, an idx file of bytes in "
            f"{dimensions} dimension(s), but {_start(data)}. Another file? Unpack or fetch "
            f"it again."
        )
    ahead = 4 + 4 * dimensions
    # a header that is itself cut gives sizes of 0 and fails the next check
    sizes = np.frombuffer(data[4:ahead].ljust(4 * dimensions, b"\0"), dtype=">u4").tolist()
    if len(data) != ahead + prod(sizes):
        raise ValueError(
            f"{path} must have {ahead + prod(sizes)} bytes, a header of {ahead} and "
            f"{' x '.join(map(str, sizes))} values, but has {len(data)}. Cut short? Unpack "
            f"or fetch it again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=ahead).reshape(sizes)


def _start(data: bytes) -> str:
    return f"starts with {data[:4].hex(' ')}" if data else "is empty"
