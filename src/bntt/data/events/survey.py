"""What must be known of all recordings of a folder before the first frame is counted."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from ..cache import cached
from ..dataset import Wanted
from ..originals import check_unchanged
from .clock import settle
from .samples import Listing
from .sensor import most

VERSION = 4
CHUNK = 8
COLUMNS = (
    "first_us",
    "last_us",
    "width",
    "height",
    "most_width",
    "most_height",
    "windows",
    "filled",
)


@dataclass(frozen=True, eq=False)
class Survey:
    """One number per recording in each array, in the order of ``Listing.samples``."""

    first_us: np.ndarray
    """Time of the first event."""
    last_us: np.ndarray
    width: np.ndarray
    """Columns of the sensor; of a ``.npz`` file as many as its events need."""
    height: np.ndarray
    most_width: np.ndarray
    """Columns that all but a thousandth of the events need."""
    most_height: np.ndarray
    windows: np.ndarray
    """Whole windows from the first event on; 1, if there are to be none."""
    filled: np.ndarray
    """Those of them that hold events."""


def survey(listing: Listing, wanted: Wanted) -> Survey:
    """Read every recording once, or know it from the cache.

    Raises:
        ValueError: If a recording is damaged or has no events.
    """
    files = [sample.file for sample in listing.samples]

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, file in enumerate(files[first:last]):
            path = listing.root / file
            events, _ = settle(path, listing.read(path))
            check_unchanged(path, listing.files[file])
            if not len(events):
                raise ValueError(f"{path} holds no events.")
            views["survey"][row] = (
                *(int(events.t.min()), int(events.t.max())),
                *(events.width, events.height),
                *(most(events.x), most(events.y)),
                *_windows(events.t, wanted.window_ms * 1000),
            )

    key = {
        "version": VERSION,
        "files": listing.fingerprint,
        "order": files,
        "window_ms": wanted.window_ms,
        "sensor": wanted.sensor,
        "outside": wanted.outside,
    }
    arrays = {"survey": ((len(files), len(COLUMNS)), "int64")}
    name, what = f"{listing.name}-survey", f"{listing.title}: reading recordings"
    found = cached(name, key, arrays, fill, chunk=CHUNK, what=what, quiet=wanted.quiet)
    return Survey(**dict(zip(COLUMNS, np.array(found["survey"]).T, strict=True)))


def windows_of(
    t: Int64[np.ndarray, " E"], window_us: int
) -> tuple[int, Int64[np.ndarray, " W"]]:
    """Divide a recording into windows, the first of which begins with its first event.

    Returns:
        How many whole windows there are, and the numbers, from 0, of those that hold
        events.
    """
    first = int(t.min())
    count = (int(t.max()) - first + 1) // window_us
    if not count:  # the length may be more than 64 bits hold
        return 0, np.zeros(0, dtype=np.int64)
    number = np.unique((t - first) // window_us)
    return count, number[number < count]


def _windows(t: np.ndarray, window_us: int) -> tuple[int, int]:
    """Return how many whole windows there are, and how many of these hold events."""
    count, filled = windows_of(t, window_us) if window_us else (1, [0])
    return count, len(filled)
