"""Clocks of recordings: followed where they run over, mended by order, or refused."""

import dataclasses
import io
from pathlib import Path

import made_up_event_sets as made_up
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_events import aedat2, aedat3, make_up, nmnist, rows, take, write

from bntt.data import load
from bntt.data.events import read_aedat2, read_aedat3, read_nmnist, read_npz
from bntt.data.events.clock import Faults, settle
from bntt.data.events.files.codec import unwrap
from bntt.data.events.frames import to_frames
from bntt.data.geometry import Geometry
from bntt.data.options import DataOptions
from bntt.data.single_file import read_parts

A_FILE = Path("a.npz")
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("BNTT_DATA", str(tmp_path_factory.mktemp("cache")))


def at(times, seed=0):
    """Events at these times."""
    times = np.asarray(times, dtype=np.int64)
    return dataclasses.replace(make_up(len(times), seed=seed), t=times)


def npz_of(kind):
    def made(events):
        buffer = io.BytesIO()
        t = events.t.astype(kind)
        np.savez(buffer, t=t, x=events.x, y=events.y, p=events.polarity)
        return buffer.getvalue()

    return made


def five_bytes(events):
    return nmnist(dataclasses.replace(events, t=events.t % 2**23))


def bs2(path):
    return read_nmnist(path, 128, 128)


CLOCKS = {
    "five bytes": (five_bytes, bs2, 23),
    "AEDAT 2.0": (aedat2, read_aedat2, 32),
    "AEDAT 3.1": (aedat3, read_aedat3, 40),
    "uint32": (npz_of(np.uint32), read_npz, 32),
    "int32": (npz_of(np.int32), read_npz, 32),
    "int64": (npz_of(np.int64), read_npz, 60),
}


@pytest.mark.parametrize("name", CLOCKS)
@given(data=st.data())
@SHARED_FOLDER
def test_an_ascending_timeline_is_read_from_a_clock_that_runs_over(tmp_path, name, data):
    make, read, bits = CLOCKS[name]
    start = data.draw(st.integers(0, 2**bits))
    most = data.draw(st.sampled_from([10, 10**4, 2 ** (bits - 1) - 1]))
    steps = data.draw(st.lists(st.integers(0, most), min_size=1, max_size=40))
    t = start + np.cumsum(np.array([0, *steps], dtype=np.int64))
    got = read(write(tmp_path / "a.npz", make(at(t))))
    assert np.array_equal(np.diff(got.t), np.diff(t))


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
@given(data=st.data())
@SHARED_FOLDER
def test_a_clock_of_32_bits_is_followed_in_larger_numbers_too(tmp_path, kind, data):
    start = 2**32 - data.draw(st.integers(1, 2**27))
    steps = data.draw(st.lists(st.integers(0, 2**26), min_size=2, max_size=40))
    t = start + np.cumsum(np.array([0, *steps, 2**27], dtype=np.int64))
    got = read_npz(write(tmp_path / "a.npz", npz_of(kind)(at(t % 2**32))))
    assert np.array_equal(np.diff(got.t), np.diff(t))


@pytest.mark.parametrize("top", [2**31 + 2**30, 2**40])
def test_a_clock_of_larger_numbers_that_was_set_back_is_not_taken_to_run_over(
    tmp_path, top
):
    t = np.concatenate([top + np.arange(50), np.arange(50)])
    path = write(tmp_path / "a.npz", npz_of(np.int64)(at(t)))
    events, faults = settle(path, read_npz(path))
    assert faults.set_back == 1
    assert np.ptp(events.t) < 100


@given(
    bits=st.sampled_from([8, 23, 32]),
    late=st.lists(st.tuples(st.integers(0, 199), st.integers(1, 20)), max_size=8),
    start=st.integers(0, 400),
)
def test_events_recorded_late_around_the_turn_of_a_clock_keep_their_times(
    bits, late, start
):
    t = (1 << bits) - start + np.arange(200) * 2
    for k, by in late:
        t[k] -= by
    got = unwrap((t % (1 << bits)).astype(np.int64), bits)
    # the first event's own turn is not recorded
    assert np.array_equal(got - got[0], t - t[0]) or t[0] < (1 << bits) <= t.max()
    if (t[:1] < (1 << bits)).all():
        assert np.array_equal(got - got[0], t - t[0])


def settled(t):
    events, faults = settle(A_FILE, at(t))
    return events.t, faults


def test_a_clock_set_back_goes_on_and_its_halves_are_not_interleaved():
    t = 5_000 + np.arange(400) * 7
    halves = np.concatenate([t[:200], t[:200] + 3])
    got, faults = settled(halves)
    assert faults == Faults(set_back=1)
    assert np.array_equal(np.diff(got)[:199], np.diff(halves)[:199])
    assert np.array_equal(np.diff(got)[200:], np.diff(halves)[200:])
    assert got[200] == got[199]
    events, _ = settle(A_FILE, at(halves))
    assert np.array_equal(events.x, at(halves).x), "the order recorded"


@pytest.mark.parametrize("count", [8, 16, 50, 1000])
@pytest.mark.parametrize("by", [0.8, 1, 1000])
def test_a_set_back_is_seen_in_recordings_of_any_length(count, by):
    t = 10**9 + np.arange(count) * 10
    back = int(by * (t[count // 2 - 1] - t[0]))
    set_back = np.where(np.arange(count) < count // 2, t, t - 10 - back)
    got, faults = settled(set_back)
    assert faults == Faults(set_back=1)
    assert (np.diff(got) >= 0).all()
    assert got[-1] - got[0] == t[-1] - t[0] - 10


@pytest.mark.parametrize("where", [(100,), (100, 101, 102), (0,), (1,), (50, 150)])
@pytest.mark.parametrize("value", [0, 2_000_000, 2**40])
def test_a_stray_time_is_taken_from_its_neighbours(where, value):
    t = 1_000_000 + np.arange(200) * 10
    stray = t.copy()
    stray[list(where)] = value
    if where == (0,) and value == 0:
        _, faults = settled(stray)
        assert faults == Faults(silence_us=1_000_010, beside=1)
        return
    got, faults = settled(stray)
    assert faults == Faults(strays=len(where))
    assert np.abs(got - t).max() <= 10 * len(where)


@given(st.integers(20, 300), st.integers(0, 2**16))
def test_events_recorded_a_little_late_are_put_in_order(count, seed):
    random = np.random.default_rng(seed)
    t = np.arange(count) * 10
    jittered = t - random.integers(0, 30, count) * (random.random(count) < 0.1)
    got, faults = settled(jittered)
    assert np.array_equal(got, np.sort(jittered, kind="stable"))
    assert faults == Faults(late=int((np.diff(jittered) < 0).sum()))


def sawtooth():
    return np.concatenate([np.arange(100) + 10 * k for k in range(12)])


def back_and_forth(by):
    t = 10**6 + np.arange(600) * 10
    t[200:400] += by
    return t


@pytest.mark.parametrize("seed", range(3))
def test_events_in_no_order_at_all_are_sorted(seed):
    random = np.random.default_rng(seed)
    t = np.concatenate([random.integers(0, 1000, 900), random.integers(0, 10**7, 100)])
    shuffled = random.permutation(t)
    got, faults = settled(shuffled)
    assert np.array_equal(got, np.sort(t))
    assert faults.late == (np.diff(shuffled) < 0).sum()


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (sawtooth(), "time goes back 11 times"),
        (back_and_forth(-900_000), "leaps back and forth"),
        (back_and_forth(900_000), "leaps back and forth"),
        (np.where(np.arange(400) % 8 == 0, 0, 10**6 + np.arange(400)), "times of .* fit"),
        (np.array([0, 1, 2**62]), "further than any camera counts"),
        (np.array([0, -(2**63), 1]), "further than any camera counts"),
    ],
)
def test_what_cannot_be_told_is_refused(times, why):
    with pytest.raises(ValueError, match=rf"^a\.npz: .*{why}"):
        settled(times)


def test_events_grouped_by_polarity_are_not_taken_for_a_clock_set_back():
    events = at(np.tile(np.arange(100), 2))
    grouped = dataclasses.replace(events, polarity=np.repeat([0, 1], 100).astype(np.uint8))
    with pytest.raises(ValueError, match=r"a\.npz: .*grouped by polarity.*sort them"):
        settle(A_FILE, grouped)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=60))
def test_whatever_is_not_refused_ascends_and_keeps_its_events(times):
    events = at(times)
    try:
        got, _ = settle(A_FILE, events)
    except ValueError:
        return
    assert got.backward == 0
    assert sorted((x, y, p) for x, y, _, p in rows(got)) == sorted(
        (x, y, p) for x, y, _, p in rows(events)
    )


def folder_with(tmp_path, times, **wanted):
    made_up.eventfolder(tmp_path, ending=".npz")
    write(tmp_path / "train" / "left" / "odd.npz", npz_of(np.int64)(at(times)))
    return load("eventfolder", tmp_path, num_steps=4, image_size=128, **wanted)


def test_a_set_says_what_was_wrong_with_its_clocks(tmp_path):
    times = 10**6 + np.arange(200) * 10
    times[50] = 0
    times[100:] -= 500_000
    data = folder_with(tmp_path, times)
    assert "which were taken instead: 1 events of train/left/odd.npz." in data.note
    assert "Clocks set back, where time was taken to go on" in data.note
    counts = data.train_images[2].sum(dim=(1, 2, 3))
    assert (counts - 50).abs().max() <= 1, "the stray event may be an event away"


@pytest.mark.parametrize("far", [2**31, 2**40])
@pytest.mark.parametrize("end", [0, -1])
def test_frames_of_equal_time_are_refused_where_one_would_hold_all(tmp_path, end, far):
    times = far + np.arange(200) * 10
    times[end] += far if end else -far
    with pytest.raises(ValueError, match=r"odd\.npz: .* Its clock seems to leap"):
        folder_with(tmp_path, times)
    counted = folder_with(tmp_path, times, frames="count")
    assert counted.train_images[2].sum(dim=(1, 2, 3)).tolist() == [50] * 4


def test_a_long_silence_is_said(tmp_path):
    times = np.arange(200) * 10 + 50_000 * (np.arange(200) >= 100)
    data = folder_with(tmp_path, times)
    assert "clock may have leapt; frames of equal" in data.note
    assert "50010 microseconds in train/left/odd.npz." in data.note


@pytest.mark.parametrize("time", [0, 7])
def test_a_clock_that_stood_still_is_said(tmp_path, time):
    data = folder_with(tmp_path, np.full(200, time))
    assert data.train_images[2].sum(dim=(1, 2, 3)).tolist() == [200, 0, 0, 0]
    assert "all have one time, as where the clock stood still; frames" in data.note
    assert "first: 200, in train/left/odd.npz." in data.note


@pytest.mark.parametrize("first", [0, 995_000])
@pytest.mark.parametrize("wanted", [{}, {"frames": "count"}, {"window_ms": 1}])
def test_an_event_far_from_all_others_at_an_end_is_said(tmp_path, first, wanted):
    times = 1_000_000 + np.arange(200) * 10_000
    times[0] = first
    if not first:
        assert "the clock may have leapt" in folder_with(tmp_path, times, **wanted).note
    else:
        assert "the clock" not in folder_with(tmp_path, times, **wanted).note


def test_prediction_says_what_was_wrong_with_a_clock(tmp_path):
    t = np.arange(200) * 10
    path = write(tmp_path / "own.bs2", nmnist(at(np.concatenate([t[:100], t[:100]]))))
    geometry = Geometry(channels=2, image_size=128)
    (part,) = read_parts(path, "eventfolder", DataOptions(num_steps=2), geometry)
    assert part.note == (
        "Clocks set back, where time was taken to go on in the order recorded: "
        "1, in own.bs2."
    )
    first, second = (take(at(t), slice(*ends)) for ends in ((0, 100), (100, 200)))
    wanted = np.concatenate([to_frames(half, 1)[0] for half in (first, second)])
    assert np.abs(part.frames.astype(int) - wanted).sum() <= 2


def test_a_gestures_clock_must_not_be_set_back(tmp_path):
    made = made_up.dvs_gesture(tmp_path)
    events = made["user01_led.aedat"]
    t = np.where(np.arange(600) < 300, events.t, events.t - 50_000)
    path = write(tmp_path / "user01_led.aedat", aedat3(dataclasses.replace(events, t=t)))
    with pytest.raises(ValueError, match=rf"{path}: its clock was set back"):
        load("dvs-gesture", tmp_path, num_steps=2)


@given(
    times=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20),
    num_steps=st.integers(1, 1000),
)
def test_no_time_is_too_long_to_be_divided(times, num_steps):
    events = dataclasses.replace(at(np.zeros(len(times))), t=np.array(times))
    frames, _ = to_frames(dataclasses.replace(events, width=128), num_steps, size=1)
    start, length = min(times), max(times) + 1 - min(times)
    wanted = np.bincount(
        [(t - start) * num_steps // length for t in times], minlength=num_steps
    )
    assert frames.sum(axis=(1, 2, 3)).tolist() == wanted.tolist()
