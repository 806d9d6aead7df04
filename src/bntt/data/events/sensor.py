"""Of what sensor a camera is, by the name that a file gives it."""

Sides = tuple[int, int]
"""Columns and rows, in pixels."""
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
"""By what the name begins with, in capitals: a DAVIS240C is a DAVIS240 of a later make."""


def sides_of_camera(name: str) -> Sides:
    """Return the sensor of a camera, or `UNKNOWN`."""
    capitals = name.strip().upper()
    for camera, sides in CAMERAS.items():
        make = capitals.removeprefix(camera)
        if make != capitals and not make[:1].isdigit():
            return sides
    return UNKNOWN
