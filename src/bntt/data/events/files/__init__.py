"""One function that reads whatever recording it is given, by the ending of its name."""

from collections.abc import Callable
from pathlib import Path

from ..recording import Events
from ..sensor import UNKNOWN, Sides
from .aedat2 import read_aedat2
from .aedat3 import read_aedat3
from .aedat4 import LONGEST_VERSION, read_aedat4
from .aedat_header import version_of
from .five_byte import read_nmnist
from .npz import read_npz
from .recording_bytes import check_recording


def read_aedat(
    path: str | Path, sensor: Sides = UNKNOWN, outside: str = "refuse"
) -> Events:
    """Read an AEDAT file of version 2.0, 3.1 or 4.0, whichever its first line names.

    Args:
        path: The file.
        sensor: As `read_recording`.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If it is version 4.0 and the library `aedat` is not installed.
        ValueError: If it is none of these, or as the version's own reader says.
    """
    check_recording(Path(path))
    with Path(path).open("rb") as file:
        version = version_of(file.read(LONGEST_VERSION))
    if version == "3.1":
        return read_aedat3(path, *sensor, outside=outside)
    if version == "4.0":
        return read_aedat4(path, outside=outside)
    return read_aedat2(path)


def _five_bytes(side: int) -> Callable[[str | Path, Sides, str], Events]:
    """Return a reader of files that are of a square sensor unless another is named."""

    def read(path: str | Path, sensor: Sides, outside: str) -> Events:
        width, height = (side, side) if sensor == UNKNOWN else sensor
        return read_nmnist(path, width, height, outside)

    return read


def _arrays(path: str | Path, sensor: Sides, outside: str) -> Events:
    return read_npz(path, *sensor, outside=outside)


READERS: dict[str, Callable[[str | Path, Sides, str], Events]] = {
    ".aedat": read_aedat,
    ".aedat2": read_aedat,
    ".aedat4": read_aedat,
    ".bin": _five_bytes(34),
    ".bs2": _five_bytes(128),
    ".npz": _arrays,
}
"""By the ending of a file's name in small letters: ``.bin`` is N-MNIST's, 34x34;
``.bs2`` the same bytes of a DVS128."""


def read_recording(
    path: str | Path, sensor: Sides = UNKNOWN, outside: str = "refuse"
) -> Events:
    """Read a recording by the ending of its name; see `READERS`.

    Args:
        path: The file.
        sensor: Width and height of the sensor, where the file does not say them.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If it is AEDAT 4 and the library `aedat` is not installed.
        ValueError: If the ending is not one of a recording, or as the format's own reader
            says.
    """
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise ValueError(
            f"{path} does not end like a recording: {', '.join(READERS)} are read."
        )
    return reader(path, sensor, outside)
