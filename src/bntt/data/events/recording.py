"""What a recording of an event camera is, whatever file it came from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8, UInt16


@dataclass(frozen=True, eq=False)
class Events:
    """Changes of brightness, one by one, in the order in which they were recorded."""

    x: UInt16[np.ndarray, " E"]
    """Column, 0 at the left."""
    y: UInt16[np.ndarray, " E"]
    """Row, 0 at the top."""
    t: Int64[np.ndarray, " E"]
    """Microseconds on the camera's clock, which starts anywhere."""
    polarity: UInt8[np.ndarray, " E"]
    """1 where it became brighter (ON), 0 where it became darker (OFF)."""
    width: int
    """Columns of the sensor, in pixels."""
    height: int
    """Rows of the sensor, in pixels."""
    skipped: dict[str, int] = field(default_factory=dict)
    """How many records of the file are no events of a pixel, by kind: together with the
    events above they are all that the file holds."""

    def __len__(self) -> int:
        return len(self.t)

    @property
    def backward(self) -> int:
        """How many events are earlier than the one before: 0, but for a faulty clock."""
        return int(np.count_nonzero(self.t[1:] < self.t[:-1]))

    def window(self, start_us: int, stop_us: int) -> "Events":
        """Return the events with ``start_us <= t < stop_us``, times as they were."""
        keep = (self.t >= start_us) & (self.t < stop_us)
        return Events(
            self.x[keep],
            self.y[keep],
            self.t[keep],
            self.polarity[keep],
            self.width,
            self.height,
        )


def check_places(
    path: Path,
    x: UInt16[np.ndarray, " E"],
    y: UInt16[np.ndarray, " E"],
    sensor: tuple[int, int],
    byte_of: Callable[[int], int] | None = None,
) -> None:
    """Refuse events that lie outside a sensor of ``(width, height)`` pixels.

    Args:
        path: The file, for the message.
        x: Columns.
        y: Rows.
        sensor: Width and height.
        byte_of: Where in the file the event of an index begins, if that means anything.

    Raises:
        ValueError: Naming the first event outside.
    """
    width, height = sensor
    outside = (x >= width) | (y >= height)
    if outside.any():
        k = int(np.argmax(outside))
        at = f", at byte {byte_of(k)}," if byte_of else ""
        raise ValueError(
            f"{path}: event {k}{at} lies at x={x[k]}, y={y[k]}, outside a sensor of "
            f"{width}x{height} pixels. Damaged, or another sensor's file? `width` and "
            f"`height` say which."
        )
