"""AEDAT 3.1, as cAER writes it: the recordings of DVS128 Gesture."""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..recording import Events, on_sensor
from ..sensor import UNKNOWN, Sides, sides_of_camera
from .aedat_header import body_of_aedat3, check_version
from .codec import decode_polarity
from .recording_bytes import read_bytes

FORMAT = re.compile(rb"^#Format:[ \t]*(\S+)", re.MULTILINE)
SOURCE = re.compile(rb"^#Source[ \t]*(\d{1,5}):[ \t]*([^\r\n]*)", re.MULTILINE)
# type, source, bytes of an event, where its time lies, overflows of the clock, places,
# events, valid events
HEADER = struct.Struct("<hhiiiiii")
POLARITY = 1
KINDS = {0: "special", 2: "frame", 3: "imu6", 4: "imu9", 5: "sample", 6: "ear"}
RECORD = 8
"""Bytes of a polarity event: address and time, 32 bits each."""
CLOCK_BITS = 31
"""The clock of a packet counts with a signed number of 32 bits, none of them negative."""


class Packet(NamedTuple):
    """Events of one kind, as their header describes them."""

    kind: int
    source: int
    """Number of the camera that recorded them."""
    body: int
    """At which byte of the file its events begin."""
    number: int
    overflows: int
    """How often the camera's clock had run over before."""


def read_aedat3(
    path: str | Path, width: int = 0, height: int = 0, outside: str = "refuse"
) -> Events:
    """Read the polarity events of an AEDAT 3.1 file; see `codec.decode_polarity`.

    Of several cameras the one with the lowest number is read.

    Events that the camera's software marked invalid are left out and counted in
    ``Events.skipped["invalid"]``; those of other kinds (special, frame, imu6 and so on)
    and of other cameras too, by kind.

    Args:
        path: The file.
        width: Columns of the sensor, if the header does not name a known camera.
        height: Rows of the sensor; likewise.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another version, truncated, damaged, without polarity
            events, of an unknown sensor, or has an event outside; with the byte at which
            that shows.
    """
    path = Path(path)
    data = read_bytes(path)
    check_version(path, data, "3.1")
    start = body_of_aedat3(path, data)
    _check_format(path, data[:start])
    packets, skipped = _sorted(_packets(path, data, start))
    word, t = _words(data, packets)
    x, y, polarity, valid = decode_polarity(word)
    kept = np.flatnonzero(valid)
    if len(kept) < len(valid):
        skipped["invalid"] = len(valid) - len(kept)
    if not len(kept):
        raise ValueError(
            f"{path} holds no polarity events from byte {start} to its end at byte "
            f"{len(data)}, but {skipped or 'nothing'}. Truncated, or of another sensor?"
        )
    return on_sensor(
        path,
        (x[kept], y[kept], t[kept], polarity[kept]),
        _sensor(path, data[:start], packets[0].source, (width, height)),
        skipped=skipped,
        byte_of=lambda k: _byte_of(packets, int(kept[k])),
        outside=outside,
    )


def _sensor(path: Path, header: bytes, source: int, otherwise: Sides) -> Sides:
    """Return the sensor of the camera that the header names, or `otherwise`."""
    found = SOURCE.findall(header)
    names = {int(number): ascii(name.decode("latin-1"))[1:-1] for number, name in found}
    name = names.get(source, next(iter(names.values())) if len(names) == 1 else "")
    sides = sides_of_camera(name)
    if sides == UNKNOWN and 0 in otherwise:
        camera = f"{name[:60]}, a camera of unknown size" if name else "no camera"
        raise ValueError(
            f"{path}: its header, up to byte {len(header)}, names {camera}. Say its "
            f"sensor: a folder of your own takes sensor='WIDTHxHEIGHT'."
        )
    return otherwise if sides == UNKNOWN else sides


def _sorted(packets: Iterator[Packet]) -> tuple[list[Packet], dict[str, int]]:
    """Return a camera's packets of events, and how many events others have, by kind."""
    ours, others = [], Counter()
    for packet in packets:
        if packet.kind == POLARITY and packet.number:
            ours.append(packet)
        elif packet.number:
            others[KINDS.get(packet.kind, f"type {packet.kind}")] += packet.number
    first = min((packet.source for packet in ours), default=0)
    for packet in ours:
        if packet.source != first:
            others[f"events of source {packet.source}"] += packet.number
    return [packet for packet in ours if packet.source == first], dict(others)


def _check_format(path: Path, header: bytes) -> None:
    found = FORMAT.search(header)
    if found and found[1] != b"RAW":
        raise ValueError(
            f"{path}: the header, at byte {found.start()}, says that events are packed as "
            f"{found[1].decode(errors='replace')!r}; only 'RAW' is read."
        )


def _packets(path: Path, data: bytes, at: int) -> Iterator[Packet]:
    while at < len(data):
        body = at + HEADER.size
        if body > len(data):
            raise ValueError(_truncated(path, at, f"header of {HEADER.size}", len(data)))
        kind, source, size, offset, overflows, places, number, _ = HEADER.unpack_from(
            data, at
        )
        sound = kind >= 0 and size > 0 and overflows >= 0 and 0 <= number <= places
        if not sound or (kind == POLARITY and (size, offset) != (RECORD, 4)):
            raise ValueError(
                f"{path}: at byte {at} the header of a packet is expected, but it says: "
                f"type {kind}, {number} of {places} events of {size} bytes, the time at "
                f"byte {offset}, {overflows} clock overflows. Damaged? Get the file again."
            )
        end = body + size * places
        if end > len(data):
            raise ValueError(_truncated(path, at, f"packet of {end - at}", len(data)))
        yield Packet(kind, source, body, number, overflows)
        at = end


def _truncated(path: Path, at: int, what: str, size: int) -> str:
    return (
        f"{path}: at byte {at} begins a {what} bytes, but the file ends at byte {size}. "
        f"Truncated? Get the file again."
    )


def _words(data: bytes, packets: list[Packet]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first words of all events, uint32 [E], and their times, int64 [E]."""
    blocks = [
        np.frombuffer(data, dtype="<u4", count=2 * packet.number, offset=packet.body)
        for packet in packets
    ]
    both = np.concatenate([*blocks, np.zeros(0, "<u4")]).astype(np.uint32).reshape(-1, 2)
    overflows = np.array([packet.overflows for packet in packets], dtype=np.int64)
    numbers = np.array([packet.number for packet in packets], dtype=np.int64)
    t = both[:, 1].astype(np.int64) + (np.repeat(overflows, numbers) << CLOCK_BITS)
    return np.ascontiguousarray(both[:, 0]), t


def _byte_of(packets: list[Packet], index: int) -> int:
    for packet in packets:
        if index < packet.number:
            return packet.body + index * RECORD
        index -= packet.number
    raise IndexError(index)
