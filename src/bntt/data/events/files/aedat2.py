"""AEDAT 2.0, as jAER writes it: DVS128 recordings and CIFAR10-DVS."""

import re
from pathlib import Path

import numpy as np

from ..recording import Events
from .aedat_header import body_of_aedat2, check_version
from .codec import DVS128, decode_dvs128, is_dvs128, unwrap
from .recording_bytes import read_bytes

RECORD = 8
"""Bytes of an event: address and time, 32 bits each, big-endian."""
CHIP = re.compile(rb"^#\s*AEChip:\s*(?:class\s+)?(\S+)", re.MULTILINE)
"""The name of jAER's class for the camera."""
TICK = re.compile(rb"^#\s*Timestamps tick\D{0,9}(\d+\s*\w+)", re.MULTILINE)
ADDRESSED_ALIKE = (b"DVS128", b"TMPDIFF128")
"""Names of cameras, in capitals, whose addresses have the bits of a DVS128's."""


def read_aedat2(path: str | Path, transposed: bool = False) -> Events:
    """Read an AEDAT 2.0 file of a 128x128 sensor (DVS128, CIFAR10-DVS).

    After lines of text that begin with ``#`` come pairs of big-endian 32-bit numbers,
    address and microseconds; `bntt.data.events.files.codec.decode_dvs128` says which bits
    of an address are what, and how jAER's and CIFAR10-DVS's own readers take them.

    Addresses with a bit above a DVS128's 15 are no events of a pixel (synchronisation,
    triggers): they are left out, and counted in ``Events.skipped["special"]``. Where the
    32-bit clock runs over, time goes on. Times that go backwards otherwise (an older
    camera, a clock that was reset) are left as recorded, and counted by
    ``Events.backward``.

    Args:
        path: The file.
        transposed: Whether to exchange rows and columns, as SpikingJelly and tonic do for
            CIFAR10-DVS; other recordings of a DVS128 are upright without.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another version, truncated, without events, or of another
            sensor; with the byte at which that shows.
    """
    path = Path(path)
    data = read_bytes(path)
    check_version(path, data, "2.0")
    start = body_of_aedat2(path, data)
    _check_size(path, len(data), start)
    records = np.frombuffer(data, dtype=">u4", offset=start).reshape(-1, 2)
    address, t = records[:, 0].astype(np.uint32), unwrap(records[:, 1].astype(np.uint32))
    pixel = is_dvs128(address)
    skipped = {}
    if special := len(pixel) - int(np.count_nonzero(pixel)):
        if 2 * special > len(pixel):
            raise ValueError(_other_sensor(path, data[:start], start, pixel))
        address, t = address[pixel], t[pixel]
        skipped["special"] = special
    _check_header(path, data[:start])
    x, y, polarity = decode_dvs128(address)
    if transposed:
        x, y = y, x
    return Events(x, y, t, polarity, DVS128, DVS128, skipped)


def _check_size(path: Path, size: int, start: int) -> None:
    if size == start:
        raise ValueError(
            f"{path} holds no events: it ends where its header does, at byte {start}. "
            f"Truncated? Get the file again."
        )
    if over := (size - start) % RECORD:
        raise ValueError(
            f"{path} must hold events of {RECORD} bytes each from byte {start} on, but at "
            f"byte {size - over} only {over} bytes are left. Truncated? Get the file again."
        )


def _check_header(path: Path, header: bytes) -> None:
    chip = CHIP.search(header)
    camera = chip[1].rpartition(b".")[2] if chip else b"DVS128"
    if not camera.upper().startswith(ADDRESSED_ALIKE):
        raise ValueError(f"{path}:{_named(header)} {ONLY_DVS128}")
    tick = TICK.search(header)
    if tick and tick[1].split() != [b"1", b"us"]:
        raise ValueError(
            f"{path}: its header, at byte {tick.start()}, says that its clock ticks every "
            f"{tick[1].decode(errors='replace')!r}; only microseconds are read."
        )


ONLY_DVS128 = (
    "Only 128x128 recordings (DVS128, CIFAR10-DVS) are read from AEDAT 2.0. Save others as "
    "AEDAT 4 or .npz."
)


def _named(header: bytes) -> str:
    chip = CHIP.search(header)
    return f" Its header names {ascii(chip[1].decode('latin-1'))[1:-1]}." if chip else ""


def _other_sensor(path: Path, header: bytes, start: int, pixel: np.ndarray) -> str:
    first = int(np.argmin(pixel))
    return (
        f"{path}: {np.count_nonzero(~pixel)} of {len(pixel)} addresses, the first at byte "
        f"{start + RECORD * first}, have bits set that a DVS128 does not use."
        f"{_named(header)} {ONLY_DVS128}"
    )
