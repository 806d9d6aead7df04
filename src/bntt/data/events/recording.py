"""What a recording of an event camera is, whatever file it came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
    """How many records of the file are no events of a pixel, by their kind. Together with
    the events they are all that the file holds."""

    def __len__(self) -> int:
        return len(self.t)

    @property
    def backward(self) -> int:
        """How many events are earlier than the one before: 0, but for a faulty clock."""
        return int(np.count_nonzero(self.t[1:] < self.t[:-1]))

    def sorted(self) -> "Events":
        """Return the events in order of time; those of one time stay in their order."""
        return self._taken(np.argsort(self.t, kind="stable"))

    def between(self, start_us: int, stop_us: int) -> "Events":
        """Return the events with ``start_us <= t < stop_us``, their times as they were.

        Args:
            start_us: In microseconds on the recording's clock.
            stop_us: Likewise.

        Returns:
            A part of this recording, which must be in order of time (see `sorted`); its
            arrays are views of this recording's.
        """
        first, last = np.searchsorted(self.t, (start_us, stop_us))
        return self._taken(slice(first, last))

    def windows(self, length_us: int) -> tuple[int, Int64[np.ndarray, " W"]]:
        """Divide a recording into windows, the first of which begins with its first event.

        Args:
            length_us: Of a window, in microseconds.

        Returns:
            How many whole windows there are, and the numbers, from 0, of those that hold
            events, ascending.
        """
        first = int(self.t.min())
        count = (int(self.t.max()) - first + 1) // length_us
        if not count:  # the length may be more than 64 bits hold
            return 0, np.zeros(0, dtype=np.int64)
        number = np.unique((self.t - first) // length_us)
        return count, number[number < count]

    def _taken(self, index: np.ndarray | slice) -> "Events":
        return replace(
            self,
            x=self.x[index],
            y=self.y[index],
            t=self.t[index],
            polarity=self.polarity[index],
        )


def on_sensor(
    path: Path,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    sensor: tuple[int, int],
    *,
    skipped: Mapping[str, int] | None = None,
    byte_of: Callable[[int], int] | None = None,
    outside: str = "refuse",
) -> Events:
    """Return the events of a sensor of ``(width, height)`` pixels.

    Args:
        path: The file, for the message.
        columns: ``x``, ``y``, ``t`` and ``polarity`` of every event, whole numbers.
        sensor: Width and height.
        skipped: Records that are no events, by kind.
        byte_of: Where in the file the event of an index begins, if that means anything.
        outside: ``"refuse"`` or ``"drop"``: what to do with events elsewhere. Those that
            are dropped are counted in ``Events.skipped["outside"]``.

    Raises:
        ValueError: Naming the first event outside, or if all are.
    """
    x, y, t, polarity = columns
    width, height = sensor
    skipped = dict(skipped or {})
    there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if not there.all():
        first, number = int(np.argmin(there)), int(np.count_nonzero(~there))
        if outside != "drop" or number == len(there):
            at = f", at byte {byte_of(first)}," if byte_of else ""
            raise ValueError(
                f"{path}: event {first}{at} lies at x={x[first]}, y={y[first]}, outside a "
                f"sensor of {width}x{height} pixels, as do {number} of {len(there)}. "
                f"Damaged, or of another sensor? A folder of your own takes "
                f"sensor='WIDTHxHEIGHT'; outside='drop' leaves such events out and counts "
                f"them."
            )
        skipped["outside"] = number
        x, y, t, polarity = (column[there] for column in columns)
    return Events(
        x.astype(np.uint16),
        y.astype(np.uint16),
        t.astype(np.int64),
        polarity.astype(np.uint8),
        width,
        height,
        skipped,
    )
