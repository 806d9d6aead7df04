"""Readers of event files that owe ours nothing, for `event_parity.py` to compare with.

Each returns all events of a file as tuples ``(x, y, t, polarity)`` in our convention: x
from the left, y from the top, microseconds, 1 for ON. Where a library has another one, it
is turned into ours, as said beside it.
"""

import importlib.metadata
import importlib.util
import struct
from functools import cache
from pathlib import Path

import numpy as np


def installed(name):
    """The version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def columns(*values):
    """Rows of Python numbers."""
    lists = (np.asarray(column).astype(np.int64).tolist() for column in values)
    return list(zip(*lists, strict=True))


def five_bytes_by_description(path):
    """X, y, polarity and 23 bits of microseconds, all big-endian, in 5 bytes."""
    records = struct.iter_unpack(">BBBH", path.read_bytes())
    return [(x, y, high % 128 * 65536 + low, high // 128) for x, y, high, low in records]


def aedat2_by_description(path):
    """Comment lines, then address and time: bit 0 clear for ON, x from the right, y up."""
    events, wraps, before = [], 0, 0
    with path.open("rb") as file:
        at = 0
        while file.read(1) == b"#":
            file.readline()
            at = file.tell()
        file.seek(at)
        while record := file.read(8):
            address, t = struct.unpack(">II", record)
            wraps += before - t > 2**31
            before = t
            if address < 2**15:
                x, y = 127 - address // 2 % 128, 127 - address // 256 % 128
                events.append((x, y, wraps * 2**32 + t, 1 - address % 2))
    return events


def aedat3_by_description(path):
    """Packets of little-endian words: a header of 28 bytes, then 8 bytes per event."""
    events = []
    with path.open("rb") as file:
        while file.readline() != b"#!END-HEADER\r\n":
            pass
        while header := file.read(28):
            kind, _, size, _, overflows, places, number, _ = struct.unpack("<2h6i", header)
            body = file.read(size * places)
            for k in range(number if kind == 1 else 0):
                word, t = struct.unpack_from("<Ii", body, k * size)
                if word % 2:
                    t += overflows * 2**31
                    events.append((word >> 17, word // 4 % 2**15, t, word // 2 % 2))
    return events


@cache
def tonic():
    """Tonic's module of readers alone: the whole package wants audio libraries too."""
    file = Path(importlib.util.find_spec("tonic").origin).with_name("io.py")
    spec = importlib.util.spec_from_file_location("tonic_io", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    header = module.read_aedat_header_from_file
    # it returns three things, of which tonic 1.4 to 1.7's own callers expect two
    module.read_aedat_header_from_file = lambda path: header(path)[:2]
    return module


def five_bytes_by_tonic(path):
    """In our convention."""
    events = tonic().read_mnist_file(str(path), dtype=tonic().events_struct)
    return columns(events["x"], events["y"], events["t"], events["p"])


def aedat2_by_tonic(path):
    """Bits as they are, and bits 8 to 14 called x: 1 is OFF, both axes run backwards."""
    _, events = tonic().read_dvs_128(str(path))
    x, y = events["x"].astype(int), events["y"].astype(int)
    return columns(127 - y, 127 - x, events["t"], ~events["p"])


def aedat3_by_tonic(path):
    """In our convention, of packets whose clock has not run over."""
    _, events = tonic().read_dvs_ibm(str(path))
    return columns(events["x"], events["y"], events["t"], events["p"])


def aedat4_by_dv_processing(path):
    """In our convention."""
    import dv_processing as dv

    recording, batches = dv.io.MonoCameraRecording(str(path)), []
    while (batch := recording.getNextEventBatch()) is not None:
        batches.append(batch.numpy())
    events = np.concatenate(batches)
    return columns(events["x"], events["y"], events["timestamp"], events["polarity"])


def write_aedat4(path, events):
    """Write a recording with dv-processing."""
    import dv_processing as dv

    size = (events.width, events.height)
    config = dv.io.MonoCameraWriter.EventOnlyConfig("DVS128", size)
    store = dv.EventStore()
    for x, y, t, on in columns(events.x, events.y, events.t, events.polarity):
        store.push_back(t, x, y, bool(on))
    dv.io.MonoCameraWriter(str(path), config).writeEvents(store)
