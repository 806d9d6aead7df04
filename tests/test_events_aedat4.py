"""AEDAT 4: what the library gives is taken over; without it, it is asked for by name."""

import base64
import importlib.metadata
import pickle
import sys
import threading
import zlib

import numpy as np
import pytest
from made_up_events import make_up, rows, take, write

from bntt.data.events import read_aedat4, read_recording
from bntt.data.events.files import aedat4_worker

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
FIRST_LINE = b"#!AER-DAT4.0\r\n"
THREE_EVENTS = (
    b"c-oy)T~ER=6uklxC2D-|fd^w|<x$xrKKK9&2pCBOj1oT*Ulvxd5!$8eNbtpf;6L?0csC1@F(dINx9Mr`"
    b"J!frqjt*<h+mlAEcUH8vbA>cO9spY1t0qK|L!5yv*udF$>|%bTVIH3;fU-L=CRF-N@CqpvEn?>kj4~H4"
    b"HMldT6(R!F;sZep&rvTGVrp#a(s;SGRA?=hM&*uD(s-rQ3h9fnC#fIm6GKfsB=D7Fd`Rq0x6>?}Vd<~k"
    b"Lb4&_&ZsTiU_?8pA17%GF6y{0od?Mjl`9f<1LXxOiI7exSN<O~VM~MheaSqPaI$*fD={`)M>)}sAtJfr"
    b"3al*`<=KEy87FPt_wEu27T$&>y`yEa*mEXm`|OQA&LkOE#6B&ZC&?xBJ^iOo1hT($`A*^i&G3W^KjQ+P"
    b"&C8}cv1dNG!MxUf2yYD_i!RCF2si>n7O5WO3%M+;K?)OKUE_Dnv8iztSHk^g&3D<WUBvmq{k^Db2aeH^"
    b"8ASU~K=kuHw)W-Ro|=EA^96Kd?0f"
)
"""A file of three events, written by dv-processing 2.0.4, compressed and in base 85."""
EVENTS = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])


def table(events):
    columns = (events.t, events.x, events.y, events.polarity)
    return np.array(list(zip(*columns, strict=True)), dtype=EVENTS)


FAKE = """
import os, pickle, sys, time
from pathlib import Path

STREAMS, PACKETS = pickle.loads(Path(__file__).with_suffix(".pickle").read_bytes())

class Panic(BaseException):
    pass

class Decoder:
    def __init__(self, path):
        print("not an answer")

    def id_to_stream(self):
        return STREAMS

    def __iter__(self):
        for packet in PACKETS:
            if "raise" in packet:
                raise packet["raise"]
            if "run" in packet:
                exec(packet["run"])
            yield packet
"""


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """Put a library in place that decodes every file to these packets; return a file."""

    def install(streams, packets):
        write(tmp_path / "aedat.py", FAKE.encode())
        write(tmp_path / "aedat.pickle", pickle.dumps((streams, packets)))
        monkeypatch.syspath_prepend(tmp_path)
        return write(tmp_path / "a.aedat4", FIRST_LINE)

    return install


def stream(kind="events", width=346, height=260):
    return {"type": kind, "width": width, "height": height}


def test_the_first_stream_of_events_is_read_and_everything_else_counted(decoded):
    events = make_up(30, width=346, height=260)
    path = decoded(
        {0: stream("frame"), 1: stream(), 2: stream(), 3: {"type": "imus"}},
        [
            {"stream_id": 2, "events": table(make_up(4))},
            {"stream_id": 1, "events": table(take(events, slice(0, 20)))},
            {"stream_id": 0, "frame": {}},
            {"stream_id": 3, "imus": np.zeros(7)},
            {"stream_id": 1, "events": table(take(events, slice(20, 30)))},
        ],
    )
    got = read_recording(path)
    assert rows(got) == rows(events)
    assert (got.width, got.height) == (346, 260)
    assert got.skipped == {"frames": 1, "imus": 7, "events of stream 2": 4}


def test_a_file_without_events_is_refused(decoded):
    path = decoded({0: stream("frame")}, [{"stream_id": 0, "frame": {}}])
    with pytest.raises(ValueError, match=r"holds no events; its streams: frame\."):
        read_aedat4(path)


def test_an_event_outside_the_sensor_is_refused(decoded):
    events = {"stream_id": 1, "events": table(make_up(9, start=0, width=346))}
    with pytest.raises(ValueError, match=r"event \d lies at x=\d+, y=\d+, outside .*9x260"):
        read_aedat4(decoded({1: stream(width=9)}, [events]))


def test_what_the_library_says_of_a_damaged_file_is_passed_on(decoded):
    events = {"stream_id": 0, "events": table(make_up(3))}
    path = decoded({0: stream()}, [events, {"raise": OSError("unexpected end of file")}])
    expected = (
        r"a\.aedat4 \(14 bytes\) cannot be decoded: OSError: unexpected end of file\. Trunc"
    )
    with pytest.raises(ValueError, match=expected):
        read_aedat4(path)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("os.abort()", r"the process that decodes it ended with -?\d+"),
        ("print('x' * 10**6, flush=True); os._exit(3)", r"ended with 3: x+\."),
        ("sys.stderr.write('free(): invalid\\n'); os.abort()", r"ended .*: free\(\): inv"),
        ("raise Panic('range end out of bounds')", r"Panic: range end out of bounds"),
        pytest.param("bytearray(1 << 36)", "MemoryError", marks=LINUX),
        ("sys.exit(0)", "SystemExit"),
    ],
)
def test_a_file_that_ends_the_process_which_decodes_it_is_refused(decoded, code, why):
    path = decoded({0: stream()}, [{"run": code}])
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"a\.aedat4 .* cannot be decoded: .*{why}"):
            read_aedat4(path)


def test_a_file_that_takes_for_ever_is_given_up(decoded, monkeypatch):
    path = decoded({0: stream()}, [{"run": "time.sleep(100)"}])
    monkeypatch.setattr(aedat4_worker, "PATIENCE_S", 0.5)
    with pytest.raises(ValueError, match=r"a\.aedat4 .* ended with -?\d+"):
        read_aedat4(path)


def test_one_process_serves_many_files_and_as_many_as_there_are_threads(decoded):
    events = make_up(30, width=346, height=260)
    path = decoded({1: stream()}, [{"stream_id": 1, "events": table(events)}])
    processes = set()
    for _ in range(5):
        assert rows(read_aedat4(path)) == rows(events)
        processes |= {worker.process.pid for worker in aedat4_worker._idle}
    assert len(processes) == 1
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(rows(read_aedat4(path))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [rows(events)] * 4


@pytest.mark.parametrize("sides", [(0, 260), (346, None), (1 << 31, 260)])
def test_a_sensor_that_cannot_be_is_refused(decoded, sides):
    events = {"stream_id": 1, "events": table(make_up(9))}
    path = decoded({1: stream(width=sides[0], height=sides[1])}, [events])
    with pytest.raises(ValueError, match=r"a\.aedat4 says that its sensor has"):
        read_aedat4(path)


def test_times_beyond_64_bits_are_refused(decoded):
    events = table(make_up(9))
    events["t"][4] = 2**64 - 5
    path = decoded({1: stream()}, [{"stream_id": 1, "events": events}])
    with pytest.raises(ValueError, match=r"a\.aedat4 holds events of impossible times"):
        read_aedat4(path)


@pytest.mark.parametrize("version", ["2.2.0", "1.9", "2"])
def test_a_library_that_misreads_frames_is_refused(tmp_path, monkeypatch, version):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    path = write(tmp_path / "a.aedat4", FIRST_LINE)
    pytest.importorskip("aedat", reason="aedat (bntt[aedat4]) is not installed")
    with pytest.raises(ImportError, match=rf"a\.aedat4 .* aedat {version} misreads"):
        read_aedat4(path)


def test_without_the_library_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    path = write(tmp_path / "a.aedat4", FIRST_LINE)
    with pytest.raises(ImportError, match=r"a\.aedat4 .*pip install .*\[aedat4\]"):
        read_aedat4(path)


def test_another_version_is_refused_before_the_library_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    path = write(tmp_path / "a.aedat", b"#!AER-DAT3.1\r\n")
    with pytest.raises(ValueError, match=r"AEDAT 3\.1; read_aedat3 reads it"):
        read_aedat4(path)


def test_a_real_file_is_read_whole_or_refused(tmp_path):
    pytest.importorskip("aedat", reason="aedat (bntt[aedat4]) is not installed")
    data = zlib.decompress(base64.b85decode(THREE_EVENTS))
    got = read_recording(write(tmp_path / "a.aedat4", data))
    start = 1_700_000_000_000_000
    assert rows(got) == [(1, 2, start, 1), (127, 0, start + 5, 0), (64, 127, start + 9, 1)]
    assert (got.width, got.height) == (128, 128)
    for cut in range(20, 900, 97):
        with pytest.raises(ValueError, match=rf"\({cut} bytes\) cannot be decoded: "):
            read_aedat4(write(tmp_path / "a.aedat4", data[:cut]))
