"""Event arrays in ``.npz`` files, as SpikingJelly and tonic leave them."""

from pathlib import Path

import numpy as np

from ...npz_archive import Header, NpzArchive
from ..recording import Events, on_sensor
from .codec import unwrap
from .recording_bytes import check_recording

COLUMNS = ("t", "x", "y", "p")
CLOCK_BITS = 32
"""Bits of the longest clock that runs over, every 71.6 minutes."""
ENDS = 16
"""Times saved in larger numbers are taken to be of that clock only where one falls from the
last of so many equal parts of its range into the first; any other clock was set back."""


def read_npz(
    path: str | Path, width: int = 0, height: int = 0, outside: str = "refuse"
) -> Events:
    """Read a ``.npz`` file of events.

    It holds arrays ``t``, ``x``, ``y`` and ``p`` of one length, as SpikingJelly saves
    them, or one structured array with fields of these names, as tonic's are; what else is
    in the file is not read. ``t`` is in whole microseconds; it goes on
    where a clock of 32 bits, or of fewer if its numbers have fewer, runs over, see
    `codec.unwrap`. ``x`` and ``y`` count from the upper
    left, and ``p`` is 1 or true for ON, and 0, false or -1 for OFF.

    Args:
        path: The file. Pickled objects in it are never loaded.
        width: Columns of the sensor, which such a file does not say; 0 for as many as the
            events need, which may be fewer than the sensor has and differ from file to
            file.
        height: Rows of the sensor; likewise.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, has other arrays (they are listed), values that
            are no events, or events outside the sensor.
    """
    path = Path(path)
    check_recording(path)
    with NpzArchive(path) as archive:
        columns = _columns(archive)
    _check_lengths(path, columns)
    t, x, y = (_whole(path, name, columns[name]) for name in "txy")
    polarity = _polarity(path, columns["p"])
    if not len(t):
        raise ValueError(f"{path} holds no events: its arrays have length 0.")
    t = _unwrapped(t, columns["t"].dtype)
    sensor = width or _reach(x), height or _reach(y)
    return on_sensor(path, (x, y, t, polarity), sensor, outside=outside)


def _columns(archive: NpzArchive) -> dict[str, np.ndarray]:
    """Read the arrays of events, and none beside them."""
    if set(COLUMNS) <= set(archive.names):
        return {name: archive.read(name) for name in COLUMNS}
    headers = _headers(archive)
    tables = [
        n for n, head in headers.items() if set(COLUMNS) <= set(head.dtype.names or ())
    ]
    if len(tables) == 1:
        table = archive.read(tables[0])
        return {name: table[name] for name in COLUMNS}
    there = ", ".join(
        _described(name, headers[name]) if name in headers else name
        for name in archive.names
    )
    raise ValueError(
        f"{archive.path} must hold arrays t, x, y and p, or one array with fields of these "
        f"names, but holds {there or 'no array'}."
    )


def _headers(archive: NpzArchive) -> dict[str, Header]:
    """What the arrays say of themselves, those of other things than numbers left out.

    Raises:
        ValueError: If none can be read; as the first of them says.
    """
    headers, errors = {}, []
    for name in archive.names:
        try:
            headers[name] = archive.header(name)
        except ValueError as error:
            errors.append(error)
    if errors and not headers:
        raise errors[0]
    return headers


def _check_lengths(path: Path, columns: dict[str, np.ndarray]) -> None:
    shapes = {name: array.shape for name, array in columns.items()}
    if len(set(shapes.values())) > 1 or columns["t"].ndim != 1:
        raise ValueError(
            f"{path}: t, x, y and p must be lists of one length, but have shapes {shapes}."
        )


def _unwrapped(t: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Follow a clock that has run over, also where it was saved in larger numbers."""
    bits = min(8 * kind.itemsize, CLOCK_BITS)
    if 8 * kind.itemsize > bits:
        span = 1 << bits
        if t.min() < 0 or t.max() >= span:
            return t
        if (t[:-1] - t[1:]).max(initial=0) < span - span // ENDS:
            return t
    return unwrap(t, bits)


def _described(name: str, array: Header) -> str:
    fields = f" with fields {', '.join(array.dtype.names)}" if array.dtype.names else ""
    return f"{name}{list(array.shape)}{fields}"


def _whole(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "iu" or (values > np.iinfo(np.int64).max).any():
        unit = "microseconds" if name == "t" else "pixels"
        advice = (
            " Of times in seconds, save np.round(t * 1e6).astype(np.int64)."
            if name == "t" and values.dtype.kind == "f"
            else ""
        )
        raise ValueError(
            f"{path}: {name} must be whole numbers ({unit}), got {values.dtype}.{advice}"
        )
    return values.astype(np.int64)


def _reach(places: np.ndarray) -> int:
    """Return how many columns, or rows, hold all events that can be on a sensor."""
    possible = places[(places >= 0) & (places <= np.iinfo(np.uint16).max)]
    return int(possible.max(initial=0)) + 1


def _polarity(path: Path, values: np.ndarray) -> np.ndarray:
    known = np.unique(values) if values.dtype.kind in "biu" else np.array([])
    if values.dtype.kind not in "biu" or not set(known.tolist()) <= {-1, 0, 1}:
        got = f"{values.dtype} with values {', '.join(map(str, known[:8]))}"
        raise ValueError(f"{path}: p must be 0 or 1, -1 or 1, or true or false, got {got}.")
    return (values == 1).astype(np.uint8)
