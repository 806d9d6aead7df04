"""Files of events: every one is read, or counted, or the file is refused in words."""

import os
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_events import (
    AEDAT2_HEADER,
    aedat2,
    aedat3,
    dvs128_address,
    make_up,
    nmnist,
    npz,
    npz_table,
    rows,
    write,
)

from bntt.data.events import read_aedat2, read_aedat3, read_nmnist, read_npz
from bntt.data.events.files.aedat_header import body_of_aedat2

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
LAST_LINE = AEDAT2_HEADER.rindex(b"# AEChip")
FORMATS = {
    "aedat2": (aedat2, read_aedat2, 8),
    "aedat3": (partial(aedat3, per_packet=7), read_aedat3, 8),
    "nmnist": (nmnist, partial(read_nmnist, width=128, height=128), 5),
    "npz": (npz, partial(read_npz, width=128, height=128), 0),
    "table": (npz_table, partial(read_npz, width=128, height=128), 0),
}
ALL = pytest.mark.parametrize("name", FORMATS)


def assert_same(got, want):
    assert rows(got) == rows(want)
    assert (got.width, got.height) == (want.width, want.height)


def read_or_refused(read, path):
    """What the file holds, or None and why it is refused."""
    try:
        return read(path), ""
    except ValueError as error:
        return None, str(error)


def raw_aedat2(*pairs):
    return AEDAT2_HEADER + np.array(pairs, dtype=">u4").tobytes()


@ALL
@given(count=st.integers(1, 60), seed=st.integers(0, 2**16))
@SHARED_FOLDER
def test_what_was_written_is_read(tmp_path, name, count, seed):
    make, read, _ = FORMATS[name]
    events = make_up(count, seed=seed)
    got = read(write(tmp_path / name, make(events)))
    assert_same(got, events)
    assert not got.skipped
    assert got.backward == 0


@ALL
@given(data=st.data())
@SHARED_FOLDER
def test_a_truncated_file_is_refused_or_holds_what_it_says(tmp_path, name, data):
    make, read, record = FORMATS[name]
    events = make_up(30)
    whole = make(events)
    cut = data.draw(st.integers(0, len(whole) - 1))
    path = write(tmp_path / name, whole[:cut])
    got, why = read_or_refused(read, path)
    if got is None:
        assert str(path) in why
        assert re.search(
            r"\b(at|from) byte \d+|\bits \d+ bytes|are? damaged|\.npy ", why
        ), why
        return
    # only whole events can be missing, and the file is shorter by exactly these
    missing = 30 - len(got)
    assert missing > 0
    assert rows(got) == rows(events)[:-missing]
    if name == "aedat3":  # whole packets, each with its header
        assert (len(whole) - cut) % (28 + 7 * record) == 28 + 2 * record
    else:
        assert len(whole) - cut == missing * record


@ALL
@given(noise=st.binary(max_size=300), keep=st.integers(0, 400))
@SHARED_FOLDER
def test_noise_is_refused_or_all_accounted_for(tmp_path, name, noise, keep):
    make, read, _ = FORMATS[name]
    data = make(make_up(5))[:keep] + noise
    path = write(tmp_path / name, data)
    got, _ = read_or_refused(read, path)
    if got is None:
        return
    records = len(got) + sum(got.skipped.values())
    if name == "aedat2":
        assert records * 8 == len(data) - body_of_aedat2(path, data)
    elif name == "nmnist":
        assert records * 5 == len(data)


@given(st.lists(st.integers(0, 2**15 - 1), min_size=3, max_size=40), st.data())
@SHARED_FOLDER
def test_special_events_of_aedat2_are_counted(tmp_path, addresses, data):
    bits = [data.draw(st.sampled_from([0, 0, 0, 1 << 15, 1 << 31])) for _ in addresses]
    pairs = [(a | b, k) for k, (a, b) in enumerate(zip(addresses, bits, strict=True))]
    special = sum(map(bool, bits))
    path = write(tmp_path / "a.aedat", raw_aedat2(*pairs))
    if 2 * special > len(pairs):
        with pytest.raises(ValueError, match="bits set that a DVS128 does not use"):
            read_aedat2(path)
        return
    got = read_aedat2(path)
    assert got.skipped == ({"special": special} if special else {})
    kept = [k for k, bit in enumerate(bits) if not bit]
    assert got.t.tolist() == kept
    again = [dvs128_address(x, y, p) for x, y, _, p in rows(got)]
    assert again == [addresses[k] for k in kept]


def test_another_sensors_aedat2_is_refused_by_name(tmp_path):
    header = AEDAT2_HEADER.replace(b"ini.jaer.chip.retina.DVS128", b"chips.davis.DAVIS240C")
    body = np.array([(1 << 22, 0), (0, 1), (1 << 23, 2)], dtype=">u4").tobytes()
    path = write(tmp_path / "davis.aedat", header + body)
    expected = (
        rf"2 of 3 addresses, the first at byte {len(header)}, .*names \S+DAVIS240C\. Only"
    )
    with pytest.raises(ValueError, match=expected):
        read_aedat2(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C", r"names \S+DAVIS240C\. Only"),
        (b"# AEChip: class ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c", "CochleaAMS1c"),
        (b"# AEChip: net.EDVS128", "net.EDVS128"),
        (b"# Timestamps tick is 1 ms", r"ticks every '1 ms'; only microseconds"),
        (b"# Timestamps tick is 10 us", r"ticks every '10 us'; only microseconds"),
    ],
)
def test_aedat2_whose_header_says_another_camera_is_refused(tmp_path, line, expected):
    """Its addresses, though all of a DVS128's bits, mean other pixels."""
    header = b"#!AER-DAT2.0\r\n" + line + b"\r\n"
    with pytest.raises(ValueError, match=expected):
        read_aedat2(write(tmp_path / "a.aedat", aedat2(make_up(), header)))


@pytest.mark.parametrize("name", [b"class ch.unizh.ini.jaer.chip.retina.DVS128", b"DVS128"])
def test_the_class_of_a_dvs128_may_be_written_in_either_way(tmp_path, name):
    header = b"#!AER-DAT2.0\r\n# AEChip: " + name + b"\r\n# Timestamps tick: 1 us\r\n"
    events = make_up()
    assert_same(read_aedat2(write(tmp_path / "a.aedat", aedat2(events, header))), events)


def test_a_clock_that_runs_over_goes_on_and_one_that_jumps_back_is_counted(tmp_path):
    times = [2**32 - 2, 2**32 - 1, 0, 5, 3]
    got = read_aedat2(write(tmp_path / "a.aedat", raw_aedat2(*((0, t) for t in times))))
    assert got.t.tolist() == [2**32 - 2, 2**32 - 1, 2**32, 2**32 + 5, 2**32 + 3]
    assert got.backward == 1


@pytest.mark.parametrize(
    ("ending", "first"),
    [
        (b"", b"#\x00\x00\x00"),
        (b"", b"#   "),
        (b"#End Of ASCII Header\r\n", b"#   "),
        (b"#End Of ASCII Header\r\n", b"#a\r\n"),  # a comment, had the header not ended
    ],
)
def test_a_body_may_begin_like_a_comment(tmp_path, ending, first):
    pairs = np.array([(2, 0), (4, 1), (6, 2)], dtype=">u4").tobytes()
    body = first + b"\x00\x00\x00\x07" + pairs
    got = read_aedat2(write(tmp_path / "a.aedat", AEDAT2_HEADER + ending + body))
    assert got.t.tolist() == [0, 1, 2]
    assert got.skipped == {"special": 1}


def test_header_lines_may_have_any_text_and_either_ending(tmp_path):
    header = AEDAT2_HEADER + b"# caf\xc3\xa9 \xb5s\t1\n#\r\n" + b"#<xml/>\r\n" * 3000
    events = make_up()
    assert_same(read_aedat2(write(tmp_path / "a.aedat", aedat2(events, header))), events)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", r"at byte 0 the line '#!AER-DAT2\.0' is expected, .* the file is empty"),
        (b"\x00\x01\x02", r"expected, but there is b'\\x00\\x01\\x02'\. .*AEDAT 1\.0"),
        (b"#!AER-DAT3.1\r\n", r"at byte 0, says AEDAT 3\.1; read_aedat3 reads it"),
        (b"#!AER-DAT4.0\r\n", r"says AEDAT 4\.0; read_aedat4 reads it"),
        (b"#!AER-DAT5.0\r\n", r"says AEDAT 5\.0; only 2\.0, 3\.1, 4\.0 are read"),
        (AEDAT2_HEADER, rf"holds no events: it ends .* at byte {len(AEDAT2_HEADER)}"),
        (
            AEDAT2_HEADER[:-2],
            rf"at byte {len(AEDAT2_HEADER) - 2}, within .* begins at byte {LAST_LINE}\.",
        ),
        (
            raw_aedat2((2, 3))[:-1],
            rf"8 bytes each from .*but at byte {len(AEDAT2_HEADER)} only 7 bytes are left",
        ),
    ],
)
def test_what_is_wrong_with_an_aedat2_file_is_said(tmp_path, data, expected):
    with pytest.raises(ValueError, match=expected):
        read_aedat2(write(tmp_path / "a.aedat", data))


def test_rows_and_columns_may_be_exchanged(tmp_path):
    events = make_up()
    got = read_aedat2(write(tmp_path / "a.aedat", aedat2(events)), transposed=True)
    assert rows(got) == [(y, x, t, p) for x, y, t, p in rows(events)]


def real(folder):
    """A folder of real recordings, if the environment names where they are."""
    where = os.environ.get("BNTT_TEST_DATA")
    if not where:
        pytest.skip(f"{folder}: BNTT_TEST_DATA does not name a folder of real data")
    if not (Path(where) / folder).is_dir():
        pytest.skip(f"{folder}: BNTT_TEST_DATA={where} holds no {folder}")
    return Path(where) / folder


def test_a_gesture_written_as_cifar10_dvs_is_read_as_the_gesture():
    clip = read_nmnist(real("gestures") / "1.bs2", width=128, height=128)
    got = read_aedat2(real("aedat2") / "cifar10dvs_layout.aedat", transposed=True)
    assert rows(got) == [(x, y, t + 1000, p) for x, y, t, p in rows(clip)]


@pytest.mark.parametrize(("folder", "count"), [("objects", 10), ("people", 2)])
def test_real_recordings_of_a_dvs128_are_read_whole(folder, count):
    files = sorted((real("aedat2") / folder).glob("*.aedat"))
    assert len(files) == count
    for file in files:
        got = read_aedat2(file)
        assert len(got) * 8 == file.stat().st_size - body_of_aedat2(file, file.read_bytes())
        assert not got.skipped
        assert not got.backward


def test_real_n_mnist_is_read_whole():
    files = sorted(real("N-MNIST").glob("*/*/*.bin"))
    assert len(files) == 1100
    for file in files[::20]:
        got = read_nmnist(file)
        assert len(got) * 5 == file.stat().st_size
