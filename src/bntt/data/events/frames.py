"""Frames of events: how many fell on each pixel, of each polarity, in each part of time."""

import math
from typing import get_args

import numpy as np
from jaxtyping import Int64, UInt8

from ...choices import one_of
from ...config.sets import FrameRule
from ...config.values import LONGEST_SIDE
from .recording import Events

FULL = 255
"""The most events that a pixel of a frame can hold."""
MOST_STEPS = 1 << 16
"""The most frames of a sample; no network has more time-steps."""
SCRATCH = 32 << 20
"""Bytes of memory for the counts that are to become frames; one frame may take more."""


def to_frames(
    events: Events,
    num_steps: int,
    size: int = 0,
    by: str = "time",
    span: tuple[int, int] | None = None,
) -> tuple[UInt8[np.ndarray, "T 2 S S"], int]:
    """Count a recording's events per time-step, polarity and pixel.

    Where a frame begins and ends:

    * ``by="time"``: ``T`` equal parts of time. An event at ``t`` falls into frame
      ``floor((t - start) * T / (stop - start))``, so every frame holds its first edge and
      not its last. Without a `span`, ``start`` is the time of the first event and ``stop``
      one microsecond past the last, which therefore lies in the last frame.
    * ``by="count"``: ``T`` equal parts of the events in their order of time (of equal
      times, in the order recorded). If ``E`` events do not divide evenly the first
      ``E mod T`` frames hold one more, the rule of `numpy.array_split`.

    Where a pixel goes: a sensor that is not square lies centred in the square of its longer
    side. A smaller `size` sums pixels: column ``x`` of that square goes to ``floor(x * size
    / side)``, and rows alike. A larger one leaves a border, centred.

    Args:
        events: The recording, with times to be taken as they are: `clock.settle` mends
            those of a faulty clock. None at all gives frames of zeros.
        num_steps: ``T``, how many frames.
        size: Side ``S`` of a frame in pixels; 0 for the longer side of the sensor.
        by: ``"time"`` or ``"count"``.
        span: ``(start, stop)`` in microseconds, for a sample that was cut out of a longer
            recording; all events must lie in it. Counting by events does not need it.

    Returns:
        ``(frames, dropped)``: the counts, channel 0 of OFF events (polarity 0) and channel
        1 of ON events, none above 255; and how many events that limit left out.

    Raises:
        ValueError: If `num_steps` is not positive, `size` is negative, `by` is neither, or
            an event lies outside `span`.
    """
    check_frames(num_steps, size, by)
    side = max(events.width, events.height)
    size = size or side
    if by == "time":
        step = _step_by_time(events, num_steps, span)
    else:
        step = _step_by_count(events, num_steps)
    columns = _places(events.width, side, size)
    rows = _places(events.height, side, size)
    pixel = events.polarity * np.int64(size) + rows[events.y]
    pixel *= size
    pixel += columns[events.x]
    return _counted(step, pixel, (num_steps, 2, size, size))


def _counted(
    step: Int64[np.ndarray, " E"], pixel: Int64[np.ndarray, " E"], shape: tuple[int, ...]
) -> tuple[UInt8[np.ndarray, "T 2 S S"], int]:
    """Count a few frames at a time: bincount takes eight bytes for each of their pixels."""
    num_steps, pixels = shape[0], math.prod(shape[1:])
    frames = np.empty(shape, dtype=np.uint8)
    together = max(1, SCRATCH // (8 * pixels))
    full = 0
    for first in range(0, num_steps, together):
        number = min(together, num_steps - first)
        these = slice(None)
        if number < num_steps:
            these = np.flatnonzero((step >= first) & (step < first + number))
        index = pixel[these] + pixels * (step[these] - first)
        counts = np.bincount(index, minlength=number * pixels)
        np.minimum(counts, FULL, out=counts)
        frames[first : first + number] = counts.reshape(number, *shape[1:])
        full += int(counts.sum())
    return frames, len(step) - full


def check_frames(num_steps: int, size: int, by: str) -> None:
    """Refuse what frames cannot be.

    Raises:
        ValueError: See `to_frames`.
    """
    if num_steps < 1:
        raise ValueError(f"`num_steps` must be at least 1, got {num_steps}.")
    if size < 0:
        raise ValueError(
            f"`size` must be a side in pixels, or 0 for the sensor's own, got {size}."
        )
    for name, value, most in (
        ("num_steps", num_steps, MOST_STEPS),
        ("size", size, LONGEST_SIDE),
    ):
        if value > most:
            raise ValueError(f"`{name}` must be at most {most}, got {value}.")
    one_of("frames", by, get_args(FrameRule))


def _step_by_time(
    events: Events, num_steps: int, span: tuple[int, int] | None
) -> Int64[np.ndarray, " E"]:
    t = events.t
    if not len(t):
        return np.zeros(0, dtype=np.int64)
    first, last = int(t.min()), int(t.max())
    start, stop = span or (first, last + 1)
    if first < start or last >= stop:
        raise ValueError(
            f"Events from {first} to {last} microseconds do not all lie in the span from "
            f"{start} to {stop}. Cut them with `Events.between` first."
        )
    # in whole numbers: a float would put an event on an edge into either frame. And by the
    # edges: the product of a long time and `num_steps` may not be a number of 64 bits
    length = stop - start
    edges = [-(-k * length // num_steps) for k in range(1, num_steps)]
    since = t.astype(np.uint64) - np.uint64(start % (1 << 64))
    return np.searchsorted(np.array(edges, dtype=np.uint64), since, side="right")


def _step_by_count(events: Events, num_steps: int) -> Int64[np.ndarray, " E"]:
    each, more = divmod(len(events), num_steps)
    counts = np.full(num_steps, each)
    counts[:more] += 1
    step = np.repeat(np.arange(num_steps), counts)
    if (np.diff(events.t) >= 0).all():
        return step
    placed = np.empty_like(step)
    placed[np.argsort(events.t, kind="stable")] = step
    return placed


def _places(length: int, side: int, size: int) -> Int64[np.ndarray, " length"]:
    """Return where each of a sensor's columns, or rows, goes in a frame."""
    place = np.arange(length, dtype=np.int64) + (side - length) // 2
    return place * size // side if size < side else place + (size - side) // 2
