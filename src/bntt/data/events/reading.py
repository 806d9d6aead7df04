"""One function that reads whatever recording it is given, by the ending of its name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .aedat2 import read_aedat2
from .aedat3 import read_aedat3
from .aedat4 import LONGEST_VERSION, read_aedat4
from .aedat_header import version_of
from .arrays import read_npz
from .nmnist_file import read_nmnist
from .recording import Events


def read_aedat(path: str | Path) -> Events:
    """Read an AEDAT file of version 2.0, 3.1 or 4.0, whichever its first line names.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If it is version 4.0 and the library `aedat` is not installed.
        ValueError: If it is none of these, or as the version's own reader says.
    """
    with Path(path).open("rb") as file:
        version = version_of(file.read(LONGEST_VERSION))
    return {"3.1": read_aedat3, "4.0": read_aedat4}.get(version, read_aedat2)(path)


READERS: dict[str, Callable[[str | Path], Events]] = {
    ".aedat": read_aedat,
    ".aedat2": read_aedat,
    ".aedat4": read_aedat,
    ".bin": read_nmnist,
    ".bs2": partial(read_nmnist, width=128, height=128),
    ".npz": read_npz,
}
"""By the ending of a file's name in small letters: ``.bin`` is N-MNIST's, 34x34;
``.bs2`` the same bytes of a DVS128."""


def read_recording(path: str | Path) -> Events:
    """Read a recording by the ending of its name; see `READERS`.

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
    return reader(path)
