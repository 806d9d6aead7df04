"""One picture or one recording of the user's own, made into what a network learned from.

A picture is cut, scaled and bordered as the `Geometry` of the training set says. A
recording is read, cut and counted as the loader of the training set would do it.
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from .events.clock import refuse_uneven, said, settle
from .events.files import read_recording
from .events.files.recording_bytes import check_recording
from .events.frames import to_frames
from .events.recording import Events
from .events.sensor import UNKNOWN, most, refuse_stretched
from .folders import check_file
from .geometry import Geometry, bordered
from .images.file import MODES, read
from .images.levels import few_levels
from .options import DataOptions
from .sets.cifar10_dvs import read_official


class Picture(NamedTuple):
    """A picture as a network takes it."""

    pixels: UInt8[Tensor, "C H W"]
    note: str
    """What may be wrong with it; empty if nothing is."""


class Part(NamedTuple):
    """A sample that was cut out of a recording, or all of the recording."""

    frames: UInt8[np.ndarray, "T 2 S S"]
    """Events counted per time-step, polarity (OFF, ON) and pixel."""
    span_ms: tuple[int, int] | None
    """Milliseconds from the recording's first event on; None for the whole recording."""
    note: str = ""
    """What may be wrong with the recording, or with how it was read; empty if nothing."""


def read_picture(
    path: str | Path, channels: int, size: int, *, invert: bool = False
) -> UInt8[Tensor, "C H W"]:
    """Read a picture (PNG, JPEG, whatever Pillow opens) for a network that has no border.

    It is turned upright as the camera noted, cropped to the square in its middle and scaled
    to the network's size: the mean over the pixels that become one, as the digits of
    scikit-learn were made, or a smooth enlargement. Transparent parts become black where
    what is visible is light, and white where it is dark.

    Args:
        path: The file.
        channels: 1 for grey, 3 for red, green and blue.
        size: Side of the result, in pixels.
        invert: Whether to exchange light and dark.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no picture, a damaged one or a huge one.
        ImportError: If Pillow is not installed.
    """
    geometry = Geometry(channels=channels, image_size=size)
    return read_as_trained(path, geometry, invert=invert).pixels


def read_as_trained(
    path: str | Path, geometry: Geometry, *, invert: bool = False
) -> Picture:
    """Read a picture as those that a network learned from became its images.

    As :func:`read_picture`, but scaled to the size within the border, which is added then.

    Args:
        path: The file.
        geometry: Of the set that the network was trained on.
        invert: Whether to exchange light and dark, within the border.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As :func:`read_picture`, or if the picture has values beyond white.
        ImportError: If Pillow is not installed.
    """
    path = Path(path)
    if geometry.channels not in MODES:
        raise ValueError(
            f"A picture has 1 channel (grey) or 3 (colour), but this network takes "
            f"{geometry.channels}. Feed it tensors from Python instead."
        )
    around = path if path.is_dir() else path.parent
    check_file(path, "a picture", f"Name PNG or JPEG files, such as {around}/*.png.")
    with warnings.catch_warnings():
        # of Pillow, about a large photo
        warnings.filterwarnings("ignore", "Image size .* exceeds limit")
        found = read(path, geometry.channels, geometry.inner, white=geometry.white)
    pixels = torch.from_numpy(found.pixels.copy())
    if invert:
        pixels = 255 - pixels
    note = few_levels("This picture's", found.peak, found.white)
    return Picture(torch.nn.functional.pad(pixels, geometry.border), note)


def read_parts(
    path: str | Path, name: str, options: DataOptions, geometry: Geometry
) -> list[Part]:
    """Read a recording as those that a network learned from became its frames.

    It is read as a file of the set `name`, or, for a set of one's own, by the ending of its
    name; cut into windows if ``options.window_ms`` says so, and counted into one frame per
    time-step. Windows without events, and a last one that is not full, are left out.

    Args:
        path: The file.
        name: Of the set that the network was trained on.
        options: With which that set was loaded; ``image_size`` is not read.
        geometry: Of the network: the size of its frames and of what lies within their
            border, and the sensor of the training recordings if `options` name none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no recording or a damaged one, holds no events or is shorter
            than a window.
        OSError: If it cannot be read.
        ImportError: If it is AEDAT 4 and the library `aedat` is not installed.
    """
    path = Path(path)
    check_recording(path)
    sensor = options.sensor or geometry.sensor
    options = replace(options, sensor=sensor, image_size=max(geometry.inner))
    events, note = _settled(path, name, options)
    if options.window_ms:
        parts = _windows(path, events, options, note)
    else:
        parts = [Part(_count(events, options, None), None, note)]
    size = geometry.image_size
    return [part._replace(frames=_bordered(part.frames, size)) for part in parts]


def _settled(path: Path, name: str, options: DataOptions) -> tuple[Events, str]:
    """Return the events of a file in order of time, and what is to be said of them."""
    events, faults = settle(path, _read(path, name, options))
    if not len(events):
        raise ValueError(f"{path} holds no events. Damaged, or nothing moved?")
    if options.frames == "time" and not options.window_ms:
        refuse_uneven(path, events, faults)
    notes = [GUESSED] if _sensor_is_guessed(path, name, options) else []
    notes += said({path.name: faults})
    if outside := events.skipped.get("outside", 0):
        notes.append(f"Events outside the sensor, dropped: {outside}.")
    return events, " ".join(notes)


def _sensor_is_guessed(path: Path, name: str, options: DataOptions) -> bool:
    """Whether a recording is of a sensor that neither its file nor its set tells."""
    silent = path.suffix.lower() == ".npz" and options.sensor_sides == UNKNOWN
    return silent and name != "cifar10dvs"


GUESSED = (
    "This file does not say of what sensor it is: it was taken to reach as far as its own "
    "events, which moves them if the training recordings reached further."
)


def _read(path: Path, name: str, options: DataOptions) -> Events:
    if name == "cifar10dvs":
        return read_official(path, options.outside)
    # every other set's files are read by their endings as its loader reads them
    events = read_recording(path, options.sensor_sides, options.outside)
    if _sensor_is_guessed(path, name, options):
        usual = most(events.x), most(events.y)
        refuse_stretched(path, (events.width, events.height), usual)
    return events


def _windows(path: Path, events: Events, options: DataOptions, note: str) -> list[Part]:
    window_us = 1000 * options.window_ms
    count, filled = events.windows(window_us)
    if not count:
        raise ValueError(
            f"{path} lasts {(events.t[-1] - events.t[0] + 1) / 1000:g} ms, shorter than "
            f"the windows of {options.window_ms} ms that the network was trained on. Take "
            f"a longer one."
        )
    parts = []
    for number in filled.tolist():
        start = int(events.t[0]) + number * window_us
        span = (start, start + window_us)
        frames = _count(events.between(*span), options, span)
        from_first = (number * options.window_ms, (number + 1) * options.window_ms)
        parts.append(Part(frames, from_first, note))
    return parts


def _count(
    events: Events, options: DataOptions, span: tuple[int, int] | None
) -> UInt8[np.ndarray, "T 2 S S"]:
    return to_frames(events, options.num_steps, options.image_size, options.frames, span)[0]


def _bordered(
    frames: UInt8[np.ndarray, "T 2 s s"], size: int
) -> UInt8[np.ndarray, "T 2 S S"]:
    """Put frames into the middle of squares of zeros of `size` pixels."""
    left, right, top, bottom = bordered(2, frames.shape[-2:], size).border
    return np.pad(frames, ((0, 0), (0, 0), (top, bottom), (left, right)))
