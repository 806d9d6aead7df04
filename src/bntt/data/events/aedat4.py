"""AEDAT 4, as iniVation's DV writes it: read by the library `aedat`."""

import importlib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...extras import how_to_install
from .aedat_header import check_version
from .file import check_recording
from .recording import Events, on_sensor

LONGEST_VERSION = 64
"""Bytes that certainly hold the first line."""


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
    streams, packets, skipped = _decode(path, _library(path))
    if not packets:
        kinds = ", ".join(sorted(stream["type"] for stream in streams.values()))
        raise ValueError(f"{path} holds no events; its streams: {kinds or 'none'}.")
    chosen, *others = sorted(packets)
    for stream in others:
        skipped[f"events of stream {stream}"] = sum(map(len, packets[stream]))
    events = np.concatenate(packets[chosen])
    width, height = int(streams[chosen]["width"]), int(streams[chosen]["height"])
    columns = events["x"], events["y"], events["t"], events["on"]
    return on_sensor(path, columns, (width, height), skipped=skipped, outside=outside)


def _decode(
    path: Path, library: ModuleType
) -> tuple[dict[int, dict[str, Any]], dict[int, list[np.ndarray]], dict[str, int]]:
    """Return what the streams are, the events of each, and how much else there is."""
    packets: dict[int, list[np.ndarray]] = {}
    others: Counter[str] = Counter()
    try:
        decoder = library.Decoder(str(path))
        for packet in decoder:
            if len(packet.get("events", ())):
                packets.setdefault(packet["stream_id"], []).append(packet["events"])
            for kind in ("imus", "triggers"):
                others[kind] += len(packet.get(kind, ()))
            others["frames"] += "frame" in packet
        streams = decoder.id_to_stream()
    except Exception as error:  # what the library raises is not documented
        why = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) cannot be decoded: {why}. Truncated or "
            f"damaged? Get the file again."
        ) from error
    return streams, packets, {kind: count for kind, count in others.items() if count}


def _library(path: Path) -> ModuleType:
    try:
        return importlib.import_module("aedat")
    except ImportError as error:
        raise ImportError(
            f"{path} is AEDAT 4, which is read with the library aedat, and that is not "
            f"installed: {how_to_install('aedat4')}"
        ) from error
