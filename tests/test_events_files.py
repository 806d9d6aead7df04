"""What is particular to one kind of event file, and how a file's kind is told."""

import dataclasses
import io
import os

import numpy as np
import pytest
from file_systems import POSIX
from made_up_events import (
    AEDAT2_HEADER,
    AEDAT3_HEADER,
    aedat2,
    aedat3,
    make_up,
    nmnist,
    npz,
    npz_table,
    packet,
    polarity_words,
    rows,
    take,
    write,
)

from bntt.data.events import read_aedat3, read_nmnist, read_npz, read_recording
from bntt.data.events.files import READERS

START = len(AEDAT3_HEADER)


def test_aedat3_counts_what_is_no_valid_polarity_event(tmp_path):
    events = make_up(40)
    invalid = packet(polarity_words(take(events, slice(0, 3)), valid=False))
    data = (
        packet([0] * 4, kind=0)
        + packet(polarity_words(take(events, slice(0, 25))))
        + invalid
        + packet([0] * 18, kind=3, size=36)
        + packet([0] * 6, kind=77, size=8)
        + packet(polarity_words(take(events, slice(25, 40))))
    )
    got = read_aedat3(write(tmp_path / "a.aedat", AEDAT3_HEADER + data))
    assert rows(got) == rows(events)
    assert got.skipped == {"special": 2, "imu6": 2, "type 77": 3, "invalid": 3}


def test_aedat3_follows_the_packets_clock(tmp_path):
    events = make_up(60, start=2**33 - 1000)
    got = read_aedat3(write(tmp_path / "a.aedat", aedat3(events)))
    assert np.array_equal(got.t, events.t)


def test_aedat3_reads_the_used_places_of_a_packet(tmp_path):
    events = make_up(6)
    words = polarity_words(events)
    data = packet(words, places=6, number=4) + packet(words)
    got = read_aedat3(write(tmp_path / "a.aedat", AEDAT3_HEADER + data))
    assert rows(got) == rows(events)[:4] + rows(events)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", r"holds no polarity events from byte \d+ .*, but nothing\."),
        (packet([0, 0], kind=0), r"no polarity events .*, but \{'special': 1\}"),
        (packet([0, 1]), r"no polarity events .*, but \{'invalid': 1\}"),
        (packet([1, 1])[:27], rf"at byte {START} begins a header of 28 bytes, but .* ends"),
        (packet([1, 1])[:-1], rf"at byte {START} begins a packet of 36 bytes, but .* ends"),
        (packet([1, 1], size=4), rf"at byte {START} the header .*2 of 2 events of 4 bytes"),
        (packet([1, 1], places=0, number=1), r"1 of 0 events"),
        (packet([1, 1], kind=-1), r"type -1"),
        (
            packet([1, 1]) + packet([1, 1, 128 << 17 | 1, 1]),
            rf"event 2, at byte {START + 72}, lies at x=128, y=0, outside .*128x128",
        ),
    ],
)
def test_what_is_wrong_with_an_aedat3_file_is_said(tmp_path, data, expected):
    with pytest.raises(ValueError, match=expected):
        read_aedat3(write(tmp_path / "a.aedat", AEDAT3_HEADER + data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (AEDAT2_HEADER, r"says AEDAT 2\.0; read_aedat2 reads it"),
        (AEDAT3_HEADER[:-15], r"must end with the line '#!END-HEADER'.* at byte \d+ of"),
        (AEDAT3_HEADER.replace(b"RAW", b"PNG"), r"at byte 14, says .* packed as 'PNG'"),
    ],
)
def test_another_header_is_not_taken_for_aedat3(tmp_path, data, expected):
    with pytest.raises(ValueError, match=expected):
        read_aedat3(write(tmp_path / "a.aedat", data))


def test_a_row_of_240_moves_the_clock_on_and_is_counted(tmp_path):
    records = bytes([1, 2, 0, 0, 9, 0, 240, 0, 0, 10, 3, 4, 0x80, 0, 11, 0, 240, 0, 0, 12])
    path = write(tmp_path / "a.bin", records)
    got = read_nmnist(path)
    assert rows(got) == [(1, 2, 9, 0), (3, 4, 11 + 2**13, 1)]
    assert got.skipped == {"overflow": 2}
    tall = read_nmnist(path, width=300, height=300)
    assert len(tall) == 4


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", r"holds no events: it ends at byte 0"),
        (bytes(12), r"5 bytes each, but at byte 10 only 2 bytes are left"),
        (
            bytes(5) + bytes([34, 0, 0, 0, 0]),
            r"event 1, at byte 5, lies at x=34, y=0, .*34x34",
        ),
        (
            bytes([0, 240, 0, 0, 0, 0, 34, 0, 0, 0]),
            r"event 0, at byte 5, lies at x=0, y=34",
        ),
        (bytes([0, 240, 0, 0, 0]), r"holds no events: its 1 records"),
    ],
)
def test_what_is_wrong_with_a_five_byte_file_is_said(tmp_path, data, expected):
    with pytest.raises(ValueError, match=expected):
        read_nmnist(write(tmp_path / "a.bin", data))


def arrays(path, **changed):
    """An archive of three events, some of its arrays changed or (None) left out."""
    columns = {"t": [1, 2, 3], "x": [4, 5, 6], "y": [7, 8, 9], "p": [0, 1, 1]} | changed
    kept = {
        name: np.array(column) for name, column in columns.items() if column is not None
    }
    np.savez(path, **kept)  # type: ignore[arg-type] - its own options are not among them
    return path


@pytest.mark.parametrize("p", [[0, 1, 1], [-1, 1, 1], [False, True, True]])
def test_polarity_may_be_written_in_any_of_three_ways(tmp_path, p):
    got = read_npz(arrays(tmp_path / "a.npz", p=p, extra=[1]))
    assert rows(got) == [(4, 7, 1, 0), (5, 8, 2, 1), (6, 9, 3, 1)]
    assert (got.width, got.height) == (7, 10)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"t": None, "time": [1]},
            r"must hold arrays t, x, y and p.* holds x\[3\].*time\[1\]",
        ),
        ({"t": [0.5, 1, 2]}, r"whole numbers \(microseconds\), got float64\. .*t \* 1e6"),
        ({"x": [1, 2]}, r"lists of one length, but have shapes .*'x': \(2,\)"),
        ({k: [] for k in "txyp"}, r"must be whole numbers|length 0"),
        ({k: np.zeros(0, int) for k in "txyp"}, r"its arrays have length 0"),
        ({"p": [0, 1, 2]}, r"p must be 0 or 1.* got int64 with values 0, 1, 2"),
        ({"p": [0.0, 1.0, 1.0]}, r"p must be 0 or 1.* got float64"),
        ({"y": [0, -1, 0]}, r"event 1 lies at x=5, y=-1, outside .*128x128"),
        ({"x": [0, 0, 128]}, r"event 2 lies at x=128, y=9, outside .*128x128"),
        ({"t": [object()] * 3}, r"t\.npy holds Python objects, which are not opened"),
    ],
)
def test_what_is_wrong_with_arrays_is_said(tmp_path, changed, expected):
    with pytest.raises(ValueError, match=expected):
        read_npz(arrays(tmp_path / "a.npz", **changed), width=128, height=128)


def test_what_lies_beside_an_event_table_is_not_read(tmp_path):
    events = make_up(9)
    (table,) = np.load(io.BytesIO(npz_table(events))).values()
    label = np.array([object()])
    np.savez(tmp_path / "a.npz", events=table, label=3, more=label, name="left")
    assert rows(read_npz(tmp_path / "a.npz")) == rows(events)
    np.savez(tmp_path / "b.npz", first=table, second=table)
    with pytest.raises(ValueError, match=r"first\[9\] with fields x, y, t, p, second"):
        read_npz(tmp_path / "b.npz")


def test_a_table_of_objects_is_said_to_be_one(tmp_path):
    np.savez(tmp_path / "a.npz", np.array([{"t": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"arr_0\.npy holds Python objects"):
        read_npz(tmp_path / "a.npz")


def test_a_single_array_is_not_taken_for_an_archive(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"\.npy file with one array"):
        read_npz(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "make", "side"),
    [
        ("a.aedat", aedat2, 128),
        ("a.AEDAT", aedat3, 128),
        ("a.bin", nmnist, 34),
        ("a.bs2", nmnist, 128),
    ],
)
def test_a_recording_is_read_by_its_ending(tmp_path, name, make, side):
    events = make_up(width=side, height=side)
    got = read_recording(write(tmp_path / name, make(events)))
    assert rows(got) == rows(events)
    assert (got.width, got.height) == (side, side)


@pytest.mark.parametrize(
    ("camera", "sensor"),
    [
        ("DVS128", (128, 128)),
        ("DAVIS240C", (240, 180)),
        ("DAVIS346", (346, 260)),
        ("DAVIS346BSI", (346, 260)),
        ("DAVIS640", (640, 480)),
        ("DAVIS208", (208, 192)),
        ("DVXplorer", (640, 480)),
    ],
)
def test_aedat3_is_of_the_camera_that_its_header_names(tmp_path, camera, sensor):
    header = AEDAT3_HEADER.replace(b"DVS128", camera.encode())
    events = make_up(40, *sensor)
    got = read_recording(write(tmp_path / "a.aedat", aedat3(events, header=header)))
    assert rows(got) == rows(events)
    assert (got.width, got.height) == sensor


@pytest.mark.parametrize("line", [b"#Source 1: DAVIS2400\r\n", b"#Source 1: \xff\r\n", b""])
def test_aedat3_of_an_unknown_camera_needs_its_sensor(tmp_path, line):
    header = AEDAT3_HEADER.replace(b"#Source 1: DVS128\r\n", line)
    events = make_up(40, 300, 200)
    path = write(tmp_path / "a.aedat", aedat3(events, header=header))
    with pytest.raises(ValueError, match=r"a\.aedat: .* names .*sensor='WIDTHxHEIGHT'"):
        read_recording(path)
    got = read_recording(path, sensor=(304, 240))
    assert rows(got) == rows(events)
    assert (got.width, got.height) == (304, 240)


def test_two_cameras_in_one_file_are_not_mixed(tmp_path):
    header = AEDAT3_HEADER.replace(b"#!END", b"#Source 2: DAVIS346\r\n#!END")
    first, second = make_up(9, seed=1), make_up(7, seed=2)
    other = bytearray(packet(polarity_words(second)))
    other[2] = 2  # the source
    data = bytes(other) + packet(polarity_words(first))
    got = read_aedat3(write(tmp_path / "a.aedat", header + data))
    assert rows(got) == rows(first)
    assert (got.width, got.skipped) == (128, {"events of source 2": 7})


@pytest.mark.parametrize("name", ["a.bin", "a.bs2", "a.npz"])
def test_a_file_that_does_not_say_its_sensor_can_be_told(tmp_path, name):
    events = make_up(200, 240, 180)
    make = npz if name.endswith("npz") else nmnist
    path = write(tmp_path / name, make(events))
    got = read_recording(path, sensor=(240, 180))
    assert rows(got) == rows(events)
    assert (got.width, got.height) == (240, 180)


def test_events_outside_the_sensor_are_dropped_and_counted_if_so_wished(tmp_path):
    events = make_up(30, 60, 60)
    inside = (events.x < 40) & (events.y < 50)
    for name, make in (("a.bin", nmnist), ("a.npz", npz)):
        path = write(tmp_path / name, make(events))
        with pytest.raises(ValueError, match=r"outside a sensor of 40x50 .*outside='drop'"):
            read_recording(path, sensor=(40, 50))
        got = read_recording(path, sensor=(40, 50), outside="drop")
        assert rows(got) == rows(take(events, inside))
        assert got.skipped == {"outside": np.count_nonzero(~inside)}
        with pytest.raises(ValueError, match=r"outside .* as do \d+ of 30\."):
            read_recording(path, sensor=(1, 1), outside="drop")
    header = AEDAT3_HEADER.replace(b"DVS128", b"eDVS128")
    wide = make_up(30, 200, 100)
    path = write(tmp_path / "a.aedat", aedat3(wide, header=header))
    got = read_recording(path, outside="drop")
    assert rows(got) == rows(take(wide, wide.x < 128))


def test_negative_places_are_dropped_too(tmp_path):
    path = arrays(tmp_path / "a.npz", x=[-1, 5, 70_000])
    with pytest.raises(ValueError, match=r"x=-1, y=7, outside"):
        read_npz(path)
    got = read_npz(path, outside="drop")
    assert rows(got) == [(5, 8, 2, 1)]
    assert (got.width, got.height) == (6, 10)


@POSIX
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.bs2")
    for ending in READERS:
        (tmp_path / f"to{ending}").symlink_to(tmp_path / "a.bs2")
        with pytest.raises(ValueError, match=rf"to\{ending} is a pipe, a socket or a dev"):
            read_recording(tmp_path / f"to{ending}")


def test_a_file_far_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"a\.bin has 1,099\.5 GB, but .* up to 4\.3 GB"):
        read_recording(tmp_path / "a.bin")


def test_an_archive_of_arrays_is_read_by_its_ending_on_a_sensor_as_large_as_it_needs(
    tmp_path,
):
    events = make_up(width=50, height=40)
    got = read_recording(write(tmp_path / "a.npz", npz(events)))
    assert rows(got) == rows(events)
    assert (got.width, got.height) == (max(events.x) + 1, max(events.y) + 1)


def test_other_files_are_no_recordings(tmp_path):
    with pytest.raises(
        ValueError, match=r"photo\.jpg does not end like .*\.aedat, .* read"
    ):
        read_recording(tmp_path / "photo.jpg")
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "nowhere.aedat")


def test_a_part_holds_its_first_microsecond_and_not_its_last():
    events = make_up(40, longest=3)
    start, stop = int(events.t[10]), int(events.t[30])
    got = events.between(start, stop)
    assert rows(got) == [event for event in rows(events) if start <= event[2] < stop]
    assert 0 < len(got) < 40
    assert (got.width, got.height) == (events.width, events.height)


def test_events_are_sorted_by_time_and_those_of_one_time_stay_in_their_order():
    events = make_up(40, longest=3)
    order = np.random.default_rng(0).permutation(40)
    mixed = dataclasses.replace(
        events,
        x=events.x[order],
        y=events.y[order],
        t=events.t[order] // 4,
        polarity=events.polarity[order],
        skipped={"special": 2},
    )
    got = mixed.sorted()
    assert rows(got) == sorted(rows(mixed), key=lambda event: event[2])
    assert got.skipped == {"special": 2}
    assert not got.backward
