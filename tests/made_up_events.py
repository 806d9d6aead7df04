"""Recordings made up small, and the bytes of the files that hold them, event by event."""

import dataclasses
import io
import struct

import numpy as np

from bntt.data.events.recording import Events

AEDAT2_HEADER = (
    b"#!AER-DAT2.0\r\n"
    b"# This is a raw AE data file - do not edit\r\n"
    b"# Timestamps tick is 1 us\r\n"
    b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
)
AEDAT3_HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"


def make_up(count=50, width=128, height=128, seed=0, start=1000, longest=100):
    """Events at random places, none further than `longest` microseconds from the last."""
    random = np.random.default_rng(seed)
    return Events(
        x=random.integers(0, width, count).astype(np.uint16),
        y=random.integers(0, height, count).astype(np.uint16),
        t=start + np.cumsum(random.integers(0, longest + 1, count)),
        polarity=random.integers(0, 2, count).astype(np.uint8),
        width=width,
        height=height,
    )


def rows(events):
    """The events as tuples ``(x, y, t, polarity)`` of Python's numbers."""
    columns = (events.x, events.y, events.t, events.polarity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def dvs128_address(x, y, polarity):
    """Bits 8 to 14 from the bottom, 1 to 7 from the right, bit 0 clear for ON."""
    return (127 - y) << 8 | (127 - x) << 1 | (1 - polarity)


def aedat2(events, header=AEDAT2_HEADER):
    """An AEDAT 2.0 file of a DVS128."""
    body = (
        struct.pack(">II", dvs128_address(x, y, p), t % 2**32)
        for x, y, t, p in rows(events)
    )
    return header + b"".join(body)


def nmnist(events):
    """A file of N-MNIST, or of gestures in its layout."""
    return b"".join(
        struct.pack(">BBBH", x, y, p << 7 | t >> 16, t & 0xFFFF)
        for x, y, t, p in rows(events)
    )


def packet(words, kind=1, size=8, overflows=0, places=None, number=None):
    """A packet of AEDAT 3.1 from the numbers (32 bits each) that its events are made of."""
    number = len(words) * 4 // size if number is None else number
    places = number if places is None else places
    header = struct.pack("<hhiiiiii", kind, 1, size, 4, overflows, places, number, number)
    return header + struct.pack(f"<{len(words)}I", *words)


def polarity_words(events, valid=True):
    """Address and time of each event as AEDAT 3.1 packs them."""
    words = []
    for x, y, t, p in rows(events):
        words += [x << 17 | y << 2 | p << 1 | valid, t % 2**31]
    return words


def aedat3(events, per_packet=20, header=AEDAT3_HEADER):
    """An AEDAT 3.1 file in packets of so many events, none across a clock overflow."""
    data = [header]
    epoch = events.t >> 31
    for overflows in np.unique(epoch):
        of_it = np.flatnonzero(epoch == overflows)
        for first in range(0, len(of_it), per_packet):
            chosen = of_it[first : first + per_packet]
            words = polarity_words(take(events, chosen))
            data.append(packet(words, overflows=int(overflows)))
    return b"".join(data)


def npz(events):
    """A ``.npz`` file as SpikingJelly saves it."""
    buffer = io.BytesIO()
    np.savez(buffer, t=events.t, x=events.x, y=events.y, p=events.polarity)
    return buffer.getvalue()


def npz_table(events):
    """A ``.npz`` file of one structured array, with tonic's types."""
    table = np.zeros(
        len(events), dtype=[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]
    )
    table["x"], table["y"] = events.x, events.y
    table["t"], table["p"] = events.t, events.polarity
    buffer = io.BytesIO()
    np.savez_compressed(buffer, table)
    return buffer.getvalue()


def take(events, index):
    """The events of these indices."""
    return dataclasses.replace(
        events,
        x=events.x[index],
        y=events.y[index],
        t=events.t[index],
        polarity=events.polarity[index],
    )


def write(path, data):
    """Write a file, with the folders above it, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
