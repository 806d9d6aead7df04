"""AEDAT 4, as iniVation's DV writes it: read by the library `aedat`."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

from ....config.values import LONGEST_SIDE
from ....machine.extras import how_to_install
from ..recording import Events, on_sensor
from ..sensor import Sides
from .aedat4_worker import decode
from .aedat_header import check_version
from .recording_bytes import check_recording

LONGEST_VERSION = 64
"""Bytes that certainly hold the first line."""
OLDEST = (2, 3)
"""The first version of the library that reads frames of 16 bits."""


def read_aedat4(path: str | Path, outside: str = "refuse") -> Events:
    """Read the events of an AEDAT 4 file, which knows the size of its sensor.

    Of several streams of events the one with the lowest number is read. What else is in
    the file (other streams, frames, motion, triggers) is counted in ``Events.skipped``.

    Args:
        path: The file.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the library `aedat` is not installed.
        ValueError: If it is of another version, truncated, damaged, or has no events.
    """
    path = Path(path)
    check_recording(path)
    with path.open("rb") as file:
        check_version(path, file.read(LONGEST_VERSION), "4.0")
    _check_library(path)
    found, events = _decoded(path)
    streams = found["streams"]
    if not len(events):
        kinds = ", ".join(sorted(str(stream["type"]) for stream in streams.values()))
        raise ValueError(f"{path} holds no events; its streams: {kinds or 'none'}.")
    if (events["t"] > np.iinfo(np.int64).max).any():
        raise ValueError(f"{path} holds events of impossible times. Get the file again.")
    return on_sensor(
        path,
        (events["x"], events["y"], events["t"], events["on"]),
        _sensor(path, streams[str(found["chosen"])]),
        skipped=found["skipped"],
        outside=outside,
    )


def _decoded(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    try:
        return decode(path)
    except ValueError as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) cannot be decoded: {why}. Truncated or "
            f"damaged? Get the file again."
        ) from error


def _sensor(path: Path, stream: dict[str, Any]) -> Sides:
    width, height = stream["width"], stream["height"]
    if not all(type(side) is int and 0 < side <= LONGEST_SIDE for side in (width, height)):
        raise ValueError(
            f"{path} says that its sensor has {width} x {height} pixels. Damaged? Get the "
            f"file again."
        )
    return width, height


def _check_library(path: Path) -> None:
    if importlib.util.find_spec("aedat") is None:
        raise ImportError(
            f"{path} is AEDAT 4, which is read with the library aedat, and that is not "
            f"installed: {how_to_install('aedat4')}"
        )
    try:
        version = importlib.metadata.version("aedat")
    except importlib.metadata.PackageNotFoundError:  # one that was not installed by pip
        return
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise ImportError(
            f"{path} is AEDAT 4, but the library aedat {version} misreads files with "
            f"frames of 16 bits. Get a newer one: {how_to_install('aedat4')}"
        )
