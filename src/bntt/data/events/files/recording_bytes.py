"""The bytes of a recording, if it is a file and not too large to be one."""

from pathlib import Path

from ...folders import check_file

MOST = 4 << 30
"""Bytes of the largest recording that is read. Its half a billion events would take twenty
gigabytes of memory."""
ADVICE = "Name the files of an event camera, such as those that docs/events.md lists."


def check_recording(path: Path) -> None:
    """Refuse what is no file, or a larger one than recordings are.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a pipe or a device, or too large.
    """
    check_file(path, "a recording", ADVICE)
    size = path.stat().st_size
    if size > MOST:
        raise ValueError(
            f"{path} has {size / 1e9:,.1f} GB, but recordings of up to {MOST / 1e9:.1f} GB "
            f"are read. Cut it into shorter ones."
        )


def read_bytes(path: Path) -> bytes:
    """Return what is in a recording.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `check_recording`.
    """
    check_recording(path)
    return path.read_bytes()
