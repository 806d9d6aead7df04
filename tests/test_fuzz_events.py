"""Damaged recordings: read to events that can be, or refused by name, in bounded memory."""

import base64
import io
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from fuzzing import CASES, damaged
from made_up_events import aedat2, aedat3, make_up, nmnist, npz, npz_table, write
from test_events_aedat4 import THREE_EVENTS

from bntt.data.events.clock import settle
from bntt.data.events.files import read_recording
from bntt.data.geometry import Geometry
from bntt.data.options import DataOptions
from bntt.data.single_file import read_parts

EVENTS = make_up(60, width=34, height=34)


def npz_compressed(events):
    buffer = io.BytesIO()
    t = events.t.astype(np.uint32)
    np.savez_compressed(buffer, t=t, x=events.x, y=events.y, p=events.polarity > 0)
    return buffer.getvalue()


FILES = {
    "a2.aedat": aedat2(EVENTS),
    "a3.aedat": aedat3(EVENTS, per_packet=7),
    "five.bin": nmnist(EVENTS),
    "five.bs2": nmnist(EVENTS),
    "saved.npz": npz(EVENTS),
    "table.npz": npz_table(EVENTS),
    "packed.npz": npz_compressed(EVENTS),
    "a4.aedat4": zlib.decompress(base64.b85decode(THREE_EVENTS)),
}
MOST_BYTES = 64 << 20
MOST_S = 5


def tried(call, *args):
    """What a call returns, or None and why it refuses."""
    try:
        return call(*args), ""
    except ValueError as error:
        return None, str(error)


def check(path, outside):
    """A recording is read, or refused with its name, and costs what an honest one may."""
    tracemalloc.start()
    begun = time.perf_counter()
    events, why = tried(read_recording, path, (0, 0), outside)
    taken = time.perf_counter() - begun
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < MOST_S
    assert peak < MOST_BYTES
    if events is None:
        assert str(path) in why
        return
    assert len(events) == len(events.x) == len(events.y) == len(events.polarity) > 0
    assert events.x.max() < events.width
    assert events.y.max() < events.height
    assert events.polarity.max() <= 1
    settled, why = tried(settle, path, events)
    if settled is None:
        assert str(path) in why
        return
    assert settled[0].backward == 0
    assert len(settled[0]) == len(events)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_recording_is_read_or_refused(tmp_path, name):
    if name == "a4.aedat4":
        pytest.importorskip("aedat", reason="aedat (bntt[aedat4]) is not installed")
    for k, data in enumerate(damaged(FILES[name], seed=sum(name.encode()))):
        check(write(tmp_path / name, data), ("refuse", "drop")[k % 2])


@pytest.mark.parametrize("name", [name for name in FILES if name != "a4.aedat4"])
@pytest.mark.parametrize("frames", ["time", "count"])
def test_frames_of_a_damaged_recording_hold_its_events_or_it_is_refused(
    tmp_path, name, frames
):
    options = DataOptions(num_steps=4, frames=frames)
    geometry = Geometry(channels=2, image_size=8)
    for data in damaged(FILES[name], cases=CASES // 2, seed=1):
        path = write(tmp_path / name, data)
        parts, why = tried(read_parts, path, "eventfolder", options, geometry)
        if parts is None:
            assert str(path) in why
            continue
        (part,) = parts
        assert part.frames.shape == (4, 2, 8, 8)
        assert 0 < part.frames.sum() <= len(read_recording(path))
