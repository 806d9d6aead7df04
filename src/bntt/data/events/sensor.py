"""Of what sensor a recording is: by the name of its camera, or by where its events are."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16

Sides = tuple[int, int]
"""Columns and rows of a sensor, in pixels."""
UNKNOWN: Sides = (0, 0)

CAMERAS: dict[str, Sides] = {
    "DVS128": (128, 128),
    "EDVS128": (128, 128),
    "EDVS": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS208": (208, 192),
    "DAVIS240": (240, 180),
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
    "DVS640": (640, 480),
    "DVXPLORER": (640, 480),
}
"""Sensors by the beginning of the camera's name, in capitals: a DAVIS240C is a later make
of the DAVIS240."""


def sides_of_camera(name: str) -> Sides:
    """Return the sensor of a camera, or `UNKNOWN`."""
    capitals = name.strip().upper()
    for camera, sides in CAMERAS.items():
        make = capitals.removeprefix(camera)
        if make != capitals and not make[:1].isdigit():
            return sides
    return UNKNOWN


FEW = 8
"""Number of events of a recording below which none is taken to be astray."""
FAR = 2
"""An event is astray that lies more than so many times as far out as nearly all others."""


def most(places: UInt16[np.ndarray, " E"]) -> int:
    """Return how many columns, or rows, all but a thousandth of the events need.

    One event may always be astray, unless there are few.
    """
    aside = max(1, len(places) // 1000) if len(places) >= FEW else 0
    last = len(places) - 1 - aside
    return int(np.partition(places, last)[last]) + 1


def reaches_far(side: int, usual: int) -> bool:
    """Whether a side that holds all events is much longer than one for nearly all."""
    return side > FAR * usual


def refuse_stretched(path: Path, sensor: Sides, usual: Sides) -> None:
    """Refuse a sensor that is only known by its events if a few stray ones stretch it.

    Args:
        path: The recording that reaches furthest.
        sensor: Columns and rows that hold all events.
        usual: Columns and rows that hold all but a thousandth.

    Raises:
        ValueError: If it is so.
    """
    if reaches_far(sensor[0], usual[0]) or reaches_far(sensor[1], usual[1]):
        raise ValueError(
            f"{path}: a few of its events reach as far as a sensor of "
            f"{sensor[0]}x{sensor[1]} pixels, while all but a thousandth stay within "
            f"{usual[0]}x{usual[1]}. Damaged? Say the sensor, such as "
            f"sensor='{usual[0]}x{usual[1]}', and outside='drop' to leave such events out."
        )
