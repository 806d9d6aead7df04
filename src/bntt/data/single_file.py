"""One recording, cut and counted as the loader of a whole set would do it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from .dataset import Wanted
from .events.clock import refuse_uneven, said, settle
from .events.files import read_recording
from .events.frames import to_frames
from .events.recording import Events
from .events.samples import cut
from .events.sensor import UNKNOWN, most, refuse_stretched
from .events.survey import windows_of
from .sets.cifar10_dvs import read_official


class Part(NamedTuple):
    """A sample that was cut out of a recording, or all of it."""

    frames: UInt8[np.ndarray, "T 2 S S"]
    span_ms: tuple[int, int] | None
    """From the recording's first event on; None for the whole recording."""
    note: str = ""
    """What may be wrong with the recording, or with how it was read; empty if nothing."""


def parts_of(path: Path, name: str, wanted: Wanted) -> list[Part]:
    """Return the samples that a recording gives, those without events left out.

    Args:
        path: The recording.
        name: Of the set that it could belong to.
        wanted: Its ``num_steps``, ``image_size``, ``frames``, ``window_ms``, ``sensor`` and
            ``outside`` count; a last window that is not full is left out.

    Raises:
        ValueError: If the recording is damaged, holds no events or is shorter than a
            window.
        OSError: If it cannot be read.
        ImportError: If it is AEDAT 4 and the library `aedat` is not installed.
    """
    events, faults = settle(path, _read(path, name, wanted))
    if not len(events):
        raise ValueError(f"{path} holds no events. Damaged, or nothing moved?")
    if wanted.frames == "time" and not wanted.window_ms:
        refuse_uneven(path, events, faults)
    notes = said({path.name: faults})
    if outside := events.skipped.get("outside", 0):
        notes.append(f"Events outside the sensor, dropped: {outside}.")
    note = " ".join(notes)
    if wanted.window_ms:
        return _windows(path, events, wanted, note)
    return [Part(_count(events, wanted, None), None, note)]


def _windows(path: Path, events: Events, wanted: Wanted, note: str) -> list[Part]:
    window_us = 1000 * wanted.window_ms
    count, filled = windows_of(events.t, window_us)
    if not count:
        raise ValueError(
            f"{path} lasts {(events.t[-1] - events.t[0] + 1) / 1000:g} ms, shorter than "
            f"the windows of {wanted.window_ms} ms that the network was trained on. Take a "
            f"longer one."
        )
    parts = []
    for number in filled.tolist():
        start = int(events.t[0]) + number * window_us
        span = (start, start + window_us)
        frames = _count(cut(events, *span), wanted, span)
        from_first = (number * wanted.window_ms, (number + 1) * wanted.window_ms)
        parts.append(Part(frames, from_first, note))
    return parts


def sensor_is_guessed(path: Path, name: str, wanted: Wanted) -> bool:
    """Whether a recording is of a sensor that neither its file nor its set tells."""
    silent = path.suffix.lower() == ".npz" and wanted.sensor == UNKNOWN
    return silent and name != "cifar10dvs"


def _read(path: Path, name: str, wanted: Wanted) -> Events:
    if name == "cifar10dvs":
        return read_official(path, wanted.outside)
    # every other set's files are read by their endings as its loader reads them
    events = read_recording(path, wanted.sensor, wanted.outside)
    if sensor_is_guessed(path, name, wanted):
        usual = most(events.x), most(events.y)
        refuse_stretched(path, (events.width, events.height), usual)
    return events


def _count(
    events: Events, wanted: Wanted, span: tuple[int, int] | None
) -> UInt8[np.ndarray, "T 2 S S"]:
    return to_frames(events, wanted.num_steps, wanted.image_size, wanted.frames, span)[0]
