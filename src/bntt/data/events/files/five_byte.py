"""Files of 5-byte events, as N-MNIST has them."""

from pathlib import Path

import numpy as np

from ..recording import Events, on_sensor
from .codec import NMNIST_BITS, NMNIST_OVERFLOW, NMNIST_OVERFLOW_ROW, decode_nmnist, unwrap
from .recording_bytes import read_bytes

RECORD = 5
"""Bytes of an event."""


def read_nmnist(
    path: str | Path, width: int = 34, height: int = 34, outside: str = "refuse"
) -> Events:
    """Read a file of 5-byte events without a header; see `codec.decode_nmnist`.

    Where the clock of 23 bits runs over, every 8.4 seconds, time goes on; see
    `codec.unwrap`.

    A record of row 240 is no event: the clock of the sensor's interface ran over, and
    2**13 microseconds are added to its time and all later ones, as the set's first Python
    reader does. Such records are counted in ``Events.skipped["overflow"]``; the published
    N-MNIST has none.

    Args:
        path: The file.
        width: Columns of the sensor; N-MNIST has 34, a DVS128 (``.bs2``) 128.
        height: Rows of the sensor.
        outside: As `recording.on_sensor`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, without events, or has one outside the
            sensor; with the byte at which that shows.
    """
    path = Path(path)
    x, y, t, polarity = decode_nmnist(_records(path, read_bytes(path)))
    t = unwrap(t, NMNIST_BITS)
    over = (y == NMNIST_OVERFLOW_ROW) & (height <= NMNIST_OVERFLOW_ROW)
    if over.all():
        raise ValueError(
            f"{path} holds no events: its {len(over)} records, from byte 0 on, all say "
            f"that the clock ran over (row {NMNIST_OVERFLOW_ROW}). Get the file again."
        )
    kept, skipped = np.arange(len(over)), {}
    if over.any():
        t = t + np.cumsum(over) * NMNIST_OVERFLOW
        kept, skipped = np.flatnonzero(~over), {"overflow": int(np.count_nonzero(over))}
        x, y, t, polarity = x[kept], y[kept], t[kept], polarity[kept]
    return on_sensor(
        path,
        (x, y, t, polarity),
        (width, height),
        skipped=skipped,
        byte_of=lambda k: int(kept[k]) * RECORD,
        outside=outside,
    )


def _records(path: Path, data: bytes) -> np.ndarray:
    """Return uint8 [E, 5]."""
    if not data:
        raise ValueError(
            f"{path} holds no events: it ends at byte 0. Truncated? Get the file again."
        )
    if over := len(data) % RECORD:
        raise ValueError(
            f"{path} must hold events of {RECORD} bytes each, but at byte "
            f"{len(data) - over} only {over} bytes are left. Truncated, or another kind of "
            f"file? Get the file again."
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD)
