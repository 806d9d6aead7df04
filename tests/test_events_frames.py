"""Frames of events: every event counted once, where and when the text says."""

import dataclasses
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_events import make_up, take

from bntt.data.events import frames
from bntt.data.events.frames import to_frames
from bntt.data.events.recording import Events

BOTH = pytest.mark.parametrize("by", ["time", "count"])


def events_of(rows, width=4, height=4):
    x, y, t, polarity = (np.array(column) for column in zip(*rows, strict=True))
    return Events(
        x.astype(np.uint16),
        y.astype(np.uint16),
        t.astype(np.int64),
        polarity.astype(np.uint8),
        width,
        height,
    )


@st.composite
def recordings(draw):
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    count, longest = draw(st.integers(0, 300)), draw(st.sampled_from([0, 1, 50]))
    events = make_up(count, width, height, draw(st.integers(0, 999)), longest=longest)
    back = draw(st.booleans())  # a clock that ran backwards
    return take(events, np.arange(count)[::-1]) if back else events


@given(
    recordings(), st.integers(1, 12), st.integers(0, 50), st.sampled_from(["time", "count"])
)
def test_no_event_is_lost_or_counted_twice(events, num_steps, size, by):
    frames, dropped = to_frames(events, num_steps, size, by)
    side = size or max(events.width, events.height)
    assert frames.shape == (num_steps, 2, side, side)
    assert int(frames.sum()) + dropped == len(events)
    on = int((events.polarity == 1).sum())
    if not dropped:
        assert int(frames[:, 1].sum()) == on


@given(
    recordings(), st.integers(1, 12), st.integers(0, 50), st.sampled_from(["time", "count"])
)
def test_frames_are_what_a_loop_over_events_counts(events, num_steps, size, by):
    side = max(events.width, events.height)
    size = size or side
    wanted = np.zeros((num_steps, 2, size, size), dtype=np.int64)
    order = sorted(range(len(events)), key=lambda k: events.t[k])
    parts = np.array_split(order, num_steps)
    for step, part in enumerate(parts):
        for k in part:
            t, start = int(events.t[k]), int(events.t.min())
            if by == "time":
                step = (t - start) * num_steps // (int(events.t.max()) + 1 - start)
            x = int(events.x[k]) + (side - events.width) // 2
            y = int(events.y[k]) + (side - events.height) // 2
            border = max(0, size - side) // 2
            x, y = (v * size // side if size < side else v + border for v in (x, y))
            wanted[step, events.polarity[k], y, x] += 1
    frames, dropped = to_frames(events, num_steps, size, by)
    assert np.array_equal(frames, np.minimum(wanted, 255))
    assert dropped == (wanted - np.minimum(wanted, 255)).sum()


@given(recordings(), st.integers(1, 12), st.integers(0, 999))
def test_the_order_within_a_frame_of_time_does_not_matter(events, num_steps, seed):
    order = np.random.default_rng(seed).permutation(len(events))
    frames, _ = to_frames(events, num_steps)
    assert np.array_equal(to_frames(take(events, order), num_steps)[0], frames)


@given(recordings(), st.integers(-(2**40), 2**40))
def test_the_camera_s_clock_starts_anywhere(events, shift):
    later = dataclasses.replace(events, t=events.t + shift)
    assert np.array_equal(to_frames(events, 5)[0], to_frames(later, 5)[0])


def test_a_frame_of_time_holds_its_first_edge_and_the_last_event_the_last_frame():
    times = [100, 149, 150, 199]  # 100 microseconds in all, from 100 to 200
    frames, _ = to_frames(events_of([(0, 0, t, 1) for t in times]), 2)
    assert frames.sum(axis=(1, 2, 3)).tolist() == [2, 2]
    frames, _ = to_frames(events_of([(0, 0, 7, 1)]), 3)
    assert frames.sum(axis=(1, 2, 3)).tolist() == [1, 0, 0]


def test_frames_of_count_hold_equally_many_the_first_ones_more():
    events = events_of([(0, 0, t, 1) for t in (0, 1, 2, 900, 901, 902, 903, 904)])
    frames, _ = to_frames(events, 3, by="count")
    assert frames.sum(axis=(1, 2, 3)).tolist() == [3, 3, 2]
    frames, _ = to_frames(events, 10, by="count")
    assert frames.sum(axis=(1, 2, 3)).tolist() == [1] * 8 + [0, 0]


def test_a_span_divides_the_time_around_the_events():
    events = events_of([(0, 0, t, 1) for t in (30, 39)])
    assert to_frames(events, 4, span=(0, 40))[0].sum(axis=(1, 2, 3)).tolist() == [
        0,
        0,
        0,
        2,
    ]
    for span in ((31, 40), (0, 39)):
        with pytest.raises(
            ValueError, match=r"from 30 to 39 .* do not all lie in the span"
        ):
            to_frames(events, 4, span=span)


def test_channel_0_is_off_and_channel_1_on_and_rows_come_before_columns():
    frames, _ = to_frames(events_of([(1, 2, 0, 0), (3, 0, 0, 1), (3, 0, 0, 1)]), 1)
    assert np.argwhere(frames[0]).tolist() == [[0, 2, 1], [1, 0, 3]]
    assert frames[0, 1, 0, 3] == 2


def test_a_pixel_counts_to_255_and_what_it_drops_is_known():
    frames, dropped = to_frames(events_of([(0, 0, 0, 1)] * 300 + [(1, 0, 0, 0)] * 255), 1)
    assert frames[0, :, 0, :2].tolist() == [[0, 255], [255, 0]]
    assert dropped == 45


def test_a_smaller_frame_sums_whole_pixels():
    events = events_of([(x, y, 0, 1) for x in range(4) for y in range(4)])
    frames, _ = to_frames(events, 1, size=2)
    assert frames[0, 1].tolist() == [[4, 4], [4, 4]]


def test_a_larger_frame_has_a_border():
    frames, _ = to_frames(events_of([(0, 0, 0, 1), (3, 3, 0, 1)]), 1, size=8)
    assert np.argwhere(frames[0, 1]).tolist() == [[2, 2], [5, 5]]


def test_an_oblong_sensor_lies_in_the_middle_of_a_square():
    frames, _ = to_frames(events_of([(0, 0, 0, 1), (7, 3, 0, 1)], width=8), 1)
    assert frames.shape == (1, 2, 8, 8)
    assert np.argwhere(frames[0, 1]).tolist() == [[2, 0], [5, 7]]


@BOTH
def test_no_events_give_frames_of_zeros(by):
    frames, dropped = to_frames(make_up(0, 6, 6), 3, by=by)
    assert frames.shape == (3, 2, 6, 6)
    assert frames.sum() == dropped == 0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"num_steps": 0}, "`num_steps` must be at least 1, got 0"),
        ({"size": -1}, "a side in pixels, or 0 .* got -1"),
        ({"num_steps": 10**9}, "`num_steps` must be at most 65536, got 1000000000"),
        ({"size": 10**5}, "`size` must be at most 8192, got 100000"),
        ({"by": "events"}, "Unknown frames 'events'. Known: time, count"),
    ],
)
def test_frames_that_cannot_be_are_refused(wrong, expected):
    with pytest.raises(ValueError, match=expected):
        to_frames(make_up(), **({"num_steps": 2} | wrong))


@BOTH
def test_half_a_million_events_take_no_loop(by):
    events = make_up(500_000)
    to_frames(events, 10, by=by)
    start = time.process_time()
    to_frames(events, 10, by=by)
    assert time.process_time() - start < 0.25  # a loop over them takes seconds


def test_counting_in_strips_gives_the_same_frames_in_less_memory(monkeypatch):
    events = make_up(5_000, width=128, height=90)
    whole = to_frames(events, 7)
    shuffled = take(events, np.random.default_rng(0).permutation(5_000))
    for scratch in (1, 2 * 8 * 2 * 128 * 128, 3 * 8 * 2 * 128 * 128):
        monkeypatch.setattr(frames, "SCRATCH", scratch)
        for one in (events, shuffled):
            strips = to_frames(one, 7)
            assert np.array_equal(strips[0], whole[0])
            assert strips[1] == whole[1]


def test_memory_for_a_large_sensor_is_bounded():
    events = make_up(1_000, width=1280, height=720)
    tracemalloc.start()
    counted, _ = to_frames(events, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < counted.nbytes + 2 * frames.SCRATCH
    assert counted.sum() == 1_000
